import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type EvidenceContext, FACTS_PER_UNIT_MAX, ShardEvidence, UNIT_VOTES_MAX } from '../../../job/evidence.js'
import { applyOrders } from '../../../job/orders.js'
import { verdictRules } from '../../../job/verdict.js'
import type { Outcome, ReportFact } from '../../../proto/model.js'
import { answerOf, contextWith, countingVerifier, digestOf, resultWith, specWith } from './fixture.js'

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

shard('a flood of valid facts about one unit is cut off and keeps what came before', () => {
  const evidence = new ShardEvidence(evidenceContext())
  const add = (i: number) => evidence.add(answerOf(`sybil ${i}`, 'owner 1', [right(0)]))
  for (let i = 0; i < UNIT_VOTES_MAX; i++) assert.is(add(i).type, 'kept')
  assert.equal(add(UNIT_VOTES_MAX), { type: 'refused', reason: 'tooManyVotes' })
  const checked = evidence.check(claim(0))
  assert.ok(checked.ok && checked.donors === UNIT_VOTES_MAX)
})

shard('the facts of a shard are bounded', () => {
  const evidence = new ShardEvidence(evidenceContext({ shardUnits: 16 }))
  let refused = 0
  for (let i = 0; i <= 16 * FACTS_PER_UNIT_MAX; i++) {
    const reception = evidence.add(answerOf(`worker ${i}`, 'owner 1', [right(i % 16)]))
    if (reception.type === 'refused') refused++
  }
  assert.is(refused, 1)
})

shard.run()
