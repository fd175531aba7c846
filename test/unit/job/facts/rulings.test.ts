import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { applyOrders, checkOrder, type KnownOrder } from '../../../../job/facts/orders.js'
import { convictedBy, type Rulings } from '../../../../job/facts/rulings.js'
import { verdictRules } from '../../../../job/verdict/rules.js'
import { judge } from '../../../../job/verdict/verdict.js'
import { orderCodec } from '../../../../proto/codec/facts.js'
import type { Digest, NodeId, Order, PublicKey, Ruling } from '../../../../proto/model.js'
import { sha256 } from '../../../../runtime/hash.js'
import { countingVerifier, digestOf, jobId, keyOf, signAs, specWith, voteOf } from '../fixture.js'

const spec = specWith({ judges: [keyOf('judge')] })
const right = digestOf('right')
const wrong = digestOf('wrong')
const liars = ['liar 1', 'liar 2'] as unknown as PublicKey[]

function rulingOf(unit: number, changes: Partial<Ruling> = {}): Ruling {
  return { unit, outcome: 'done', digest: right, convicted: [], rightGrantors: [], wrongGrantors: [], ...changes }
}

function orderOf(seq: number, rulings: readonly Ruling[], judgeName = 'submitter'): KnownOrder {
  const body: Rulings = { type: 'rulings', judge: keyOf(judgeName), profile: 0, rulings }
  const order: Order = { jobId, seq, createdAtMs: 1_500, body }
  return { id: sha256(orderCodec.encode(order)), order }
}

const viewOf = (...orders: KnownOrder[]) => applyOrders(spec, orders).rulings!

const apply = suite('applyRulings')

apply('nothing is ruled before somebody rules', () => {
  assert.is(applyOrders(spec, []).rulings, undefined)
})

apply('a ruling gives the answer and puts the convicted out', () => {
  const view = viewOf(orderOf(1, [rulingOf(7, { convicted: liars })]))
  assert.equal(view.answers.get(7), { outcome: 'done', digest: right })
  assert.equal([...view.convicted], liars)
})

apply('two answers of one judge cancel out, with the convictions that hang on them', () => {
  const view = viewOf(orderOf(1, [rulingOf(7, { convicted: liars })]), orderOf(2, [rulingOf(7, { digest: wrong })]))
  assert.is(view.answers.size, 0)
  assert.is(view.convicted.size, 0)
})

apply('the submitter outranks a judge that says something else, and is joined by one that says the same', () => {
  const mine = orderOf(1, [rulingOf(7)])
  const other = orderOf(1, [rulingOf(7, { digest: wrong, convicted: liars })], 'judge')
  assert.is(viewOf(other).answers.get(7)?.digest, wrong)
  assert.is(viewOf(other, mine).answers.get(7)?.digest, right)
  assert.is(viewOf(other, mine).convicted.size, 0)
  const same = orderOf(1, [rulingOf(7, { convicted: liars })], 'judge')
  assert.is(viewOf(same, mine).convicted.size, 2)
})

const owner = 'ab'.repeat(20) as NodeId
const another = 'cd'.repeat(20) as NodeId

/** An order about units each with votes of one grantor, and as many right votes of another owner as it needs. */
function sampleOf(falseVotes: number, trueVotes: number, othersFalse = 0, othersTrue = 10): KnownOrder {
  let unit = 0
  const some = (count: number, changes: Partial<Ruling>) =>
    Array.from({ length: count }, () => rulingOf(unit++, changes))
  return orderOf(1, [
    ...some(falseVotes, { wrongGrantors: [owner] }),
    ...some(trueVotes, { rightGrantors: [owner] }),
    ...some(othersFalse, { wrongGrantors: [another] }),
    ...some(othersTrue, { rightGrantors: [another] }),
  ])
}

apply('a grantor is dismissed when most of ten sampled votes or more were false', () => {
  assert.is(viewOf(sampleOf(9, 0)).dismissed.size, 0, 'nine votes are too few')
  assert.equal([...viewOf(sampleOf(10, 0)).dismissed], [owner])
  assert.is(viewOf(sampleOf(10, 10)).dismissed.size, 0, 'half is not most')
  assert.is(viewOf(sampleOf(10, 9)).dismissed.size, 1)
})

apply(
  'a grantor is not dismissed for a ring that all owners meet, nor where nobody else is there to compare with',
  () => {
    assert.is(viewOf(sampleOf(12, 8, 8, 12)).dismissed.size, 0)
    assert.equal([...viewOf(sampleOf(20, 0, 8, 12)).dismissed], [owner])
    assert.is(viewOf(sampleOf(20, 0, 0, 9)).dismissed.size, 0)
  },
)

apply('a unit that two judges drew counts once in the sample', () => {
  const half = sampleOf(5, 0).order.body as Rulings
  const again = [orderOf(1, half.rulings), orderOf(2, half.rulings), orderOf(3, half.rulings, 'judge')]
  assert.is(viewOf(...again).dismissed.size, 0)
})

apply('of a flood only the first sixteen orders count, whichever came first', () => {
  const flood = Array.from({ length: 40 }, (_, i) => orderOf(i, [rulingOf(i)]))
  const view = viewOf(...flood.slice().reverse())
  assert.equal(
    [...view.answers.keys()].sort((a, b) => a - b),
    Array.from({ length: 16 }, (_, i) => i),
  )
})

