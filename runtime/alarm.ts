import type { Clock, Millis, Timer } from './clock.js'

/** One timer that can be set again and again: the earliest instant asked for counts. */
export class Alarm {
  readonly #clock: Clock
  readonly #action: () => void
  #timer: Timer | undefined
  #at = Number.POSITIVE_INFINITY
  #closed = false

  constructor(clock: Clock, action: () => void) {
    this.#clock = clock
    this.#action = action
  }

  /**
   * Calls the action at `at` or, if an earlier call is set, then: the action looks at the time anyway, and keeping the
   * earlier timer is cheaper than replacing it. Undefined: whatever is set stays.
   */
  set(at: Millis | undefined): void {
    if (at === undefined || at >= this.#at || this.#closed) return
    this.#timer?.cancel()
    this.#at = at
    this.#timer = this.#clock.setTimer(Math.max(0, at - this.#clock.now()), () => {
      this.#at = Number.POSITIVE_INFINITY
      this.#timer = undefined
      this.#action()
    })
  }

  /** No call comes any more, and none can be set. */
  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
