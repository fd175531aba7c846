import type { NodeId, PublicKey } from '../../proto/model.js'
import { isDeterministic } from '../facts/digest.js'
import { isSameAnswer, isVoid, type RuledAnswer } from '../facts/rulings.js'
import {
  answerOf,
  compareVotes,
  countedOf,
  equivocationsOf,
  hear,
  isAhead,
  NO_EQUIVOCATIONS,
  type Opinion,
  type Vote,
  validVotes,
} from '../facts/votes.js'
import { isEnough, NEWCOMER_BITS, type Weights } from './credibility.js'
import { type Judgement, NO_GRANTORS, NO_VOTES, openAfterOne, settle, UNTOUCHED } from './judgement.js'
import type { VerdictRules } from './rules.js'

/** Weights where nothing is known of anybody. */
const STRANGERS: Weights = { weight: () => NEWCOMER_BITS }

/**
 * Judges one unit by the set of its valid votes: neither their order nor repetitions matter, and nothing else does.
 *
 * 1. Host failures are no votes. Of each donor the votes for one answer (outcome and digest) are one vote; a donor with two
 *    answers has none. It stands under the grant that does the most for the answer (`job/facts/spread.ts`), with one grantor enough under
 *    that with the smallest report id. Running over the wall limit contradicts nothing.
 * 2. Of each grantor and answer the `grantorVotesMax` votes with the smallest report id count, and more as far as no grantor
 *    stands behind more than one in `minGrantors` of the votes that count for the answer ({@link countedOf}).
 * 3. `quorum:K`: settled iff one answer has K or more of the votes that count, more than half of them, and they carry
 *    grants of `minGrantors` owners. `none`: the vote with the smallest report id wins; owners grant one instance, so a
 *    second vote exists only where a lost worker or an endgame copy made one, and differs only where somebody is wrong.
 *    `confidence:P`: settled iff one answer is right with probability P, by what its donors have shown on other units of the
 *    shard (`job/verdict/credibility.ts`): one vote is enough of a donor that has agreed with others often enough. `minGrantors` owners
 *    must stand behind the agreements that make a donor believed, and votes of one grantor are capped as if all were unknown.
 * 4. `wall` is looked at only when there is no vote of another kind: then K donors over the limit fail the unit, with
 *    `confidence:P` as many as are needed of unknown ones.
 * 5. Undecided: one more opinion at a time, until `maxInstances` donors have answered. Of one grantor at most
 *    `maxInstances / minGrantors` answers count here, so that forged votes of one owner cannot end a unit as disputed.
 *
 * **Rulings** come before all of this (`job/facts/rulings.ts`). On a unit that was ruled on only votes for the ruled answer count,
 * and one of them settles it, whoever gave and granted it: the replay is the rest of its quorum. With none the unit is open
 * and asked for again, until `maxInstances` donors and as many again have answered something else; then it is disputed, since
 * the judge's machine may be the wrong one. On all other units the votes of convicted keys and of dismissed grantors are void,
 * as if they had never come: they do not count towards `maxInstances` either, and a unit that leaned on them is open again.
 *
 * **Age.** That of K votes at most one comes from a key younger than the job holds "where older keys are connected",
 * which no set of facts tells. So the age class never voids a vote: it is an input to issuing (`preferOlder`), for which
 * the owner that draws the next key answers. Else facts valid on a grid of new keys would become void as older ones join.
 *
 * **Overturning.** A settled unit gets no further grants, so late votes come only from instances granted before. They
 * can end its majority, cancel an agreeing vote by contradicting it, or (`none`) bring a smaller report id. Then this
 * function says so, and clients that pinned the result report it; nothing flips because of who looks, or when.
 *
 * Cost: at most one small allocation for no vote, one vote, and two that agree; sorting otherwise.
 */
