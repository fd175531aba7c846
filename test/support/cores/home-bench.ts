import { Home, type HomeEffect } from '../../../coordinator/home/core/home.js'
import type { OwnerStatus } from '../../../coordinator/home/core/home-shard.js'
import type { KnownOrder } from '../../../job/facts/orders.js'
import type { JobSpec, NodeId, OrderBody, Summary } from '../../../proto/model.js'
import { digestOf, jobId, specWith } from '../../unit/job/fixture.js'
import { EffectLog } from './effect-log.js'

/** Units of each shard of the job of a {@link HomeBench}. */
export const SHARD_UNITS = 16
const OWNER = '11'.repeat(20) as NodeId

/** A home with one job of so many shards, in virtual time. */
export class HomeBench {
  readonly home = new Home()
  readonly log = new EffectLog<HomeEffect>()
  now = 0
  #orders: KnownOrder[] = []

  constructor(shards: number, changes: Partial<JobSpec> = {}, rank = 0) {
    this.log.ignore('changed')
    const spec = specWith({
      source: { type: 'count', count: shards * SHARD_UNITS },
      shardUnits: SHARD_UNITS,
      ...changes,
    })
    this.handle({
      type: 'jobKept',
      jobId,
      spec,
      orders: [],
      shards: Array.from({ length: shards }, (_, shard) => shard),
      shardUnits: () => SHARD_UNITS,
      rank,
      ageMs: 0,
    })
  }

  handle(event: Parameters<Home['handle']>[0]): void {
    this.log.push(this.home.handle(event, this.now))
    this.home.checkInvariants()
  }

  hear(shard: number, counts: Partial<Summary> = {}, waiting = '', owner = OWNER): void {
    const { settled = 0, failed = 0, accepted = 0, disputed = 0, held = 0 } = counts
    const open = SHARD_UNITS - settled - failed - accepted - disputed - held
    const summary: Summary = {
      units: SHARD_UNITS,
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
    this.hear(shard, { settled: SHARD_UNITS, ready: 0 })
  }

  activated(): number[] {
    return this.log.take('activate').map(({ shard }) => shard)
  }

  order(body: OrderBody): void {
    const order = { jobId, seq: this.#orders.length + 1, createdAtMs: 0, body }
    this.#orders = [...this.#orders, { id: digestOf(`order ${order.seq}`), order }]
    this.handle({ type: 'ordersKept', jobId, orders: this.#orders })
  }

  rule(): void {
    this.order({ type: 'rulings', judge: specWith().submitter, profile: 0, rulings: [] })
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

  silent() {
    return this.home.silentOwners(jobId, this.now)
  }

  done(): void {
    this.log.done()
  }
}
