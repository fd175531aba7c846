/** A duration or an instant on some clock, in milliseconds. */
export type Millis = number

/** A pending call of {@link Clock.setTimer}. */
export interface Timer {
  /** Forgets the call. Safe to call twice, and after it has fired. */
  cancel(): void
}

/** Time as a process hands it to the rest: the real one below, a virtual one in the simulator. */
export interface Clock {
  /** Monotonic time since an arbitrary origin. Unit: ms, fractions allowed. Compare only with values of the same process. */
  now(): Millis
  /** Wall clock, ms since 1970-01-01 UTC. May jump and may be wrong; only signed specs, orders and records hold it. */
  wallMs(): Millis
  /** Calls `action` once, not before `delayMs` (>= 0) has passed on the monotonic clock. */
  setTimer(delayMs: Millis, action: () => void): Timer
}

/** Longest delay a Node timer honours; anything longer would fire at once. */
const TIMER_DELAY_MAX_MS = 2 ** 31 - 1

/** The clock of this machine. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer(delayMs, action) {
    const handle = setTimeout(action, Math.min(Math.max(0, delayMs), TIMER_DELAY_MAX_MS))
    return { cancel: () => clearTimeout(handle) }
  },
}

/** Resolves after `delayMs` on `clock`, or as soon as `signal` aborts. Never rejects. */
export function pause(clock: Clock, delayMs: Millis, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = () => {
      timer.cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = clock.setTimer(delayMs, done)
    signal?.addEventListener('abort', done, { once: true })
  })
}
