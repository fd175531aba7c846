import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Vote } from '../../../../job/facts/votes.js'
import { agrees, type Judgement } from '../../../../job/verdict/judgement.js'
import { verdictRules } from '../../../../job/verdict/rules.js'
import { judge } from '../../../../job/verdict/verdict.js'
import type { Digest, NodeId, PublicKey } from '../../../../proto/model.js'
import { rulesWith, specWith, voteOf } from '../fixture.js'

/** Whether a further opinion is wanted, and of this owner's grants. */
const mayGrant = (judgement: Judgement, grantor: NodeId) =>
  'wanted' in judgement && judgement.wanted === 1 && !judgement.spentGrantors.includes(grantor)

const g1 = { grantor: 'g1' as NodeId }
const g2 = { grantor: 'g2' as NodeId }
const g3 = { grantor: 'g3' as NodeId }

function stateOf(judgement: Judgement): string {
  const winner = 'digest' in judgement ? ` ${judgement.outcome} ${judgement.digest}` : ` wanted ${judgement.wanted}`
  return judgement.state + winner
}

const quorum = suite('judge: quorum')

quorum('a unit without votes is open and wants one opinion', () => {
  assert.is(stateOf(judge([], rulesWith(2))), 'open wanted 1')
  assert.is(judge([], rulesWith(2)), judge([], rulesWith(3)), 'no allocation for untouched units')
})

quorum('one vote of two asks for one more, two that agree settle', () => {
  const first = voteOf('a', 'x')
  assert.is(stateOf(judge([first], rulesWith(2))), 'open wanted 1')
  const judgement = judge([first, voteOf('b', 'x')], rulesWith(2))
  assert.is(stateOf(judgement), 'accepted done x')
  assert.ok(judgement.state === 'accepted' && judgement.agreeing.length === 2 && judgement.fuel === 5n)
})

quorum('votes come out ascending by report id whatever order they went in', () => {
  const [a, b] = [voteOf('a', 'x'), voteOf('b', 'x')]
  assert.equal(judge([b, a], rulesWith(2)), judge([a, b], rulesWith(2)))
})

quorum('opinions are asked for serially, also for larger quorums', () => {
  assert.is(stateOf(judge([voteOf('a', 'x'), voteOf('b', 'x')], rulesWith(5))), 'open wanted 1')
})

quorum('differing votes are disputed until one answer has a strict majority', () => {
  const votes = [voteOf('a', 'x'), voteOf('b', 'y')]
  const disputed = judge(votes, rulesWith(2))
  assert.is(stateOf(disputed), 'disputed wanted 1')
  assert.is(disputed.conflicting.length, 2)
  const settled = judge([...votes, voteOf('c', 'x')], rulesWith(2))
  assert.is(stateOf(settled), 'accepted done x')
  assert.equal(settled.conflicting, [votes[1]!])
})

quorum('half of the votes is no majority', () => {
  const votes = [voteOf('a', 'x'), voteOf('b', 'y'), voteOf('c', 'z'), voteOf('d', 'x')]
  assert.is(stateOf(judge(votes, rulesWith(2))), 'disputed wanted 1')
  assert.is(stateOf(judge([...votes, voteOf('e', 'x')], rulesWith(2))), 'accepted done x')
})

quorum('with one grantor enough, three honest votes outnumber two lone wrong ones of a quorum of two', () => {
  const rules = verdictRules(specWith({ minGrantors: 1 }))
  const votes = ['x', 'y', 'z', 'x', 'x'].map((answer, i) => voteOf(`donor ${i}`, answer))
  assert.is(stateOf(judge(votes, rules)), 'accepted done x')
})

quorum('an undecided unit is left disputed once maxInstances donors have answered', () => {
  const votes = ['p', 'q', 'r', 's'].map((answer) => voteOf(answer, answer))
  assert.is(stateOf(judge(votes, rulesWith(2, 1, 5))), 'disputed wanted 1')
  assert.is(stateOf(judge(votes, rulesWith(2, 1, 4))), 'disputed wanted 0')
})

quorum('host failures and repetitions are no answered instances', () => {
  const votes = [voteOf('a', 'x'), voteOf('a', 'x'), voteOf('b', 'host'), voteOf('c', 'host'), voteOf('d', 'y')]
  assert.is(stateOf(judge(votes, rulesWith(2, 1, 3))), 'disputed wanted 1')
})

