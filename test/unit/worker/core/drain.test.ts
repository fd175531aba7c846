import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Digest } from '../../../../proto/model.js'
import { JOB, linkedWorker, ownerNamed, reportedWorker, WorkerBench } from '../../../support/cores/worker-bench.js'

const MINUTE_MS = 60_000

const drains = suite('A draining worker')

drains('asks for nothing more, finishes what is in hand, and is done when its reports are taken', () => {
  const bench = new WorkerBench({ threads: 2 })
  bench.link('x')
  bench.wants()
  bench.grant('x', 0, 2)
  bench.log.one('compute')
  bench.handle({ type: 'drained', atOnce: false })
  assert.equal(bench.wants(), { [ownerNamed('x')]: 0 })
  bench.compute(0, 2)
  const [reportId] = bench.journal()
  bench.log.one('offerReport')
  assert.equal(bench.log.take('finished'), [], 'nobody has it yet')
  bench.handle({ type: 'reportsTaken', owner: ownerNamed('x'), reportIds: [reportId!] })
  bench.log.one('finished')
  bench.advance(MINUTE_MS)
  bench.log.take('sendHeartbeat')
  assert.equal(bench.log.take('finished'), [], 'says so once')
})

drains('waits for a report on its way to the journal, whatever the journal held at the start', () => {
  const bench = new WorkerBench({ threads: 1 })
  const old = { reportId: 'a'.repeat(64) as Digest, jobId: JOB, shard: 0, units: [3], large: [], bytes: 0 }
  bench.handle({ type: 'reportKept', report: old, owner: undefined })
  bench.link('x')
  bench.wants()
  bench.grant('x', 0)
  bench.log.one('compute')
  bench.handle({ type: 'drained', atOnce: false })
  bench.wants()
  bench.compute(0, 1)
  assert.equal(bench.log.take('finished'), [], 'the report is not on disk yet')
  bench.log.drain()
})

drains('hands back what it is granted after that', () => {
  const bench = linkedWorker()
  bench.grant('x', 7)
  bench.log.one('compute')
  bench.handle({ type: 'drained', atOnce: false })
  bench.grant('x', 0, 2)
  assert.equal(bench.log.one('sendHandBack').units, [0, 1])
  bench.log.one('abort')
  assert.equal(bench.log.take('compute'), [])
  bench.done()
})

drains('at once hands everything back', () => {
  const bench = linkedWorker()
  bench.grant('x', 0, 3)
  bench.log.one('compute')
  bench.handle({ type: 'drained', atOnce: true })
  assert.equal(bench.log.one('sendHandBack').units, [0, 1, 2])
  assert.equal(bench.log.one('abort').units, [0, 1, 2])
  bench.log.one('finished')
  bench.done()
})

drains('leaves what no owner can take now to the journal', () => {
  const { bench } = reportedWorker()
  bench.log.ignore('openLink', 'findOwners')
  bench.handle({ type: 'linkClosed', owner: ownerNamed('x'), lasting: false })
  bench.handle({ type: 'drained', atOnce: false })
  bench.log.one('finished')
  bench.done()
})

drains('waits a while for large outputs to be fetched, because they are on no disk', () => {
  const bench = linkedWorker()
  bench.grant('x', 0)
  bench.log.one('compute')
  bench.compute(0, 1, { outputBytes: 1_000_000 })
  const [reportId] = bench.journal()
  bench.log.one('offerReport')
  bench.handle({ type: 'reportsTaken', owner: ownerNamed('x'), reportIds: [reportId!] })
  bench.handle({ type: 'drained', atOnce: false })
  bench.advance(30_000)
  assert.equal(bench.log.take('finished'), [])
  bench.settle('x', 0)
  bench.log.one('dropReport')
  bench.log.one('finished')
  bench.done()
})

drains.run()
