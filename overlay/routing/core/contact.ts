import type { PublicKey } from '../../../proto/model.js'
import { CONTACT_BYTES_MAX, type Contact } from '../../../proto/overlay-messages.js'
import { protocolGap } from '../../../proto/protocol-range.js'
import type { Millis } from '../../../runtime/clock.js'

/** How long a contact record is believed after it was signed; a peer signs a new one every `CONTACT_RENEWAL_MS`. */
export const CONTACT_LIFETIME_MS: Millis = 60 * 60_000
/** Age at which a node signs its contact anew: a third of its life, so that two renewals may fail. Unit: ms. */
export const CONTACT_RENEWAL_MS: Millis = 20 * 60_000
/** How far two honest wall clocks may lie apart. */
export const CLOCK_TOLERANCE_MS: Millis = 5 * 60_000
/** Domain tag of the signature. */
export const CONTACT_TAG = 'contact'

/** The checks of signatures and ids, handed in. */
interface ContactChecks {
  verify(publicKey: PublicKey, tag: string, bytes: Uint8Array, signature: Uint8Array): boolean
  /** Whether the nonce shows the work that the network asks of an id. */
  enoughIdWork(publicKey: PublicKey, idNonce: Uint8Array): boolean
}

/** Why a contact record is not believed. `expired`, `tooFarAhead`: of our clock; `protocol`: no version in common. */
export type ContactProblem = 'idWork' | 'wrongSignature' | 'expired' | 'tooFarAhead' | 'tooLarge' | 'protocol'

/** Contacts whose signature is not checked again: several times what a table holds. */
const VERIFIED_KEPT_MAX = 1_024

/**
 * Decides which contact records of others are believed. A record is verified once, when it is first dialled or
 * stored: replies name many contacts that are never used.
 */
export class ContactBook {
  readonly #checks: ContactChecks
  /** The last ones. */
  readonly #verified = new Set<Contact>()

  constructor(checks: ContactChecks) {
    this.#checks = checks
  }

  /** Why `contact` is not to be believed at wall-clock time `wallMs`; undefined when it is. */
  problem(contact: Contact, wallMs: Millis): ContactProblem | undefined {
    if (contact.expiresAtMs + CLOCK_TOLERANCE_MS < wallMs) return 'expired'
    if (contact.expiresAtMs > wallMs + CONTACT_LIFETIME_MS + CLOCK_TOLERANCE_MS) return 'tooFarAhead'
    if (this.#verified.has(contact)) return undefined
    if (contact.signed.bytes.length + contact.signed.signature.length > CONTACT_BYTES_MAX) return 'tooLarge'
    if (protocolGap(contact) !== undefined) return 'protocol'
    const { publicKey, idNonce, signed } = contact
    if (!this.#checks.enoughIdWork(publicKey, idNonce)) return 'idWork'
    if (!this.#checks.verify(publicKey, CONTACT_TAG, signed.bytes, signed.signature)) return 'wrongSignature'
    this.#verified.add(contact)
    const [first] = this.#verified
    if (this.#verified.size > VERIFIED_KEPT_MAX && first !== undefined) this.#verified.delete(first)
    return undefined
  }
}

/** The one of two records of the same peer that counts: the higher `seq`, the known one on a tie. */
export function newerContact(known: Contact | undefined, heard: Contact): Contact {
  return known !== undefined && known.seq >= heard.seq ? known : heard
}
