import type { JobId } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'

/** Work a worker keeps in hand, so that round trips to owners hide behind it. */
const AHEAD_MS = 2_000
/** Instances in hand at most, however small. */
const INSTANCES_MAX = 32_768
/** Weight of the newest measurement. */
const NEWEST = 0.3
/** Jobs remembered, those granted last; one that is forgotten begins anew. */
const JOBS_MAX = 16
/**
 * Instances of one job beyond one a thread, for each that has been computed of it: twice as many each round, as TCP begins
 * (RFC 5681, slow start). The first units of a job may be quick and the next long, and a worker that comes from tiny ones
 * would else take an hour of work at once.
 */
const GROWTH = 1

/** A computed unit waits this long at least and at most for others to share its report. */
const SHARE_MIN_MS = 10
const SHARE_MAX_MS = 1_000
/** The wait, in times of a unit. */
const SHARE_UNITS = 20
/** Longer units are not worth waiting for: few would come. */
const SHARED_UNIT_MS_MAX = 200

interface MeasuredJob {
  /** Time of a unit, a moving mean; undefined before the first. */
  unitMs: Millis | undefined
  computed: number
}

/**
 * How many instances to hold: one a thread for long units, two seconds of work for tiny ones; of a job that is new, one a
 * thread, and more as its units are computed. Each job has its own measure.
 */
export class Capacity {
  #threads: number
  /** The one granted last at the end. */
  readonly #jobs = new Map<JobId, MeasuredJob>()

  constructor(threads: number) {
    this.#threads = threads
  }

  resize(threads: number): void {
    this.#threads = threads
  }

  /** Units of the job came. */
  granted(jobId: JobId): void {
    const known = this.#jobs.get(jobId) ?? { unitMs: undefined, computed: 0 }
    this.#jobs.delete(jobId)
    this.#jobs.set(jobId, known)
    if (this.#jobs.size > JOBS_MAX) this.#jobs.delete(this.#jobs.keys().next().value!)
  }

  /** `units` of a job took `wallMs` of thread time together. Nothing is learned of a job that is forgotten. */
  measured(jobId: JobId, units: number, wallMs: Millis): void {
    const job = this.#jobs.get(jobId)
    if (units === 0 || job === undefined) return
    const each = wallMs / units
    job.unitMs = job.unitMs === undefined ? each : (1 - NEWEST) * job.unitMs + NEWEST * each
    job.computed += units
  }

  /** Jobs with a measure of their own; of any other as many may be held as of one that is new. At most 16. */
  get jobs(): Iterable<JobId> {
    return this.#jobs.keys()
  }

  /** Instances to hold of a job, were it the only one. */
  of(jobId: JobId): number {
    const { unitMs, computed } = this.#jobs.get(jobId) ?? { unitMs: undefined, computed: 0 }
    if (unitMs === undefined) return this.#threads
    const ahead = Math.ceil((AHEAD_MS * this.#threads) / Math.max(unitMs, 0.01))
    return Math.min(INSTANCES_MAX, this.#threads + GROWTH * computed, Math.max(this.#threads, ahead))
  }

  /** Instances to hold of a job that is new. */
  get ofNew(): number {
    return this.#threads
  }

  /** Most to hold of any one job. */
  get most(): number {
    let most = this.#threads
    for (const jobId of this.#jobs.keys()) most = Math.max(most, this.of(jobId))
    return most
  }

  /**
   * How long a computed unit waits for others to share its report, with `inHand` units still to compute. A report costs owner,
   * worker and reader several milliseconds together (signatures, journal, commit, proof), which units of 50 ms feel; what the
   * wait delays hides behind what is queued here. Without a queue it would not: owners count what waits here as held, and
   * grant less for it.
   */
  reportWaitMs(jobId: JobId, inHand: number): Millis {
    if (inHand === 0) return 0
    const unitMs = this.#jobs.get(jobId)?.unitMs
    if (inHand <= this.#threads || unitMs === undefined || unitMs > SHARED_UNIT_MS_MAX) return SHARE_MIN_MS
    return Math.min(SHARE_MAX_MS, Math.max(SHARE_MIN_MS, SHARE_UNITS * unitMs))
  }
}