export function judge(votes: readonly Vote[], rules: VerdictRules, weights: Weights = STRANGERS): Judgement {
  if (votes.length === 0) return UNTOUCHED
  const { rulings } = rules
  if (rulings !== undefined) {
    const answer = rulings.answers.get(votes[0]!.unit)
    if (answer !== undefined) return judgeRuled(votes, answer, rules)
    const voided = new Set<PublicKey>()
    const counted = votes.filter((vote) => !isVoid(rulings, vote) || !voided.add(vote.donor))
    if (voided.size > 0) return { ...judgeVotes(counted, rules, weights), voided: voided.size }
  }
  return judgeVotes(votes, rules, weights)
}

function judgeVotes(votes: readonly Vote[], rules: VerdictRules, weights: Weights): Judgement {
  if (votes.length === 0) return UNTOUCHED
  const first = votes[0]!
  if (isDeterministic(first.outcome)) {
    const { policy } = rules
    if (policy.type === 'confidence') {
      if (votes.length > 1) return judgeAny(votes, rules, weights)
      const isBelieved = isEnough(weights.weight(first.donor), [], policy)
      return isBelieved ? settle(votes.slice(), 0, NO_VOTES, NO_EQUIVOCATIONS) : openAfterOne(first, rules)
    }
    if (votes.length === 1) {
      return rules.quorum === 1 ? settle(votes.slice(), 0, NO_VOTES, NO_EQUIVOCATIONS) : openAfterOne(first, rules)
    }
    const second = votes[1]!
    if (
      votes.length === 2 &&
      rules.quorum <= 2 &&
      first.donor !== second.donor &&
      first.digest === second.digest &&
      first.outcome === second.outcome &&
      (rules.minGrantors === 1 || first.grantor !== second.grantor)
    ) {
      const agreeing = compareVotes(first, second) < 0 ? [first, second] : [second, first]
      return settle(agreeing, 0, NO_VOTES, NO_EQUIVOCATIONS)
    }
  }
  return judgeAny(votes, rules, weights)
}

/** A unit whose answer a replay has proved. */
function judgeRuled(votes: readonly Vote[], answer: RuledAnswer, rules: VerdictRules): Judgement {
  const sorted = [...votes].sort(compareVotes)
  const hosts = new Set<PublicKey>()
  const donors = new Set<PublicKey>()
  const agreeing = new Map<PublicKey, Vote>()
  const conflicting: Vote[] = []
  const wrong = new Set<PublicKey>()
  const answers = new Set<string>()
  for (const vote of sorted) {
    if (vote.outcome === 'host') hosts.add(vote.worker)
    else donors.add(vote.donor)
    if (!isDeterministic(vote.outcome)) continue
    if (isSameAnswer(answer, vote)) {
      if (!agreeing.has(vote.donor)) agreeing.set(vote.donor, vote)
      continue
    }
    wrong.add(vote.donor)
    const name = `${vote.donor} ${answerOf(vote)}`
    if (!answers.has(name)) conflicting.push(vote)
    answers.add(name)
  }
  const ruled = { ruled: true as const, ...(wrong.size > 0 ? { voided: wrong.size } : {}) }
  if (agreeing.size > 0)
    return { ...settle([...agreeing.values()], hosts.size, conflicting, NO_EQUIVOCATIONS), ...ruled }
  const exhausted = donors.size >= 2 * rules.maxInstances
  return {
    state: exhausted ? 'disputed' : 'open',
    votes: 0,
    wanted: exhausted ? 0 : 1,
    spentGrantors: NO_GRANTORS,
    preferOlder: false,
    hostErrors: hosts.size,
    conflicting,
    equivocations: NO_EQUIVOCATIONS,
    ...ruled,
  }
}

/** One answer. */
interface Answer {
  /** The votes that count. */
  votes: Vote[]
  /** All votes by grantor, those over the cap included. */
  readonly byGrantor: Map<NodeId, number>
}

