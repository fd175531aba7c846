import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Digest } from '../../../../proto/model.js'
import { endpointOf, JOB, jobNamed, ownerNamed, WorkerBench } from '../../../support/worker-bench.js'

const MINUTE_MS = 60_000

// ---------------------------------------------------------------------------------------------------------------- links

const links = suite('Links of a worker')

links('are opened to owners that the board names, and ask for one unit a thread', () => {
  const bench = new WorkerBench({ threads: 3 })
  bench.link('x')
  assert.equal(bench.wants(), { [ownerNamed('x')]: 3 })
  bench.done()
})

links('are at most eight; the next owner comes when one is idle for a minute', () => {
  const bench = new WorkerBench()
  for (let i = 0; i < 8; i++) bench.link(`owner ${i}`)
  bench.handle({ type: 'workSeen', owner: endpointOf('ninth'), jobId: JOB, ready: 5 })
  assert.equal(bench.log.take('openLink'), [])
  bench.log.ignore('sendHeartbeat', 'sendWant')
  bench.advance(2 * MINUTE_MS)
  assert.is(bench.log.take('closeLink')[0]!.reason, 'idle')
  assert.is(bench.log.one('openLink').owner.address, 'ninth')
  bench.done()
})

links('that break are opened again soon, and later ever more seldom', () => {
  const bench = new WorkerBench()
  bench.link('x')
  bench.grant('x', 0)
  bench.log.drain()
  let attempts = 0
  bench.handle({ type: 'linkClosed', owner: ownerNamed('x'), lasting: false })
  bench.advance(150)
  assert.is(bench.log.take('openLink').length, 1, 'the first attempt comes at once')
  for (let i = 0; i < 30; i++) {
    bench.handle({ type: 'linkClosed', owner: ownerNamed('x'), lasting: false })
    bench.advance(1_000)
    attempts += bench.log.take('openLink').length
  }
  assert.ok(attempts > 10 && attempts <= 30, `${attempts} attempts in 30 s`)
  bench.log.drain()
})

links('do not wake the worker over and over while one is being opened', () => {
  const bench = new WorkerBench()
  bench.link('x')
  bench.grant('x', 0)
  bench.advance(7_000)
  bench.handle({ type: 'linkClosed', owner: ownerNamed('x'), lasting: false })
  bench.advance(2_000)
  bench.advance(20_000)
  bench.log.drain()
  bench.done()
})

links('that an owner refuses for good make room for another owner at once', () => {
  const bench = new WorkerBench()
  for (let i = 0; i < 8; i++) bench.link(`owner ${i}`)
  bench.wants()
  bench.handle({ type: 'workSeen', owner: endpointOf('ninth'), jobId: JOB, ready: 5 })
  bench.handle({ type: 'linkClosed', owner: ownerNamed('owner 3'), lasting: true })
  assert.is(bench.log.one('openLink').owner.address, 'ninth')
  bench.handle({ type: 'workSeen', owner: endpointOf('owner 3'), jobId: JOB, ready: 5 })
  bench.log.ignore('sendHeartbeat', 'sendWant')
  bench.advance(30_000)
  assert.equal(bench.log.take('openLink'), [], 'and the owner that refused is left alone')
  bench.done()
})

links('say every five seconds that the worker is there', () => {
  const bench = new WorkerBench()
  bench.link('x')
  bench.wants()
  bench.advance(20_500)
  assert.is(bench.log.take('sendHeartbeat').length, 4)
  bench.done()
})

links('share what the worker can hold, and all of it goes to the one that has work', () => {
  const bench = new WorkerBench({ threads: 8 })
  bench.link('x')
  bench.wants()
  bench.link('y')
  assert.equal(bench.wants(), { [ownerNamed('x')]: 4, [ownerNamed('y')]: 4 })
  let next = 0
  let wanted = 4
  for (let i = 0; i < 10; i++) {
    const more = wanted - next
    if (more > 0) bench.grant('x', next, more)
    next += Math.max(0, more)
    wanted = bench.wants()[ownerNamed('x')] ?? wanted
  }
  assert.is(bench.core.heldCount, 8, 'no thread stays idle')
  bench.log.take('compute')
  bench.done()
})

links('ask for nothing while outputs that wait to be fetched fill the memory', () => {
  const bench = new WorkerBench({ threads: 2 })
  bench.link('x')
  bench.wants()
  bench.handle({ type: 'outputsFull', full: true })
  assert.equal(bench.wants(), { [ownerNamed('x')]: 0 })
  bench.handle({ type: 'outputsFull', full: false })
  assert.equal(bench.wants(), { [ownerNamed('x')]: 2 })
  bench.done()
})

