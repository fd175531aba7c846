import type { NodeId, Policy, PublicKey } from '../../proto/model.js'
import { isDeterministic } from '../facts/digest.js'
import { isSameAnswer, isVoid, type RulingsView } from '../facts/rulings.js'
import {
  answerOf,
  compareVotes,
  countOf,
  type GrantorCaps,
  hear,
  type Opinion,
  type Vote,
  validVotes,
} from '../facts/votes.js'

/** A job that is checked by how far its donors can be believed. */
type ConfidencePolicy = Extract<Policy, { type: 'confidence' }>

/** What the donors of a shard are worth: bits of odds that a vote of theirs is right. */
export interface Weights {
  weight(donor: PublicKey): number
}

/** Votes that count of one grantor for one answer, and grantors needed behind an agreement. */
interface AgreementRules extends GrantorCaps {
  readonly rulings?: RulingsView
}

/** Of so many donors one is taken to be a liar before anything is known of them. Source: f 0.05 of Sarmenta (2002). */
const ONE_LIAR_IN = 20
const MILLION = 1_000_000n
/** A donor nobody knows is believed with 19 to 1, rounded down to a power of two. */
export const NEWCOMER_BITS = Math.floor(Math.log2(ONE_LIAR_IN - 1))

/** Donors without any agreement yet that must say the same for the confidence of a policy: 2 to 5. */
export function newcomersFor(policy: ConfidencePolicy): number {
  let donors = 1
  while (!isEnough(donors * NEWCOMER_BITS, [], policy)) donors++
  return donors
}

/**
 * Whether an answer whose votes weigh `bits` together is right with the confidence of the policy, when answers that weigh
 * `others` stand against it. Credibility of groups (L. F. G. Sarmenta, Sabotage-Tolerance Mechanisms for Volunteer Computing
 * Systems, FGCS 18, 2002): an answer with odds o, against others with odds o1, o2 ..., is right with o / (1 + o + o1 + o2 + ...).
 * Odds are powers of two, so all of it is exact.
 */
export function isEnough(bits: number, others: readonly number[], { errorPpm }: ConfidencePolicy): boolean {
  let against = 1n
  for (const other of others) against += 1n << BigInt(other)
  return (1n << BigInt(bits)) * BigInt(errorPpm) >= (MILLION - BigInt(errorPpm)) * against
}

/**
 * Bits of odds of a donor with `agreements` and `losses`: Sarmenta's error rate f / k without blacklisting, each loss
 * counted as an error that was seen: (f + losses) / k. Never below 0 bits, which count for nothing and against nothing.
 */
export function bitsOf(agreements: number, losses: number): number {
  const odds = (ONE_LIAR_IN * Math.max(1, agreements) - 1) / (1 + ONE_LIAR_IN * losses)
  return Math.max(0, 31 - Math.clz32(Math.floor(odds)))
}

/** `0.999`: the confidence of a policy as it is written. */
export function confidenceText(errorPpm: number): string {
  return `0.${String(Number(MILLION) - errorPpm)
    .padStart(6, '0')
    .replace(/0+$/, '')}`
}

/** Donors that a unit speaks for, and against. */
interface Sides {
  readonly right: readonly PublicKey[]
  readonly wrong: readonly PublicKey[]
}

const NOTHING: Sides = { right: [], wrong: [] }

/**
 * What the votes of one shard say of its donors, kept up to date vote by vote. A function of the sets of votes alone, whatever
 * their order: an agreement is a unit on which a donor said what two or more donors said, through grants of `minGrantors`
 * owners, with a strict majority of the valid votes; a loss is a unit on which such a majority, or a replay, says otherwise.
 * It does not matter whether the unit is accepted, so nothing here leans on what is made of it.
 */
export class Credibility implements Weights {
  readonly #known = new Map<PublicKey, { agreements: number; losses: number; bits: number }>()
  readonly #byUnit = new Map<number, Sides>()

  weight(donor: PublicKey): number {
    return this.#known.get(donor)?.bits ?? NEWCOMER_BITS
  }

  /** Units on which the donor agreed with others, and on which it was wrong. */
  record(donor: PublicKey): { readonly agreements: number; readonly losses: number } {
    const { agreements = 0, losses = 0 } = this.#known.get(donor) ?? {}
    return { agreements, losses }
  }

  /** Takes in all votes on a unit. Gives the donors whose weight is another one now. */
  update(unit: number, votes: readonly Vote[], rules: AgreementRules): readonly PublicKey[] {
    const before = this.#byUnit.get(unit) ?? NOTHING
    const after = sidesOf(votes, rules)
    if (before === NOTHING && after === NOTHING) return []
    if (after === NOTHING) this.#byUnit.delete(unit)
    else this.#byUnit.set(unit, after)
    const touched = new Map<PublicKey, number>()
    for (const [{ right, wrong }, sign] of [
      [before, -1],
      [after, 1],
    ] as const) {
      for (const donor of right) this.#count(touched, donor, sign, 0)
      for (const donor of wrong) this.#count(touched, donor, 0, sign)
    }
    const changed: PublicKey[] = []
    for (const [donor, bits] of touched) {
      const known = this.#known.get(donor)!
      known.bits = bitsOf(known.agreements, known.losses)
      if (known.bits !== bits) changed.push(donor)
    }
    return changed
  }

  #count(touched: Map<PublicKey, number>, donor: PublicKey, agreements: number, losses: number): void {
    let known = this.#known.get(donor)
    if (known === undefined) {
      known = { agreements: 0, losses: 0, bits: NEWCOMER_BITS }
      this.#known.set(donor, known)
    }
    if (!touched.has(donor)) touched.set(donor, known.bits)
    known.agreements += agreements
    known.losses += losses
  }
}

function sidesOf(votes: readonly Vote[], rules: AgreementRules): Sides {
  const { minGrantors, rulings } = rules
  const ruled = votes.length === 0 ? undefined : rulings?.answers.get(votes[0]!.unit)
  if (votes.length < 2 && ruled === undefined) return NOTHING
  const counted = votes.filter((vote) => isDeterministic(vote.outcome) && !(rulings && isVoid(rulings, vote)))
  const sorted = counted.sort(compareVotes)
  const opinions = new Map<PublicKey, Opinion>()
  for (const vote of sorted) hear(opinions, vote)
  const valid = validVotes(sorted, opinions, rules)
  if (valid.length === 0) return NOTHING
  if (ruled !== undefined) return split(valid, (vote) => isSameAnswer(ruled, vote))
  const answers = new Map<string, Map<NodeId, number>>()
  for (const vote of valid) {
    const byGrantor = answers.get(answerOf(vote)) ?? new Map<NodeId, number>()
    answers.set(answerOf(vote), byGrantor)
    byGrantor.set(vote.grantor, (byGrantor.get(vote.grantor) ?? 0) + 1)
  }
  const counts = new Map([...answers].map(([name, byGrantor]) => [name, countOf(byGrantor, rules)]))
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0)
  for (const [name, count] of counts) {
    if (count >= 2 && 2 * count > all && answers.get(name)!.size >= minGrantors)
      return split(valid, (vote) => answerOf(vote) === name)
  }
  return NOTHING
}

function split(votes: readonly Vote[], isRight: (vote: Vote) => boolean): Sides {
  const right: PublicKey[] = []
  const wrong: PublicKey[] = []
  for (const vote of votes) (isRight(vote) ? right : wrong).push(vote.donor)
  return { right, wrong }
}
