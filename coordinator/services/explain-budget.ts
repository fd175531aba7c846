import { hostGroup } from '../../overlay/address.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'

/** Units that are looked at for one caller in a second, on average; a look at a million takes half a second. */
const UNITS_A_SECOND = 50_000
/** What each question costs besides the units looked at. */
const QUESTION_UNITS = 1_000
/** Units that a caller who has not asked for a while may have looked at in a row. */
const UNITS_SAVED_MAX = 40 * UNITS_A_SECOND
/** Callers remembered; with more of them the one that asked longest ago begins anew. */
const CALLERS_MAX = 4_096

/**
 * What callers may have looked up of units that wait: a look goes over all of them, on the thread that serves everybody.
 * A token bucket for each address (IPv6 by its /64). Who has anything left is served whatever that costs, so that large
 * jobs are explained, too, and then waits until what was taken is back.
 */
export class ExplainBudget {
  readonly #clock: Clock
  /** Units left at an instant; the caller that asked last at the end. */
  readonly #left = new Map<string, { units: number; at: Millis }>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Takes what a question costs. @param units that it looks at @throws GridError `quota` that says when to ask again */
  take(host: string, units: number): void {
    const now = this.#clock.now()
    const name = hostGroup(host)
    const known = this.#left.get(name) ?? { units: UNITS_SAVED_MAX, at: now }
    const left = Math.min(UNITS_SAVED_MAX, known.units + ((now - known.at) / 1_000) * UNITS_A_SECOND)
    if (left <= 0) {
      const waitS = Math.ceil(-left / UNITS_A_SECOND) + 1
      throw new GridError('quota', `this peer was asked much by your address; ask again in ${waitS} s`)
    }
    this.#left.delete(name)
    this.#left.set(name, { units: left - QUESTION_UNITS - units, at: now })
    if (this.#left.size > CALLERS_MAX) this.#left.delete(this.#left.keys().next().value!)
  }
}
