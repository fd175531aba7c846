import type { Millis } from '../../runtime/clock.js'

/** How fast units are decided, and when the rest may be, if it goes on like this. */
export interface Pace {
  /** Units a second; 0 until anything was seen to be decided. */
  readonly unitsPerSecond: number
  /** Undefined: too little was seen. */
  readonly eta: { readonly lowMs: Millis; readonly highMs: Millis } | undefined
}

interface Sample {
  readonly at: Millis
  readonly decided: number
}

/** Long enough to smooth batches, short enough to follow volunteers who come and go. Unit: ms. */
const WINDOW_MS: Millis = 60_000
const SHORT_MS: Millis = 10_000
/** Time that a rate is taken over, at least. Unit: ms. */
const RATE_MS_MIN: Millis = 1_000
const SAMPLES_MAX = 256
/** Least share that either end of the range lies away from the middle. */
const SPREAD_MIN = 0.1
/** Deviations of a Poisson count that the range covers. */
const SIGMAS = 2

/** Rate over a sliding minute, and a range for the time left. Memory: 256 samples. */
export class PaceMeter {
  #samples: Sample[] = []

  /**
   * Takes what is decided at `now` on a monotonic clock, of `total` units. `ageMs`: how long the job has been granted, for a
   * first guess from its whole life; it counts for a minute.
   */
  add(now: Millis, decided: number, total: number, ageMs?: Millis): Pace {
    // A home may know nothing of its shards at the first look: what it learns then was not decided in between.
    const isFirst = this.#samples.every((sample) => sample.decided === 0)
    if (isFirst && ageMs !== undefined && ageMs > 0 && decided > 0) {
      const seenMs = Math.min(ageMs, WINDOW_MS)
      this.#samples = [{ at: now - seenMs, decided: decided * (1 - seenMs / ageMs) }]
    }
    const last = this.#samples.at(-1)
    // A home that took over may know less for a moment: count from there again.
    if (last && decided < last.decided) this.#samples = []
    if (last && now - last.at < WINDOW_MS / SAMPLES_MAX && this.#samples.length > 1) this.#samples.pop()
    this.#samples.push({ at: now, decided })
    while (this.#samples.length > SAMPLES_MAX || (this.#samples.length > 2 && this.#samples[1]!.at < now - WINDOW_MS)) {
      this.#samples.shift()
    }
    return this.#pace(total - decided)
  }

  #pace(left: number): Pace {
    const last = this.#samples.at(-1)!
    const long = rateBetween(this.#samples[0]!, last)
    const short = rateBetween(this.#samples.find(({ at }) => at >= last.at - SHORT_MS) ?? last, last)
    const seen = last.decided - this.#samples[0]!.decided
    if (left <= 0) return { unitsPerSecond: long, eta: { lowMs: 0, highMs: 0 } }
    if (long <= 0) return { unitsPerSecond: 0, eta: undefined }
    const spread = Math.max(SPREAD_MIN, Math.min(0.9, SIGMAS / Math.sqrt(seen)))
    const fast = Math.max(long, short) * (1 + spread)
    const slow = Math.max(Math.min(long, short > 0 ? short : long) * (1 - spread), long / 10)
    return { unitsPerSecond: long, eta: { lowMs: (left / fast) * 1000, highMs: (left / slow) * 1000 } }
  }
}

/** Units a second. Two looks at next to the same time tell little: what came between them counts for a second. */
function rateBetween(from: Sample, to: Sample): number {
  return to.at > from.at ? ((to.decided - from.decided) / Math.max(RATE_MS_MIN, to.at - from.at)) * 1000 : 0
}