links('that have nothing of a full worker hear that it is busy, and that it takes nothing once it drains', () => {
  const bench = new WorkerBench({ threads: 1 })
  bench.link('x')
  bench.link('y')
  bench.wants()
  bench.grant('x', 0, 1)
  const saidTo = (name: string) =>
    bench.log
      .take('sendWant')
      .filter(({ owner }) => owner === ownerNamed(name))
      .map(({ instances, busy }) => ({ instances, busy }))
  assert.equal(saidTo('y'), [{ instances: 0, busy: true }])
  bench.handle({ type: 'drained', atOnce: false })
  assert.equal(saidTo('y'), [{ instances: 0, busy: false }])
  bench.log.take('compute')
  bench.done()
})

links('do not ask for more than the volunteer allows', () => {
  const bench = new WorkerBench({ threads: 8, instancesMax: 3 })
  bench.link('x')
  assert.equal(bench.wants(), { [ownerNamed('x')]: 3 })
  bench.done()
})

links.run()

// -------------------------------------------------------------------------------------------------------- work in hand

const work = suite('Work in hand')

/** A worker with one owner, nothing unread. */
function begin(threads = 4): WorkerBench {
  const bench = new WorkerBench({ threads })
  bench.link('x')
  bench.log.ignore('sendWant', 'sendHeartbeat')
  return bench
}

work('is computed as granted', () => {
  const bench = begin()
  bench.grant('x', 3, 2)
  assert.equal(bench.log.one('compute').units, [3, 4])
  assert.is(bench.core.heldCount, 2)
  bench.done()
})

work('granted a second time is not started a second time, before its report is settled', () => {
  const bench = begin()
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
  const bench = begin()
  bench.grant('x', 0)
  bench.compute(0, 1, { outcome: 'host' })
  const [reportId] = bench.journal()
  assert.is(bench.log.take('compute').length, 1)
  bench.grant('x', 0)
  assert.equal(bench.log.one('compute').units, [0])
  bench.log.one('offerReport')
  bench.handle({ type: 'reportsTaken', owner: ownerNamed('x'), reportIds: [reportId!] })
  assert.is(bench.log.one('dropReport').reportId, reportId)
  bench.done()
})

work('withdrawn is aborted; only the owner that granted it can withdraw it', () => {
  const bench = begin()
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
  const bench = begin()
  bench.grant('x', 0)
  bench.handle({ type: 'withdrawn', owner: ownerNamed('x'), jobId: JOB, units: [0], wholeJob: false })
  bench.compute(0)
  bench.advance(1_000)
  bench.log.one('compute')
  bench.log.one('abort')
  bench.done()
})

work('of a job that cannot be computed here is handed back', () => {
  const bench = begin()
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
  const bench = begin()
  for (let i = 0; i < 5; i++) bench.grant('x', i * 16_384, 16_384)
  const held = bench.core.heldCount
  assert.ok(held >= 1_024 && held < 2_048, `${held} are held`)
  const back = bench.log.take('sendHandBack').reduce((sum, { units }) => sum + units.length, 0)
  assert.is(back, 5 * 16_384 - held)
  bench.log.take('compute')
  bench.done()
})