quorum('the same digest with another outcome is another answer', () => {
  const votes = [voteOf('a', 'x'), voteOf('b', 'x', { outcome: 'trap' })]
  assert.is(judge(votes, rulesWith(2)).state, 'disputed')
})

quorum('a late vote may end a majority, and the judgement says so', () => {
  const votes = [voteOf('a', 'x'), voteOf('b', 'x'), voteOf('c', 'y')]
  assert.is(judge(votes, rulesWith(2)).state, 'accepted')
  assert.is(judge([...votes, voteOf('d', 'y')], rulesWith(2)).state, 'disputed')
})

quorum('one of two voters cannot exaggerate size and fuel', () => {
  const judgement = judge([voteOf('a', 'x', { outputBytes: 999, fuel: 999n }), voteOf('b', 'x')], rulesWith(2))
  assert.ok(judgement.state === 'accepted')
  assert.is(judgement.outputBytes, 10)
  assert.is(judgement.fuel, 5n)
})

quorum('judges tens of thousands of simple units in well under a second', () => {
  const rules = rulesWith(2)
  const two = [voteOf('a', 'x'), voteOf('b', 'x')]
  const one = [two[0]!]
  const startedAt = process.hrtime.bigint()
  let settled = 0
  for (let i = 0; i < 200_000; i++) {
    if (judge(two, rules).state === 'accepted') settled++
    if (judge(one, rules).state === 'accepted') settled++
  }
  const tookMs = Number(process.hrtime.bigint() - startedAt) / 1e6
  assert.is(settled, 200_000)
  assert.ok(tookMs < 2_000, `400,000 judgements took ${tookMs} ms`)
})

quorum.run()

const donors = suite('judge: one donor, one vote')

donors('two machines of one donor that agree are one vote, the one with the smaller report id', () => {
  const small = voteOf('a', 'x', { worker: 'w1' as PublicKey })
  const large = voteOf('a', 'x', { worker: 'w2' as PublicKey })
  assert.is(stateOf(judge([large, small], rulesWith(2))), 'open wanted 1')
  const judgement = judge([large, small, voteOf('b', 'x')], rulesWith(2))
  assert.ok(judgement.state === 'accepted')
  assert.is(judgement.agreeing[0], small)
})

donors('two answers of one key cancel out and are kept as proof', () => {
  const [first, second] = [voteOf('a', 'x'), voteOf('a', 'y')]
  const judgement = judge([second, voteOf('b', 'x'), first], rulesWith(2))
  assert.is(stateOf(judgement), 'open wanted 1')
  assert.equal(judgement.equivocations, [{ donor: 'a', first, second, sameKey: true }])
})

donors('two machines of one donor that differ cancel out, and that is no proof against a key', () => {
  const votes = [voteOf('a', 'x', { worker: 'w1' as PublicKey }), voteOf('a', 'y', { worker: 'w2' as PublicKey })]
  const judgement = judge(votes, rulesWith(1))
  assert.is(stateOf(judgement), 'open wanted 1')
  assert.is(judgement.equivocations[0]?.sameKey, false)
})

donors('of three votes of one donor the pair of one key is the proof', () => {
  const votes = [
    voteOf('a', 'x', { worker: 'w1' as PublicKey }),
    voteOf('a', 'y', { worker: 'w2' as PublicKey }),
    voteOf('a', 'x', { worker: 'w2' as PublicKey }),
  ]
  const [proof] = judge(votes, rulesWith(2)).equivocations
  assert.ok(proof?.sameKey)
  assert.equal([proof.first, proof.second], [votes[1], votes[2]])
})

donors('a key that answers after it ran over the wall limit does not contradict itself', () => {
  const judgement = judge([voteOf('a', 'wall'), voteOf('a', 'x'), voteOf('b', 'x')], rulesWith(2))
  assert.is(stateOf(judgement), 'accepted done x')
})

donors.run()

const failures = suite('judge: failures')

failures('a deterministic failure needs the same quorum as success', () => {
  const trap = { outcome: 'trap' } as const
  assert.is(judge([voteOf('a', 'x', trap)], rulesWith(2)).state, 'open')
  assert.is(stateOf(judge([voteOf('a', 'x', trap), voteOf('b', 'x', trap)], rulesWith(2))), 'failed trap x')
})

