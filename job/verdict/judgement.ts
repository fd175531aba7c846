import type { Digest, NodeId, Outcome } from '../../proto/model.js'
import { type Equivocation, NO_EQUIVOCATIONS, type Vote } from '../facts/votes.js'
import type { VerdictRules } from './rules.js'

/** What every judgement tells besides its state. */
interface Tally {
  /** Different workers that failed the unit by their own fault. */
  readonly hostErrors: number
  /**
   * Settled: valid votes for another answer, votes over the cap of a grantor included. Disputed: every valid vote when
   * they differ. Otherwise empty. Ascending by report id.
   */
  readonly conflicting: readonly Vote[]
  /** Ascending by the report id of the first vote. */
  readonly equivocations: readonly Equivocation[]
  /** A replay has proved the answer: the only one that counts. Absent: nothing was ruled on the unit. */
  readonly ruled?: true
  /** Donors with votes that rulings made void. Absent: none. */
  readonly voided?: number
}

/** What owners do about a unit that is not settled. */
export interface Wanted {
  /** Valid votes that count so far. */
  readonly votes: number
  /**
   * Further opinions to ask for now. One at most, since further opinions are drawn serially: whoever votes must not
   * know who comes next.
   */
  readonly wanted: 0 | 1
  /** Owners from whose grants a further opinion cannot help: they leave it to others. Ascending. */
  readonly spentGrantors: readonly NodeId[]
  /**
   * A vote that counts already comes from a key younger than the job, so the next opinion goes to an older key where
   * one is connected (see `verdict.ts`).
   */
  readonly preferOlder: boolean
}

/** A unit whose result has its quorum. */
export interface Settled {
  readonly digest: Digest
  /** The votes that count for the result, ascending by report id, one a donor. */
  readonly agreeing: readonly Vote[]
  /** Of the agreeing votes the lower median: one exaggerating voter of two does not decide it. Likewise `fuel`. */
  readonly outputBytes: number
  readonly fuel: bigint
}

/**
 * State of a unit by the facts alone. `open` -> `disputed` when valid votes differ or `maxInstances` is reached;
 * either -> `accepted` (`done`) or `failed` (a deterministic failure, or `wall`) with a quorum. Facts that come later may
 * lead back: see `verdict.ts`.
 */
export type Judgement =
  | ({ readonly state: 'open' } & Wanted & Tally)
  | ({ readonly state: 'disputed' } & Wanted & Tally)
  | ({ readonly state: 'accepted'; readonly outcome: 'done' } & Settled & Tally)
  | ({ readonly state: 'failed'; readonly outcome: Exclude<Outcome, 'done' | 'host'> } & Settled & Tally)

/** A judgement that gives the unit an answer. */
export type Answered = Extract<Judgement, { readonly state: 'accepted' | 'failed' }>

/** Whether the facts give the unit an answer: what it wrote, or how it failed. */
export function hasAnswer(judgement: Judgement | undefined): judgement is Answered {
  return judgement?.state === 'accepted' || judgement?.state === 'failed'
}

/** Whether a vote says what was settled: then its donor is credited, also when the cap of its grantor left it out. */
export function agrees(judgement: Judgement | undefined, vote: Pick<Vote, 'outcome' | 'digest'>): boolean {
  return hasAnswer(judgement) && judgement.outcome === vote.outcome && judgement.digest === vote.digest
}

export const NO_VOTES: readonly Vote[] = Object.freeze([])
export const NO_GRANTORS: readonly NodeId[] = Object.freeze([])
export const UNTOUCHED: Judgement = Object.freeze({
  state: 'open',
  votes: 0,
  wanted: 1,
  spentGrantors: NO_GRANTORS,
  preferOlder: false,
  hostErrors: 0,
  conflicting: NO_VOTES,
  equivocations: NO_EQUIVOCATIONS,
})

/** A unit that is to have a second opinion although one is believed: see `SPOT_CHECKED` of the owner's core. */
export function openAfterOne(vote: Vote, rules: VerdictRules): Judgement {
  return {
    state: 'open',
    votes: 1,
    wanted: 1,
    spentGrantors: rules.grantorVotesMax === 1 || rules.grantorAnswersMax === 1 ? [vote.grantor] : NO_GRANTORS,
    preferOlder: vote.age === 'younger',
    hostErrors: 0,
    conflicting: NO_VOTES,
    equivocations: NO_EQUIVOCATIONS,
  }
}

/** The judgement of a unit that has its quorum; `agreeing` has one vote or more. */
export function settle(
  agreeing: readonly Vote[],
  hostErrors: number,
  conflicting: readonly Vote[],
  equivocations: readonly Equivocation[],
): Judgement {
  const first = agreeing[0]!
  const { outcome, digest } = first
  let { outputBytes, fuel } = first
  for (const vote of agreeing) {
    if (vote.outputBytes === first.outputBytes && vote.fuel === first.fuel) continue
    outputBytes = lowerMedian(agreeing.map((other) => other.outputBytes))
    fuel = lowerMedian(agreeing.map((other) => other.fuel))
    break
  }
  if (outcome === 'done') {
    return { state: 'accepted', outcome, digest, agreeing, outputBytes, fuel, hostErrors, conflicting, equivocations }
  }
  const failure = outcome as Exclude<Outcome, 'done' | 'host'>
  return {
    state: 'failed',
    outcome: failure,
    digest,
    agreeing,
    outputBytes,
    fuel,
    hostErrors,
    conflicting,
    equivocations,
  }
}

function lowerMedian<T extends number | bigint>(values: T[]): T {
  values.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  return values[(values.length - 1) >> 1]!
}
