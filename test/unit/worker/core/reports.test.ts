import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Digest } from '../../../../proto/model.js'
import {
  endpointOf,
  JOB,
  linkedWorker,
  ownerNamed,
  reportedWorker,
  WorkerBench,
} from '../../../support/cores/worker-bench.js'

const MINUTE_MS = 60_000

/** A link to y opens, the report is offered there, and its unit settled. */
function settledAtY(bench: WorkerBench, reportId: Digest): void {
  bench.handle({ type: 'linkOpened', owner: ownerNamed('y') })
  const offer = bench.log.one('offerReport')
  assert.equal([offer.owner, offer.reportId], [ownerNamed('y'), reportId])
  bench.settle('y', 0)
  bench.log.one('dropReport')
  bench.done()
}

const reports = suite('Reports of a worker')

reports('hold up to 64 units, and leave at once when they are full', () => {
  const bench = linkedWorker()
  bench.grant('x', 0, 130)
  bench.log.one('compute')
  bench.compute(0, 130)
  const sizes = bench.log.take('keepReport').map(({ units }) => units.length)
  assert.equal(sizes, [64, 64, 2])
  bench.done()
})

reports('wait 10 ms for company while more is being computed, and not at all for the last unit', () => {
  const bench = linkedWorker()
  bench.grant('x', 0, 3)
  bench.log.one('compute')
  bench.compute(0)
  assert.equal(bench.log.take('keepReport'), [])
  bench.advance(5)
  bench.compute(1)
  bench.advance(5)
  assert.equal(
    bench.log.one('keepReport').units.map(({ unit }) => unit),
    [0, 1],
  )
  bench.compute(2)
  assert.equal(
    bench.log.one('keepReport').units.map(({ unit }) => unit),
    [2],
  )
  bench.done()
})

reports('carry at most 32 KiB of outputs; larger outputs do not count, they are fetched', () => {
  const bench = linkedWorker()
  bench.grant('x', 0, 100)
  bench.log.one('compute')
  bench.compute(0, 20, { outputBytes: 4_000 })
  bench.advance(20)
  assert.equal(
    bench.log.take('keepReport').map(({ units }) => units.length),
    [8, 8, 4],
  )
  bench.compute(50, 20, { outputBytes: 1_000_000 })
  bench.advance(20)
  assert.is(bench.log.one('keepReport').units.length, 20)
  bench.done()
})

reports('carry few enough grants to fit into one message', () => {
  const bench = linkedWorker()
  for (let unit = 0; unit < 20; unit++) bench.grant('x', unit, 1, { bytes: 2_000 })
  bench.grant('x', 100)
  bench.log.take('compute')
  bench.compute(0, 20)
  bench.advance(20)
  for (const { grants } of bench.log.take('keepReport'))
    assert.ok(grants.reduce((sum, { bytes }) => sum + bytes.length, 0) <= 12 * 1024)
  bench.done()
})

reports('carry each grant once, and units in ascending order', () => {
  const bench = linkedWorker()
  const first = bench.grant('x', 0, 2)
  const second = bench.grant('x', 5, 1)
  bench.log.take('compute')
  bench.compute(5)
  bench.compute(1)
  bench.compute(0)
  const report = bench.log.one('keepReport')
  assert.equal(
    report.units.map(({ unit }) => unit),
    [0, 1, 5],
  )
  assert.equal([...report.grants].sort(), [first, second].sort())
  bench.done()
})

reports('are offered only once they are in the journal, and dropped when their units are settled', () => {
  const { bench, reportId } = reportedWorker()
  bench.handle({ type: 'reportsTaken', owner: ownerNamed('x'), reportIds: [reportId] })
  assert.is(bench.core.unsettledCount, 1, 'an acknowledgement is not enough')
  bench.settle('x', 0)
  assert.is(bench.log.one('dropReport').reportId, reportId)
  assert.is(bench.core.unsettledCount, 0)
  bench.done()
})

