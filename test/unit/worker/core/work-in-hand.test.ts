import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { JOB, jobNamed, linkedWorker, ownerNamed } from '../../../support/cores/worker-bench.js'

const work = suite('Work in hand')

work('is computed as granted', () => {
  const bench = linkedWorker()
  bench.grant('x', 3, 2)
  assert.equal(bench.log.one('compute').units, [3, 4])
  assert.is(bench.core.heldCount, 2)
  bench.done()
})

work('granted a second time is not started a second time, before its report is settled', () => {
  const bench = linkedWorker()
  bench.grant('x', 0, 2)
  bench.log.one('compute')
  bench.grant('x', 0, 3)
  assert.equal(bench.log.one('compute').units, [2])
  bench.compute(0)
  bench.grant('x', 0)
  bench.advance(20)
  bench.grant('x', 0)
  bench.journal()
  bench.grant('x', 0)
  assert.equal(bench.log.take('compute'), [])
  bench.log.one('offerReport')
  bench.done()
})

work('that this host failed may be tried again', () => {
  const bench = linkedWorker()
  bench.grant('x', 0)
  bench.compute(0, 1, { outcome: 'host' })
  const [reportId] = bench.journal()
  assert.is(bench.log.take('compute').length, 1)
  bench.grant('x', 0)
  assert.equal(bench.log.one('compute').units, [0])
  bench.log.one('offerReport')
  bench.handle({ type: 'reportsTaken', owner: ownerNamed('x'), reportIds: [reportId!] })
  assert.is(bench.log.one('dropReport').reportId, reportId)
  assert.is(bench.log.one('forgetReport').reportId, reportId, 'it answers nothing')
  bench.done()
})

work('withdrawn is aborted; only the owner that granted it can withdraw it', () => {
  const bench = linkedWorker()
  bench.link('y')
  bench.grant('x', 0, 3)
  bench.log.one('compute')
  bench.handle({ type: 'withdrawn', owner: ownerNamed('y'), jobId: JOB, units: [0], wholeJob: true })
  assert.is(bench.core.heldCount, 3)
  bench.handle({ type: 'withdrawn', owner: ownerNamed('x'), jobId: JOB, units: [1, 77], wholeJob: false })
  assert.equal(bench.log.one('abort').units, [1])
  bench.handle({ type: 'withdrawn', owner: ownerNamed('x'), jobId: JOB, units: [], wholeJob: true })
  assert.equal(bench.log.one('abort').units, [0, 2])
  assert.is(bench.core.heldCount, 0)
  bench.done()
})

work('of a withdrawn unit that finishes all the same is not reported', () => {
  const bench = linkedWorker()
  bench.grant('x', 0)
  bench.handle({ type: 'withdrawn', owner: ownerNamed('x'), jobId: JOB, units: [0], wholeJob: false })
  bench.compute(0)
  bench.advance(1_000)
  bench.log.one('compute')
  bench.log.one('abort')
  bench.done()
})

work('of a job that cannot be computed here is handed back', () => {
  const bench = linkedWorker()
  bench.grant('x', 0, 2)
  bench.grant('x', 5, 1, { jobId: jobNamed('other') })
  bench.log.take('compute')
  bench.handle({ type: 'jobFailed', jobId: JOB, reason: 'an input is missing' })
  const back = bench.log.one('sendHandBack')
  assert.equal([back.units, back.reason], [[0, 1], 'an input is missing'])
  assert.equal(bench.log.one('abort').units, [0, 1])
  assert.is(bench.core.heldCount, 1)
  bench.done()
})

work('far beyond what was asked for goes back, so that no owner takes all the room', () => {
  const bench = linkedWorker()
  for (let i = 0; i < 5; i++) bench.grant('x', i * 16_384, 16_384)
  const held = bench.core.heldCount
  assert.ok(held >= 1_024 && held < 2_048, `${held} are held`)
  const back = bench.log.take('sendHandBack').reduce((sum, { units }) => sum + units.length, 0)
  assert.is(back, 5 * 16_384 - held)
  bench.log.take('compute')
  bench.done()
})

work('that was asked for a moment ago is taken, though units take longer meanwhile', () => {
  const bench = linkedWorker()
  bench.grant('x', 0, 1_000)
  bench.compute(0, 1_000, { wallMs: 0.4 })
  bench.grant('x', 1_000)
  bench.compute(1_000, 1, { wallMs: 600_000 })
  // A thousand were wanted before that, and one is now.
  bench.grant('x', 2_000, 2_000)
  assert.equal(bench.log.take('sendHandBack'), [])
  assert.is(bench.core.heldCount, 2_000)
  bench.log.drain()
})

work('goes on while the link is broken, and its tickets are shown on the next', () => {
  const bench = linkedWorker()
  const first = bench.grant('x', 0, 2)
  const second = bench.grant('x', 2)
  bench.handle({ type: 'linkClosed', owner: ownerNamed('x'), lasting: false })
  assert.equal(bench.core.tickets(10), [first, second])
  assert.equal(bench.core.tickets(1), [first])
  bench.compute(2)
  assert.equal(bench.core.tickets(10), [first])
  assert.equal(bench.log.take('abort'), [])
  bench.log.drain()
})

work.run()
