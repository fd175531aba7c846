import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  BYPASS_MS,
  GUARD_BYPASS_MS,
  Home,
  type HomeEffect,
  type OwnerStatus,
  SUMMARY_SILENCE_MS,
} from '../../../../coordinator/core/home.js'
import type { KnownOrder } from '../../../../job/orders.js'
import type { JobId, JobSpec, NodeId, OrderBody, Summary } from '../../../../proto/model.js'
import { EffectLog } from '../../../support/effect-log.js'
import { digestOf, jobId, specWith } from '../../job/fixture.js'

const UNITS = 16
const OWNER = '11'.repeat(20) as NodeId

/** A home with one job of so many shards, in virtual time. */
class HomeBench {
  readonly home = new Home()
  readonly log = new EffectLog<HomeEffect>()
  now = 0
  #orders: KnownOrder[] = []

  constructor(shards: number, changes: Partial<JobSpec> = {}, rank = 0) {
    this.log.ignore('changed')
    const spec = specWith({ source: { type: 'count', count: shards * UNITS }, shardUnits: UNITS, ...changes })
    this.handle({
      type: 'jobKept',
      jobId,
      spec,
      orders: [],
      shards: Array.from({ length: shards }, (_, shard) => shard),
      shardUnits: () => UNITS,
      rank,
    })
  }

  handle(event: Parameters<Home['handle']>[0]): void {
    this.log.push(this.home.handle(event, this.now))
    this.home.checkInvariants()
  }

  hear(shard: number, counts: Partial<Summary> = {}, waiting = '', owner = OWNER): void {
    const { settled = 0, failed = 0, accepted = 0, disputed = 0, held = 0 } = counts
    const open = UNITS - settled - failed - accepted - disputed - held
    const summary: Summary = {
      units: UNITS,
      open,
      accepted,
      settled,
      disputed,
      held,
      failed,
      leased: 0,
      granted: settled,
      answered: settled,
      disagreeing: 0,
      workers: 1,
      donors: 1,
      fuel: BigInt(settled),
      ready: open,
      ...counts,
    }
    const status = { owner, address: 'h:1', summary, waiting, firstGrantAgoMs: undefined } satisfies OwnerStatus
    this.handle({ type: 'shardHeard', jobId, shard, status })
  }

  finish(shard: number): void {
    this.hear(shard, { settled: UNITS, ready: 0 })
  }

  activated(): number[] {
    return this.log.take('activate').map(({ shard }) => shard)
  }

