import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import type { NodeId, PublicKey } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { fromHex, toHex, utf8 } from '../../runtime/hex.js'

/** Length of the nonce that travels with a key. Unit: bytes. */
const ID_NONCE_BYTES = 8
/** Imported public keys kept; the one used longest ago leaves first. An import costs 7 us, a kept one nothing. */
const IMPORTED_KEYS_MAX = 4096

const ID_WORK_TAG = utf8('manyhands.v1.id-work')
const PUBLIC_KEY_PATTERN = /^[0-9a-f]{64}$/

/** Signs for one key. The simulator hands in a keyed hash instead of Ed25519. */
export interface Signer {
  readonly publicKey: PublicKey
  /**
   * Signature over `manyhands.v1.<tag>`, a zero byte and `bytes`. One tag per kind of statement, so that a signature for
   * one can never stand for another. 64 bytes.
   */
  sign(tag: string, bytes: Uint8Array): Uint8Array
}

/** Checks signatures of any key. False for anything that is not a valid signature, malformed keys included; never throws. */
export interface Verifier {
  verify(publicKey: PublicKey, tag: string, bytes: Uint8Array, signature: Uint8Array): boolean
  /** The same on a thread of the pool, for whoever checks so many that they would stall the event loop. */
  verifyAsync(publicKey: PublicKey, tag: string, bytes: Uint8Array, signature: Uint8Array): Promise<boolean>
}

/** Who a node is: its key, the nonce that makes its id, and this run of it. */
export interface Identity {
  readonly nodeId: NodeId
  readonly publicKey: PublicKey
  /** 8 bytes. */
  readonly idNonce: Uint8Array
  /** Never leaves the process: for the channel's certificate only. Everything else signs through {@link signer}. */
  readonly privateKey: KeyObject
  readonly signer: Signer
  /** Drawn at each start, 64 bits: tells a restarted node from one that was there all along. */
  readonly bootId: bigint
}

/** What the key file holds. */
export interface StoredKey {
  /** The Ed25519 seed, 32 bytes as hex. */
  readonly privateKey: string
  /** 8 bytes as hex. */
  readonly idNonce: string
}

/** Node id of a key with its nonce: first 160 bits of SHA-256(raw public key, nonce) as hex. */
export function nodeIdOf(publicKey: PublicKey, idNonce: Uint8Array): NodeId {
  return createHash('sha256').update(publicKey, 'hex').update(idNonce).digest('hex').slice(0, 40) as NodeId
}

/** Leading zero bits of SHA-256("manyhands.v1.id-work", raw public key, nonce): the work that went into the id. */
export function idWorkOf(publicKey: PublicKey, idNonce: Uint8Array): number {
  return leadingZeroBits(createHash('sha256').update(ID_WORK_TAG).update(publicKey, 'hex').update(idNonce).digest())
}

/**
 * Looks for a nonce that gives the key `bits` (0 to 24) of work, from a random start. Blocks: about
 * 2^bits hashes, 0.1 s for the 16 bits of the public network.
 */
export function findIdNonce(publicKey: PublicKey, bits: number): Uint8Array {
  const nonce = randomBytes(ID_NONCE_BYTES)
  let counter = nonce.readUInt32BE(4)
  while (idWorkOf(publicKey, nonce) < bits) {
    counter = (counter + 1) >>> 0
    nonce.writeUInt32BE(counter, 4)
  }
  return new Uint8Array(nonce)
}

/** A new key with a nonce that meets `idWorkBits`. */
export function createIdentity(idWorkBits = 0): Identity {
  const { privateKey } = generateKeyPairSync('ed25519')
  const publicKey = publicKeyOf(privateKey)
  return assembleIdentity(privateKey, publicKey, findIdNonce(publicKey, idWorkBits))
}

/** The identity a key file describes. Throws GridError `corrupt` when the fields are not a key and a nonce. */
export function restoreIdentity(stored: StoredKey): Identity {
  if (!/^[0-9a-f]{64}$/.test(stored.privateKey) || !/^[0-9a-f]{16}$/.test(stored.idNonce)) {
    throw new GridError('corrupt', 'the key file does not hold an Ed25519 key and an id nonce')
  }
  const privateKey = privateKeyFromSeed(fromHex(stored.privateKey))
  return assembleIdentity(privateKey, publicKeyOf(privateKey), fromHex(stored.idNonce))
}

