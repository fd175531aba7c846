import type { Millis } from '../../runtime/clock.js'

/** Monotonic time that all threads of the process share; `performance.now` has an origin of its own in each. Unit: ms. */
export function processMs(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1e3 + nanoseconds / 1e6
}

/** Stops that are remembered; older ones no longer matter to a unit that ends now, except the longest-running few. */
const STOPS_MAX = 64

/**
 * Time in which this process was able to run. Between two ticks that are due every `tickMs`, at most twice that counts:
 * the rest was a stop (SIGSTOP, a sleeping machine, no processor left). Works for stops nobody announced.
 */
export class RunClock {
  readonly #tickMs: Millis
  #lastMs: Millis
  #runMs: Millis = 0
  readonly #stops: { readonly fromMs: Millis; readonly toMs: Millis }[] = []

  /** `nowMs` is any monotonic instant; all later ones must be of the same clock. */
  constructor(tickMs: Millis, nowMs: Millis) {
    this.#tickMs = tickMs
    this.#lastMs = nowMs
  }

  /** To be called at least every `tickMs` while something runs. Gives the run time so far. */
  tick(nowMs: Millis): Millis {
    const gap = Math.max(0, nowMs - this.#lastMs)
    const counted = Math.min(gap, 2 * this.#tickMs)
    if (gap > counted) {
      this.#stops.push({ fromMs: this.#lastMs + counted, toMs: nowMs })
      if (this.#stops.length > STOPS_MAX) this.#stops.shift()
    }
    this.#runMs += counted
    this.#lastMs = nowMs
    return this.#runMs
  }

  /** Starts to count again after a time in which no tick was due. */
  skipTo(nowMs: Millis): void {
    this.#lastMs = nowMs
  }

  /** How much of the time between two instants was stopped. */
  stoppedBetween(fromMs: Millis, toMs: Millis): Millis {
    let stopped = 0
    for (const stop of this.#stops) {
      stopped += Math.max(0, Math.min(toMs, stop.toMs) - Math.max(fromMs, stop.fromMs))
    }
    return stopped
  }
}