function judgeAny(votes: readonly Vote[], rules: VerdictRules, weights: Weights): Judgement {
  const sorted = [...votes].sort(compareVotes)
  const hosts = new Set<PublicKey>()
  const opinions = new Map<PublicKey, Opinion>()
  for (const vote of sorted) {
    if (vote.outcome === 'host') hosts.add(vote.worker)
    else hear(opinions, vote)
  }
  const equivocations = equivocationsOf(sorted, opinions)
  const valid = validVotes(sorted, opinions, rules)
  const answers = countVotes(valid, rules)
  const winner = winnerOf(valid, answers, rules, weights)
  if (winner) {
    const { outcome, digest } = winner[0]!
    const conflicting = valid.filter((vote) => vote.outcome !== outcome || vote.digest !== digest)
    return settle(winner, hosts.size, conflicting, equivocations)
  }

  const answersByGrantor = new Map<NodeId, number>()
  for (const opinion of opinions.values()) {
    const { grantor } = (opinion.vote ?? opinion.wall)!
    answersByGrantor.set(grantor, (answersByGrantor.get(grantor) ?? 0) + 1)
  }
  let answered = 0
  for (const count of answersByGrantor.values()) answered += Math.min(count, rules.grantorAnswersMax)
  const spentGrantors: NodeId[] = []
  for (const [grantor, count] of answersByGrantor) {
    if (count >= rules.grantorAnswersMax || isFull(grantor, answers, rules)) spentGrantors.push(grantor)
  }
  let counted = 0
  let preferOlder = false
  for (const answer of answers.values()) {
    counted += answer.votes.length
    preferOlder ||= answer.votes.some((vote) => vote.age === 'younger')
  }
  const exhausted = answered >= rules.maxInstances
  return {
    state: exhausted || answers.size > 1 ? 'disputed' : 'open',
    votes: counted,
    wanted: exhausted ? 0 : 1,
    spentGrantors: spentGrantors.sort(),
    preferOlder,
    hostErrors: hosts.size,
    conflicting: answers.size > 1 ? valid : NO_VOTES,
    equivocations,
  }
}

function countVotes(valid: readonly Vote[], rules: VerdictRules): Map<string, Answer> {
  const answers = new Map<string, Answer>()
  for (const vote of valid) {
    const key = answerOf(vote)
    const answer = answers.get(key) ?? { votes: [], byGrantor: new Map<NodeId, number>() }
    answers.set(key, answer)
    answer.byGrantor.set(vote.grantor, (answer.byGrantor.get(vote.grantor) ?? 0) + 1)
    answer.votes.push(vote)
  }
  for (const answer of answers.values()) {
    const most = countedOf(answer.byGrantor, rules)
    const given = new Map<NodeId, number>()
    answer.votes = answer.votes.filter(({ grantor }) => {
      const place = (given.get(grantor) ?? 0) + 1
      given.set(grantor, place)
      return place <= most
    })
  }
  return answers
}

function winnerOf(
  valid: readonly Vote[],
  answers: ReadonlyMap<string, Answer>,
  rules: VerdictRules,
  weights: Weights,
): readonly Vote[] | undefined {
  if (rules.policy.type === 'none') return valid[0] && answers.get(answerOf(valid[0]))?.votes
  const { policy } = rules
  if (policy.type === 'confidence' && valid[0] && isDeterministic(valid[0].outcome)) {
    const bits = (votes: readonly Vote[]) => votes.reduce((sum, { donor }) => sum + weights.weight(donor), 0)
    const weighed = [...answers.values()].map((answer) => ({ votes: answer.votes, bits: bits(answer.votes) }))
    return weighed.find(({ votes, bits }) => {
      const others = weighed.filter((other) => other.votes !== votes).map((other) => other.bits)
      return isEnough(bits, others, policy)
    })?.votes
  }
  let all = 0
  for (const answer of answers.values()) all += answer.votes.length
  for (const { votes, byGrantor } of answers.values()) {
    if (votes.length >= rules.quorum && 2 * votes.length > all && byGrantor.size >= rules.minGrantors) return votes
  }
  return undefined
}

/** Whether one more vote that `grantor` granted would not count for now, whichever of the known answers it gave. */
function isFull(grantor: NodeId, answers: ReadonlyMap<string, Answer>, rules: VerdictRules): boolean {
  for (const { byGrantor } of answers.values()) if (!isAhead(byGrantor, grantor, rules)) return false
  return answers.size > 0
}
