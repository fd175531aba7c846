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

/**
 * Where more than half of the units are disputed that settle first, an owner may be lying, who is found by random units alone, and the
 * sooner the less is computed anew: of this share of the job units are drawn at so many times the rate of the sample. What they cost is
 * taken from the budget for disputes, this share of it at most.
 */
const AHEAD_UNITS_SHARE = 1 / 16
const AHEAD_TIMES = 8
const AHEAD_BUDGET_SHARE = 1 / 4

/**
 * Of the budget for disputes half the share of units that are still open is kept, and so much until nothing more settles: only then is
 * everybody known who agrees with whom, and liars that began late are among them.
 */
const KEPT_BUDGET_SHARE = 1 / 2
const LAST_BUDGET_SHARE = 1 / 8

/** A unit to be computed again. */
export interface AuditUnit {
  readonly unit: number
  /** Drawn at random among settled units, whatever else is known of it. */
  readonly sampled: boolean
  /** Drawn at random as well, beyond the sample, to try owners early. Absent: not. */
  readonly ahead?: true
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
  readonly #units: number
  readonly #disputesMax: number
  readonly #seen: Uint8Array
  readonly #replayed = new Set<number>()
  /** Units drawn, with what was drawn for them. */
  readonly #sampled = new Map<number, number>()
  /** Units drawn ahead of the sample, while few have settled. */
  readonly #ahead = new Set<number>()
  #aheadLeft: number
  readonly #aheadUnits: number
  /** Units that are settled now. */
  #settled = 0
  readonly #disputed = new Map<number, Dispute>()
  readonly #leaning: LeaningUnits
  /** Whom rulings that are given, or still held back, put out. */
  readonly #out = new Set<PublicKey>()
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
    this.#units = Math.max(1, units)
    this.#disputesMax = Math.ceil(units * shares.disputed)
    this.#aheadLeft = Math.floor(this.#disputesMax * AHEAD_BUDGET_SHARE)
    this.#aheadUnits = Math.floor(units * AHEAD_UNITS_SHARE)
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
    this.#settled += isSettled ? 1 : -1
    if (!isSettled) {
      this.#sampled.delete(unit)
      this.#ahead.delete(unit)
      this.#near.delete(unit)
      return
    }
    const draw = this.#random.next()
    if (draw < this.#share) this.#sampled.set(unit, draw)
    else {
      if (draw < this.#nearShare) this.#near.set(unit, draw)
      if (this.#settled <= this.#aheadUnits && draw < AHEAD_TIMES * this.#share) this.#ahead.add(unit)
    }
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
    const open = KEPT_BUDGET_SHARE * (1 - this.#settled / this.#units)
    const kept = final ? 0 : Math.max(LAST_BUDGET_SHARE, open)
    let left = Math.ceil(this.#disputesMax * (1 - kept)) - this.#disputesTaken
    const ahead = this.#dueAhead()
    for (const unit of ahead) due.push({ unit, sampled: false, ahead: true })
    left -= ahead.size
    for (const unit of this.#bySuspicion()) {
      if (this.#sampled.has(unit) || this.#replayed.has(unit) || leaning.has(unit) || ahead.has(unit)) continue
      if (left-- <= 0) break
      due.push({ unit, sampled: false })
    }
    for (const unit of this.#sampled.keys())
      if (!this.#replayed.has(unit) && !leaning.has(unit)) due.push({ unit, sampled: true })
    return due
  }

  #dueAhead(): ReadonlySet<number> {
    const due = new Set<number>()
    if (2 * this.#disputed.size <= this.#settled) return due
    for (const unit of this.#ahead) {
      if (due.size >= this.#aheadLeft) break
      if (!this.#replayed.has(unit) && !this.#sampled.has(unit)) due.add(unit)
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
    return this.#left()
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

  /**
   * Whether one of these keys has a part in a unit that is still disputed: then it is worth while to put it out at once. An owner that makes
   * up voters has new ones on every unit, which do nothing more.
   */
  isAtWork(keys: readonly PublicKey[]): boolean {
    if (keys.length === 0) return false
    const sought = new Set(keys)
    for (const { winners, losers } of this.#disputed.values())
      if (winners.some((donor) => sought.has(donor)) || losers.some((donor) => sought.has(donor))) return true
    return false
  }

  /** Disputes that are left once all who are out are out: what such a key has won reopens by itself. */
  #left(): [unit: number, dispute: Dispute][] {
    const isOut = (donor: PublicKey) => this.#out.has(donor)
    return [...this.#disputed].flatMap(([unit, { winners, losers, outvoted }]) => {
      if (winners.some(isOut) || (winners.length > 0 && losers.every(isOut))) return []
      return [[unit, { winners, losers, outvoted: outvoted.filter((donors) => !donors.every(isOut)) }]]
    })
  }

  /** A unit of {@link due} was computed; `convicted`: whom the ruling on it puts out. */
  replayed({ unit, sampled, ahead, strangers }: AuditUnit, convicted: readonly PublicKey[] = []): void {
    for (const key of convicted) this.#out.add(key)
    this.#replayed.add(unit)
    this.#disputed.delete(unit)
    this.#leaning.computed(unit)
    this.#computed++
    if (!sampled && strangers === undefined) this.#disputesTaken++
    if (ahead) this.#aheadLeft--
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

/** Whether a unit was drawn without regard to what is said of it, so that it tells how an owner grants. */
export function isRandom({ sampled, ahead }: AuditUnit): boolean {
  return sampled || ahead === true
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
