import { createHash } from 'node:crypto'
import type { Signer, Verifier } from '../../overlay/identity/identity.js'
import type { PublicKey } from '../../proto/model.js'

/** Stands in for Ed25519 where thousands of nodes sign: anybody could forge it, so no test of forgery may use it. */
function keyedHash(publicKey: PublicKey, tag: string, bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha512').update(`${publicKey} ${tag}\0`).update(bytes).digest())
}

export function keyedSigner(publicKey: PublicKey): Signer {
  return { publicKey, sign: (tag, bytes) => keyedHash(publicKey, tag, bytes) }
}

const verify: Verifier['verify'] = (publicKey, tag, bytes, signature) =>
  Buffer.compare(keyedHash(publicKey, tag, bytes), signature) === 0

export const keyedVerifier: Verifier = {
  verify,
  verifyAsync: (publicKey, tag, bytes, signature) => Promise.resolve(verify(publicKey, tag, bytes, signature)),
}
