import { applyOrders, type KnownOrder } from '../../../job/facts/orders.js'
import { stopReason } from '../../../job/stop-rule.js'
import { type ShardList, selectedUnitCount } from '../../../job/units/shard.js'
import type { JobId, JobSpec, Summary } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { HomeShard, isFinished, type OwnerStatus } from './home-shard.js'
import { HomeShards, type ShardView, type SilentOwner } from './home-shards.js'
import { HomeTurn } from './home-turn.js'

/** Shards with work to grant that a home keeps active, at least, and for each so many connected workers. */
const WINDOW_MIN = 8
const WORKERS_PER_SHARD = 2
/** Activations under way at once. */
const ACTIVATING_MAX = 16
/** First wait after an activation that failed; doubles up to the longest. Unit: ms. */
const RETRY_MS = 500
const RETRY_MAX_MS = 10_000

/** What a home keeps a job with. */
export interface KeptJob {
  readonly jobId: JobId
  readonly spec: JobSpec
  readonly orders: readonly KnownOrder[]
  readonly shards: ShardList
  readonly shardUnits: (shard: number) => number
  /** Homes of the job that are nearer to it than this one and seem to be there: 0 makes this one the preferred. */
  readonly rank: number
  /** Time since it was submitted: at the home that it is submitted to 0, else by the clocks of submitter and home. */
  readonly ageMs: Millis
}

/** One job as its home sees it. */
export interface HomeView {
  readonly jobId: JobId
  readonly spec: JobSpec
  readonly summary: Summary
  readonly waiting: string
  readonly ageMs: Millis
  readonly firstGrantAgeMs: Millis | undefined
  readonly finished: boolean
  readonly shards: readonly ShardView[]
}

/**
 * One job at one of its homes or guards: what its owners told, and which shards are to be activated next. Methods that
 * return shards name those that the caller is to activate now; each counts as being activated until it is heard of or failed.
 */
export class HomeJob {
  readonly jobId: JobId
  readonly spec: JobSpec
  readonly turn: HomeTurn
  readonly #list: ShardList
  readonly #shardUnits: (shard: number) => number
  readonly #submittedAt: Millis
  readonly #shards: HomeShards
  #orders: readonly KnownOrder[]
  #cancelled: boolean
  #firstGrantAt: Millis | undefined
  /** Since when more shards should be active than are, as far as this home has heard. */
  #windowOpenSince: Millis | undefined
  /** All of the first so many of the job's shards are known: activated here, or heard of. */
  #next = 0

  constructor(job: KeptJob, now: Millis) {
    this.jobId = job.jobId
    this.spec = job.spec
    this.turn = new HomeTurn(job.rank)
    this.#list = job.shards
    this.#shardUnits = job.shardUnits
    this.#submittedAt = now - job.ageMs
    this.#shards = new HomeShards(selectedUnitCount(job.spec))
    this.#orders = job.orders
    this.#cancelled = applyOrders(job.spec, job.orders).cancelled
  }

  get cancelled(): boolean {
    return this.#cancelled
  }

