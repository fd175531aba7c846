import type { Restraint } from '../../../proto/admin-messages.js'
import type { Millis } from '../../../runtime/clock.js'

/** What the volunteer said at run time. */
export interface Wishes {
  /** Nothing is to be computed until then, by the wall clock; infinite: until resumed; undefined: not paused. */
  readonly pausedUntilMs: Millis | undefined
}

/** What the worker may do now. */
export interface Decision {
  /** Threads that may compute. 0: the compute process is to stand still. */
  readonly threads: number
  /** Share of the time in which they may. Range: above 0, to 1. */
  readonly share: number
  /** Why it is less than all, most lasting first. */
  readonly restraints: readonly Restraint[]
  /** When this may change without anything else happening, by the wall clock; undefined: never. */
  readonly nextMs: Millis | undefined
}

/** What a worker of `threads` may do at the instant `nowMs` of the wall clock. */
export function decide(threads: number, { pausedUntilMs }: Wishes, nowMs: Millis): Decision {
  const restraints: Restraint[] = []
  let nextMs: Millis | undefined
  if (pausedUntilMs !== undefined && pausedUntilMs > nowMs) {
    const lasts = Number.isFinite(pausedUntilMs)
    restraints.push({ preference: 'pause', reason: 'paused', untilMs: lasts ? pausedUntilMs : 0 })
    if (lasts) nextMs = pausedUntilMs
  }
  return { threads: restraints.length > 0 ? 0 : threads, share: 1, restraints, nextMs }
}
