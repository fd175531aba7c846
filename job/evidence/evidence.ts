import type { Digest, NodeId, Outcome, ReportFact } from '../../proto/model.js'
import {
  type CheckedFact,
  CheckedFacts,
  checkReportFact,
  type FactContext,
  type FactRefusal,
  factId,
} from '../facts/facts.js'
import type { Vote } from '../facts/votes.js'
import { Credibility } from '../verdict/credibility.js'
import { grantorFactsMax, withoutRoom } from '../verdict/crowding.js'
import { hasAnswer, type Judgement } from '../verdict/judgement.js'
import type { VerdictRules } from '../verdict/rules.js'
import { judge } from '../verdict/verdict.js'

/** What an owner says of a unit. */
interface SettledClaim {
  readonly unit: number
  readonly outcome: Outcome
  readonly digest: Digest
}

/**
 * What the facts say to such a claim. `noFacts`: no valid vote at all. `open`, `disputed`: votes, but no quorum among
 * them. `otherResult`: a quorum for something else.
 */
export type UnitEvidence =
  | {
      readonly ok: true
      readonly unit: number
      readonly outcome: Outcome
      readonly digest: Digest
      readonly outputBytes: number
      readonly fuel: bigint
      /** Different donors and grantors behind the votes that count. */
      readonly donors: number
      readonly grantors: number
      readonly agreeing: readonly Vote[]
    }
  | {
      readonly ok: false
      readonly unit: number
      readonly reason: 'noFacts' | 'open' | 'disputed' | 'otherResult'
      readonly judgement: Judgement
    }

/** What becomes of a fact: new and valid, known already, or void. */
type FactReception =
  /** `letGo`: facts of which nothing is left now, a vote of each. */
  | { readonly type: 'kept'; readonly fact: CheckedFact; readonly letGo: readonly Vote[] }
  | { readonly type: 'known' }
  /** Valid, and there is no room for it beside others of its grantors. */
  | { readonly type: 'crowdedOut' }
  | { readonly type: 'refused'; readonly reason: FactRefusal }

/** Context of a client: how facts are checked, and how votes are judged. */
export interface EvidenceContext extends FactContext {
  readonly rules: VerdictRules
}

/**
 * Votes kept for one unit, of all grantors together, or what one grantor may have if that is more; beyond it the grantor with most
 * votes gives way. An honest grid stays near `maxInstances` for each owner; more come from grantors that somebody makes up.
 */
export const UNIT_VOTES_MAX = 256

/**
 * Facts of one shard as a client collects them, and what they prove. Every report, grant and donor signature is checked
 * once, however often and in however many messages it comes. Memory: a few hundred bytes a vote, for the units of one
 * shard; make one for each shard and drop it with the shard.
 */
export class ShardEvidence {
  readonly #context: EvidenceContext
  readonly #grantorFactsMax: number
  readonly #unitVotesMax: number
  /** Votes that are left of each fact. */
  readonly #facts = new Map<Digest, number>()
  readonly #votes = new Map<number, Vote[]>()
  /** What donors are worth, where that decides, and units whose votes are not in it yet. */
  readonly #credibility: Credibility | undefined
  readonly #unweighed = new Set<number>()

  constructor(context: EvidenceContext) {
    this.#context = context.checked ? context : { ...context, checked: new CheckedFacts() }
    this.#credibility = context.rules.policy.type === 'confidence' ? new Credibility() : undefined
    this.#grantorFactsMax = grantorFactsMax(context.spec)
    this.#unitVotesMax = Math.max(UNIT_VOTES_MAX, 2 * this.#grantorFactsMax)
  }

