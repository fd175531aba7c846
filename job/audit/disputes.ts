import type { PublicKey } from '../../proto/model.js'
import { answerOf } from '../facts/votes.js'
import { hasAnswer, type Judgement } from '../verdict/judgement.js'

/** Who stands against whom on a unit. Winners: none while it is open. */
interface Dispute {
  readonly winners: readonly PublicKey[]
  readonly losers: readonly PublicKey[]
  /** Of the losers those who agree with one another, two or more at a time. */
  readonly outvoted: readonly (readonly PublicKey[])[]
}

function disputeOf(judgement: Judgement): Dispute {
  const isSettled = hasAnswer(judgement)
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
 * The units of one job on which votes contradict each other, and which of them tell most about who lies. Memory: the donors of
 * these units, and the keys that are out.
 */
export class Disputes {
  readonly #disputed = new Map<number, Dispute>()
  /** Whom rulings that are given, or still held back, put out. */
  readonly #out = new Set<PublicKey>()

  /** Disputed units, those included that only keys which are out have won or lost. */
  get count(): number {
    return this.#disputed.size
  }

  /** Takes in what is said of a disputed unit now. */
  note(unit: number, judgement: Judgement): void {
    this.#disputed.set(unit, disputeOf(judgement))
  }

  /** The unit is disputed no more. */
  forget(unit: number): void {
    this.#disputed.delete(unit)
  }

  /** A ruling puts these keys out. */
  putOut(keys: readonly PublicKey[]): void {
    for (const key of keys) this.#out.add(key)
  }

  /**
   * Disputed units, those first that nobody has decided, then those on which donors agree who lose most elsewhere, against others
   * who lose least. Two who share a false answer are convicted by it. Where they have won, the unit is wrong, too; where they were
   * outvoted, by one owner's forgeries beside one of a ring for example, it is their other units that are. A lone loser proves
   * nothing against its friends. Each further unit of the same donors counts for less, so that a few units convict many.
   */
  bySuspicion(): number[] {
    const lost = new Map<PublicKey, number>()
    for (const { losers } of this.#disputed.values())
      for (const donor of losers) lost.set(donor, (lost.get(donor) ?? 0) + 1)
    const losses = (donors: readonly PublicKey[], here: number) =>
      donors.reduce((sum, donor) => sum + (lost.get(donor) ?? 0) - here, 0) / Math.max(1, donors.length)
    const bySuspicion = (a: { readonly suspicion: number }, b: { readonly suspicion: number }) =>
      a.suspicion === b.suspicion ? 0 : b.suspicion - a.suspicion
    const suspected = new Map<PublicKey, number>()
    return this.#standing()
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
  #standing(): [unit: number, dispute: Dispute][] {
    const isOut = (donor: PublicKey) => this.#out.has(donor)
    return [...this.#disputed].flatMap(([unit, { winners, losers, outvoted }]) => {
      if (winners.some(isOut) || (winners.length > 0 && losers.every(isOut))) return []
      return [[unit, { winners, losers, outvoted: outvoted.filter((donors) => !donors.every(isOut)) }]]
    })
  }
}
