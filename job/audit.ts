import type { NodeId, PublicKey } from '../proto/model.js'
import { type Chance, LeaningUnits } from './leaning-units.js'
import type { RuledAnswer } from './rulings.js'
import type { Judgement, Vote } from './verdict.js'
import { answerOf } from './votes.js'

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

/** Units of a round of a job that goes on, at first and at most: rulings are of use while it still does. */
const ROUND_UNITS_MIN = 4
const ROUND_UNITS_MAX = 16

/** A unit to be computed again. */
export interface AuditUnit {
  readonly unit: number
  /** Drawn at random among settled units, whatever else is known of it. */
  readonly sampled: boolean
  /** Owners that nobody can find, without whose grants the unit would be seen otherwise: they are tried by it. Absent: none. */
  readonly strangers?: readonly NodeId[]
}

/** Who stands against whom on a unit. Winners: none while it is open. */
interface Dispute {
  readonly winners: readonly PublicKey[]
  readonly losers: readonly PublicKey[]
  /** Of the losers those who agree with one another, two or more at a time. */
  readonly outvoted: readonly (readonly PublicKey[])[]
}

function disputeOf(judgement: Judgement): Dispute {
  const isSettled = judgement.state === 'accepted' || judgement.state === 'failed'
  if (!isSettled) return { winners: [], losers: [], outvoted: [] }
  const byAnswer = new Map<string, PublicKey[]>()
  for (const vote of judgement.conflicting) {
    const name = answerOf(vote)
    byAnswer.set(name, [...(byAnswer.get(name) ?? []), vote.donor])
  }
  return {
    winners: judgement.agreeing.map(({ donor }) => donor),
    losers: judgement.conflicting.map(({ donor }) => donor),
    outvoted: [...byAnswer.values()].filter(({ length }) => length > 1),
  }
}

/**
 * Which units of one job are computed again, as its facts come to be known. A settled unit is drawn or passed over when it
 * is first seen settled, and again when it is settled anew, by randomness that nobody saw when votes were given. Of disputed
 * units the most suspicious are taken until the budget is used up. Each unit is replayed once. Memory: two bits a
 * unit, and the donors of disputed ones.
 */
export class AuditPlan {
  readonly #random: Chance
  readonly #share: number
  readonly #disputesMax: number
  readonly #seen: Uint8Array
  readonly #replayed = new Set<number>()
  /** Units drawn, with what was drawn for them. */
  readonly #sampled = new Map<number, number>()
  readonly #disputed = new Map<number, Dispute>()
  readonly #leaning: LeaningUnits
  #disputesTaken = 0
  #computed = 0
  readonly #sampleSize: number
  /** Draws of units that came near, should too few be drawn. */
  readonly #near = new Map<number, number>()
  readonly #nearShare: number

  /** `unitEnd`: above every unit of the job; `units`: those selected. */
  constructor(unitEnd: number, units: number, shares: AuditShares, random: Chance) {
    this.#random = random
    this.#share = shares.sampled
    this.#disputesMax = Math.ceil(units * shares.disputed)
    this.#sampleSize = Math.ceil(units * shares.sampled)
    // Four standard deviations and some: then the sample has its size but for one time in ten thousand.
    this.#nearShare = shares.sampled === 0 ? 0 : shares.sampled + (4 * Math.sqrt(units * shares.sampled) + 8) / units
    this.#leaning = new LeaningUnits(unitEnd, units, random)
    this.#seen = new Uint8Array(Math.ceil(unitEnd / 8))
  }

