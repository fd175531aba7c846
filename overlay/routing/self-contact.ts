import { decodeContact, encodeContactBody } from '../../proto/codec/overlay.js'
import type { NodeId, PublicKey } from '../../proto/model.js'
import type { Contact } from '../../proto/overlay-messages.js'
import { PROTOCOL_MAX, PROTOCOL_MIN } from '../../proto/protocol-range.js'
import type { Clock } from '../../runtime/clock.js'
import type { Address } from '../../runtime/transport.js'
import type { Signer } from '../identity/identity.js'
import { CONTACT_LIFETIME_MS, CONTACT_RENEWAL_MS, CONTACT_TAG } from './core/contact.js'

/** What the overlay needs of an identity; the private key is not part of it. */
export interface OverlayIdentity {
  readonly nodeId: NodeId
  readonly publicKey: PublicKey
  readonly idNonce: Uint8Array
  readonly signer: Signer
  readonly bootId: bigint
}

/** The own contact record of a peer that listens: signed anew when it ages and when something in it changes. */
export class SelfContact {
  readonly #identity: OverlayIdentity
  readonly #clock: Clock
  readonly #addresses: readonly Address[]
  readonly #features: readonly string[]
  #contact: Contact | undefined
  #signedAt = 0

  constructor(identity: OverlayIdentity, clock: Clock, addresses: readonly Address[], features: readonly string[]) {
    this.#identity = identity
    this.#clock = clock
    this.#addresses = addresses
    this.#features = features
  }

  /** A record that is fresh and says `eligible`. */
  get(eligible: boolean): Contact {
    const now = this.#clock.now()
    const known = this.#contact
    if (known !== undefined && known.eligible === eligible && now - this.#signedAt < CONTACT_RENEWAL_MS) return known
    const { publicKey, idNonce, bootId, signer } = this.#identity
    const wallMs = this.#clock.wallMs()
    // The wall clock keeps the number rising over restarts; while we run, it rises even if the clock is set back.
    const after = (known?.seq ?? 0n) + 1n
    const bytes = encodeContactBody({
      publicKey,
      idNonce,
      addresses: this.#addresses,
      protocolMin: PROTOCOL_MIN,
      protocolMax: PROTOCOL_MAX,
      features: this.#features,
      bootId,
      seq: BigInt(wallMs) > after ? BigInt(wallMs) : after,
      expiresAtMs: wallMs + CONTACT_LIFETIME_MS,
      eligible,
    })
    this.#contact = decodeContact({ bytes, signature: signer.sign(CONTACT_TAG, bytes) })
    this.#signedAt = now
    return this.#contact
  }
}