failures('host failures never fail a unit; different hosts are counted', () => {
  const votes = [...'abcdefgh'].map((donor) => voteOf(donor, 'host'))
  const judgement = judge([...votes, voteOf('a', 'host')], rulesWith(2))
  assert.is(stateOf(judgement), 'open wanted 1')
  assert.is(judgement.hostErrors, 8)
})

failures('a quorum over the wall limit and no other vote fails the unit as too slow', () => {
  const votes = [voteOf('a', 'wall'), voteOf('b', 'wall')]
  assert.is(judge(votes.slice(0, 1), rulesWith(2)).state, 'open')
  assert.is(judge(votes, rulesWith(2)).state, 'failed')
  assert.is(judge([...votes, voteOf('c', 'host')], rulesWith(2)).state, 'failed')
})

failures('one answer in time beats any number of slow ones, and slow ones do not count against it', () => {
  const slow = ['a', 'b', 'c'].map((donor) => voteOf(donor, 'wall'))
  assert.is(stateOf(judge([...slow, voteOf('d', 'x')], rulesWith(2))), 'open wanted 1')
  assert.is(stateOf(judge([...slow, voteOf('d', 'x'), voteOf('e', 'x')], rulesWith(2))), 'accepted done x')
})

failures('one donor on many machines over the limit does not fail a unit', () => {
  const votes = ['w1', 'w2', 'w3'].map((worker) => voteOf('a', 'wall', { worker: worker as PublicKey }))
  assert.is(judge(votes, rulesWith(2)).state, 'open')
})

failures.run()

const grantors = suite('judge: grantors')

grantors('votes of one grantor alone do not settle where two are needed', () => {
  const judgement = judge([voteOf('a', 'x', g1), voteOf('b', 'x', g1)], rulesWith(2, 2))
  assert.is(stateOf(judgement), 'open wanted 1')
  assert.is(stateOf(judge([voteOf('a', 'x', g1), voteOf('b', 'x', g2)], rulesWith(2, 2))), 'accepted done x')
})

grantors('one lying owner with nine forged votes neither settles a unit nor holds up the honest', () => {
  const forged = Array.from({ length: 9 }, (_, i) => voteOf(`sybil ${i}`, 'false', g1))
  const rules = rulesWith(2, 2)
  assert.is(stateOf(judge(forged, rules)), 'open wanted 1')
  const honest = [voteOf('a', 'x', g2), voteOf('b', 'x', g3)]
  assert.is(stateOf(judge([...forged, honest[0]!], rules)), 'disputed wanted 1')
  assert.is(stateOf(judge([...forged, ...honest], rules)), 'accepted done x')
})

grantors(
  'the cap takes the flood out of the majority: with one accomplice elsewhere it is still one vote a grantor',
  () => {
    // Without the cap 9 forged votes and one ring vote through an honest owner would outnumber any honest answer.
    const forged = Array.from({ length: 9 }, (_, i) => voteOf(`sybil ${i}`, 'false', g1))
    const votes = [...forged, voteOf('a', 'x', g2), voteOf('b', 'x', g3), voteOf('ring', 'false', g2)]
    const judgement = judge(votes, rulesWith(2, 2))
    assert.is(stateOf(judgement), 'disputed wanted 1')
    assert.ok(judgement.state === 'disputed' && judgement.votes === 4)
  },
)

grantors('of one grantor and answer the votes with the smallest report ids count', () => {
  const [kept, dropped, other] = [voteOf('a', 'x', g1), voteOf('b', 'x', g1), voteOf('c', 'x', g2)]
  const judgement = judge([dropped, other, kept], rulesWith(2, 2))
  assert.ok(judgement.state === 'accepted')
  assert.equal(judgement.agreeing, [kept, other])
  assert.ok(agrees(judgement, dropped), 'its donor is credited all the same')
})

grantors('a quorum of three under two grantors takes two votes of one', () => {
  const votes = [voteOf('a', 'x', g1), voteOf('b', 'x', g1), voteOf('c', 'x', g1)]
  assert.is(judge(votes, rulesWith(3, 2)).state, 'open')
  assert.is(judge([...votes, voteOf('d', 'x', g2)], rulesWith(3, 2)).state, 'accepted')
})

grantors('an owner whose further vote would be dropped is not wanted, another is', () => {
  const judgement = judge([voteOf('a', 'x', g1)], rulesWith(2, 2))
  assert.is(mayGrant(judgement, g1.grantor), false)
  assert.is(mayGrant(judgement, g2.grantor), true)
  const disputed = judge([voteOf('a', 'x', g1), voteOf('b', 'y', g2)], rulesWith(2, 2))
  assert.is(mayGrant(disputed, g1.grantor), true, 'it may still give the second vote for y')
})

