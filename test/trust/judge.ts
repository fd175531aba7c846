import { AuditPlan, type AuditShares, type AuditUnit } from '../../job/audit/audit.js'
import { isOfOneGrantor, isWorthAnOrder, rulingBatches, rulingOf, Strikes } from '../../job/audit/ruling-orders.js'
import { isSameAnswer, type RuledAnswer } from '../../job/facts/rulings.js'
import type { Vote } from '../../job/facts/votes.js'
import type { Judgement } from '../../job/verdict/judgement.js'
import { RULING_ORDERS_MAX } from '../../proto/limits.js'
import type { Ruling } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import type { SeededRandom } from '../simulation/world/random.js'
import { digestOf } from './facts.js'
import { RIGHT } from './scene.js'
import type { Timeline } from './timeline.js'

/** As `cli/job-audit.ts` and `client/audit.ts` have it: time between two looks. */
const ROUND_MS: Millis = 15_000
const FIRST_MS: Millis = 5_000
const AGAIN_MS: Millis = 1_000
const FINAL_ROUNDS_MAX = 16
/** Threads, of speed 1, of the submitter's machine. */
const THREADS = 4

const TRUTH: RuledAnswer = { outcome: 'done', digest: digestOf(RIGHT) }

/** What the judge sees of the grid, and says to it. */
export interface Bench {
  /** What the facts say of a unit; undefined when nobody has answered. */
  seen(unit: number): { readonly judgement: Judgement; readonly votes: readonly Vote[] } | undefined
  /** Whether these rulings, given now, would dismiss an owner. */
  dismisses(rulings: readonly Ruling[]): boolean
  /** Gives one order with rulings. */
  rule(rulings: readonly Ruling[]): void
  /** Keys and owners that rulings have put out. */
  readonly outNow: number
  /** Nothing more settles by itself. */
  readonly isOver: boolean
}

interface JudgeParts {
  readonly timeline: Timeline
  readonly random: SeededRandom
  readonly shares: AuditShares
  readonly unitMs: readonly Millis[]
  readonly bench: Bench
}

/**
 * The submitter's machine, which computes units again and rules on them as `client/audit.ts` does: what is drawn, what a
 * ruling says and how many fit in an order is decided by `job/audit/audit.ts`. Its own answers are right.
 */
export class Judge {
  readonly #p: JudgeParts
  readonly #plan: AuditPlan
  readonly #strikes = new Strikes()
  readonly #kept: { readonly ruling: Ruling; readonly isUrgent: boolean }[] = []
  #orders = 0
  #finalRounds = 0
  /** Units computed so far. */
  replayed = 0
  /** It has looked at the whole job once nothing moved any more, and found nothing false. */
  isDone = false

  constructor(parts: JudgeParts) {
    this.#p = parts
    const units = parts.unitMs.length
    this.#plan = new AuditPlan(units, units, parts.shares, parts.random)
    this.#later(FIRST_MS)
  }

  #later(ms: Millis): void {
    this.#p.timeline.after(ms, () => this.#round(this.#p.bench.isOver))
  }

  #round(final: boolean): void {
    const { bench, unitMs, timeline } = this.#p
    for (let unit = 0; unit < unitMs.length; unit++) {
      const seen = bench.seen(unit)
      if (seen !== undefined) this.#plan.look(unit, seen.judgement, final)
    }
    const due = this.#plan.round(final)
    let workMs = 0
    for (const { unit } of due) workMs += (this.#isContradicted(unit) ? 2 : 1) * unitMs[unit]!
    timeline.after(workMs / THREADS, () => this.#rule(due, final))
  }

  #rule(due: readonly AuditUnit[], final: boolean): void {
    const { bench } = this.#p
    let foundFalse = false
    for (const entry of due) {
      this.replayed++
      const seen = bench.seen(entry.unit)
      const votes = seen?.votes ?? []
      const ruling = rulingOf(entry, TRUTH, votes, this.#strikes)
      this.#plan.replayed(entry, ruling.convicted)
      foundFalse ||= this.#isContradicted(entry.unit)
      const { judgement } = seen ?? {}
      const isWrong = judgement?.state === 'accepted' && !isSameAnswer(judgement, TRUTH)
      const isUrgent = isWrong || (ruling.convicted.length > 0 && !isOfOneGrantor(ruling, votes))
      this.#kept.push({ ruling, isUrgent })
    }
    const urgent = this.#kept.filter(({ ruling, isUrgent }) => isUrgent || this.#plan.isAtWork(ruling.convicted)).length
    const rulings = this.#kept.map(({ ruling }) => ruling)
    const outBefore = bench.outNow
    const isWorthIt =
      final ||
      isWorthAnOrder({
        urgent,
        kept: this.#kept.length,
        given: this.#orders,
        dismisses: bench.dismisses(rulings),
      })
    if (isWorthIt) this.#kept.length = 0
    for (const batch of rulingBatches(isWorthIt ? rulings : [])) {
      if (this.#orders >= RULING_ORDERS_MAX) break
      this.#orders++
      this.#p.bench.rule(batch)
    }
    if (final) this.#finalRounds++
    const changed = foundFalse || bench.outNow > outBefore
    this.isDone = final && (!changed || this.#finalRounds >= FINAL_ROUNDS_MAX)
    if (!this.isDone) this.#later(changed ? AGAIN_MS : ROUND_MS)
  }

  #isContradicted(unit: number): boolean {
    const votes = this.#p.bench.seen(unit)?.votes ?? []
    return votes.some((vote) => !isSameAnswer(vote, TRUTH))
  }
}
