import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { endpointOf, JOB, ownerNamed, WorkerBench } from '../../../support/cores/worker-bench.js'

const MINUTE_MS = 60_000

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

links('that are opened and break at once, as at an owner whose disk is full, are opened ever more seldom', () => {
  const bench = new WorkerBench()
  bench.link('x')
  bench.grant('x', 0)
  bench.log.drain()
  let attempts = 0
  bench.handle({ type: 'linkClosed', owner: ownerNamed('x'), lasting: false })
  for (let i = 0; i < 100; i++) {
    bench.advance(150)
    if (bench.log.take('openLink').length === 0) continue
    attempts++
    bench.handle({ type: 'linkOpened', owner: ownerNamed('x') })
    bench.handle({ type: 'linkClosed', owner: ownerNamed('x'), lasting: false })
  }
  assert.ok(attempts > 5 && attempts < 40, `${attempts} attempts in 15 s`)
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