  order(body: OrderBody): void {
    const order = { jobId, seq: this.#orders.length + 1, createdAtMs: 0, body }
    this.#orders = [...this.#orders, { id: digestOf(`order ${order.seq}`), order }]
    this.handle({ type: 'ordersKept', jobId, orders: this.#orders })
  }

  advance(ms: number): void {
    const until = this.now + ms
    for (;;) {
      const next = this.home.nextWakeup() ?? Number.POSITIVE_INFINITY
      if (next > until) break
      this.now = Math.max(this.now, next)
      this.handle({ type: 'woke' })
    }
    this.now = until
  }

  view() {
    return this.home.view(jobId, this.now, true)!
  }

  done(): void {
    this.log.done()
  }
}

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

homes('adds up what owners tell; shards not yet active are open', () => {
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

homes('does not believe counts that do not add up', () => {
  const bench = new HomeBench(2)
  bench.activated()
  bench.hear(0, { settled: 10, open: 10 })
  bench.hear(1, { units: 1_000, open: 1_000 })
  assert.is(bench.view().summary.settled, 0)
  assert.is(bench.view().shards.length, 0)
  bench.done()
})

homes('adds up shards that another home has activated, and none that the job does not have', () => {
  const bench = new HomeBench(20)
  bench.activated()
  bench.finish(19)
  assert.is(bench.view().summary.settled, UNITS)
  bench.finish(20)
  assert.is(bench.view().summary.settled, UNITS)
  for (let shard = 0; shard < 19; shard++) bench.finish(shard)
  assert.not(bench.activated().includes(19), 'what is finished is not activated again')
  assert.ok(bench.view().finished)
  bench.done()
})

homes('believes of several owners the second most advanced, so that a lone liar cannot end a job', () => {
  const [a, b, c] = ['22', '33', '44'].map((byte) => byte.repeat(20) as NodeId)
  const bench = new HomeBench(1)
  bench.activated()
  bench.hear(0, { settled: 5, granted: 6, leased: 1 }, 'no worker is connected', a)
  bench.hear(0, { settled: 4, granted: 3, leased: 2 }, '', b)
  bench.hear(0, { settled: UNITS, granted: 1 }, '', c)
  assert.is(bench.view().summary.settled, 5)
  assert.is(bench.view().summary.granted, 10, 'each owner counts its own grants')
  assert.is(bench.view().summary.leased, 3)
  assert.is(bench.view().waiting, '', 'one of them grants')
  assert.not(bench.view().finished)
  bench.hear(0, { settled: UNITS }, '', a)
  assert.ok(bench.view().finished)
  bench.done()
})

homes('leaves out owners that fall silent while others speak', () => {
  const [a, b] = ['22', '33'].map((byte) => byte.repeat(20) as NodeId)
  const bench = new HomeBench(1)
  bench.activated()
  bench.hear(0, { settled: 2 }, '', a)
  bench.hear(0, { settled: 9 }, '', b)
  assert.is(bench.view().summary.settled, 2)
  bench.advance(SUMMARY_SILENCE_MS - 1_000)
  bench.hear(0, { settled: 10 }, '', b)
  bench.advance(2_000)
  assert.is(bench.view().summary.settled, 10)
  assert.equal(bench.activated(), [], 'the shard has an owner')
  bench.done()
})

homes('lets owners that finished and died not outvote one that is there, once a ruling has opened units again', () => {
  const [a, b, c] = ['22', '33', '44'].map((byte) => byte.repeat(20) as NodeId)
  const bench = new HomeBench(1)
  bench.activated()
  for (const owner of [a, b, c]) bench.hear(0, { settled: UNITS, ready: 0 }, '', owner)
  bench.advance(60_000)
  bench.hear(0, { settled: UNITS - 1 }, '', c)
  assert.ok(bench.view().finished, 'two that finished stand against one that fell behind')
  bench.order({ type: 'rulings', judge: specWith({}).submitter, profile: 0, rulings: [] })
  assert.equal(bench.activated(), [0])
  assert.not(bench.view().finished, 'the one that is there has units to give')
  bench.hear(0, { settled: UNITS, ready: 0 }, '', c)
  assert.ok(bench.view().finished)
  bench.advance(60_000)
  assert.ok(bench.view().finished, 'what was said since needs no repetition')
  assert.equal(bench.activated(), [])
  bench.done()
})

homes('believes two owners that say again after a ruling that they are finished, against one that is not', () => {
  const [a, b, c] = ['22', '33', '44'].map((byte) => byte.repeat(20) as NodeId)
  const bench = new HomeBench(1)
  bench.activated()
  for (const owner of [a, b, c]) bench.hear(0, { settled: UNITS, ready: 0 }, '', owner)
  bench.order({ type: 'rulings', judge: specWith({}).submitter, profile: 0, rulings: [] })
  bench.activated()
  for (const owner of [a, b]) bench.hear(0, { settled: UNITS, ready: 0 }, '', owner)
  for (let spoken = 0; spoken < 5; spoken++) {
    bench.advance(SUMMARY_SILENCE_MS / 2)
    bench.hear(0, { settled: UNITS - 1 }, '', c)
  }
  assert.ok(bench.view().finished)
  bench.done()
})

homes('looks anew for an owner that has fallen silent, and not for one that speaks', () => {
  const bench = new HomeBench(2)
  bench.activated()
  bench.hear(0)
  bench.hear(1)
  bench.advance(SUMMARY_SILENCE_MS - 1_000)
  assert.equal(bench.activated(), [])
  bench.hear(1)
  bench.advance(2_500)
  assert.equal(bench.activated(), [0])
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
  const summary = bench.view().summary
  const finished = { ...summary, units: UNITS, open: 0, settled: UNITS }
  const status: OwnerStatus = {
    owner: OWNER,
    address: 'h:1',
    summary: finished,
    waiting: '',
    firstGrantAgoMs: undefined,
  }
  const began = process.cpuUsage()
  for (let shard = 0; shard < shards; shard++) bench.home.handle({ type: 'shardHeard', jobId, shard, status }, 0)
  assert.ok(bench.view().finished)
  assert.ok(process.cpuUsage(began).user < 2_000_000, 'summaries are added, not summed anew each time')
  bench.log.drain()
})

homes('acts at once where it is the nearest, and leaves it to the nearest where it is not', () => {
  assert.is(new HomeBench(20).activated().length, 8)
  const second = new HomeBench(20, {}, 1)
  second.advance(BYPASS_MS)
  assert.equal(second.activated(), [])
  for (let shard = 0; shard < 8; shard++) second.hear(shard)
  second.advance(4_000)
  for (let shard = 0; shard < 8; shard++) second.hear(shard, { settled: 1 })
  second.advance(4_000)
  assert.equal(second.activated(), [], 'the nearest one is at work')
  second.done()
})

homes('takes over within ten seconds when nobody activates, the nearer ones first', () => {
  const took = [1, 2, 3, 4].map((rank) => {
    const bench = new HomeBench(20, {}, rank)
    while (bench.activated().length === 0 && bench.now < 60_000) bench.advance(250)
    return bench.now
  })
  assert.equal(
    [...took].sort((a, b) => a - b),
    took,
  )
  assert.ok(took[0]! >= BYPASS_MS && took.at(-1)! <= 10_500, `${took}`)
})

homes('that stepped in goes on without waiting, and steps back when the nearest one acts again', () => {
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

homes('a guard leaves the job to its homes for a minute, and gives it out itself once they have not', () => {
  const bench = new HomeBench(20, {}, 7)
  bench.handle({ type: 'ranked', jobId, rank: 7, isGuard: true })
  bench.advance(GUARD_BYPASS_MS)
  assert.equal(bench.activated(), [])
  assert.is(bench.home.guarding(jobId, bench.now), 'watching')
  bench.advance(7 * 2_000 + 1_000)
  assert.equal(bench.activated(), [0, 1, 2, 3, 4, 5, 6, 7])
  assert.is(bench.home.guarding(jobId, bench.now), 'acting')
  for (let shard = 0; shard < 8; shard++) bench.finish(shard)
  assert.equal(bench.activated(), [8, 9, 10, 11, 12, 13, 14, 15], 'and the next at once')
  bench.done()
})

homes('a guard that hears now and then of shards at work does nothing', () => {
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

homes('the one behind a home that is gone acts as soon as it knows', () => {
  const bench = new HomeBench(20, {}, 1)
  bench.hear(3)
  bench.handle({ type: 'ranked', jobId, rank: 0, isGuard: false })
  assert.equal(bench.activated(), [0, 1, 2, 4, 5, 6, 7], 'and not again what is at work')
  bench.handle({ type: 'ranked', jobId, rank: 0, isGuard: false })
  assert.equal(bench.activated(), [])
  bench.done()
})

homes('five of them with one view activate each shard once while the nearest is there', () => {
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
      for (const each of benches) each.hear(shard, shard <= round / 2 ? { settled: UNITS, ready: 0 } : {})
    for (const bench of benches) bench.advance(1_000)
  }
  assert.is(times.size, 30)
  assert.equal(
    [...times.values()].filter((count) => count > 1),
    [],
  )
})

homes('farther from the job gives no order to the shards itself, and grants no shard of a cancelled job', () => {
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

homes('believes another home of finished shards it has not heard of itself', () => {
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
  assert.is(bench.view().summary.settled, UNITS + 3, 'what an owner said itself stands')
  assert.is(bench.home.finishedCount(jobId), 1)
  assert.is(source.home.finishedShards(jobId, 1).length, 1)
  bench.done()
})

homes('forgets a job when told to, and sleeps', () => {
  const bench = new HomeBench(2)
  bench.activated()
  bench.handle({ type: 'jobForgotten', jobId: jobId as JobId })
  assert.not(bench.home.has(jobId))
  assert.is(bench.home.nextWakeup(), undefined)
  bench.done()
})

homes.run()