reports('stay until the last of their units is settled', () => {
  const bench = linkedWorker()
  bench.grant('x', 0, 2)
  bench.compute(0, 2)
  const [reportId] = bench.journal()
  bench.log.one('compute')
  bench.log.one('offerReport')
  bench.settle('x', 0)
  assert.equal(bench.log.take('dropReport'), [])
  bench.settle('x', 1)
  assert.is(bench.log.one('dropReport').reportId, reportId)
  bench.done()
})

reports('are not dropped at the word of an owner they were not given to', () => {
  const { bench, reportId } = reportedWorker()
  bench.link('liar')
  bench.settle('liar', 0)
  bench.handle({ type: 'reportRefused', owner: ownerNamed('liar'), reportId, reason: 'reportSignature' })
  assert.is(bench.core.unsettledCount, 1)
  bench.done()
})

reports('are offered again when the link comes back', () => {
  const { bench, reportId } = reportedWorker()
  bench.handle({ type: 'linkClosed', owner: ownerNamed('x'), lasting: false })
  bench.advance(200)
  bench.log.one('openLink')
  bench.handle({ type: 'linkOpened', owner: ownerNamed('x') })
  assert.is(bench.log.one('offerReport').reportId, reportId)
  bench.done()
})

reports('are offered again to an owner that says nothing for a minute', () => {
  const { bench, reportId } = reportedWorker()
  bench.advance(MINUTE_MS + 1_000)
  assert.is(bench.log.one('offerReport').reportId, reportId)
  assert.is(bench.log.one('findOwners').jobId, JOB)
  bench.done()
})

reports('go to another owner when theirs has had them for a minute and settles nothing', () => {
  const { bench, reportId } = reportedWorker()
  bench.log.ignore('openLink')
  bench.advance(MINUTE_MS + 1_000)
  bench.log.take('offerReport')
  bench.log.take('findOwners')
  bench.handle({ type: 'ownersFound', jobId: JOB, shard: 0, owners: [endpointOf('x'), endpointOf('y')] })
  settledAtY(bench, reportId)
})

reports('that are due just after their owners were asked for have them asked for again soon', () => {
  const { bench } = reportedWorker()
  bench.log.ignore('openLink')
  bench.advance(2_000)
  bench.grant('x', 1)
  bench.log.one('compute')
  bench.compute(1)
  const [late] = bench.journal()
  bench.advance(MINUTE_MS - 1_000)
  const found = () =>
    bench.handle({ type: 'ownersFound', jobId: JOB, shard: 0, owners: [endpointOf('x'), endpointOf('y')] })
  bench.log.one('findOwners')
  found()
  bench.handle({ type: 'linkOpened', owner: ownerNamed('y') })
  assert.not(
    bench.log.take('offerReport').some(({ owner, reportId }) => owner === ownerNamed('y') && reportId === late),
  )
  bench.advance(8_000)
  bench.log.one('findOwners')
  found()
  assert.equal(bench.log.take('offerReport').at(-1), { type: 'offerReport', owner: ownerNamed('y'), reportId: late })
  bench.log.drain()
})

reports('go to whichever owner is found when theirs is lost for five seconds', () => {
  const { bench, reportId } = reportedWorker()
  bench.log.ignore('openLink')
  bench.handle({ type: 'linkClosed', owner: ownerNamed('x'), lasting: false })
  bench.advance(4_000)
  assert.equal(bench.log.take('findOwners'), [])
  bench.advance(2_500)
  assert.equal(bench.log.one('findOwners').jobId, JOB)
  bench.handle({ type: 'ownersFound', jobId: JOB, shard: 0, owners: [endpointOf('y')] })
  settledAtY(bench, reportId)
})

reports('are looked after again and again while nobody is found, without haste', () => {
  const { bench } = reportedWorker()
  bench.log.ignore('openLink')
  bench.handle({ type: 'linkClosed', owner: ownerNamed('x'), lasting: false })
  for (let i = 0; i < 60; i++) {
    bench.advance(1_000)
    for (const { jobId, shard } of bench.log.take('findOwners'))
      bench.handle({ type: 'ownersFound', jobId, shard, owners: [] })
  }
  bench.advance(6_000)
  assert.is(bench.log.take('findOwners').length >= 1, true)
  bench.done()
})

