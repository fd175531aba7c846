import type { Millis } from '../../runtime/clock.js'

/** Monotonic time that all threads of the process share; `performance.now` has an origin of its own in each. Unit: ms. */
export function processMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e3 + nanoseconds / 1e6
}

/** Instants at which it is remembered how long was stopped before; of the older half every second one is forgotten when full. */
const MARKS_MAX = 128

/** Up to `atMs`, `stoppedMs` were stopped. */
interface Mark {
  readonly atMs: Millis
  readonly stoppedMs: Millis
}

/**
 * Time in which this process was able to run. Between two ticks that are due every `tickMs`, at most twice that counts:
 * the rest was a stop (SIGSTOP, a sleeping machine, no processor left). Works for stops nobody announced; one that is
 * announced by whoever made it does not count at all.
 */
export class RunClock {
  readonly #tickMs: Millis
  #lastMs: Millis
  #runMs: Millis = 0
  #stoppedMs: Millis = 0
  /** Stops that were seen and not announced so far. */
  #seenMs: Millis = 0
  #marks: Mark[] = []

  /** `nowMs` is any monotonic instant; all later ones must be of the same clock. */
  constructor(tickMs: Millis, nowMs: Millis) {
    this.#tickMs = tickMs
    this.#lastMs = nowMs
  }

  /** To be called at least every `tickMs` while something runs. Gives the run time so far. */
  tick(nowMs: Millis): Millis {
    const gap = Math.max(0, nowMs - this.#lastMs)
    const counted = Math.min(gap, 2 * this.#tickMs)
    if (gap > counted) this.#stop(this.#lastMs + counted, nowMs, gap - counted)
    this.#seenMs += gap - counted
    this.#runMs += counted
    this.#lastMs = nowMs
    return this.#runMs
  }

  /**
   * The process stood still for `stoppedMs` since this was last called: what of it ticks did not see is taken off. Run time
   * may go back by it, at most by two ticks a stop.
   */
  announce(stoppedMs: Millis, nowMs: Millis): Millis {
    this.tick(nowMs)
    const unseen = Math.min(2 * this.#tickMs, Math.max(0, stoppedMs - this.#seenMs))
    this.#seenMs = 0
    if (unseen > 0) this.#stop(nowMs, nowMs, unseen)
    this.#runMs = Math.max(0, this.#runMs - unseen)
    return this.#runMs
  }

  /** Starts to count again after a time in which no tick was due. */
  skipTo(nowMs: Millis): void {
    this.#lastMs = nowMs
    this.#seenMs = 0
  }

  /** How much of the time between two instants was stopped; of long ago, about. */
  stoppedBetween(fromMs: Millis, toMs: Millis): Millis {
    return Math.max(0, this.#stoppedUntil(toMs) - this.#stoppedUntil(fromMs))
  }

  #stop(fromMs: Millis, toMs: Millis, stoppedMs: Millis): void {
    this.#marks.push({ atMs: fromMs, stoppedMs: this.#stoppedMs })
    this.#stoppedMs += stoppedMs
    this.#marks.push({ atMs: toMs, stoppedMs: this.#stoppedMs })
    if (this.#marks.length > MARKS_MAX) {
      this.#marks = this.#marks.filter((_, i) => i > MARKS_MAX / 2 || i % 4 < 2)
    }
  }

  #stoppedUntil(atMs: Millis): Millis {
    let before: Mark = { atMs: Number.NEGATIVE_INFINITY, stoppedMs: 0 }
    for (const mark of this.#marks) {
      if (mark.atMs > atMs) {
        const part = Number.isFinite(before.atMs) ? (atMs - before.atMs) / (mark.atMs - before.atMs) : 0
        return before.stoppedMs + (mark.stoppedMs - before.stoppedMs) * part
      }
      before = mark
    }
    return before.stoppedMs
  }
}
