import type { PublicKey } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'

/** Bounds of the adaptive delay bound, after BOINC's `delay_bound`, which the submitter has to guess. */
const DELAY_BOUND_MIN_MS = 30_000
const DELAY_BOUND_MAX_MS = 24 * 3_600_000
/** Reports before the adaptive bound is set. */
const REPORTS_MIN = 5
/** Durations remembered, newest first. */
const DURATIONS_MAX = 256
/** Donors whose typical time is remembered. */
const DONORS_MAX = 1_024
/** Answers after which percentile and median are taken anew; while there are fewer, with each answer or new donor. */
const RESORT_EVERY = 16

/**
 * How long units of a job take: for the delay bound (95th percentile of all instances, times three) and for what counts
 * as a tiny unit (median over donors whose answers agreed, so that one fast liar does not move it).
 */
export class DurationStatistics {
  #durations: Millis[] = []
  #next = 0
  #reports = 0
  readonly #byDonor = new Map<PublicKey, Millis>()
  #p95: Millis | undefined
  /** Answers since the percentile was taken, and agreements since the median was. */
  #answers = 0
  #agreements = 0
  #typical: Millis | undefined

  /** An instance was answered `durationMs` after it was granted. */
  answered(durationMs: Millis): void {
    this.#reports++
    if (this.#durations.length < DURATIONS_MAX) this.#durations.push(durationMs)
    else this.#durations[this.#next++ % DURATIONS_MAX] = durationMs
    this.#answers++
  }

  /** A donor's answer agreed; its units took `unitMs` each by its own clock. */
  agreed(donor: PublicKey, unitMs: Millis): void {
    const before = this.#byDonor.get(donor)
    if (before === undefined && this.#byDonor.size >= DONORS_MAX) return
    this.#byDonor.set(donor, before === undefined ? unitMs : 0.8 * before + 0.2 * unitMs)
    if (before === undefined) this.#agreements = Number.POSITIVE_INFINITY
    else this.#agreements++
  }

  /** Typical time of a unit, ms: median over donors. Undefined before the first agreement. */
  get unitMs(): Millis | undefined {
    if (this.#agreements > Math.max(RESORT_EVERY, this.#byDonor.size >> 2)) {
      this.#agreements = 0
      this.#typical = Float64Array.from(this.#byDonor.values()).sort()[this.#byDonor.size >> 1]
    }
    return this.#typical
  }

  /** 95th percentile of instances, ms; undefined until five reports exist. */
  get p95(): Millis | undefined {
    if (this.#reports < REPORTS_MIN) return undefined
    if (this.#p95 === undefined || this.#answers >= Math.min(RESORT_EVERY, this.#durations.length)) {
      this.#answers = 0
      this.#p95 = Float64Array.from(this.#durations).sort()[Math.floor(0.95 * this.#durations.length)]
    }
    return this.#p95
  }

  /**
   * Time without progress after which an instance is given to somebody else.
   * @param estimateMs the submitter's, 0 = none
   */
  delayBound(estimateMs: Millis): Millis {
    const p95 = this.p95
    if (p95 === undefined) return estimateMs > 0 ? estimateMs : DELAY_BOUND_MAX_MS
    return Math.min(DELAY_BOUND_MAX_MS, Math.max(DELAY_BOUND_MIN_MS, 3 * p95))
  }
}
