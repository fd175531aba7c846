/** What became of one granted instance, for the credit of its key. `void`: nothing that says anything about the key. */
export type Fate = 'pending' | 'agreed' | 'disagreed' | 'void'

/**
 * One grant of a unit in the order of granting. An object of its own, beside the lease: it is remembered for long, and a lease
 * leads to its whole shard.
 */
export interface Creditable {
  fate: Fate
}

/**
 * Threads for which a new key is given one instance each. How many threads a key has is its own word: a ring of three that
 * claims 64 each would otherwise open with 192 first opinions, and get 4 % of a job wrong (`docs/trust.md`).
 */
const CREDIT_START_MAX = 8
/** What an answer that disagrees leaves of a credit: one instance, however many threads there are. */
const CREDIT_FLOOR = 1
/** Most instances in hand and unsettled for each thread, for units of 100 ms and more. */
const CREDIT_MAX = 64
/** Below that, the window is counted in seconds of work for each thread. */
const CREDIT_WORK_MS = 2_000
/** Most instances in hand and unsettled of one key, however small its units. */
const CREDIT_INSTANCES_MAX = 65_536
/** Credit for each thread from which a key is drawn for further opinions with full weight. */
const DRAW_FULL_CREDIT = 16
/** Grants of one key whose fate is remembered in order; beyond it the oldest counts as lost from sight, not as agreed. */
const ORDER_MAX = 2 * CREDIT_INSTANCES_MAX

/**
 * The window of one worker key: how many first opinions it may hold, counting instances in hand and reports that are not
 * yet settled. It doubles as its grants settle as agreeing *in the order they were granted*, falls to one instance when one
 * settles as disagreeing, and to the start when one is lost. In order, because agreement among friends settles at once and
 * disagreement with strangers late: a ring that answers fast would otherwise grow before its first loss arrives. An honest
 * key that errs is back within moments, since what it had in hand besides agrees.
 */
export class Credit {
  readonly #start: number
  #credit: number
  #order: Creditable[] = []
  #head = 0

  /** @param threads as the worker says, 1 or more */
  constructor(threads: number) {
    this.#start = Math.min(CREDIT_START_MAX, threads)
    this.#credit = this.#start
  }

  /** Instances, whatever their size. */
  get value(): number {
    return this.#credit
  }

  /**
   * Chance that a draw for a further opinion takes this key once it has fallen on it. By thread, so that claiming many does
   * not make a key heavier.
   */
  drawWeight(threads: number): number {
    return Math.min(1, this.#credit / (threads * DRAW_FULL_CREDIT))
  }

  /**
   * Most instances in hand and unsettled.
   * @param threads threads of the worker, 1 or more
   * @param unitMs typical time of a unit of the job, ms; undefined while unknown
   */
  window(threads: number, unitMs: number | undefined): number {
    return Math.min(this.#credit, cap(threads, unitMs))
  }

  granted(grant: Creditable): void {
    this.#order.push(grant)
    if (this.#order.length - this.#head > ORDER_MAX) this.#head++
    this.#forgetHead()
  }

  /** Settles what has got a fate, in the order of granting. To be called after fates were set. */
  settle(threads: number, unitMs: number | undefined): void {
    const most = cap(threads, unitMs)
    while (this.#head < this.#order.length) {
      const first = this.#order[this.#head]!
      if (first.fate === 'pending') break
      if (first.fate === 'agreed') this.#credit = Math.max(this.#credit, Math.min(most, this.#credit * 2))
      else if (first.fate === 'disagreed') this.#credit = CREDIT_FLOOR
      this.#head++
    }
    this.#forgetHead()
  }

  #forgetHead(): void {
    if (this.#head <= 1_024 || this.#head * 2 <= this.#order.length) return
    this.#order = this.#order.slice(this.#head)
    this.#head = 0
  }

  /** An instance went without an answer: back to the start, or what is left of it. */
  lost(grant: Creditable): void {
    grant.fate = 'void'
    this.#credit = Math.min(this.#credit, this.#start)
  }
}

function cap(threads: number, unitMs: number | undefined): number {
  if (unitMs === undefined || unitMs >= 100) return CREDIT_MAX * threads
  return Math.min(CREDIT_INSTANCES_MAX, Math.max(CREDIT_MAX, CREDIT_WORK_MS / Math.max(unitMs, 0.01)) * threads)
}
