import type { NodeId, PublicKey, Signed } from '../../proto/model.js'

/** What a signature covers besides the bytes, so that none can pass as one of another kind. */
export type SignatureTag = 'grant' | 'report' | 'donor' | 'order'

/** Checks of keys, handed in: Ed25519 outside, a keyed hash in most simulations. Pure, and never throws. */
export interface SignatureVerifier {
  /** Whether `publicKey` signed the tag and the bytes. */
  verify(tag: SignatureTag, publicKey: PublicKey, signed: Signed): boolean
  nodeIdOf(publicKey: PublicKey, idNonce: Uint8Array): NodeId
  /** Whether the nonce has the id work the network asks for; absent where it asks for none. */
  meetsIdWork?(publicKey: PublicKey, idNonce: Uint8Array): boolean
}