apply.run()

const conviction = suite('convictedBy')
const answer = { outcome: 'done', digest: 'right' as Digest } as const

conviction('two donors that share a false answer are convicted with their workers', () => {
  const votes = [
    voteOf('a', 'false', { worker: 'machine' as PublicKey }),
    voteOf('b', 'false'),
    voteOf('c', 'right'),
    voteOf('d', 'other'),
    voteOf('e', 'host'),
  ]
  assert.equal(convictedBy(answer, votes), ['a', 'b', 'machine'])
})

conviction('one donor alone is not, however many machines it has', () => {
  const votes = [
    voteOf('a', 'false', { worker: 'm1' as PublicKey }),
    voteOf('a', 'false', { worker: 'm2' as PublicKey }),
  ]
  assert.equal(convictedBy(answer, votes), [])
})

conviction.run()

const checks = suite('checkOrder of rulings')

const context = {
  spec,
  jobId,
  sha256,
  verifier: countingVerifier(),
  decodeOrder: (bytes: Uint8Array) => orderCodec.decode(bytes),
}
const check = (signer: string, { order }: KnownOrder) => {
  const checked = checkOrder(signAs('order', keyOf(signer), orderCodec.encode(order)), context)
  return checked.ok ? 'ok' : checked.reason
}

checks('rulings of the submitter and of the judges of the spec count, those of others do not', () => {
  assert.is(check('submitter', orderOf(1, [rulingOf(0)])), 'ok')
  assert.is(check('judge', orderOf(1, [rulingOf(0)], 'judge')), 'ok')
  assert.is(check('stranger', orderOf(1, [rulingOf(0)], 'stranger')), 'notAJudge')
  assert.is(check('stranger', orderOf(1, [rulingOf(0)], 'judge')), 'badSignature')
  assert.is(check('judge', orderOf(1, [rulingOf(0)], 'submitter')), 'badSignature')
})

checks('a judge rules and does nothing else', () => {
  const cancel: KnownOrder = { id: right, order: { jobId, seq: 1, createdAtMs: 1, body: { type: 'cancel' } } }
  assert.is(check('judge', cancel), 'badSignature')
})

checks('units that do not exist, other sandbox rules and orders too long are refused', () => {
  assert.is(check('submitter', orderOf(1, [rulingOf(0), rulingOf(1_000)])), 'unitUnknown')
  const { order } = orderOf(1, [rulingOf(0)])
  const other = { ...order, body: { ...(order.body as Rulings), profile: 1 } }
  assert.is(check('submitter', { id: right, order: other }), 'otherProfile')
  const crowd = Array.from({ length: 10 }, (_, i) => keyOf(`${i}`)).sort()
  const long = orderOf(
    1,
    Array.from({ length: 64 }, (_, i) => rulingOf(i, { convicted: crowd })),
  )
  assert.is(check('submitter', long), 'rulingsTooLong')
})

checks.run()

const verdict = suite('judge with rulings')
const rulesOf = (...orders: KnownOrder[]) => verdictRules(spec, applyOrders(spec, orders))
const names = (key: string) => key as PublicKey

verdict('a false result with its quorum gives way to the ruled answer, which one vote settles', () => {
  const votes = [voteOf('a', wrong), voteOf('b', wrong)]
  assert.is(judge(votes, rulesOf()).state, 'accepted')
  const rules = rulesOf(orderOf(1, [rulingOf(0, { convicted: [names('a'), names('b')] })]))
  const open = judge(votes, rules)
  assert.is(open.state, 'open')
  assert.is(open.ruled, true)
  assert.is(open.voided, 2)
  const settled = judge([...votes, voteOf('c', right)], rules)
  assert.ok(settled.state === 'accepted' && settled.digest === right && settled.agreeing.length === 1)
})

verdict('what leaned on a convicted key is open again', () => {
  const votes = [voteOf('a', right), voteOf('b', right)].map((vote) => ({ ...vote, unit: 5 }))
  const judgement = judge(votes, rulesOf(orderOf(1, [rulingOf(0, { convicted: [names('a'), names('z')] })])))
  assert.ok(judgement.state === 'open' && judgement.votes === 1 && judgement.wanted === 1 && judgement.voided === 1)
})

verdict('void votes use up no instances: a unit that convicts had filled can still be settled', () => {
  const crowd = Array.from({ length: 10 }, (_, i) => voteOf(`s${i}`, `answer ${i}`)).map((vote) => ({
    ...vote,
    unit: 5,
  }))
  assert.is((judge(crowd, rulesOf()) as { wanted: number }).wanted, 0)
  const convicted = crowd.map(({ donor }) => donor).sort()
  const judgement = judge(crowd, rulesOf(orderOf(1, [rulingOf(0, { convicted })])))
  assert.ok(judgement.state === 'open' && judgement.wanted === 1)
})

verdict('a unit whose ruled answer nobody gives ends as disputed', () => {
  const crowd = Array.from({ length: 20 }, (_, i) => voteOf(`s${i}`, wrong))
  const rules = rulesOf(orderOf(1, [rulingOf(0)]))
  assert.is(judge(crowd.slice(0, 19), rules).state, 'open')
  assert.is(judge(crowd, rules).state, 'disputed')
})

verdict.run()
