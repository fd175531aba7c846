import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { HOME_PATIENCE } from '../../../../../coordinator/home/core/home-turn.js'
import type { NodeId } from '../../../../../proto/model.js'
import { HomeBench, SHARD_UNITS } from '../../../../support/cores/home-bench.js'
import { jobId } from '../../../job/fixture.js'

const shards = suite('HomeShards')

shards('adds up what owners tell; shards not yet active are open', () => {
  const bench = new HomeBench(20)
  bench.activated()
  bench.hear(0, { settled: 10, failed: 2 })
  bench.hear(1, { settled: 3, disputed: 1 })
  bench.hear(0, { settled: 11, failed: 2 })
  const { summary } = bench.view()
  assert.equal(
    [summary.units, summary.settled, summary.failed, summary.disputed, summary.open],
    [320, 14, 2, 1, 320 - 17],
  )
  assert.is(summary.fuel, 14n)
  bench.done()
})

shards('does not believe counts that do not add up', () => {
  const bench = new HomeBench(2)
  bench.activated()
  bench.hear(0, { settled: 10, open: 10 })
  bench.hear(1, { units: 1_000, open: 1_000 })
  assert.is(bench.view().summary.settled, 0)
  assert.is(bench.view().shards.length, 0)
  bench.done()
})

shards('adds up shards that another home has activated, and none that the job does not have', () => {
  const bench = new HomeBench(20)
  bench.activated()
  bench.finish(19)
  assert.is(bench.view().summary.settled, SHARD_UNITS)
  bench.finish(20)
  assert.is(bench.view().summary.settled, SHARD_UNITS)
  for (let shard = 0; shard < 19; shard++) bench.finish(shard)
  assert.not(bench.activated().includes(19), 'what is finished is not activated again')
  assert.ok(bench.view().finished)
  bench.done()
})

shards('believes of several owners the second most advanced, so that a lone liar cannot end a job', () => {
  const [a, b, c] = ['22', '33', '44'].map((byte) => byte.repeat(20) as NodeId)
  const bench = new HomeBench(1)
  bench.activated()
  bench.hear(0, { settled: 5, granted: 6, leased: 1 }, 'no worker is connected', a)
  bench.hear(0, { settled: 4, granted: 3, leased: 2 }, '', b)
  bench.hear(0, { settled: SHARD_UNITS, granted: 1 }, '', c)
  assert.is(bench.view().summary.settled, 5)
  assert.is(bench.view().summary.granted, 10, 'each owner counts its own grants')
  assert.is(bench.view().summary.leased, 3)
  assert.is(bench.view().waiting, '', 'one of them grants')
  assert.not(bench.view().finished)
  bench.hear(0, { settled: SHARD_UNITS }, '', a)
  assert.ok(bench.view().finished)
  bench.done()
})

shards('leaves out owners that fall silent while others speak', () => {
  const [a, b] = ['22', '33'].map((byte) => byte.repeat(20) as NodeId)
  const bench = new HomeBench(1)
  bench.activated()
  bench.hear(0, { settled: 2 }, '', a)
  bench.hear(0, { settled: 9 }, '', b)
  assert.is(bench.view().summary.settled, 2)
  bench.advance(HOME_PATIENCE.silenceMs - 1_000)
  bench.hear(0, { settled: 10 }, '', b)
  bench.advance(2_000)
  assert.is(bench.view().summary.settled, 10)
  assert.equal(bench.activated(), [], 'the shard has an owner')
  bench.done()
})

shards('lets owners that finished and died not outvote one that is there, once a ruling has opened units again', () => {
  const [a, b, c] = ['22', '33', '44'].map((byte) => byte.repeat(20) as NodeId)
  const bench = new HomeBench(1)
  bench.activated()
  for (const owner of [a, b, c]) bench.hear(0, { settled: SHARD_UNITS, ready: 0 }, '', owner)
  bench.advance(60_000)
  bench.hear(0, { settled: SHARD_UNITS - 1 }, '', c)
  assert.ok(bench.view().finished, 'two that finished stand against one that fell behind')
  bench.rule()
  assert.equal(bench.activated(), [0])
  assert.not(bench.view().finished, 'the one that is there has units to give')
  bench.hear(0, { settled: SHARD_UNITS, ready: 0 }, '', c)
  assert.ok(bench.view().finished)
  bench.advance(60_000)
  assert.ok(bench.view().finished, 'what was said since needs no repetition')
  assert.equal(bench.activated(), [])
  bench.done()
})

shards('believes two owners that say again after a ruling that they are finished, against one that is not', () => {
  const [a, b, c] = ['22', '33', '44'].map((byte) => byte.repeat(20) as NodeId)
  const bench = new HomeBench(1)
  bench.activated()
  for (const owner of [a, b, c]) bench.hear(0, { settled: SHARD_UNITS, ready: 0 }, '', owner)
  bench.rule()
  bench.activated()
  for (const owner of [a, b]) bench.hear(0, { settled: SHARD_UNITS, ready: 0 }, '', owner)
  for (let spoken = 0; spoken < 5; spoken++) {
    bench.advance(HOME_PATIENCE.silenceMs / 2)
    bench.hear(0, { settled: SHARD_UNITS - 1 }, '', c)
  }
  assert.ok(bench.view().finished)
  bench.done()
})

shards('looks anew for an owner that has fallen silent, and not for one that speaks', () => {
  const bench = new HomeBench(2)
  bench.activated()
  bench.hear(0)
  bench.hear(1)
  bench.advance(HOME_PATIENCE.silenceMs - 1_000)
  assert.equal(bench.activated(), [])
  bench.hear(1)
  bench.advance(2_500)
  assert.equal(bench.activated(), [0])
  bench.done()
})

shards('believes another home of finished shards it has not heard of itself', () => {
  const bench = new HomeBench(3, {}, 1)
  const source = new HomeBench(3)
  source.activated()
  source.finish(0)
  source.finish(1)
  source.hear(2, { settled: 3 })
  assert.is(source.home.finishedCount(jobId), 2)
  bench.hear(1, { settled: 3 })
  for (const { shard, status } of source.home.finishedShards(jobId, 10))
    bench.handle({ type: 'shardTold', jobId, shard, status })
  assert.is(bench.view().summary.settled, SHARD_UNITS + 3, 'what an owner said itself stands')
  assert.is(bench.home.finishedCount(jobId), 1)
  assert.is(source.home.finishedShards(jobId, 1).length, 1)
  bench.done()
})

shards('names the owners that fell silent about unfinished shards, while that is news', () => {
  const [a, b] = ['22', '33'].map((byte) => byte.repeat(20) as NodeId)
  const bench = new HomeBench(3)
  bench.activated()
  for (const shard of [0, 1]) bench.hear(shard, {}, '', a)
  bench.hear(2, {}, '', b)
  bench.advance(HOME_PATIENCE.silenceMs - 1_000)
  bench.hear(2, {}, '', b)
  assert.equal(bench.silent(), [], 'both were heard of late')
  bench.advance(2_000)
  assert.equal(bench.silent(), [{ nodeId: a, address: 'h:1', at: 0, shards: 2 }])
  bench.finish(0)
  bench.finish(1)
  assert.equal(bench.silent(), [], 'nobody needs them any more')
  bench.advance(60_000)
  assert.is(bench.silent()[0]?.nodeId, b)
  bench.advance(600_000)
  assert.equal(bench.silent(), [], 'that was long ago')
  bench.log.drain()
})

shards.run()