  /** Takes in one fact. What others then have no room for is let go of, as owners do (`job/verdict/crowding.ts`). */
  add(fact: ReportFact): FactReception {
    const id = factId(fact, this.#context.sha256)
    if (this.#facts.has(id)) return { type: 'known' }
    const checked = checkReportFact(fact, this.#context, id)
    if (!checked.ok) return { type: 'refused', reason: checked.reason }
    let left = 0
    const letGo: Vote[] = []
    for (const vote of checked.votes) {
      const votes = this.#votes.get(vote.unit) ?? []
      const out = withoutRoom(votes, vote, this.#grantorFactsMax) ?? this.#outOfMost(votes, vote)
      if (out === vote) continue
      if (out !== undefined && this.#leave(votes, out)) letGo.push(out)
      votes.push(vote)
      left++
      this.#votes.set(vote.unit, votes)
      if (this.#credibility !== undefined) this.#unweighed.add(vote.unit)
    }
    if (left === 0) return { type: 'crowdedOut' }
    this.#facts.set(id, left)
    return { type: 'kept', fact: checked, letGo }
  }

  /** Where grantors are too many: the vote that the one with most of them gives up. */
  #outOfMost(votes: readonly Vote[], added: Vote): Vote | undefined {
    if (votes.length < this.#unitVotesMax) return undefined
    const byGrantor = new Map<NodeId, number>()
    for (const { grantor } of [...votes, added]) byGrantor.set(grantor, (byGrantor.get(grantor) ?? 0) + 1)
    const most = Math.max(...byGrantor.values())
    if (byGrantor.get(added.grantor) === most) return added
    return votes.findLast(({ grantor }) => byGrantor.get(grantor) === most)
  }

  /** Whether nothing is left of its fact. */
  #leave(votes: Vote[], out: Vote): boolean {
    votes.splice(votes.indexOf(out), 1)
    const left = (this.#facts.get(out.factId) ?? 1) - 1
    if (left > 0) this.#facts.set(out.factId, left)
    else this.#facts.delete(out.factId)
    return left <= 0
  }

  /** Valid votes on a unit, in no particular order. */
  votes(unit: number): readonly Vote[] {
    return this.#votes.get(unit) ?? []
  }

  /** Whoever signed grants of valid facts. */
  grantors(): ReadonlySet<NodeId> {
    const grantors = new Set<NodeId>()
    for (const votes of this.#votes.values()) for (const { grantor } of votes) grantors.add(grantor)
    return grantors
  }

  /** The verdict on a unit by the facts taken in so far. */
  judge(unit: number): Judgement {
    const { rules } = this.#context
    for (const other of this.#unweighed) this.#credibility?.update(other, this.#votes.get(other) ?? [], rules)
    this.#unweighed.clear()
    return judge(this.#votes.get(unit) ?? [], rules, this.#credibility)
  }

  /**
   * Those of `strangers` without whose grants the verdict on a unit would be another one: it would not be settled, or otherwise,
   * or they keep it from being so. Empty: it does not lean on them.
   */
  leansOn(unit: number, strangers: ReadonlySet<NodeId>): readonly NodeId[] {
    const votes = this.#votes.get(unit) ?? []
    const among = new Set(votes.map(({ grantor }) => grantor).filter((grantor) => strangers.has(grantor)))
    if (among.size === 0) return []
    const others = votes.filter(({ grantor }) => !among.has(grantor))
    const without = judge(others, this.#context.rules, this.#credibility)
    return answerTo(this.judge(unit)) === answerTo(without) ? [] : [...among].sort()
  }

  /**
   * Compares a claim with the verdict. To be asked again before a client calls its results checked: facts that came
   * later may have overturned what it pinned.
   */
  check(claim: SettledClaim): UnitEvidence {
    const { unit } = claim
    const judgement = this.judge(unit)
    if (!hasAnswer(judgement)) {
      const reason = this.#votes.has(unit) ? judgement.state : 'noFacts'
      return { ok: false, unit, reason, judgement }
    }
    if (judgement.outcome !== claim.outcome || judgement.digest !== claim.digest) {
      return { ok: false, unit, reason: 'otherResult', judgement }
    }
    const { outcome, digest, outputBytes, fuel, agreeing } = judgement
    const grantors = new Set(agreeing.map((vote) => vote.grantor)).size
    return { ok: true, unit, outcome, digest, outputBytes, fuel, donors: agreeing.length, grantors, agreeing }
  }
}

/** What a unit is settled as; undefined: it is not. */
function answerTo(judgement: Judgement): string | undefined {
  const isSettled = hasAnswer(judgement)
  return isSettled ? judgement.outcome + judgement.digest : undefined
}
