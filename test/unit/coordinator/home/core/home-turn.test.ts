import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { GUARD_PATIENCE, HOME_PATIENCE } from '../../../../../coordinator/home/core/home-turn.js'
import { HomeBench, SHARD_UNITS } from '../../../../support/cores/home-bench.js'
import { jobId } from '../../../job/fixture.js'

const turns = suite('HomeTurn')

turns('acts at once where it is the nearest, and leaves it to the nearest where it is not', () => {
  assert.is(new HomeBench(20).activated().length, 8)
  const second = new HomeBench(20, {}, 1)
  second.advance(HOME_PATIENCE.bypassMs)
  assert.equal(second.activated(), [])
  for (let shard = 0; shard < 8; shard++) second.hear(shard)
  second.advance(4_000)
  for (let shard = 0; shard < 8; shard++) second.hear(shard, { settled: 1 })
  second.advance(4_000)
  assert.equal(second.activated(), [], 'the nearest one is at work')
  second.done()
})

turns('takes over within ten seconds when nobody activates, the nearer ones first', () => {
  const took = [1, 2, 3, 4].map((rank) => {
    const bench = new HomeBench(20, {}, rank)
    while (bench.activated().length === 0 && bench.now < 60_000) bench.advance(250)
    return bench.now
  })
  assert.equal(
    [...took].sort((a, b) => a - b),
    took,
  )
  assert.ok(took[0]! >= HOME_PATIENCE.bypassMs && took.at(-1)! <= 10_500, `${took}`)
})

turns('that stepped in goes on without waiting, and steps back when the nearest one acts again', () => {
  const bench = new HomeBench(40, {}, 1)
  bench.advance(8_000)
  assert.is(bench.activated().length, 8)
  for (let shard = 0; shard < 8; shard++) bench.finish(shard)
  assert.is(bench.activated().length, 8, 'the next window at once')
  for (let shard = 8; shard < 16; shard++) bench.hear(shard)
  bench.advance(9_000)
  for (let shard = 8; shard < 16; shard++) bench.finish(shard)
  bench.advance(9_000)
  bench.activated()
  for (let shard = 16; shard < 24; shard++) bench.hear(shard)
  bench.advance(9_000)
  for (let shard = 16; shard < 24; shard++) bench.hear(shard)
  bench.advance(9_000)
  for (let shard = 16; shard < 24; shard++) bench.finish(shard)
  assert.equal(bench.activated(), [], 'it had nothing to do for long: the nearest one first')
  bench.log.drain()
})

turns('a guard leaves the job to its homes for a minute, and gives it out itself once they have not', () => {
  const bench = new HomeBench(20, {}, 7)
  bench.handle({ type: 'ranked', jobId, rank: 7, isGuard: true })
  bench.advance(GUARD_PATIENCE.bypassMs)
  assert.equal(bench.activated(), [])
  assert.is(bench.home.guarding(jobId, bench.now), 'watching')
  bench.advance(7 * 2_000 + 1_000)
  assert.equal(bench.activated(), [0, 1, 2, 3, 4, 5, 6, 7])
  assert.is(bench.home.guarding(jobId, bench.now), 'acting')
  for (let shard = 0; shard < 8; shard++) bench.finish(shard)
  assert.equal(bench.activated(), [8, 9, 10, 11, 12, 13, 14, 15], 'and the next at once')
  bench.done()
})

turns('a guard that hears now and then of shards at work does nothing', () => {
  const bench = new HomeBench(8, {}, 5)
  bench.handle({ type: 'ranked', jobId, rank: 5, isGuard: true })
  for (let look = 0; look < 12; look++) {
    for (let shard = 0; shard < 8; shard++) bench.hear(shard, { settled: look, ready: 0, leased: 1 })
    bench.advance(40_000)
  }
  assert.equal(bench.activated(), [])
  bench.advance(120_000)
  assert.equal(bench.activated(), [0, 1, 2, 3, 4, 5, 6, 7], 'all owners are silent, and no home minds')
  bench.done()
})

turns('the one behind a home that is gone acts as soon as it knows', () => {
  const bench = new HomeBench(20, {}, 1)
  bench.hear(3)
  bench.handle({ type: 'ranked', jobId, rank: 0, isGuard: false })
  assert.equal(bench.activated(), [0, 1, 2, 4, 5, 6, 7], 'and not again what is at work')
  bench.handle({ type: 'ranked', jobId, rank: 0, isGuard: false })
  assert.equal(bench.activated(), [])
  bench.done()
})

turns('five of them with one view activate each shard once while the nearest is there', () => {
  const benches = [0, 1, 2, 3, 4].map((rank) => new HomeBench(30, {}, rank))
  const times = new Map<number, number>()
  for (let round = 0; round < 60; round++) {
    for (const bench of benches) {
      for (const shard of bench.activated()) {
        times.set(shard, (times.get(shard) ?? 0) + 1)
        for (const each of benches) each.hear(shard)
      }
    }
    const open = [...times.keys()].filter((shard) => shard >= round / 2 - 8)
    for (const shard of open)
      for (const each of benches) each.hear(shard, shard <= round / 2 ? { settled: SHARD_UNITS, ready: 0 } : {})
    for (const bench of benches) bench.advance(1_000)
  }
  assert.is(times.size, 30)
  assert.equal(
    [...times.values()].filter((count) => count > 1),
    [],
  )
})

turns('farther from the job gives no order to the shards itself, and grants no shard of a cancelled job', () => {
  const bench = new HomeBench(20, {}, 1)
  bench.hear(0)
  bench.order({ type: 'cancel' })
  bench.advance(3_000)
  bench.hear(0)
  bench.advance(9_000)
  assert.equal(bench.activated(), [])
  assert.ok(bench.home.cancelled(jobId))
  bench.done()
})

turns.run()
