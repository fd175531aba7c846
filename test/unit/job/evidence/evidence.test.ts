import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type EvidenceContext, ShardEvidence, UNIT_VOTES_MAX } from '../../../../job/evidence/evidence.js'
import { applyOrders } from '../../../../job/facts/orders.js'
import { verdictRules } from '../../../../job/verdict/rules.js'
import type { Outcome, ReportFact } from '../../../../proto/model.js'
import { answerOf, contextWith, countingVerifier, digestOf, resultWith, specWith } from '../fixture.js'

function evidenceContext(changes: Parameters<typeof specWith>[0] = {}): EvidenceContext & {
  verifier: ReturnType<typeof countingVerifier>
} {
  const spec = specWith(changes)
  const verifier = countingVerifier()
  return { ...contextWith({ spec, verifier }), verifier, rules: verdictRules(spec, applyOrders(spec, [])) }
}

const right = (unit: number) => resultWith(unit)
const wrong = (unit: number) => resultWith(unit, { digest: digestOf('wrong') })
const claim = (unit: number, digest = digestOf(`right ${unit}`)) => ({ unit, outcome: 'done' as Outcome, digest })
const reasonOf = (checked: ReturnType<ShardEvidence['check']> | undefined) =>
  checked?.ok === false ? checked.reason : 'ok'

/** What facts prove of claims; void ones count for nothing. */
function check(context: EvidenceContext, facts: readonly ReportFact[], claims: readonly ReturnType<typeof claim>[]) {
  const evidence = new ShardEvidence(context)
  for (const fact of facts) evidence.add(fact)
  return claims.map((one) => evidence.check(one))
}

function evidenceOf(facts: readonly ReportFact[]): ShardEvidence {
  const evidence = new ShardEvidence(evidenceContext({ minGrantors: 2 }))
  for (const fact of facts) evidence.add(fact)
  return evidence
}

const settled = suite('what facts prove')

settled('proves what enough donors agree on', () => {
  const facts = [
    answerOf('worker 1', 'owner 1', [right(0), right(1)]),
    answerOf('worker 2', 'owner 2', [right(0), right(1)]),
  ]
  const checked = check(evidenceContext({ minGrantors: 2 }), facts, [claim(0), claim(1)])
  assert.ok(checked.every((unit) => unit.ok && unit.donors === 2 && unit.grantors === 2 && unit.outputBytes === 10))
})

settled('says why a claim is not proved', () => {
  const facts = [
    answerOf('worker 1', 'owner 1', [right(0), right(1), right(2)]),
    answerOf('worker 2', 'owner 1', [right(0), wrong(1)]),
  ]
  const checked = check(evidenceContext(), facts, [claim(0, digestOf('wrong')), claim(1), claim(2), claim(3)])
  assert.equal(checked.map(reasonOf), ['otherResult', 'disputed', 'open', 'noFacts'])
})

settled('a claim of another outcome is another result', () => {
  const facts = ['worker 1', 'worker 2'].map((worker) => answerOf(worker, 'owner 1', [right(0)]))
  assert.is(reasonOf(check(evidenceContext(), facts, [{ ...claim(0), outcome: 'trap' }])[0]), 'otherResult')
})

settled('an owner that grants to its own keys cannot prove a unit alone where two owners are needed', () => {
  const facts = Array.from({ length: 9 }, (_, i) => answerOf(`sybil ${i}`, 'owner 1', [wrong(0)]))
  const checked = check(evidenceContext({ minGrantors: 2 }), facts, [claim(0, digestOf('wrong'))])
  assert.is(reasonOf(checked[0]), 'open')
})

settled('void facts count for nothing', () => {
  const fact = answerOf('worker 1', 'owner 1', [right(0)])
  const forged: ReportFact = { ...fact, report: { ...fact.report, signature: new Uint8Array(64) } }
  const context = evidenceContext({ policy: { type: 'none' } })
  assert.is(reasonOf(check(context, [forged], [claim(0)])[0]), 'noFacts')
  assert.is(reasonOf(check(context, [fact], [claim(0)])[0]), 'ok')
})

settled.run()

const shard = suite('ShardEvidence')

shard('checks each report and grant once, however often facts come', () => {
  const context = evidenceContext()
  const evidence = new ShardEvidence(context)
  const fact = answerOf('worker 1', 'owner 1', [right(0), right(1)])
  assert.is(evidence.add(fact).type, 'kept')
  for (let i = 0; i < 5; i++) assert.is(evidence.add(fact).type, 'known')
  assert.equal([...context.verifier.calls].sort(), ['grant', 'report'])
})

shard('tells why a fact was refused', () => {
  const fact = answerOf('worker 1', 'owner 1', [right(0)])
  const reception = new ShardEvidence(evidenceContext()).add({ ...fact, grants: [] })
  assert.equal(reception, { type: 'refused', reason: 'unitNotGranted' })
})

shard('notices when facts that come later overturn a result', () => {
  const evidence = new ShardEvidence(evidenceContext())
  for (const worker of ['worker 1', 'worker 2']) evidence.add(answerOf(worker, 'owner 1', [right(0)]))
  assert.ok(evidence.check(claim(0)).ok)
  for (const worker of ['worker 3', 'worker 4']) evidence.add(answerOf(worker, 'owner 1', [wrong(0)]))
  assert.is(reasonOf(evidence.check(claim(0))), 'disputed')
})

shard('a flood of votes that one grantor made up leaves room for those of others, before it or after it', () => {
  const honest = [
    answerOf('worker 1', 'owner 2', [right(0)]),
    answerOf('worker 2', 'owner 3', [right(0)]),
    answerOf('worker 3', 'owner 2', [right(0)]),
  ]
  const flood = Array.from({ length: 200 }, (_, i) => answerOf(`sybil ${i}`, 'owner 1', [wrong(0)]))
  const prints = [
    [...honest, ...flood],
    [...flood, ...honest],
  ].map((facts) => {
    const evidence = evidenceOf(facts)
    assert.ok(evidence.check(claim(0)).ok)
    assert.is(evidence.votes(0).length, 64 + honest.length)
    return evidence
      .votes(0)
      .map(({ factId }) => factId)
      .sort()
  })
  assert.equal(prints[0], prints[1])
})

shard('so do floods that several made-up grantors have signed', () => {
  const honest = ['owner 2', 'owner 3'].map((owner, i) => answerOf(`worker ${i}`, owner, [right(0)]))
  const flood = Array.from({ length: 600 }, (_, i) => answerOf(`sybil ${i}`, `stranger ${i % 12}`, [wrong(0)]))
  const votes = evidenceOf([...flood, ...honest]).votes(0)
  assert.is(votes.length, UNIT_VOTES_MAX)
  assert.is(votes.filter(({ digest }) => digest === right(0).digest).length, 2)
})

shard.run()
