import { isDeterministic } from '../../../job/facts/digest.js'
import type { Vote } from '../../../job/facts/votes.js'
import { count } from '../../../job/units/selection.js'
import { unitCount } from '../../../job/units/unit-source.js'
import type { Weights } from '../../../job/verdict/credibility.js'
import { hasAnswer, type Judgement } from '../../../job/verdict/judgement.js'
import type { VerdictRules } from '../../../job/verdict/rules.js'
import { judge } from '../../../job/verdict/verdict.js'
import type { JobSpec, NodeId } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import type { GrantorStanding, Grantors } from './grantors.js'

/** Units of a job that are asked about again because of strangers' grants: so many, or this share of the job if it is more. */
const DOUBTS_MIN = 64
const DOUBTS_SHARE = 1 / 16
/** Further ones for each that known grantors contradict: where strangers lie, all that they settled is asked about again. */
const DOUBTS_FOR_A_LIE = 16

/**
 * Grants of those that a newcomer is told of are not doubted for so long: it never met who died before it came, and what that
 * one granted last is still being reported. Unit: ms.
 */
const INHERITED_MS: Millis = 180_000
/** Such grantors of one job. */
const INHERITED_MAX = 64

/** Why a unit that the facts settle is asked about all the same. */
export interface Doubt {
  /** Somebody whose grantor is known says otherwise. */
  isContradicted: boolean
  /** Nobody is left who could be asked: it stands as the facts have it. */
  isOver: boolean
}

/** What {@link Doubts} look at in a unit. */
interface DoubtedUnit {
  readonly shard: { readonly awaitsOthers: boolean; readonly isNewHere: boolean; readonly isReadBack: boolean }
  readonly votes: readonly Vote[]
  doubt: Doubt | undefined
}

/** By what a unit is judged. */
interface Sight {
  readonly rules: VerdictRules
  readonly weights: Weights | undefined
  readonly now: Millis
}

/**
 * Units of one job that only grants of strangers settle, of owners that this one has never met. What counts is up to the facts,
 * but who acts is not: such a unit is asked about further, until the votes under grants of known owners suffice by themselves.
 * What comes of it are facts: a contradiction is a dispute like any other. Bounded: as long as known owners agree with what
 * strangers settled, {@link DOUBTS_MIN} units or a sixteenth of the job.
 */
export class Doubts<Unit extends DoubtedUnit> {
  readonly #grantors: Grantors | undefined
  #left: number
  /** Grantors that this owner was told of when it came, and until when they are not doubted. */
  readonly #inherited = new Map<NodeId, Millis>()
  /** Units that the facts settle and this owner does not. */
  readonly #doubted = new Set<Unit>()
  /** Units that wait for the lookup of a grantor, which ends in a moment. */
  readonly #awaiting = new Map<NodeId, Set<Unit>>()
  /** Units that were believed since {@link #left} was used up. */
  readonly #passedOver = new Set<Unit>()

  constructor(grantors: Grantors | undefined, spec: JobSpec) {
    // Where a job names its owners, grants of others are void.
    this.#grantors = spec.owners.length > 0 ? undefined : grantors
    const units = spec.selection.length > 0 ? count(spec.selection) : unitCount(spec)
    this.#left = Math.max(DOUBTS_MIN, Math.ceil(units * DOUBTS_SHARE))
  }

  /** Units that the facts settle and this owner does not, for now. */
  get doubted(): ReadonlySet<Unit> {
    return this.#doubted
  }

  /** The first `most` of {@link doubted}, which then stand behind all others. */
  takeTurns(most: number): Unit[] {
    const records: Unit[] = []
    for (const record of this.#doubted) {
      if (records.length >= most) break
      records.push(record)
    }
    for (const record of records) {
      this.#doubted.delete(record)
      this.#doubted.add(record)
    }
    return records
  }

  /** How the unit is to be seen, which the facts judge as `judgement`. */
  look(record: Unit, judgement: Judgement, sight: Sight): Judgement {
    const seen = this.#look(record, judgement, sight)
    if (seen === judgement) this.#doubted.delete(record)
    else this.#doubted.add(record)
    return seen
  }

  /** These units are not looked at any more. */
  forget(records: Iterable<Unit>): void {
    for (const record of records) {
      this.#doubted.delete(record)
      this.#passedOver.delete(record)
    }
  }

