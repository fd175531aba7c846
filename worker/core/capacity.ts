import type { Millis } from '../../runtime/clock.js'

/** Work a worker keeps in hand, so that round trips to owners hide behind it. */
const AHEAD_MS = 2_000
/** Instances in hand at most, however small. */
const INSTANCES_MAX = 32_768
/** Weight of the newest measurement. */
const NEWEST = 0.3

/** A computed unit waits this long at least and at most for others to share its report. */
const SHARE_MIN_MS = 10
const SHARE_MAX_MS = 200
/** The wait, in times of a unit. Units longer than the longest wait are not worth waiting for. */
const SHARE_UNITS = 4

/** How many instances to hold: one a thread for long units, two seconds of work for tiny ones. */
export class Capacity {
  #threads: number
  #unitMs: Millis | undefined

  constructor(threads: number) {
    this.#threads = threads
  }

  resize(threads: number): void {
    this.#threads = threads
  }

  /** `units` took `wallMs` of thread time together. */
  measured(units: number, wallMs: Millis): void {
    if (units === 0) return
    const each = wallMs / units
    this.#unitMs = this.#unitMs === undefined ? each : (1 - NEWEST) * this.#unitMs + NEWEST * each
  }

  get instances(): number {
    if (this.#unitMs === undefined) return this.#threads
    const ahead = Math.ceil((AHEAD_MS * this.#threads) / Math.max(this.#unitMs, 0.01))
    return Math.min(INSTANCES_MAX, Math.max(this.#threads, ahead))
  }

  /**
   * How long a computed unit waits for others to share its report. A report costs owner and worker about a millisecond
   * (signature, journal, commit), which units of 50 ms feel; what the wait delays hides behind the work in hand.
   */
  get reportWaitMs(): Millis {
    if (this.#unitMs === undefined || this.#unitMs > SHARE_MAX_MS) return SHARE_MIN_MS
    return Math.min(SHARE_MAX_MS, Math.max(SHARE_MIN_MS, SHARE_UNITS * this.#unitMs))
  }
}
