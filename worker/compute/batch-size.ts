import type { Millis } from '../../runtime/clock.js'

/** Work that one call to a thread should hold: long against its cost (some 50 us), short against what people notice. */
const BATCH_TARGET_MS = 20
/** Units in one call. */
const BATCH_UNITS_MAX = 4096
/** Weight of the newest measurement. */
const NEWEST_WEIGHT = 0.5
/** Mean time of a unit up to which a thread gets its next call before it has answered the last one. */
const AHEAD_MEAN_MS_MAX = 100

/** How many units of a job share one call to a thread: starts at 1, doubles while calls stay short. */
export class BatchSize {
  #meanMs: Millis | undefined
  #size = 1

  /** Time of a unit, a moving mean; undefined before the first. */
  get meanMs(): Millis | undefined {
    return this.#meanMs
  }

  /** Units for the next call when `waiting` units are to be shared by `threads`. */
  next(waiting: number, threads: number): number {
    return Math.max(1, Math.min(this.#size, Math.ceil(waiting / threads)))
  }

  /** Whether a call may wait on a thread behind another: for units so short that the gap would show. */
  get ahead(): boolean {
    return this.#meanMs !== undefined && this.#meanMs <= AHEAD_MEAN_MS_MAX
  }

  /** Notes that `units` took `ms` together. */
  measured(units: number, ms: Millis): void {
    if (units === 0) return
    const mean = ms / units
    this.#meanMs = this.#meanMs === undefined ? mean : this.#meanMs + NEWEST_WEIGHT * (mean - this.#meanMs)
    const wanted = Math.floor(BATCH_TARGET_MS / Math.max(this.#meanMs, BATCH_TARGET_MS / BATCH_UNITS_MAX))
    this.#size = Math.max(1, Math.min(wanted, this.#size * 2, BATCH_UNITS_MAX))
  }
}