  #look(record: Unit, judgement: Judgement, { rules, weights, now }: Sight): Judgement {
    const grantors = this.#grantors
    if (grantors === undefined) return judgement
    const isTold = record.shard.awaitsOthers || record.shard.isReadBack
    if (record.shard.awaitsOthers && record.shard.isNewHere) this.#inherit(record.votes, now)
    if (judgement.ruled || !hasAnswer(judgement)) {
      if (record.doubt !== undefined && judgement.state === 'disputed') this.#contradicted(record.doubt)
      return judgement
    }
    if (judgement.agreeing.every(({ grantor }) => grantors.isMet(grantor))) return judgement
    const standings = new Set<GrantorStanding>()
    for (const { grantor } of judgement.agreeing) {
      const standing = grantors.standingOf(grantor, now)
      standings.add(standing)
      if (standing === 'sought') this.#waitFor(grantor, record)
    }
    const known = record.votes.filter(({ grantor }) => grantors.isMet(grantor))
    const alone = judge(known, rules, weights)
    if (hasAnswer(alone)) {
      if (alone.outcome === judgement.outcome && alone.digest === judgement.digest) return judgement
      if (record.doubt !== undefined) this.#contradicted(record.doubt)
      // With `none` no vote is held against another.
      return rules.policy.type === 'none' ? judgement : disputed(alone, judgement)
    }
    // Whether it is a stranger will be known in a moment: until then nobody is asked, and nothing is settled.
    if (!standings.has('stranger') && !isTold) return { ...alone, wanted: 0 }
    // What a newcomer is told of the time before it came is for those to doubt who were there.
    const isInherited = judgement.agreeing.every(
      ({ grantor }) => grantors.isMet(grantor) || (this.#inherited.get(grantor) ?? 0) > now,
    )
    if (isTold || isInherited) record.doubt ??= { isContradicted: false, isOver: true }
    if (record.doubt?.isOver || alone.wanted === 0) return judgement
    if (record.doubt === undefined) {
      if (this.#left <= 0) {
        this.#passedOver.add(record)
        return judgement
      }
      this.#left--
      record.doubt = { isContradicted: false, isOver: false }
    }
    if (known.some((vote) => isAgainst(vote, judgement))) this.#contradicted(record.doubt)
    return alone
  }

  #inherit(votes: readonly Vote[], now: Millis): void {
    for (const { grantor } of votes)
      if (this.#inherited.size < INHERITED_MAX || this.#inherited.has(grantor))
        this.#inherited.set(grantor, now + INHERITED_MS)
  }

  #waitFor(grantor: NodeId, record: Unit): void {
    const records = this.#awaiting.get(grantor)
    if (records === undefined) this.#awaiting.set(grantor, new Set([record]))
    else records.add(record)
  }

  /** Units to be judged again now that a grantor has been looked up. */
  soughtFor(grantor: NodeId): Iterable<Unit> {
    const records = this.#awaiting.get(grantor) ?? []
    this.#awaiting.delete(grantor)
    return records
  }

  #contradicted(doubt: Doubt): void {
    if (doubt.isContradicted) return
    doubt.isContradicted = true
    this.#left += DOUBTS_FOR_A_LIE
  }

  /** Units that were believed for want of doubts and may be doubted now. To be judged again. */
  *due(): Generator<Unit> {
    for (const record of this.#passedOver) {
      if (this.#left <= 0) return
      this.#passedOver.delete(record)
      yield record
    }
  }
}

function isAgainst(vote: Vote, judgement: Judgement): boolean {
  if (!hasAnswer(judgement)) return false
  return isDeterministic(vote.outcome) && (vote.outcome !== judgement.outcome || vote.digest !== judgement.digest)
}

/** Known grantors have settled one thing, and with strangers the facts say another: a replay has to decide. */
function disputed(alone: Judgement, judgement: Judgement): Judgement {
  const { hostErrors, conflicting, equivocations } = judgement
  const agreeing = 'agreeing' in judgement ? judgement.agreeing : []
  return {
    state: 'disputed',
    votes: agreeing.length,
    wanted: 0,
    spentGrantors: [],
    preferOlder: false,
    hostErrors: Math.max(hostErrors, alone.hostErrors),
    conflicting: [...agreeing, ...conflicting],
    equivocations,
  }
}