grantors('answers of one grantor end no unit as disputed: its share of maxInstances is bounded', () => {
  const flood = Array.from({ length: 30 }, (_, i) => voteOf(`sybil ${i}`, `answer ${i}`, g1))
  const judgement = judge(flood, rulesWith(2, 2, 10))
  assert.is(stateOf(judgement), 'disputed wanted 1')
  assert.is(mayGrant(judgement, g1.grantor), false)
  assert.is(mayGrant(judgement, g2.grantor), true)
})

grantors('a settled unit wants nothing of anybody', () => {
  assert.is(mayGrant(judge([voteOf('a', 'x')], rulesWith(1)), g1.grantor), false)
})

grantors.run()

const none = suite('judge: none, age and rules')

none('without verification the first vote is the result', () => {
  const rules = verdictRules(specWith({ policy: { type: 'none' }, minGrantors: 2 }))
  assert.is(stateOf(judge([voteOf('a', 'x')], rules)), 'accepted done x')
  assert.is(stateOf(judge([voteOf('a', 'x', { outcome: 'exit' })], rules)), 'failed exit x')
  assert.is(judge([voteOf('a', 'wall')], rules).state, 'failed')
  assert.is(judge([voteOf('a', 'host')], rules).state, 'open')
})

none('of two results without verification the smaller report id wins', () => {
  const rules = verdictRules(specWith({ policy: { type: 'none' } }))
  const votes: Vote[] = [voteOf('a', 'x'), voteOf('b', 'y')]
  assert.is(stateOf(judge(votes.reverse(), rules)), 'accepted done x')
})

none('an answer that owners keep hearing outgrows any number of others, each of its own', () => {
  const granted = (donor: string, answer: string, grantor: string) =>
    voteOf(donor, answer, { grantor: grantor as NodeId })
  const votes = [granted('p', 'x', 'g1'), granted('q', 'y', 'g2'), granted('r', 'z', 'g3')]
  for (const grantor of ['g1', 'g2', 'g3']) votes.push(granted(`a ${grantor}`, 'right', grantor))
  assert.is(judge(votes, rulesWith(2, 2)).state, 'disputed', 'three against three')
  votes.push(granted('b', 'right', 'g1'))
  assert.is(stateOf(judge(votes, rulesWith(2, 2))), 'accepted done right')
})

none('forged votes of one owner count for no more than what others say', () => {
  const granted = (donor: string, answer: string, grantor: string) =>
    voteOf(donor, answer, { grantor: grantor as NodeId })
  const votes = Array.from({ length: 9 }, (_, i) => granted(`made up ${i}`, 'y', 'g1'))
  const alone = judge(votes, rulesWith(2, 2))
  assert.ok(alone.state === 'open' && alone.votes === 1)
  votes.push(granted('a', 'right', 'g2'), granted('b', 'right', 'g3'))
  assert.is(stateOf(judge(votes, rulesWith(2, 2))), 'accepted done right')
})

none('the age of a key voids no vote but steers whom to ask next', () => {
  const young = voteOf('a', 'x', { age: 'younger' })
  const open = judge([young], rulesWith(2))
  assert.ok(open.state === 'open' && open.preferOlder)
  assert.is(judge([young, voteOf('b', 'x', { age: 'younger' })], rulesWith(2)).state, 'accepted')
  const older = judge([voteOf('a', 'x')], rulesWith(2))
  assert.ok(older.state === 'open' && !older.preferOlder)
})

none('rules keep what a quorum can reach', () => {
  const rules = verdictRules(specWith({ policy: { type: 'quorum', quorum: 3 }, minGrantors: 2, maxInstances: 1 }))
  assert.equal([rules.quorum, rules.minGrantors, rules.grantorVotesMax, rules.maxInstances], [3, 2, 2, 3])
  assert.is(verdictRules(specWith({ policy: { type: 'quorum', quorum: 1 }, minGrantors: 2 })).minGrantors, 1)
})

none('the digest of an unsettled unit agrees with nothing', () => {
  assert.not(agrees(judge([voteOf('a', 'x')], rulesWith(2)), { outcome: 'done', digest: 'x' as Digest }))
})

none.run()
