import type { NodeId, PublicKey } from '../../proto/model.js'
import type { RuledAnswer } from '../facts/rulings.js'
import type { Vote } from '../facts/votes.js'
import { hasAnswer, type Judgement } from '../verdict/judgement.js'
import { AuditSample } from './audit-sample.js'
import { Disputes } from './disputes.js'
import { type Chance, LeaningUnits } from './leaning-units.js'

/** How much of a job the submitter's side computes again, as shares of its units. 0 to 1 each. */
export interface AuditShares {
  /** Units with votes that contradict each other, at most. */
  readonly disputed: number
  /** Units drawn at random. */
  readonly sampled: number
}

/**
 * 1 % and 0.5 %: a budget for disputes convicts rings ten times better than the same budget spent on random units, and a
 * random unit is what finds liars that never meet an honest vote (`docs/trust.md`).
 */
export const AUDIT_SHARES: AuditShares = { disputed: 0.01, sampled: 0.005 }

/**
 * Units of a round of a job that goes on, at first and at most; between these a quarter of what was computed so far. Few, since
 * rulings are of use while the job still goes on, and what convicts a ring that answers at once is worth most in the first minute.
 */
const ROUND_UNITS_MIN = 4
const ROUND_UNITS_MAX = 16

/**
 * Part of the budget for disputes that goes to random units where more than half of the units are disputed that settle first. With
 * it a lying owner is out after 160 s in place of 425 (`docs/trust.md`).
 */
const EARLY_BUDGET_SHARE = 1 / 4

/**
 * Of the budget for disputes half the share of units that are still open is kept, and an eighth until nothing more settles: only then
 * is everybody known who agrees with whom, and liars that began late are among them. Without, 7 of 30,000 units of sleepers stayed
 * wrong, with it none; a quarter kept to the end finds no more and computes more late (`docs/trust.md`).
 */
const KEPT_BUDGET_SHARE = 1 / 2
const LAST_BUDGET_SHARE = 1 / 8

/** A unit to be computed again. */
export interface AuditUnit {
  readonly unit: number
  /** Drawn at random among settled units, whatever else is known of it. */
  readonly sampled: boolean
  /** Drawn at random as well, beyond the sample, to try owners early. Absent: not. */
  readonly early?: true
  /** Owners that nobody can find, without whose grants the unit would be seen otherwise: they are tried by it. Absent: none. */
  readonly strangers?: readonly NodeId[]
}

/**
 * Which units of one job are computed again, as its facts come to be known. A settled unit is drawn or passed over when it
 * is first seen settled, and again when it is settled anew, by randomness that nobody saw when votes were given. Of disputed
 * units the most suspicious are taken until the budget is used up. Each unit is replayed once. Memory: two bits a
 * unit, and the donors of disputed ones.
 */
export class AuditPlan {
  readonly #random: Chance
  readonly #units: number
  /** Disputed units to be computed at most. */
  readonly #disputesMax: number
  readonly #seen: Uint8Array
  readonly #replayed = new Set<number>()
  readonly #sample: AuditSample
  readonly #disputes = new Disputes()
  readonly #leaning: LeaningUnits
  /** Units that are settled now. */
  #settled = 0
  #earlyLeft: number
  #disputesTaken = 0
  #computed = 0

  /** `unitEnd`: above every unit of the job; `units`: those selected. */
  constructor(unitEnd: number, units: number, shares: AuditShares, random: Chance) {
    this.#random = random
    this.#units = Math.max(1, units)
    this.#disputesMax = Math.ceil(units * shares.disputed)
    this.#earlyLeft = Math.floor(this.#disputesMax * EARLY_BUDGET_SHARE)
    this.#sample = new AuditSample(units, shares.sampled)
    this.#leaning = new LeaningUnits(unitEnd, units, random)
    this.#seen = new Uint8Array(Math.ceil(unitEnd / 8))
  }

