import type { Millis } from '../../../runtime/clock.js'

/**
 * Run time by which computing may be ahead or behind before it is stopped or continued. Half of a thread then runs 0.4 s and
 * stands still 0.4 s: short enough for a fan not to follow, long enough for the stops to cost nothing. Unit: ms.
 */
const SWING_MS: Millis = 200
/** Time that was missed because others had the processors is made up for up to this, and no more. Unit: ms. */
const OWED_MAX_MS: Millis = 1_000
/** Least time between two looks. Unit: ms. */
const LOOK_MIN_MS: Millis = 10
/** Most time between two looks, so that a share that changes is felt. Unit: ms. */
const LOOK_MAX_MS: Millis = 1_000

/**
 * Holds computing to a share of the time: run -> stand still -> run ..., by an account to which each millisecond adds the
 * share, and each of computing takes one. What was too much or too little, as timers are late and others want the processors
 * too, is settled later.
 */
export class DutyCycle {
  #share: number
  #running = true
  #balance: Millis = 0
  #lookedAt: Millis

  constructor(share: number, now: Millis) {
    this.#share = share
    this.#lookedAt = now
  }

  /** Whether to compute now. */
  get isRunning(): boolean {
    return this.#running
  }

  /** Range: above 0, to 1. */
  setShare(share: number): void {
    this.#share = share
  }

  /**
   * `usedMs`: processor time a thread took since the last look; undefined: unknown, then it counts as always taken while it
   * was running. @returns when to look again
   */
  look(now: Millis, usedMs: Millis | undefined): Millis {
    const passed = Math.max(0, now - this.#lookedAt)
    this.#lookedAt = now
    const used = usedMs ?? (this.#running ? passed : 0)
    const balance = this.#balance + passed * this.#share - used
    this.#balance = Math.min(OWED_MAX_MS, Math.max(-OWED_MAX_MS, balance))
    if (this.#share >= 1) this.#running = true
    else if (this.#running && this.#balance <= -SWING_MS / 2) this.#running = false
    else if (!this.#running && this.#balance >= SWING_MS / 2) this.#running = true
    const untilTurn = this.#running
      ? (this.#balance + SWING_MS / 2) / Math.max(1 - this.#share, 0.001)
      : (SWING_MS / 2 - this.#balance) / this.#share
    return now + Math.min(LOOK_MAX_MS, Math.max(LOOK_MIN_MS, untilTurn))
  }
}
