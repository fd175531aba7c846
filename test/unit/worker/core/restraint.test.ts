import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { JOB, jobNamed, WorkerBench } from '../../../support/cores/worker-bench.js'

const restraint = suite('what the volunteer wants')

/** A worker with one owner that holds two units. */
function begin(): WorkerBench {
  const bench = new WorkerBench({ threads: 4 })
  bench.link('x')
  bench.log.ignore('sendHeartbeat')
  bench.log.take('sendWant')
  bench.grant('x', 0, 2)
  bench.log.one('compute')
  bench.log.take('sendWant')
  return bench
}

const pausedBy = (reason: string | undefined, atOnce = false) =>
  ({ type: 'paused', reason, atOnce, ...(reason && { restraint: 'pause' as const }) }) as const

restraint('a pause asks for nothing more, says why, and keeps what is in hand for a minute', () => {
  const bench = begin()
  bench.handle(pausedBy('paused'))
  const [want] = bench.log.take('sendWant')
  assert.is(want?.instances, 0)
  assert.is(want?.restraint, 'pause')
  bench.advance(59_999)
  assert.is(bench.core.heldCount, 2)
  bench.advance(1)
  assert.is(bench.core.heldCount, 0)
  assert.equal(bench.log.one('abort').units, [0, 1])
  const back = bench.log.one('sendHandBack')
  assert.equal([back.units, back.reason], [[0, 1], 'paused'])
  // What was under way when it was told goes back, too.
  bench.grant('x', 7)
  bench.log.one('abort')
  assert.equal(bench.log.one('sendHandBack').units, [7])
  bench.handle(pausedBy(undefined))
  const [again] = bench.log.take('sendWant')
  assert.ok((again?.instances ?? 0) > 0)
  assert.is(again?.restraint, undefined)
  bench.done()
})

restraint('the same restraint in other words is told nobody', () => {
  const bench = begin()
  bench.handle(pausedBy('in use just now'))
  assert.is(bench.log.take('sendWant').length, 1)
  bench.handle(pausedBy('in use 12 s ago'))
  assert.is(bench.log.take('sendWant').length, 0)
})

restraint('a worker that leaves stays one that leaves, whatever else restrains it no longer', () => {
  const bench = begin()
  bench.handle(pausedBy('paused'))
  bench.log.take('sendWant')
  bench.handle({ type: 'drained', atOnce: false })
  assert.is(bench.log.take('sendWant')[0]?.restraint, 'drain')
  bench.handle(pausedBy(undefined))
  assert.is(bench.log.take('sendWant').length, 0)
})

restraint('another reason does not make a pause longer, and a short one costs nothing', () => {
  const bench = begin()
  bench.handle(pausedBy('paused'))
  bench.advance(40_000)
  bench.handle(pausedBy('on battery'))
  bench.advance(20_000)
  assert.is(bench.core.heldCount, 0)
  const other = begin()
  other.handle(pausedBy('paused'))
  other.advance(59_000)
  other.handle(pausedBy(undefined))
  other.advance(120_000)
  assert.is(other.core.heldCount, 2)
})

restraint('where nothing can be stopped a pause gives back at once', () => {
  const bench = begin()
  bench.handle(pausedBy('paused', true))
  assert.is(bench.core.heldCount, 0)
})

restraint('a drain while it stands still gives back instead of waiting', () => {
  const bench = begin()
  bench.handle(pausedBy('paused'))
  bench.handle({ type: 'drained', atOnce: false })
  bench.log.one('sendHandBack')
  bench.log.one('finished')
  assert.is(bench.core.heldCount, 0)
})

restraint('units of a declined job go back, those of others stay, and owners are told until it is taken back', () => {
  const bench = begin()
  const other = jobNamed('other')
  bench.grant('x', 5, 1, { jobId: other })
  bench.log.one('compute')
  bench.log.take('sendWant')
  bench.handle({ type: 'declined', jobs: [{ jobId: JOB, reason: 'refuse' }] })
  assert.is(bench.core.heldCount, 1)
  assert.equal(bench.log.one('sendHandBack').units, [0, 1])
  assert.equal(bench.log.take('sendWant').at(-1)?.declined, [{ jobId: JOB, reason: 'refuse' }])
  bench.log.take('abort')
  bench.grant('x', 9)
  assert.equal(bench.log.one('sendHandBack').units, [9])
  bench.handle({ type: 'declined', jobs: [] })
  assert.is(bench.log.take('sendWant').at(-1)?.declined, undefined)
  bench.grant('x', 9)
  assert.equal(bench.log.one('compute').units, [9])
})

restraint('no more is wanted than units that were asked for', () => {
  const bench = new WorkerBench({ threads: 4 })
  bench.handle({ type: 'limited', unitsMax: 3 })
  bench.link('x')
  assert.equal(Object.values(bench.wants()), [3])
  bench.grant('x', 0, 3)
  bench.compute(0, 2)
  bench.log.ignore('sendHeartbeat', 'compute', 'keepReport')
  bench.advance(10)
  assert.equal(Object.values(bench.wants()), [1])
})

restraint.run()