  /** Takes in what the facts say of a unit now. `final`: no further opinion will come. */
  look(unit: number, judgement: Judgement, final = false): void {
    const isSettled = hasAnswer(judgement)
    if (judgement.ruled) {
      this.#disputes.forget(unit)
      if (!this.#sample.has(unit)) this.#replayed.add(unit)
      return
    }
    // Most disputes are decided by the next opinion: these are left to it.
    const isDisputed = isSettled
      ? judgement.conflicting.length > 0
      : judgement.state === 'disputed' && (final || judgement.wanted === 0)
    if (!isDisputed) this.#disputes.forget(unit)
    else if (!this.#replayed.has(unit)) this.#disputes.note(unit, judgement)
    const isSeen = (this.#seen[unit >> 3]! & (1 << (unit & 7))) !== 0
    if (isSettled === isSeen) return
    this.#seen[unit >> 3]! ^= 1 << (unit & 7)
    this.#settled += isSettled ? 1 : -1
    if (isSettled) this.#sample.settled(unit, this.#settled, this.#random.next())
    else this.#sample.reopened(unit)
  }

  /** All units are about to be looked at, anew. */
  startLook(): void {
    this.#leaning.clear()
  }

  /** Without the grants of these the unit would be seen otherwise; empty: it leans on nobody that cannot be found. */
  lean(unit: number, strangers: readonly NodeId[]): void {
    if (strangers.length > 0 && !this.#replayed.has(unit)) this.#leaning.lean(unit, strangers)
  }

  /** {@link LeaningUnits.leaning}. */
  get leaning(): { readonly units: number; readonly strangers: number } {
    return this.#leaning.leaning
  }

  /** A unit of {@link due} was computed: which of its strangers are out by that; see {@link LeaningUnits.tried}. */
  tried({ strangers = [] }: AuditUnit, answer: RuledAnswer, votes: readonly Vote[]): readonly NodeId[] {
    return this.#leaning.tried(strangers, answer, votes)
  }

  /**
   * Units to be replayed now: those that try strangers, then disputed ones, then the sample. `final`: nothing more will settle, so
   * that all of the budget is spent and the sample takes its size.
   */
  due(final: boolean): readonly AuditUnit[] {
    if (final) this.#sample.takeSize(this.#replayed)
    const due: AuditUnit[] = []
    const taken = new Set<number>()
    const take = (entry: AuditUnit) => {
      due.push(entry)
      taken.add(entry.unit)
    }
    for (const { unit, strangers } of this.#leaning.due()) take({ unit, sampled: this.#sample.has(unit), strangers })
    const early = this.#dueEarly()
    for (const unit of early) take({ unit, sampled: false, early: true })
    let left = this.#disputesLeft(final) - early.length
    for (const unit of this.#disputes.bySuspicion()) {
      if (this.#sample.has(unit) || this.#replayed.has(unit) || taken.has(unit)) continue
      if (left-- <= 0) break
      take({ unit, sampled: false })
    }
    for (const unit of this.#sample.units())
      if (!this.#replayed.has(unit) && !taken.has(unit)) take({ unit, sampled: true })
    return due
  }

  /** Disputed units that the budget has room for now. */
  #disputesLeft(final: boolean): number {
    const open = KEPT_BUDGET_SHARE * (1 - this.#settled / this.#units)
    const kept = final ? 0 : Math.max(LAST_BUDGET_SHARE, open)
    return Math.ceil(this.#disputesMax * (1 - kept)) - this.#disputesTaken
  }

  /** Units drawn early, where most are disputed. */
  #dueEarly(): readonly number[] {
    if (2 * this.#disputes.count <= this.#settled) return []
    const due: number[] = []
    for (const unit of this.#sample.early()) {
      if (due.length >= this.#earlyLeft) break
      if (!this.#replayed.has(unit) && !this.#sample.has(unit)) due.push(unit)
    }
    return due
  }

  /**
   * What of {@link due} one round computes: all when `final`, else a few first, and more as nothing comes of them: what convicts a
   * ring that answers at once is worth most in the first minute. Half of a round is for the sample where it has so many: under an
   * owner that lies every unit is disputed, and it is the sample that finds such an owner.
   */
  round(final: boolean): readonly AuditUnit[] {
    const due = this.due(final)
    if (final) return due
    const most = Math.min(ROUND_UNITS_MAX, Math.max(ROUND_UNITS_MIN, this.#computed >> 2))
    const leaning = due.filter((entry) => entry.strangers !== undefined).slice(0, most)
    const sampled = due.filter((entry) => entry.strangers === undefined && isRandom(entry))
    const disputed = due.filter((entry) => entry.strangers === undefined && !isRandom(entry))
    const rest = most - leaning.length
    const share = Math.min(sampled.length, Math.max(rest >> 1, rest - disputed.length))
    return [...leaning, ...disputed.slice(0, rest - share), ...sampled.slice(0, share)]
  }

  /** {@link Disputes.isAtWork}. */
  isAtWork(keys: readonly PublicKey[]): boolean {
    return this.#disputes.isAtWork(keys)
  }

  /** A unit of {@link due} was computed; `convicted`: whom the ruling on it puts out. */
  replayed({ unit, sampled, early, strangers }: AuditUnit, convicted: readonly PublicKey[] = []): void {
    this.#disputes.putOut(convicted)
    this.#replayed.add(unit)
    this.#disputes.forget(unit)
    this.#leaning.computed(unit)
    this.#computed++
    if (!sampled && strangers === undefined) this.#disputesTaken++
    if (early) this.#earlyLeft--
  }
}

/** Whether a unit was drawn without regard to what is said of it, so that it tells how an owner grants. */
export function isRandom({ sampled, early }: AuditUnit): boolean {
  return sampled || early === true
}