  /** Takes in what the facts say of a unit now. `final`: no further opinion will come. */
  look(unit: number, judgement: Judgement, final = false): void {
    const isSettled = judgement.state === 'accepted' || judgement.state === 'failed'
    if (judgement.ruled) {
      this.#disputed.delete(unit)
      if (!this.#sampled.has(unit)) this.#replayed.add(unit)
      return
    }
    // Most disputes are decided by the next opinion: these are left to it.
    const isDisputed = isSettled
      ? judgement.conflicting.length > 0
      : judgement.state === 'disputed' && (final || judgement.wanted === 0)
    if (!isDisputed) this.#disputed.delete(unit)
    else if (!this.#replayed.has(unit)) this.#disputed.set(unit, disputeOf(judgement))
    const isSeen = (this.#seen[unit >> 3]! & (1 << (unit & 7))) !== 0
    if (isSettled === isSeen) return
    this.#seen[unit >> 3]! ^= 1 << (unit & 7)
    if (!isSettled) {
      this.#sampled.delete(unit)
      this.#near.delete(unit)
      return
    }
    const draw = this.#random.next()
    if (draw < this.#share) this.#sampled.set(unit, draw)
    else if (draw < this.#nearShare) this.#near.set(unit, draw)
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
   * Units to be replayed now: those that try strangers, then disputed ones. `final`: nothing more will settle, so that the
   * sample takes its size, of those drawn lowest; any so many units are as likely as any others.
   */
  due(final: boolean): readonly AuditUnit[] {
    if (final) this.#size()
    const due: AuditUnit[] = this.#leaning
      .due()
      .map(({ unit, strangers }) => ({ unit, sampled: this.#sampled.has(unit), strangers }))
    const leaning = new Set(due.map(({ unit }) => unit))
    let left = this.#disputesMax - this.#disputesTaken
    for (const unit of this.#bySuspicion()) {
      if (this.#sampled.has(unit) || this.#replayed.has(unit) || leaning.has(unit)) continue
      if (left-- <= 0) break
      due.push({ unit, sampled: false })
    }
    for (const unit of this.#sampled.keys())
      if (!this.#replayed.has(unit) && !leaning.has(unit)) due.push({ unit, sampled: true })
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
    const sampled = due.filter((entry) => entry.strangers === undefined && entry.sampled)
    const disputed = due.filter((entry) => entry.strangers === undefined && !entry.sampled)
    const rest = most - leaning.length
    const share = Math.min(sampled.length, Math.max(rest >> 1, rest - disputed.length))
    return [...leaning, ...disputed.slice(0, rest - share), ...sampled.slice(0, share)]
  }

  /**
   * Disputed units, those first that nobody has decided, then those on which donors agree who lose most elsewhere, against others
   * who lose least. Two who share a false answer are convicted by it. Where they have won, the unit is wrong, too; where they were
   * outvoted, by one owner's forgeries beside one of a ring for example, it is their other units that are. A lone loser proves
   * nothing against its friends. Each further unit of the same donors counts for less, so that a few units convict many.
   */
  #bySuspicion(): number[] {
    const lost = new Map<PublicKey, number>()
    for (const { losers } of this.#disputed.values())
      for (const donor of losers) lost.set(donor, (lost.get(donor) ?? 0) + 1)
    const losses = (donors: readonly PublicKey[], here: number) =>
      donors.reduce((sum, donor) => sum + (lost.get(donor) ?? 0) - here, 0) / Math.max(1, donors.length)
    const bySuspicion = (a: { readonly suspicion: number }, b: { readonly suspicion: number }) =>
      a.suspicion === b.suspicion ? 0 : b.suspicion - a.suspicion
    const suspected = new Map<PublicKey, number>()
    return [...this.#disputed]
      .map(([unit, { winners, losers, outvoted }]) => {
        let suspects = winners
        let suspicion = winners.length === 0 ? Number.POSITIVE_INFINITY : losses(winners, 0) - losses(losers, 1)
        for (const donors of outvoted) {
          const against = losses(donors, 1) - losses(winners, 0)
          if (against <= suspicion) continue
          suspects = donors
          suspicion = against
        }
        return { unit, suspects, suspicion }
      })
      .sort(bySuspicion)
      .map(({ unit, suspects, suspicion }) => {
        let before = 0
        for (const donor of suspects) {
          const times = suspected.get(donor) ?? 0
          before = Math.max(before, times)
          suspected.set(donor, times + 1)
        }
        return { unit, suspicion: suspicion > 0 ? suspicion / (1 + before) : suspicion }
      })
      .sort(bySuspicion)
      .map(({ unit }) => unit)
  }

  /** A unit of {@link due} was computed, whatever came of it. */
  replayed({ unit, sampled, strangers }: AuditUnit): void {
    this.#replayed.add(unit)
    this.#disputed.delete(unit)
    this.#leaning.computed(unit)
    this.#computed++
    if (!sampled && strangers === undefined) this.#disputesTaken++
  }

  #size(): void {
    const left: [unit: number, draw: number][] = []
    let size = this.#sampleSize
    for (const [unit, draw] of this.#sampled) {
      if (this.#replayed.has(unit)) size--
      else left.push([unit, draw])
    }
    for (const near of this.#near) left.push(near)
    left.sort(([, a], [, b]) => a - b)
    for (const [place, [unit, draw]] of left.entries()) {
      if (place < size) {
        this.#near.delete(unit)
        this.#sampled.set(unit, draw)
      } else {
        this.#sampled.delete(unit)
        this.#near.set(unit, draw)
      }
    }
  }
}

/**
 * Upper bound, at 95 %, of the share of wrong units when `wrong` of `sampled` random ones were: 3 / s for none of s (the
 * "rule of three", Hanley and Lippman-Hand 1983), and for more the mean of the Poisson distribution that gives as few or fewer
 * with a chance of 5 %. Of `rest`, the units that were there to be drawn and were not, no more than all can be wrong: 0 when
 * all were replayed and none was wrong. 1 when nothing is known.
 */
export function errorBound(sampled: number, wrong: number, rest?: number): number {
  if (rest === 0 && wrong === 0) return 0
  if (sampled === 0) return 1
  const bound = poissonBound(sampled, wrong)
  return rest === undefined ? bound : Math.min(bound, (rest + wrong) / (rest + sampled))
}

function poissonBound(sampled: number, wrong: number): number {
  if (wrong === 0) return Math.min(1, 3 / sampled)
  let low = wrong
  let high = 2 * wrong + 10
  for (let i = 0; i < 50; i++) {
    const mean = (low + high) / 2
    let term = Math.exp(-mean)
    let atMost = term
    for (let k = 1; k <= wrong; k++) {
      term *= mean / k
      atMost += term
    }
    if (atMost > 0.05) low = mean
    else high = mean
  }
  return Math.min(1, high / sampled)
}
