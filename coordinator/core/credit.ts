import type { PublicKey } from '../../proto/model.js'

/** What became of one granted instance, for the credit of its key. `void`: nothing that says anything about the key. */
export type Fate = 'pending' | 'agreed' | 'disagreed' | 'void'

/** One grant of a unit in the order of granting; the same object is the lease while the instance is computed. */
export interface Creditable {
  fate: Fate
}

/** Credit every key starts with, for each of its threads. Starting higher would reward a new key after a conviction. */
export const CREDIT_START = 1
/** Most instances in hand and unsettled, for units of 100 ms and more. */
export const CREDIT_MAX = 64
/** Below that, the window is counted in seconds of work for each thread. */
export const CREDIT_WORK_MS = 2_000
/** Most instances in hand and unsettled of one key, however small its units. */
export const CREDIT_INSTANCES_MAX = 65_536
/** Credit from which a key is drawn for further opinions with full weight. */
export const DRAW_FULL_CREDIT = 16
/** Grants of one key whose fate is remembered in order; beyond it the oldest counts as lost from sight, not as agreed. */
const ORDER_MAX = 2 * CREDIT_INSTANCES_MAX

/**
 * The window of one worker key: how many first opinions it may hold, counting instances in hand and reports that are not
 * yet settled. It doubles as its grants settle as agreeing *in the order they were granted*, and falls to the start on
 * loss or silence. In order, because agreement among friends settles at once and disagreement with strangers late: a
 * ring that answers fast would otherwise grow before its first loss arrives.
 */
export class Credit {
  #credit = CREDIT_START
  #order: Creditable[] = []
  #head = 0
  readonly key: PublicKey

  constructor(key: PublicKey) {
    this.key = key
  }

  get value(): number {
    return this.#credit
  }

  /** Chance that a draw for a further opinion takes this key once it has fallen on it. */
  get drawWeight(): number {
    return Math.min(1, this.#credit / DRAW_FULL_CREDIT)
  }

  /**
   * Most instances in hand and unsettled.
   * @param threads threads of the worker, 1 or more
   * @param unitMs typical time of a unit of the job, ms; undefined while unknown
   */
  window(threads: number, unitMs: number | undefined): number {
    return Math.min(this.#credit * threads, cap(threads, unitMs))
  }

  granted(instance: Creditable): void {
    this.#order.push(instance)
    if (this.#order.length - this.#head > ORDER_MAX) this.#head++
    this.#forgetHead()
  }

  /** Settles what has got a fate, in the order of granting. To be called after fates were set. */
  settle(threads: number, unitMs: number | undefined): void {
    const most = Math.max(CREDIT_START, cap(threads, unitMs) / threads)
    while (this.#head < this.#order.length) {
      const first = this.#order[this.#head]!
      if (first.fate === 'pending') break
      if (first.fate === 'agreed') this.#credit = Math.max(this.#credit, Math.min(most, this.#credit * 2))
      else if (first.fate === 'disagreed') this.#credit = CREDIT_START
      this.#head++
    }
    this.#forgetHead()
  }

  #forgetHead(): void {
    if (this.#head <= 1_024 || this.#head * 2 <= this.#order.length) return
    this.#order = this.#order.slice(this.#head)
    this.#head = 0
  }

  /** An instance went without an answer: back to the start. */
  lost(instance: Creditable): void {
    instance.fate = 'void'
    this.#credit = CREDIT_START
  }
}

function cap(threads: number, unitMs: number | undefined): number {
  if (unitMs === undefined || unitMs >= 100) return CREDIT_MAX * threads
  return Math.min(CREDIT_INSTANCES_MAX, Math.max(CREDIT_MAX, CREDIT_WORK_MS / Math.max(unitMs, 0.01)) * threads)
}
