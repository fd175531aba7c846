import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Digest } from '../../../../proto/model.js'
import { PAST_BYTES_MAX } from '../../../../worker/core/past-reports.js'
import { linkedWorker, ownerNamed, type WorkerBench } from '../../../support/cores/worker-bench.js'

const past = suite('A unit that is settled')

/** One owner has settled units 0 and 1, and another owner is there. */
function settledAt(name: string): { bench: WorkerBench; reportId: Digest } {
  const bench = linkedWorker()
  bench.link('y')
  bench.grant(name, 0, 2)
  bench.log.one('compute')
  bench.compute(0, 2)
  const [reportId] = bench.journal()
  bench.log.one('offerReport')
  bench.settle(name, 0, 1)
  bench.log.one('dropReport')
  return { bench, reportId: reportId! }
}

past('granted by an owner that does not know yet that it is settled is answered again, and not computed', () => {
  const { bench, reportId } = settledAt('x')
  bench.grant('y', 0, 3)
  assert.equal(bench.log.one('compute').units, [2])
  assert.is(bench.log.one('recallReport').reportId, reportId)
  const offer = bench.log.one('offerReport')
  assert.equal([offer.owner, offer.reportId], [ownerNamed('y'), reportId])
  assert.is(bench.core.unsettledCount, 1)
  bench.settle('y', 0, 1)
  assert.is(bench.log.one('dropReport').reportId, reportId)
  bench.done()
})

past('granted again while others of its report are not settled is answered again, and not computed', () => {
  const bench = linkedWorker()
  bench.link('y')
  bench.grant('x', 0, 3)
  bench.log.one('compute')
  bench.compute(0, 3)
  const [reportId] = bench.journal()
  bench.log.one('offerReport')
  bench.settle('x', 0, 1)
  bench.grant('y', 0, 2)
  const offer = bench.log.one('offerReport')
  assert.equal([offer.owner, offer.reportId], [ownerNamed('y'), reportId])
  bench.settle('y', 2)
  assert.equal(bench.log.take('dropReport'), [], 'it is still for the owner that has it first')
  bench.log.ignore('sendHeartbeat')
  bench.advance(10_000)
  bench.grant('y', 1)
  assert.equal(bench.log.one('compute').units, [1])
  bench.settle('x', 2)
  bench.log.one('dropReport')
  bench.done()
})

past('that an owner asks for although it was given the answer again is computed', () => {
  const { bench } = settledAt('x')
  bench.log.ignore('sendHeartbeat')
  bench.grant('y', 0)
  bench.settle('y', 0, 1)
  bench.log.drain()
  bench.grant('y', 1)
  assert.equal(bench.log.take('compute'), [], 'it was granted before the answer came')
  bench.advance(10_000)
  bench.grant('y', 0)
  assert.equal(bench.log.one('compute').units, [0])
  bench.done()
})

past('answered so long ago that its report takes too much room is computed again', () => {
  const bench = linkedWorker()
  bench.link('y')
  bench.reportBytes = PAST_BYTES_MAX / 4
  const forgotten: Digest[] = []
  const reportIds: Digest[] = []
  for (let unit = 0; unit < 6; unit++) {
    bench.grant('x', unit)
    bench.compute(unit)
    reportIds.push(...bench.journal())
    bench.settle('x', unit)
    forgotten.push(...bench.log.take('forgetReport').map(({ reportId }) => reportId))
  }
  assert.equal(forgotten, reportIds.slice(0, 2))
  bench.log.drain()
  bench.grant('y', 0, 6)
  assert.equal(bench.log.one('compute').units, [0, 1])
  assert.is(bench.log.take('recallReport').length, 4)
  assert.is(bench.log.take('offerReport').length, 4)
  bench.done()
})

past.run()
