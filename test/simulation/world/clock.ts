import type { Clock, Millis, Timer } from '../../../runtime/clock.js'
import type { SimProcess } from './process.js'
import type { Scheduler } from './scheduler.js'

/** Wall clock of every world at its start: 2026-01-01 00:00 UTC. */
const WORLD_EPOCH_MS = Date.UTC(2026, 0, 1)

/** How a host's clocks differ from virtual time. */
export interface ClockOptions {
  /** Error of the wall clock at the start. Unit: ms. Default 0. */
  readonly skewMs?: Millis
  /** How much faster both clocks run than virtual time. Unit: parts per million. Default 0. */
  readonly driftPpm?: number
  /** What the monotonic clock shows at the start. Unit: ms. Default 0. */
  readonly originMs?: Millis
}

/** The clocks of one machine; they go on while its processes are down or stopped. */
export class HostClock {
  readonly #scheduler: Scheduler
  readonly #rate: number
  readonly #originMs: Millis
  #offsetMs: Millis
  #floorMs = 0

  constructor(scheduler: Scheduler, options: ClockOptions = {}) {
    this.#scheduler = scheduler
    this.#rate = 1 + (options.driftPpm ?? 0) / 1e6
    this.#originMs = options.originMs ?? 0
    this.#offsetMs = options.skewMs ?? 0
  }

  now(): Millis {
    return Math.max(this.#floorMs, this.#originMs + this.#scheduler.nowMs * this.#rate)
  }

  wallMs(): Millis {
    return Math.floor(WORLD_EPOCH_MS + this.#offsetMs + this.#scheduler.nowMs * this.#rate)
  }

  /** Sets the wall clock forward, or back when negative. The monotonic clock is not touched. */
  jump(byMs: Millis): void {
    this.#offsetMs += byMs
  }

  /** Difference of the wall clock from that of a perfect clock. Unit: ms. */
  get wallErrorMs(): Millis {
    return this.wallMs() - Math.floor(WORLD_EPOCH_MS + this.#scheduler.nowMs)
  }

  /** Virtual time in which this clock advances by `delayMs`. */
  virtualMs(delayMs: Millis): Millis {
    return delayMs / this.#rate
  }

  /** `now()` is `dueMs` or later from here on: keeps rounding from showing a timer a moment before its time. */
  reached(dueMs: Millis): void {
    this.#floorMs = Math.max(this.#floorMs, dueMs)
  }
}

/** The machine's clock as one process sees it: its timers die with the process and wait while it is stopped. */
export function processClock(clock: HostClock, process: SimProcess): Clock {
  return {
    now: () => clock.now(),
    wallMs: () => clock.wallMs(),
    setTimer(delayMs: Millis, action: () => void): Timer {
      const dueMs = clock.now() + Math.max(0, delayMs)
      return process.after(clock.virtualMs(Math.max(0, delayMs)), () => {
        clock.reached(dueMs)
        action()
      })
    },
  }
}