work('that was asked for a moment ago is taken, though units take longer meanwhile', () => {
  const bench = begin()
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
  const bench = begin()
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

// --------------------------------------------------------------------------------------------------------------- reports

const reports = suite('Reports of a worker')

reports('hold up to 64 units, and leave at once when they are full', () => {
  const bench = begin()
  bench.grant('x', 0, 130)
  bench.log.one('compute')
  bench.compute(0, 130)
  const sizes = bench.log.take('keepReport').map(({ units }) => units.length)
  assert.equal(sizes, [64, 64, 2])
  bench.done()
})

reports('wait 10 ms for company while more is being computed, and not at all for the last unit', () => {
  const bench = begin()
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
  const bench = begin()
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
  const bench = begin()
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
  const bench = begin()
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

/** One unit computed, its report in the journal and offered. */
function reported(): { bench: WorkerBench; reportId: Digest } {
  const bench = begin()
  bench.grant('x', 0)
  bench.log.one('compute')
  bench.compute(0)
  const [reportId] = bench.journal()
  assert.is(bench.log.one('offerReport').reportId, reportId)
  return { bench, reportId: reportId! }
}

reports('are offered only once they are in the journal, and dropped when their units are settled', () => {
  const { bench, reportId } = reported()
  bench.handle({ type: 'reportsTaken', owner: ownerNamed('x'), reportIds: [reportId] })
  assert.is(bench.core.unsettledCount, 1, 'an acknowledgement is not enough')
  bench.settle('x', 0)
  assert.is(bench.log.one('dropReport').reportId, reportId)
  assert.is(bench.core.unsettledCount, 0)
  bench.done()
})

reports('stay until the last of their units is settled', () => {
  const bench = begin()
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
  const { bench, reportId } = reported()
  bench.link('liar')
  bench.settle('liar', 0)
  bench.handle({ type: 'reportRefused', owner: ownerNamed('liar'), reportId, reason: 'reportSignature' })
  assert.is(bench.core.unsettledCount, 1)
  bench.done()
})

reports('are offered again when the link comes back', () => {
  const { bench, reportId } = reported()
  bench.handle({ type: 'linkClosed', owner: ownerNamed('x'), lasting: false })
  bench.advance(200)
  bench.log.one('openLink')
  bench.handle({ type: 'linkOpened', owner: ownerNamed('x') })
  assert.is(bench.log.one('offerReport').reportId, reportId)
  bench.done()
})

reports('are offered again to an owner that says nothing for a minute', () => {
  const { bench, reportId } = reported()
  bench.advance(MINUTE_MS + 1_000)
  assert.is(bench.log.one('offerReport').reportId, reportId)
  assert.is(bench.log.one('findOwners').jobId, JOB)
  bench.done()
})

reports('go to another owner when theirs has had them for a minute and settles nothing', () => {
  const { bench, reportId } = reported()
  bench.log.ignore('openLink')
  bench.advance(MINUTE_MS + 1_000)
  bench.log.take('offerReport')
  bench.log.take('findOwners')
  bench.handle({ type: 'ownersFound', jobId: JOB, shard: 0, owners: [endpointOf('x'), endpointOf('y')] })
  bench.handle({ type: 'linkOpened', owner: ownerNamed('y') })
  const offer = bench.log.one('offerReport')
  assert.equal([offer.owner, offer.reportId], [ownerNamed('y'), reportId])
  bench.settle('y', 0)
  bench.log.one('dropReport')
  bench.done()
})

reports('that are due just after their owners were asked for have them asked for again soon', () => {
  const { bench } = reported()
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
  const { bench, reportId } = reported()
  bench.log.ignore('openLink')
  bench.handle({ type: 'linkClosed', owner: ownerNamed('x'), lasting: false })
  bench.advance(4_000)
  assert.equal(bench.log.take('findOwners'), [])
  bench.advance(2_500)
  assert.equal(bench.log.one('findOwners').jobId, JOB)
  bench.handle({ type: 'ownersFound', jobId: JOB, shard: 0, owners: [endpointOf('y')] })
  bench.handle({ type: 'linkOpened', owner: ownerNamed('y') })
  const offer = bench.log.one('offerReport')
  assert.equal([offer.owner, offer.reportId], [ownerNamed('y'), reportId])
  bench.settle('y', 0)
  bench.log.one('dropReport')
  bench.done()
})

reports('are looked after again and again while nobody is found, without haste', () => {
  const { bench } = reported()
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
    report: { reportId: 'aa'.repeat(32) as Digest, jobId: JOB, shard: 3, units: [1, 2] },
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
  const { bench, reportId } = reported()
  bench.handle({ type: 'reportRefused', owner: ownerNamed('x'), reportId, reason: 'expired' })
  assert.is(bench.log.one('dropReport').reportId, reportId)
  bench.done()
})

reports('of a job that an owner does not know are kept, and other owners looked for', () => {
  const { bench, reportId } = reported()
  bench.handle({ type: 'reportRefused', owner: ownerNamed('x'), reportId, reason: 'unknownJob' })
  assert.is(bench.core.unsettledCount, 1)
  bench.log.one('findOwners')
  bench.done()
})

reports('of a job that no owner knows are asked about ever more seldom, and dropped after a day', () => {
  const { bench, reportId } = reported()
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
  assert.is(bench.core.unsettledCount, 0)
  bench.done()
})

reports.run()

// ----------------------------------------------------------------------------------------------------------------- drain

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
  const old = { reportId: 'a'.repeat(64) as Digest, jobId: JOB, shard: 0, units: [3] }
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
  const bench = begin()
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
  const bench = begin()
  bench.grant('x', 0, 3)
  bench.log.one('compute')
  bench.handle({ type: 'drained', atOnce: true })
  assert.equal(bench.log.one('sendHandBack').units, [0, 1, 2])
  assert.equal(bench.log.one('abort').units, [0, 1, 2])
  bench.log.one('finished')
  bench.done()
})

drains('leaves what no owner can take now to the journal', () => {
  const { bench } = reported()
  bench.log.ignore('openLink', 'findOwners')
  bench.handle({ type: 'linkClosed', owner: ownerNamed('x'), lasting: false })
  bench.handle({ type: 'drained', atOnce: false })
  bench.log.one('finished')
  bench.done()
})

drains('waits a while for large outputs to be fetched, because they are on no disk', () => {
  const bench = begin()
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
