import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { endpointOf, JOB, jobNamed, ownerNamed, WorkerBench } from '../../../support/cores/worker-bench.js'

const test = suite('What a worker tells owners of what it does not take')

const told = (bench: WorkerBench) =>
  bench.log.take('sendWant').map(({ instances, restraint, declined }) => [instances, restraint, declined ?? []])

test('a pause with its reason, and its end', () => {
  const bench = new WorkerBench()
  bench.link('x')
  bench.log.drain()
  bench.handle({ type: 'paused', reason: 'on battery', restraint: 'on-battery', atOnce: false })
  assert.equal(told(bench), [[0, 'on-battery', []]])
  bench.handle({ type: 'paused', reason: undefined, atOnce: false })
  assert.equal(told(bench), [[1, undefined, []]])
  bench.done()
})

test('a pause that began before the link did', () => {
  const bench = new WorkerBench()
  bench.handle({ type: 'paused', reason: 'paused', restraint: 'pause', atOnce: false })
  bench.link('x')
  assert.equal(told(bench), [[0, 'pause', []]])
  bench.done()
})

test('jobs of a submitter that is refused, until it is not', () => {
  const bench = new WorkerBench()
  bench.link('x')
  bench.log.drain()
  const news = { type: 'workSeen', owner: endpointOf('x'), jobId: jobNamed('theirs'), ready: 5 } as const
  bench.handle({ ...news, declined: 'refuse' })
  assert.equal(told(bench), [[1, undefined, [{ jobId: jobNamed('theirs'), reason: 'refuse' }]]])
  bench.handle({ ...news, declined: 'refuse' })
  assert.equal(told(bench), [], 'once')
  bench.handle(news)
  assert.equal(told(bench), [[1, undefined, []]])
  bench.done()
})

test('what an owner can tell from the hello is not told, but the owner is linked to, so that it can', () => {
  const bench = new WorkerBench()
  bench.handle({ type: 'workSeen', owner: endpointOf('x'), jobId: JOB, ready: 5, declined: 'memory' })
  assert.is(bench.log.one('openLink').owner.address, 'x')
  bench.handle({ type: 'linkOpened', owner: ownerNamed('x') })
  assert.equal(told(bench), [[1, undefined, []]])
  bench.done()
})

test('owners that have nothing for the worker get three links at most, and make room for others', () => {
  const bench = new WorkerBench()
  for (let i = 0; i < 12; i++)
    bench.handle({ type: 'workSeen', owner: endpointOf(`odd ${i}`), jobId: JOB, ready: 5, declined: 'task' })
  assert.is(bench.log.take('openLink').length, 3)
  for (let i = 0; i < 8; i++) bench.handle({ type: 'workSeen', owner: endpointOf(`fit ${i}`), jobId: JOB, ready: 5 })
  assert.is(bench.log.take('closeLink').length, 3)
  assert.equal(
    bench.log
      .take('openLink')
      .map(({ owner }) => owner.address.slice(0, 3))
      .filter((name) => name !== 'fit'),
    [],
  )
  bench.done()
})

test.run()
