import type { Millis } from '../../../runtime/clock.js'

/** When a peer may own; values and ranges: `OverlayOptions`. */
interface EligibilityLimits {
  /** With so many contacts or more, the time a peer must be up. */
  readonly eligibleAgeMs: Millis
  readonly eligibleAgePeers: number
}

/** Dial-backs in a row that fail before a peer that was reached once no longer counts as reachable. */
const FAILURES_MAX = 3

/**
 * Whether this peer may own. Unproven -> reachable (somebody dialled it back, or it began a network with nobody to ask)
 * -> unproven (three failures in a row). A peer that knows nobody is its whole network and may own at once.
 */
export class Eligibility {
  readonly #limits: EligibilityLimits
  readonly #startedAt: Millis
  #reachable = false
  #founder = false
  #failures = 0
  #contacts = 0

  constructor(limits: EligibilityLimits, now: Millis) {
    this.#limits = limits
    this.#startedAt = now
  }

  /** It began a network: taken for reachable until shown otherwise, for the first to join must find an owner. */
  founded(): void {
    this.#reachable = true
    this.#founder = true
  }

  /** Outcome of asking a peer to dial us back. A peer that did not answer says nothing. */
  dialledBack(reached: boolean): void {
    this.#failures = reached ? 0 : this.#failures + 1
    if (reached) this.#reachable = true
    else if (this.#failures >= FAILURES_MAX) this.#reachable = false
  }

  /** Size of the routing table. */
  contacts(count: number): void {
    this.#contacts = count
  }

  get reachable(): boolean {
    return this.#reachable
  }

  eligible(now: Millis): boolean {
    if (this.#contacts === 0) return true
    const { eligibleAgeMs, eligibleAgePeers } = this.#limits
    return (
      this.#reachable && (this.#founder || this.#contacts < eligibleAgePeers || now - this.#startedAt >= eligibleAgeMs)
    )
  }
}
