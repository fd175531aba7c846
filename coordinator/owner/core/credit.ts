import type { JobId } from '../../../proto/model.js'

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
/** Grants of one key whose fate is remembered in order; beyond it the oldest of a job counts as lost from sight, not as agreed. */
const ORDER_MAX = 2 * CREDIT_INSTANCES_MAX

/** Grants of one job as they were made, from `head` on. */
interface GrantOrder {
  grants: Creditable[]
  head: number
}

/**
 * The window of one worker key: how many first opinions it may hold, counting instances in hand and, job by job, reports that
 * are not yet settled. It doubles as its grants settle as agreeing *in the order they were granted*, falls to one instance when
 * one settles as disagreeing, and to the start when one is lost. In order, because agreement among friends settles at once and
 * disagreement with strangers late: a ring that answers fast would otherwise grow before its first loss arrives. An honest
 * key that errs is back within moments, since what it had in hand besides agrees. Each job has an order of its own: one whose
 * second opinions nobody is there to give would hold up all others (decision 0024).
 */
export class Credit {
  readonly #start: number
  #credit: number
  readonly #orders = new Map<JobId, GrantOrder>()
  /** Grants in all orders. */
  #ordered = 0

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
   * Most instances of one job in hand and unsettled.
   * @param threads threads of the worker, 1 or more
   * @param unitMs typical time of a unit of the job, ms; undefined while unknown
   */
  window(threads: number, unitMs: number | undefined): number {
    return Math.min(this.#credit, cap(threads, unitMs))
  }

  granted(jobId: JobId, grant: Creditable): void {
    let order = this.#orders.get(jobId)
    if (order === undefined) {
      order = { grants: [], head: 0 }
      this.#orders.set(jobId, order)
    }
    order.grants.push(grant)
    this.#ordered++
    if (this.#ordered > ORDER_MAX) this.#pass(jobId, order, 1)
  }

  /** Settles what has got a fate of a job, in the order of granting. To be called after fates were set. */
  settle(jobId: JobId, threads: number, unitMs: number | undefined): void {
    const order = this.#orders.get(jobId)
    if (order === undefined) return
    const most = cap(threads, unitMs)
    let settled = 0
    for (; order.head + settled < order.grants.length; settled++) {
      const { fate } = order.grants[order.head + settled]!
      if (fate === 'pending') break
      if (fate === 'agreed') this.#credit = Math.max(this.#credit, Math.min(most, this.#credit * 2))
      else if (fate === 'disagreed') this.#credit = CREDIT_FLOOR
    }
    this.#pass(jobId, order, settled)
  }

  /** The job is gone, and with it what its grants would have come to. */
  forget(jobId: JobId): void {
    const order = this.#orders.get(jobId)
    if (order !== undefined) this.#pass(jobId, order, order.grants.length - order.head)
  }

  /** The first `count` grants of an order say nothing any more. */
  #pass(jobId: JobId, order: GrantOrder, count: number): void {
    order.head += count
    this.#ordered -= count
    if (order.head === order.grants.length) this.#orders.delete(jobId)
    else if (order.head > 1_024 && order.head * 2 > order.grants.length) {
      order.grants = order.grants.slice(order.head)
      order.head = 0
    }
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
