import { createHash } from 'node:crypto'
import {
  ed25519Signer,
  nodeIdOf,
  privateKeyFromSeed,
  type Signer,
  type Verifier,
} from '../../../overlay/identity/identity.js'
import type { PublicKey } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { toHex } from '../../../runtime/hex.js'
import type { Address, Caller } from '../../../runtime/transport.js'
import { ed25519Verifier } from '../../support/ed25519-verifier.js'
import type { SeededRandom } from '../world/random.js'

/** Real signatures, or a hash keyed with a secret of each key: a hundred times as fast and as impossible to forge here. */
export type KeyKind = 'ed25519' | 'keyed'

/** All keys of one world. Nobody but the holder of a key is given its signer. */
export class GridKeys {
  readonly verifier: Verifier
  readonly #kind: KeyKind
  readonly #secrets = new Map<PublicKey, Uint8Array>()

  constructor(kind: KeyKind) {
    this.#kind = kind
    const verify: Verifier['verify'] =
      kind === 'ed25519'
        ? ed25519Verifier.verify
        : (key, tag, bytes, signature) => this.#isKeyed(key, tag, bytes, signature)
    // On the spot in both cases: another thread would end in a turn of its own choosing.
    this.verifier = { verify, verifyAsync: (...signed) => Promise.resolve(verify(...signed)) }
  }

  /** A key of this world with an id that follows from it. */
  identity(random: SeededRandom, address: Address): Caller {
    const secret = random.bytes(32)
    const idNonce = random.bytes(8)
    const publicKey =
      this.#kind === 'ed25519'
        ? ed25519Signer(privateKeyFromSeed(secret)).publicKey
        : (sha256(secret) as string as PublicKey)
    this.#secrets.set(publicKey, secret)
    return {
      nodeId: nodeIdOf(publicKey, idNonce),
      publicKey,
      idNonce,
      host: address.slice(0, address.lastIndexOf(':')),
    }
  }

  /** Signs as the holder of `publicKey`, which {@link identity} made. */
  signer(publicKey: PublicKey): Signer {
    const secret = this.#secrets.get(publicKey)!
    if (this.#kind === 'ed25519') return ed25519Signer(privateKeyFromSeed(secret))
    return { publicKey, sign: (tag, bytes) => keyedHash(secret, tag, bytes) }
  }

  #isKeyed(publicKey: PublicKey, tag: string, bytes: Uint8Array, signature: Uint8Array): boolean {
    const secret = this.#secrets.get(publicKey)
    return secret !== undefined && Buffer.compare(keyedHash(secret, tag, bytes), signature) === 0
  }
}

/** 64 bytes, as long as a real signature. */
function keyedHash(secret: Uint8Array, tag: string, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(
    createHash('sha512')
      .update(secret)
      .update(`${toHex(secret)} ${tag}\0`)
      .update(bytes)
      .digest(),
  )
}
