import { EMPTY_SUMMARY } from '../../../job/summary.js'
import { EXPLAIN_MAX } from '../../../proto/explain-messages.js'
import type { NodeId, Summary } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import type { HomeShard, OwnerStatus } from './home-shard.js'

/** Silent owners told of one job, and how long each is. Unit of the second: ms. */
const SILENT_MAX = EXPLAIN_MAX.troubles / 2
const SILENT_TOLD_MS = 10 * 60_000

/** An owner that says nothing any more of shards it had. */
export interface SilentOwner {
  readonly nodeId: NodeId
  readonly address: string
  readonly at: Millis
  /** Unfinished shards it has fallen silent about. */
  readonly shards: number
}

/** What is shown of one shard, and how long ago the last owner was heard. */
export interface ShardView {
  readonly shard: number
  readonly status: OwnerStatus
  readonly ageMs: Millis
}

type Sum = { -readonly [Count in keyof Summary]: Summary[Count] }

/**
 * The shards of one job that are known at a home, and the sum over them, kept with each change: what is told of one shard
 * costs the same in a job of many shards as in one of few.
 */
export class HomeShards {
  readonly #units: number
  /** Shards never wanted nor heard of have no entry. */
  readonly #entries = new Map<number, HomeShard>()
  readonly #unfinished = new Set<number>()
  /** Over what is shown of all entries, `workers` and `donors` aside. */
  readonly #sum: Sum = { ...EMPTY_SUMMARY }

  /** `units`: those of the whole job. */
  constructor(units: number) {
    this.#units = units
  }

  get(shard: number): HomeShard | undefined {
    return this.#entries.get(shard)
  }

  has(shard: number): boolean {
    return this.#entries.has(shard)
  }

  all(): Iterable<HomeShard> {
    return this.#entries.values()
  }

  /** Those with something left to do; may be changed while it is read. */
  *unfinished(): Iterable<HomeShard> {
    for (const shard of this.#unfinished) yield this.#entries.get(shard)!
  }

  get finishedCount(): number {
    return this.#entries.size - this.#unfinished.size
  }

  /** Adds an entry, or takes what has changed of one: `before` is what was shown of it until now. */
  put(entry: HomeShard, before: OwnerStatus | undefined): void {
    const { shown, shard } = entry
    this.#entries.set(shard, entry)
    if (shown !== before) {
      if (before !== undefined) add(this.#sum, before.summary, -1)
      if (shown !== undefined) add(this.#sum, shown.summary, 1)
    }
    if (entry.finished) this.#unfinished.delete(shard)
    else this.#unfinished.add(shard)
  }

  /** The whole job: units of shards that were never heard of are open. */
  summary(): Summary {
    let workers = 0
    let donors = 0
    // Workers serve many shards at once: the largest count is a lower bound of how many there are.
    for (const { shown } of this.unfinished()) {
      workers = Math.max(workers, shown?.summary.workers ?? 0)
      donors = Math.max(donors, shown?.summary.donors ?? 0)
    }
    const { units, open } = this.#sum
    return { ...this.#sum, units: this.#units, open: open + this.#units - units, workers, donors }
  }

  views(now: Millis): ShardView[] {
    const views: ShardView[] = []
    for (const { shard, shown, heardAt } of this.#entries.values())
      if (shown !== undefined) views.push({ shard, status: shown, ageMs: now - heardAt })
    return views
  }

  /** The first `limit` finished shards, as their owners told. */
  finished(limit: number): { readonly shard: number; readonly status: OwnerStatus }[] {
    const finished: { shard: number; status: OwnerStatus }[] = []
    for (const entry of this.#entries.values()) {
      if (finished.length >= limit) break
      if (entry.shown !== undefined && entry.finished) finished.push({ shard: entry.shard, status: entry.shown })
    }
    return finished
  }

  /** Owners of unfinished shards that say nothing any more, for whoever asks why; at most {@link SILENT_MAX}. */
  silentOwners(now: Millis): readonly SilentOwner[] {
    const silent = new Map<NodeId, { nodeId: NodeId; address: string; at: Millis; shards: number }>()
    for (const entry of this.unfinished()) {
      for (const { status, at } of entry.silent(now)) {
        if (now - at > SILENT_TOLD_MS) continue
        const known = silent.get(status.owner)
        if (known !== undefined) {
          known.shards++
          known.at = Math.max(known.at, at)
        } else if (silent.size < SILENT_MAX)
          silent.set(status.owner, { nodeId: status.owner, address: status.address, at, shards: 1 })
      }
    }
    return [...silent.values()]
  }

  checkInvariants(): void {
    for (const shard of this.#unfinished)
      if (!this.#entries.has(shard)) throw new Error(`shard ${shard} is unfinished but not known`)
    const { units, open, accepted, settled, disputed, held, failed } = this.summary()
    const sum = open + accepted + settled + disputed + held + failed
    if (sum !== units) throw new Error(`job has ${units} units, states add up to ${sum}`)
  }
}

function add(sum: Sum, summary: Summary, sign: 1 | -1): void {
  sum.units += sign * summary.units
  sum.open += sign * summary.open
  sum.accepted += sign * summary.accepted
  sum.settled += sign * summary.settled
  sum.disputed += sign * summary.disputed
  sum.held += sign * summary.held
  sum.failed += sign * summary.failed
  sum.leased += sign * summary.leased
  sum.granted += sign * summary.granted
  sum.answered += sign * summary.answered
  sum.disagreeing += sign * summary.disagreeing
  sum.fuel += BigInt(sign) * summary.fuel
  sum.ready += sign * summary.ready
}
