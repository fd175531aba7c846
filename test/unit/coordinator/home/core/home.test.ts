import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { HomeBench } from '../../../../support/cores/home-bench.js'
import { cpuMs } from '../../../../support/cpu-time.js'
import { jobId } from '../../../job/fixture.js'

const homes = suite('Home')

homes('activates a window of shards, and the next as the work in them is handed out', () => {
  const bench = new HomeBench(20)
  assert.equal(bench.activated(), [0, 1, 2, 3, 4, 5, 6, 7])
  for (let shard = 0; shard < 8; shard++) bench.hear(shard)
  assert.equal(bench.activated(), [], 'there is enough to grant')
  bench.hear(0, { ready: 0, leased: 16 })
  assert.equal(bench.activated(), [8])
  bench.done()
})

homes('widens the window with the volunteers at work', () => {
  const bench = new HomeBench(100)
  bench.activated()
  bench.hear(0, { workers: 60 })
  const more = bench.activated()
  for (const shard of more) bench.hear(shard, { workers: 60 })
  assert.ok(8 + more.length + bench.activated().length > 20)
  bench.done()
})

homes('does not look for the owner of a finished shard', () => {
  const bench = new HomeBench(1)
  bench.activated()
  bench.finish(0)
  bench.advance(60_000)
  assert.equal(bench.activated(), [])
  bench.done()
})

homes('tries a failed activation again, with longer and longer waits', () => {
  const bench = new HomeBench(1)
  const at: number[] = []
  for (let i = 0; i < 6; i++) {
    while (bench.activated().length === 0) bench.advance(500)
    at.push(bench.now)
    bench.handle({ type: 'activationFailed', jobId, shard: 0, reason: 'no owner is reachable' })
  }
  const waits = at.slice(1).map((instant, i) => instant - at[i]!)
  assert.ok(waits[0]! <= 1_500, `first wait ${waits[0]}`)
  assert.ok(waits.at(-1)! >= 8_000 && waits.at(-1)! <= 12_000, `last wait ${waits.at(-1)}`)
  assert.is(bench.view().waiting, 'no owner is reachable')
  bench.done()
})

homes('knows that a job is finished when each of its units is settled or failed', () => {
  const bench = new HomeBench(2)
  bench.activated()
  bench.finish(0)
  assert.not(bench.view().finished)
  bench.hear(1, { settled: 15, failed: 1, ready: 0 })
  assert.ok(bench.view().finished)
  assert.is(bench.view().waiting, '')
  bench.done()
})

homes('of a cancelled job activates nothing more, and gives the order to the shards at work', () => {
  const bench = new HomeBench(30)
  assert.is(bench.activated().length, 8)
  for (let shard = 0; shard < 8; shard++) bench.hear(shard)
  bench.finish(0)
  assert.equal(bench.activated(), [8])
  bench.order({ type: 'cancel' })
  assert.equal(bench.activated().sort(), [1, 2, 3, 4, 5, 6, 7, 8])
  bench.hear(1, { ready: 0 })
  assert.equal(bench.activated(), [])
  assert.ok(bench.home.cancelled(jobId))
  assert.is(bench.view().waiting, 'cancelled by the submitter')
  bench.done()
})

homes('stops granting when the first 20 units all failed, unless one is settled', () => {
  const bench = new HomeBench(30)
  bench.activated()
  bench.hear(0, { failed: 16, ready: 0 })
  bench.activated()
  assert.is(bench.home.stopReason(jobId), '')
  bench.hear(1, { failed: 4 })
  assert.is(bench.home.stopReason(jobId), 'the first 20 units all failed')
  bench.hear(2, { ready: 0 })
  assert.equal(bench.activated(), [], 'no further shard')
  bench.hear(2, { settled: 1 })
  assert.is(bench.home.stopReason(jobId), '')
  bench.log.drain()
  bench.done()
})

homes('stops granting past --max-fails, a number or a share of all units', () => {
  const byCount = new HomeBench(10, { maxFails: { type: 'count', value: 3 } })
  byCount.hear(0, { failed: 3, settled: 13 })
  assert.is(byCount.home.stopReason(jobId), '')
  byCount.hear(0, { failed: 4, settled: 12 })
  assert.match(byCount.home.stopReason(jobId), '4 units failed, more than the 3')
  const byShare = new HomeBench(10, { maxFails: { type: 'percent', value: 5 } })
  byShare.hear(0, { failed: 8, settled: 8 })
  assert.is(byShare.home.stopReason(jobId), '')
  byShare.hear(0, { failed: 9, settled: 7 })
  assert.match(byShare.home.stopReason(jobId), '9 units failed, more than the 5 %')
})

homes('takes no longer for a job of many shards than for one of few', () => {
  const shards = 20_000
  const bench = new HomeBench(shards)
  const before = cpuMs()
  for (let shard = 0; shard < shards; shard++) bench.finish(shard)
  assert.ok(bench.view().finished)
  assert.ok(cpuMs() - before < 2_000, 'summaries are added, not summed anew each time')
  bench.log.drain()
})

homes('forgets a job when told to, and sleeps', () => {
  const bench = new HomeBench(2)
  bench.activated()
  bench.handle({ type: 'jobForgotten', jobId })
  assert.not(bench.home.has(jobId))
  assert.is(bench.home.nextWakeup(), undefined)
  bench.done()
})

homes.run()