  /** In wall time. Unit: ms. */
  get expiresAtMs(): number {
    return applyOrders(this.spec, this.#orders).expiresAtMs
  }

  /** Why the job is to be granted no further; empty: go on. */
  get stopReason(): string {
    return stopReason(this.spec, this.#shards.summary())
  }

  get summary(): Summary {
    return this.#shards.summary()
  }

  /** Shards with nothing left to do. */
  get finishedCount(): number {
    return this.#shards.finishedCount
  }

  /** Whether anything was believed of the shard. */
  knows(shard: number): boolean {
    return this.#shards.get(shard)?.shown !== undefined
  }

  /** Takes all orders there are; returns the shards whose owners are to get them from here. */
  ordered(orders: readonly KnownOrder[], now: Millis): readonly HomeShard[] {
    // A ruling may open again what is finished, and owners do not speak of finished shards.
    const isRuled = rulingOrders(orders) > rulingOrders(this.#orders)
    this.#orders = orders
    this.#cancelled = applyOrders(this.spec, orders).cancelled
    if (isRuled) {
      for (const entry of this.#shards.all()) {
        const before = entry.shown
        entry.reopened(now)
        this.#shards.put(entry, before)
      }
    }
    // Owners get orders from every home they tell of their shards, too: those of the others need no repetition.
    if (!this.turn.acts(now)) return []
    return activating([...(isRuled ? this.#shards.all() : this.#shards.unfinished())])
  }

  /** Takes this node's place among the homes, or guards. False: nothing changed. */
  ranked(rank: number, isGuard: boolean): boolean {
    if (!this.turn.ranked(rank, isGuard)) return false
    for (const entry of this.#shards.all()) entry.silenceMs = this.turn.silenceMs
    return true
  }

  /** Takes the word of an owner. False: it is not believed, or the job has no such shard. */
  heard(shard: number, status: OwnerStatus, now: Millis): boolean {
    if (!this.#list.includes(shard)) return false
    const known = this.#shards.get(shard)
    const entry = known ?? this.#entry(shard, now)
    const before = entry.shown
    if (!entry.hear(status, now)) return false
    // Another home activates shards: it is at work.
    if (known === undefined) this.#windowOpenSince = undefined
    this.#shards.put(entry, before)
    if (status.firstGrantAgoMs !== undefined) {
      const at = Math.max(this.#submittedAt, now - status.firstGrantAgoMs)
      this.#firstGrantAt = Math.min(this.#firstGrantAt ?? at, at)
    }
    return true
  }

  /** An activation failed; returns when to look again, undefined for a shard that was never wanted. */
  failed(shard: number, reason: string, now: Millis): Millis | undefined {
    const entry = this.#shards.get(shard)
    if (entry === undefined) return undefined
    entry.activating = false
    entry.reason = reason
    entry.retryAt = now + Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** entry.attempts++)
    return entry.retryAt
  }

  /** As time passes, leaves out owners that have fallen silent; returns the shards that need an owner. */
  missed(now: Millis): readonly HomeShard[] {
    const missed: HomeShard[] = []
    for (const entry of this.#shards.unfinished()) {
      const before = entry.shown
      entry.refresh(now)
      this.#shards.put(entry, before)
      if (entry.activating || entry.finished || entry.retryAt > now) continue
      const wantedAt = before === undefined ? entry.wantedAt : entry.heardAt + entry.silenceMs
      if (now >= wantedAt && this.turn.takes(wantedAt, now)) missed.push(entry)
    }
    return activating(missed)
  }

  /** Widens what is at work to the volunteers there are; returns the shards to begin. */
  due(now: Millis): readonly HomeShard[] {
    this.#skipKnown()
    // First of all: owners tell of shards many times a second, and most jobs are known as a whole.
    if (this.#next >= this.#list.length) {
      this.#windowOpenSince = undefined
      return []
    }
    if (this.#cancelled || this.stopReason !== '') return []
    let withWork = 0
    let underWay = 0
    let workers = 0
    for (const { activating, shown } of this.#shards.unfinished()) {
      if (activating) underWay++
      if (shown === undefined || shown.summary.ready > 0) withWork++
      workers = Math.max(workers, shown?.summary.workers ?? 0)
    }
    const window = Math.max(WINDOW_MIN, Math.ceil(workers / WORKERS_PER_SHARD))
    if (withWork >= window) {
      this.#windowOpenSince = undefined
      return []
    }
    this.#windowOpenSince ??= now
    if (!this.turn.takes(this.#windowOpenSince, now)) return []
    const most = Math.min(window - withWork, ACTIVATING_MAX - underWay)
    const due: HomeShard[] = []
    for (; due.length < most && this.#next < this.#list.length; this.#skipKnown()) {
      const entry = this.#entry(this.#list.at(this.#next)!, now)
      this.#shards.put(entry, undefined)
      due.push(entry)
    }
    return activating(due)
  }

  view(now: Millis, withShards: boolean): HomeView {
    const summary = this.#shards.summary()
    return {
      jobId: this.jobId,
      spec: this.spec,
      summary,
      waiting: this.#waiting(summary),
      ageMs: now - this.#submittedAt,
      firstGrantAgeMs: this.#firstGrantAt === undefined ? undefined : this.#firstGrantAt - this.#submittedAt,
      finished: isFinished(summary),
      shards: withShards ? this.#shards.views(now) : [],
    }
  }

  /** See {@link HomeShards.finished}. */
  finishedShards(limit: number): { readonly shard: number; readonly status: OwnerStatus }[] {
    return this.#shards.finished(limit)
  }

  /** See {@link HomeShards.silentOwners}. */
  silentOwners(now: Millis): readonly SilentOwner[] {
    return this.#shards.silentOwners(now)
  }

  checkInvariants(): void {
    this.#shards.checkInvariants()
  }

  #entry(shard: number, now: Millis): HomeShard {
    return new HomeShard(shard, this.#shardUnits(shard), this.turn.silenceMs, now)
  }

  #skipKnown(): void {
    while (this.#next < this.#list.length && this.#shards.has(this.#list.at(this.#next)!)) this.#next++
  }

  #waiting(summary: Summary): string {
    if (isFinished(summary)) return ''
    if (this.#cancelled) return 'cancelled by the submitter'
    const stopped = stopReason(this.spec, summary)
    if (stopped !== '') return stopped
    const reasons = new Set<string>()
    for (const { shown, reason: failure } of this.#shards.unfinished()) {
      const reason = shown?.waiting ?? failure
      if (reason === '') return ''
      reasons.add(reason)
    }
    return [...reasons].slice(0, 3).join('; ')
  }
}

function activating(entries: readonly HomeShard[]): readonly HomeShard[] {
  for (const entry of entries) entry.activating = true
  return entries
}

function rulingOrders(orders: readonly KnownOrder[]): number {
  return orders.filter(({ order }) => order.body.type === 'rulings').length
}
