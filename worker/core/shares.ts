import type { JobId, PublicKey } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'

/** A submitter that had this much more of the time than another, by their weights, waits until that is made up. */
const AHEAD_MS = 1_000
/** A submitter has work for so long after the last of it in hand was computed: more may be on its way. */
const PRESENT_MS = 1_000
/** Jobs whose submitters are remembered, and submitters, those granted last. */
const JOBS_MAX = 64
const SUBMITTERS_MAX = 64

interface Submitter {
  /** Time that units took, over the submitter's weight. */
  servedMs: Millis
  /** It last had work in hand, if it has none now, or was made to wait; the far past: not yet. */
  heldAt: Millis
  isHeld: boolean
  /** It had more than its share and is made to wait for the others: it has not left. */
  isWaiting: boolean
}

/**
 * Shares a volunteer's time between submitters by weight, whoever owns their jobs: an owner sees its own jobs alone. Who had
 * more than its share is given nothing while another has work; who was away is owed nothing for that time (start-time fair
 * queueing, Goyal, Vin & Cheng 1996). Without weights nothing is kept.
 */
export class Shares {
  #weights: ReadonlyMap<PublicKey, number> = new Map()
  readonly #submitterOf = new Map<JobId, PublicKey>()
  readonly #submitters = new Map<PublicKey, Submitter>()

  /** Who is not named has 1; none: time is not shared here. What was counted before is forgotten. */
  weigh(weights: ReadonlyMap<PublicKey, number>): void {
    this.#weights = weights
    this.#submitters.clear()
  }

  /** Units of a job came. */
  granted(jobId: JobId, submitter: PublicKey, now: Millis): void {
    if (this.#weights.size === 0) return
    touch(this.#submitterOf, jobId, submitter, JOBS_MAX)
    const known = this.#submitters.get(submitter) ?? {
      servedMs: 0,
      heldAt: Number.NEGATIVE_INFINITY,
      isHeld: false,
      isWaiting: false,
    }
    const least = this.#least(now)
    if (!isPresent(known, now) && Number.isFinite(least)) known.servedMs = Math.max(known.servedMs, least)
    known.heldAt = now
    known.isHeld = true
    touch(this.#submitters, submitter, known, SUBMITTERS_MAX)
  }

  computed(jobId: JobId, wallMs: Millis): void {
    const submitter = this.#submitterOf.get(jobId)
    const known = submitter && this.#submitters.get(submitter)
    if (known) known.servedMs += wallMs / (this.#weights.get(submitter!) ?? 1)
  }

  /** These jobs have units in hand now. Called after every event. */
  held(jobs: Iterable<JobId>, now: Millis): void {
    if (this.#submitters.size === 0) return
    const holding = new Set<PublicKey | undefined>()
    for (const jobId of jobs) holding.add(this.#submitterOf.get(jobId))
    const least = this.#least(now)
    for (const [submitter, known] of this.#submitters) {
      const wasPresent = isPresent(known, now)
      if (known.isHeld || known.isWaiting) known.heldAt = now
      known.isHeld = holding.has(submitter)
      known.isWaiting = wasPresent && known.servedMs > least + AHEAD_MS
    }
  }

  /** Whether the submitter of a job had more than its share, and another one has work. */
  isAhead(jobId: JobId, now: Millis): boolean {
    const known = this.#submitters.get(this.#submitterOf.get(jobId)!)
    return known !== undefined && known.servedMs > this.#least(now) + AHEAD_MS
  }

  /** When a submitter without work in hand ceases to count against the others; infinite: there is none. */
  nextWakeup(now: Millis): Millis {
    let wakeAt = Number.POSITIVE_INFINITY
    for (const known of this.#submitters.values())
      if (!known.isHeld && !known.isWaiting && isPresent(known, now))
        wakeAt = Math.min(wakeAt, known.heldAt + PRESENT_MS)
    return wakeAt
  }

  /** What the one had that had least of those with work; infinite when nobody has any. */
  #least(now: Millis): Millis {
    let least = Number.POSITIVE_INFINITY
    for (const known of this.#submitters.values()) if (isPresent(known, now)) least = Math.min(least, known.servedMs)
    return least
  }
}

function isPresent({ heldAt, isHeld, isWaiting }: Submitter, now: Millis): boolean {
  return isHeld || isWaiting || now - heldAt < PRESENT_MS
}

/** Puts an entry last, and drops the first beyond `most`. */
function touch<K, V>(map: Map<K, V>, key: K, value: V, most: number): void {
  map.delete(key)
  map.set(key, value)
  if (map.size > most) map.delete(map.keys().next().value!)
}