reports('from the journal of an earlier run look for their owners first', () => {
  const bench = new WorkerBench()
  bench.handle({
    type: 'reportKept',
    report: { reportId: 'aa'.repeat(32) as Digest, jobId: JOB, shard: 3, units: [1, 2], large: [], bytes: 0 },
    owner: undefined,
  })
  assert.equal([bench.log.one('findOwners').shard], [3])
  bench.handle({ type: 'ownersFound', jobId: JOB, shard: 3, owners: [endpointOf('y')] })
  bench.log.one('openLink')
  bench.handle({ type: 'linkOpened', owner: ownerNamed('y') })
  bench.log.one('offerReport')
  bench.wants()
  bench.done()
})

reports('that an owner refuses for good are dropped', () => {
  const { bench, reportId } = reportedWorker()
  bench.handle({ type: 'reportRefused', owner: ownerNamed('x'), reportId, reason: 'expired' })
  assert.is(bench.log.one('dropReport').reportId, reportId)
  assert.is(bench.log.one('forgetReport').reportId, reportId)
  bench.grant('x', 0)
  assert.equal(bench.log.one('compute').units, [0])
  bench.done()
})

reports('of a job that an owner does not know are kept, and other owners looked for', () => {
  const { bench, reportId } = reportedWorker()
  bench.handle({ type: 'reportRefused', owner: ownerNamed('x'), reportId, reason: 'unknownJob' })
  assert.is(bench.core.unsettledCount, 1)
  bench.log.one('findOwners')
  bench.done()
})

reports('of a job that no owner knows are asked about ever more seldom, and dropped after a day', () => {
  const { bench, reportId } = reportedWorker()
  bench.log.ignore('sendHeartbeat', 'sendWant', 'offerReport')
  let looks = 0
  for (let minute = 0; minute <= 25 * 60 && bench.core.unsettledCount > 0; minute++) {
    bench.handle({ type: 'reportRefused', owner: ownerNamed('x'), reportId, reason: 'unknownJob' })
    bench.advance(MINUTE_MS)
    const found = bench.log.take('findOwners').length
    looks += found
    if (found > 0) bench.handle({ type: 'ownersFound', jobId: JOB, shard: 0, owners: [endpointOf('x')] })
  }
  assert.ok(looks > 50 && looks < 200, `${looks} looks in a day`)
  assert.is(bench.log.one('dropReport').reportId, reportId)
  bench.log.one('forgetReport')
  assert.is(bench.core.unsettledCount, 0)
  bench.done()
})

reports(
  'from the journal are computed once more for a large output, which was lost; the later report stands for them',
  () => {
    const bench = linkedWorker()
    const reportId = 'aa'.repeat(32) as Digest
    const report = { reportId, jobId: JOB, shard: 0, units: [1, 2], large: [2], bytes: 0 }
    bench.log.ignore('findOwners')
    bench.handle({ type: 'reportKept', report, owner: undefined })
    bench.grant('x', 1, 2)
    assert.equal(bench.log.one('compute').units, [2])
    bench.compute(2, 1, { outputBytes: 1_000_000 })
    const [later] = bench.journal()
    bench.log.one('offerReport')
    bench.grant('x', 2)
    assert.equal(bench.log.take('compute'), [], 'its output is here now')
    bench.settle('x', 2)
    assert.is(bench.log.one('dropReport').reportId, later)
    bench.handle({ type: 'ownersFound', jobId: JOB, shard: 0, owners: [endpointOf('x')] })
    assert.is(bench.log.one('offerReport').reportId, reportId)
    bench.settle('x', 1)
    assert.is(bench.log.one('dropReport').reportId, reportId)
    bench.done()
  },
)

reports.run()
