import { type Clock, type Millis, systemClock } from '../../runtime/clock.js'

/** A clock whose timers come fifty times as early, and which delays were waited for to their end. */
export function quickClock(): { readonly clock: Clock; readonly waitedMs: readonly Millis[] } {
  const waitedMs: Millis[] = []
  const clock: Clock = {
    ...systemClock,
    setTimer: (delayMs, action) =>
      systemClock.setTimer(delayMs / 50, () => {
        waitedMs.push(delayMs)
        action()
      }),
  }
  return { clock, waitedMs }
}