/** What to write to the key file: the only place where the private key leaves its KeyObject. */
export function storedKeyOf(identity: Identity): StoredKey {
  const jwk = identity.privateKey.export({ format: 'jwk' })
  return {
    privateKey: Buffer.from(jwk.d ?? '', 'base64url').toString('hex'),
    idNonce: toHex(identity.idNonce),
  }
}

/** The same key with another nonce, so with another node id. */
export function withIdNonce(identity: Identity, idNonce: Uint8Array): Identity {
  return assembleIdentity(identity.privateKey, identity.publicKey, idNonce)
}

/** Ed25519 private key of a 32-byte seed (RFC 8032, 5.1.5). */
export function privateKeyFromSeed(seed: Uint8Array): KeyObject {
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
  return createPrivateKey({ key: Buffer.concat([prefix, seed]), format: 'der', type: 'pkcs8' })
}

/** Raw public key of a private or public Ed25519 key. */
export function publicKeyOf(key: KeyObject): PublicKey {
  const jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' })
  return Buffer.from(jwk.x ?? '', 'base64url').toString('hex') as PublicKey
}

/** Signs with a private key of this process. */
export function ed25519Signer(privateKey: KeyObject): Signer {
  return {
    publicKey: publicKeyOf(privateKey),
    sign: (tag, bytes) => new Uint8Array(sign(null, signedBytes(tag, bytes), privateKey)),
  }
}

/** Verifier for Ed25519 keys, with its own bounded cache of imported keys. One per process is enough. */
export function createVerifier(keysMax: number = IMPORTED_KEYS_MAX): Verifier {
  const imported = new Map<PublicKey, KeyObject>()

  const keyOf = (publicKey: PublicKey): KeyObject | undefined => {
    let key = imported.get(publicKey)
    if (key !== undefined) {
      imported.delete(publicKey)
    } else {
      key = importPublicKey(publicKey)
      if (key === undefined) return undefined
      if (imported.size >= keysMax) {
        const [oldest] = imported.keys()
        if (oldest !== undefined) imported.delete(oldest)
      }
    }
    imported.set(publicKey, key)
    return key
  }

  return {
    verify(publicKey, tag, bytes, signature) {
      const key = signature.length === 64 ? keyOf(publicKey) : undefined
      if (key === undefined) return false
      return verify(null, signedBytes(tag, bytes), key, signature)
    },
    verifyAsync(publicKey, tag, bytes, signature) {
      const key = signature.length === 64 ? keyOf(publicKey) : undefined
      if (key === undefined) return Promise.resolve(false)
      return new Promise((resolve) => {
        verify(null, signedBytes(tag, bytes), key, signature, (error, valid) => resolve(error === null && valid))
      })
    },
  }
}

/** What a signature covers: the domain tag, a zero byte, the bytes. */
export function signedBytes(tag: string, bytes: Uint8Array): Uint8Array {
  const prefix = prefixOf(tag)
  const covered = new Uint8Array(prefix.length + bytes.length)
  covered.set(prefix)
  covered.set(bytes, prefix.length)
  return covered
}

const prefixes = new Map<string, Uint8Array>()

/** Tags come from our own code alone, so there are few. */
function prefixOf(tag: string): Uint8Array {
  let prefix = prefixes.get(tag)
  if (prefix === undefined) {
    prefix = utf8(`manyhands.v1.${tag}\0`)
    prefixes.set(tag, prefix)
  }
  return prefix
}

/** By JWK: importing the same key from DER costs thirteen times as much. */
function importPublicKey(publicKey: PublicKey): KeyObject | undefined {
  if (!PUBLIC_KEY_PATTERN.test(publicKey)) return undefined
  try {
    const x = Buffer.from(publicKey, 'hex').toString('base64url')
    return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  } catch {
    return undefined
  }
}

function assembleIdentity(privateKey: KeyObject, publicKey: PublicKey, idNonce: Uint8Array): Identity {
  return Object.freeze({
    nodeId: nodeIdOf(publicKey, idNonce),
    publicKey,
    idNonce,
    privateKey,
    signer: ed25519Signer(privateKey),
    bootId: randomBytes(8).readBigUInt64BE(),
  })
}

function leadingZeroBits(bytes: Uint8Array): number {
  let bits = 0
  for (const byte of bytes) {
    if (byte !== 0) return bits + Math.clz32(byte) - 24
    bits += 8
  }
  return bits
}
