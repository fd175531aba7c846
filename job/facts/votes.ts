import type { AgeClass, Digest, NodeId, Outcome, PublicKey } from '../../proto/model.js'
import { isDeterministic } from './digest.js'
import { spread } from './spread.js'

/** What one valid report says of one unit, with the owner whose grant it answers. Made by `checkReportFact` alone. */
export interface Vote {
  readonly unit: number
  /** The person who votes: one vote a unit. */
  readonly donor: PublicKey
  readonly worker: PublicKey
  /** Node id of the owner that granted the instance. */
  readonly grantor: NodeId
  /** As the grantor saw the worker's key. */
  readonly age: AgeClass
  readonly outcome: Outcome
  readonly digest: Digest
  /** SHA-256 of the report's bytes: the order among votes, since facts carry no trustworthy time. */
  readonly reportId: Digest
  /** Names the fact: this report with these grants. */
  readonly factId: Digest
  readonly outputBytes: number
  readonly fuel: bigint
}

/** One donor, two answers for one unit: neither counts. */
export interface Equivocation {
  readonly donor: PublicKey
  /** Two contradicting votes; of one worker key where there are such. */
  readonly first: Vote
  readonly second: Vote
  /** Both were signed by one worker key, which proves the fault; otherwise two machines of one donor differ. */
  readonly sameKey: boolean
}

/** No equivocation, without a new list each time. */
export const NO_EQUIVOCATIONS: readonly Equivocation[] = Object.freeze([])

/** Order among votes: by report id; of one report under several grants the smallest grantor, then the younger class. */
export function compareVotes(a: Vote, b: Vote): number {
  if (a.reportId !== b.reportId) return a.reportId < b.reportId ? -1 : 1
  if (a.grantor !== b.grantor) return a.grantor < b.grantor ? -1 : 1
  if (a.age !== b.age) return a.age === 'younger' ? -1 : 1
  return 0
}

/** An answer as a key of maps: outcome and digest. */
export function answerOf(vote: Vote): string {
  return vote.outcome + vote.digest
}

/** All that one donor said of the unit. */
export interface Opinion {
  /** First vote of a deterministic kind, and the first that contradicts it. */
  vote: Vote | undefined
  contradiction: Vote | undefined
  wall: Vote | undefined
}

/** Adds `vote` to what its donor said; votes come in ascending order. */
export function hear(opinions: Map<PublicKey, Opinion>, vote: Vote): void {
  let opinion = opinions.get(vote.donor)
  if (!opinion) {
    opinion = { vote: undefined, contradiction: undefined, wall: undefined }
    opinions.set(vote.donor, opinion)
  }
  if (vote.outcome === 'wall') opinion.wall ??= vote
  else if (!opinion.vote) opinion.vote = vote
  else if (answerOf(vote) !== answerOf(opinion.vote)) opinion.contradiction ??= vote
}

/** The donors that contradict themselves, ascending by the report id of the first vote. */
export function equivocationsOf(
  sorted: readonly Vote[],
  opinions: ReadonlyMap<PublicKey, Opinion>,
): readonly Equivocation[] {
  const found: Equivocation[] = []
  for (const [donor, { vote, contradiction }] of opinions) {
    if (!vote || !contradiction) continue
    const own = sorted.filter((other) => other.donor === donor && isDeterministic(other.outcome))
    const [first, second] = contradictionOfOneKey(own) ?? [vote, contradiction]
    found.push({ donor, first, second, sameKey: first.worker === second.worker })
  }
  if (found.length === 0) return NO_EQUIVOCATIONS
  return found.sort((a, b) => compareVotes(a.first, b.first))
}

function contradictionOfOneKey(votes: readonly Vote[]): readonly [Vote, Vote] | undefined {
  const firsts = new Map<PublicKey, Vote>()
  for (const vote of votes) {
    const first = firsts.get(vote.worker)
    if (!first) firsts.set(vote.worker, vote)
    else if (answerOf(first) !== answerOf(vote)) return [first, vote]
  }
  return undefined
}

/**
 * One vote a donor, ascending: those of a deterministic kind, or when there is none those over the wall limit. With one grantor
 * enough the first of each donor, otherwise one that does the most for its answer, see {@link spread}.
 */
export function validVotes(
  sorted: readonly Vote[],
  opinions: ReadonlyMap<PublicKey, Opinion>,
  { minGrantors }: Pick<GrantorCaps, 'minGrantors'>,
): readonly Vote[] {
  const byAnswer = new Map<string, Vote[]>()
  for (const isWanted of [isEnd, isOverWall]) {
    for (const vote of sorted) {
      if (!isWanted(vote, opinions.get(vote.donor))) continue
      const votes = byAnswer.get(answerOf(vote))
      if (votes === undefined) byAnswer.set(answerOf(vote), [vote])
      else votes.push(vote)
    }
    if (byAnswer.size > 0) break
  }
  const valid = [...byAnswer.values()].flatMap(minGrantors === 1 ? firsts : spread)
  return valid.sort(compareVotes)
}

function isEnd(vote: Vote, opinion: Opinion | undefined): boolean {
  return isDeterministic(vote.outcome) && opinion?.contradiction === undefined
}

function isOverWall(vote: Vote, opinion: Opinion | undefined): boolean {
  return vote.outcome === 'wall' && opinion?.vote === undefined
}

/** The first vote of each donor. */
function firsts(votes: readonly Vote[]): Vote[] {
  const donors = new Set<PublicKey>()
  return votes.filter(({ donor }) => !donors.has(donor) && donors.add(donor))
}

/** Valid votes for one answer, by the owner that granted them. */
type VotesByGrantor = ReadonlyMap<NodeId, number>

/** How votes of one grantor are bounded; see `VerdictRules`. */
export interface GrantorCaps {
  readonly minGrantors: number
  readonly grantorVotesMax: number
}

/**
 * Votes for one answer that count of each grantor at most: `grantorVotesMax`, or the largest number t such that `minGrantors` * t
 * votes are left when no grantor has more than t. So an owner that forges votes doubles, with two grantors wanted, what others
 * say, and gives nothing to what nobody says; and an answer that honest owners keep hearing outgrows any number of others. With
 * a fixed cap it could have no more votes than there are owners: three different wrong answers would keep it open for ever.
 */
export function countedOf(byGrantor: VotesByGrantor, { minGrantors, grantorVotesMax }: GrantorCaps): number {
  if (minGrantors === 1) return Number.POSITIVE_INFINITY
  let most = grantorVotesMax
  for (;;) {
    let left = 0
    for (const votes of byGrantor.values()) left += Math.min(votes, most + 1)
    if (left < minGrantors * (most + 1)) return most
    most++
  }
}

/** Votes for one answer that count, of all grantors together. */
export function countOf(byGrantor: VotesByGrantor, caps: GrantorCaps): number {
  const most = countedOf(byGrantor, caps)
  let count = 0
  for (const votes of byGrantor.values()) count += Math.min(votes, most)
  return count
}

/**
 * Whether `grantor` is behind more than its share of the votes for an answer, one in `minGrantors`: none that it grants counts
 * before others have granted more. One that has just its share is not ahead, or two owners would wait for each other.
 */
export function isAhead(
  byGrantor: VotesByGrantor,
  grantor: NodeId,
  { minGrantors, grantorVotesMax }: GrantorCaps,
): boolean {
  const own = byGrantor.get(grantor) ?? 0
  if (own < grantorVotesMax) return false
  let others = 0
  for (const votes of byGrantor.values()) others += votes
  others -= own
  return own * (minGrantors - 1) > others
}
