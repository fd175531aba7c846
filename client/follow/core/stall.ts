import type { Summary } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'

/**
 * A home that has told of nothing new for so long is held against others, and again after twice as long each time; one that
 * always has something new after the longest. Unit: ms.
 */
const STALL_MS: Millis = 60_000
const STALL_MS_MAX: Millis = 10 * 60_000

/** Notices a home by which a job stands still: it may be so, or the home leaves it undone, or lies. */
export class Stall {
  #decided = -1
  #since: Millis = 0
  #askedAt: Millis | undefined
  #waitMs = STALL_MS

  /** Takes a look at the job in. True: somebody else is to be asked now. */
  looked(summary: Summary, now: Millis): boolean {
    const decided = decidedOf(summary)
    this.#askedAt ??= now
    if (now - this.#askedAt >= STALL_MS_MAX) {
      this.#askedAt = now
      return true
    }
    if (decided !== this.#decided) {
      this.#decided = decided
      this.#since = now
      this.#waitMs = STALL_MS
      return false
    }
    if (now - this.#since < this.#waitMs) return false
    this.#since = now
    this.#askedAt = now
    this.#waitMs = Math.min(STALL_MS_MAX, 2 * this.#waitMs)
    return true
  }
}

/** Whether `other` tells of more than `own`. Counts are claims: what was computed, `results` proves. */
export function tellsMore(other: Summary, own: Summary): boolean {
  return decidedOf(other) > decidedOf(own)
}

function decidedOf({ settled, failed }: Summary): number {
  return settled + failed
}
