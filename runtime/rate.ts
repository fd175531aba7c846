import { type Clock, type Millis, pause } from './clock.js'

/** Holds what passes to so many bytes a second, in the order in which it is asked. */
export class Rate {
  readonly #clock: Clock
  #bytesPerSecond: number | undefined
  /** When all that was let pass so far has had its time. */
  #freeAt: Millis = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Undefined: no bound. What waits already waits on. */
  set(bytesPerSecond: number | undefined): void {
    this.#bytesPerSecond = bytesPerSecond
  }

  /** Resolves when `bytes` may pass, or `signal` aborts. Never rejects. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.#bytesPerSecond === undefined) return
    const now = this.#clock.now()
    this.#freeAt = Math.max(now, this.#freeAt) + (bytes / this.#bytesPerSecond) * 1_000
    await pause(this.#clock, this.#freeAt - now, signal)
  }
}
