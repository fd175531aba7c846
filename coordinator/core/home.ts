import { applyOrders, type KnownOrder } from '../../job/orders.js'
import { type ShardList, selectedUnitCount } from '../../job/shard.js'
import { stopReason } from '../../job/stop-rule.js'
import { EMPTY_SUMMARY } from '../../job/summary.js'
import { EXPLAIN_MAX } from '../../proto/explain-messages.js'
import type { JobId, JobSpec, NodeId, Summary } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { GUARD_SILENCE_MS, HomeShard, isFinished, type OwnerStatus, SUMMARY_SILENCE_MS } from './home-shard.js'

export { type OwnerStatus, SUMMARY_SILENCE_MS } from './home-shard.js'

/** Shards with work to grant that a home keeps active, at least, and for each so many connected workers. */
const WINDOW_MIN = 8
const WORKERS_PER_SHARD = 2
/** Activations under way at once. */
const ACTIVATING_MAX = 16
/** First wait after an activation that failed; doubles up to the longest. */
const RETRY_MS = 500
const RETRY_MAX_MS = 10_000
/** Time between looks at all jobs. */
const SWEEP_MS = 1_000
/** A home leaves activating to the nearer ones for so long, and longer by a step for each of them. Unit: ms. */
export const BYPASS_MS = 5_000
const BYPASS_STEP_MS = 1_000
/** A home that had to step in for the nearer ones acts without waiting for so long. Unit: ms. */
const ACTING_MS = 15_000
/**
 * A guard leaves activating to the homes for so long, since it is told more rarely, and a step for each peer nearer to the
 * job; having stepped in, it acts for long: the homes have failed. Unit: ms.
 */
export const GUARD_BYPASS_MS = 45_000
const GUARD_BYPASS_STEP_MS = 2_000
const GUARD_ACTING_MS = 10 * 60_000

/** Silent owners told of one job, and how long each is. Unit of the second: ms. */
const SILENT_MAX = EXPLAIN_MAX.troubles / 2
const SILENT_TOLD_MS = 10 * 60_000

/** An owner that says nothing any more of shards it had. */
export interface SilentOwner {
  readonly nodeId: NodeId
  readonly address: string
  readonly at: Millis
  readonly shards: number
}

export type HomeEvent =
  | {
      readonly type: 'jobKept'
      readonly jobId: JobId
      readonly spec: JobSpec
      readonly orders: readonly KnownOrder[]
      readonly shards: ShardList
      readonly shardUnits: (shard: number) => number
      /** As in `ranked`. */
      readonly rank: number
    }
  | { readonly type: 'ordersKept'; readonly jobId: JobId; readonly orders: readonly KnownOrder[] }
  /**
   * So many homes of the job are nearer to it than this one and seem to be there: 0 makes this one the preferred. A guard is
   * no home, but keeps the job and acts where they do not.
   */
  | { readonly type: 'ranked'; readonly jobId: JobId; readonly rank: number; readonly isGuard: boolean }
  | { readonly type: 'jobForgotten'; readonly jobId: JobId }
  /** An owner took a shard, or told how it stands. */
  | { readonly type: 'shardHeard'; readonly jobId: JobId; readonly shard: number; readonly status: OwnerStatus }
  /** Another home has heard this of a shard; only believed of one of which nothing was heard here. */
  | { readonly type: 'shardTold'; readonly jobId: JobId; readonly shard: number; readonly status: OwnerStatus }
  | { readonly type: 'activationFailed'; readonly jobId: JobId; readonly shard: number; readonly reason: string }
  | { readonly type: 'woke' }

export type HomeEffect =
  /** Find the shard's owners and give them spec and orders; answered by `shardHeard` or `activationFailed`. */
  | { readonly type: 'activate'; readonly jobId: JobId; readonly shard: number }
  /** Something that watchers of the job want to see. */
  | { readonly type: 'changed'; readonly jobId: JobId }

interface HomeJob {
  readonly jobId: JobId
  readonly spec: JobSpec
  orders: readonly KnownOrder[]
  readonly shards: ShardList
  readonly shardUnits: (shard: number) => number
  readonly units: number
  readonly keptAt: Millis
  firstGrantAt: Millis | undefined
  rank: number
  isGuard: boolean
  /** Since when more shards should be active than are, as far as this home has heard. */
  windowOpenSince: Millis | undefined
  /** Until when it acts as if it were the preferred one, having stepped in once. */
  actingUntil: Millis
  /** All of the first `next` of `shards` are known: activated here, or heard of. */
  next: number
  /** Shards never activated as far as this home knows have no entry. */
  readonly entries: Map<number, HomeShard>
  /** Entries that are not finished. */
  readonly unfinished: Set<number>
  /** Sum over what is shown of all entries, `workers` and `donors` aside. */
  readonly sum: Sum
  cancelled: boolean
}

type Sum = { -readonly [Count in keyof Summary]: Summary[Count] }

/** One job as its home sees it. */
export interface HomeView {
  readonly jobId: JobId
  readonly spec: JobSpec
  readonly summary: Summary
  readonly waiting: string
  readonly ageMs: Millis
  readonly firstGrantAgeMs: Millis | undefined
  readonly finished: boolean
  readonly shards: readonly { readonly shard: number; readonly status: OwnerStatus; readonly ageMs: Millis }[]
}

/**
 * One of the homes of jobs: keeps spec and orders, activates shards in a window sized to the volunteers at work, and adds
 * up what their owners tell. The nearest home acts at once. The others hear from the owners all the same, and whichever
 * sees for {@link BYPASS_MS} and a step for each nearer home that something is left undone does it: two that act at once
 * waste a message, none that acts is missed for long. States of a shard: see {@link HomeShard}.
 */
export class Home {
  readonly #jobs = new Map<JobId, HomeJob>()
  #effects: HomeEffect[] = []
  #nextSweep: Millis | undefined

  handle(event: HomeEvent, now: Millis): HomeEffect[] {
    switch (event.type) {
      case 'jobKept': {
        if (this.#jobs.has(event.jobId)) break
        const job: HomeJob = {
          jobId: event.jobId,
          spec: event.spec,
          orders: event.orders,
          shards: event.shards,
          shardUnits: event.shardUnits,
          units: selectedUnitCount(event.spec),
          keptAt: now,
          firstGrantAt: undefined,
          rank: event.rank,
          isGuard: false,
          windowOpenSince: undefined,
          actingUntil: Number.NEGATIVE_INFINITY,
          next: 0,
          entries: new Map(),
          unfinished: new Set(),
          sum: { ...EMPTY_SUMMARY },
          cancelled: applyOrders(event.spec, event.orders).cancelled,
        }
        this.#jobs.set(event.jobId, job)
        this.#fillWindow(job, now)
        this.#effects.push({ type: 'changed', jobId: event.jobId })
        break
      }
      case 'ordersKept': {
        const job = this.#jobs.get(event.jobId)
        if (job === undefined) break
        const ruledBefore = rulingOrders(job.orders)
        job.orders = event.orders
        job.cancelled = applyOrders(job.spec, event.orders).cancelled
        // A ruling may open again what is finished, and owners do not speak of finished shards.
        const isRuled = rulingOrders(event.orders) > ruledBefore
        if (isRuled) {
          for (const entry of job.entries.values()) {
            const before = entry.shown
            entry.reopened(now)
            this.#shownAgain(job, entry, before)
          }
        }
        // Owners get orders from every home they tell of their shards, too: those of the others need no repetition.
        if (acts(job, now)) {
          const shards = isRuled ? job.entries.keys() : job.unfinished
          for (const shard of shards) this.#activate(job, shard)
        }
        this.#effects.push({ type: 'changed', jobId: event.jobId })
        break
      }
      case 'ranked': {
        const job = this.#jobs.get(event.jobId)
        if (job === undefined || (job.rank === event.rank && job.isGuard === event.isGuard)) break
        job.rank = event.rank
        job.isGuard = event.isGuard
        for (const entry of job.entries.values()) entry.silenceMs = silenceMs(job)
        this.#fillWindow(job, now)
        break
      }
      case 'jobForgotten':
        this.#jobs.delete(event.jobId)
        break
      case 'shardHeard':
        this.#heard(event.jobId, event.shard, event.status, now)
        break
      case 'shardTold':
        if (this.#jobs.get(event.jobId)?.entries.get(event.shard)?.shown === undefined)
          this.#heard(event.jobId, event.shard, event.status, now)
        break
      case 'activationFailed': {
        const job = this.#jobs.get(event.jobId)
        const entry = job?.entries.get(event.shard)
        if (job === undefined || entry === undefined) break
        entry.activating = false
        entry.reason = event.reason
        entry.retryAt = now + Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** entry.attempts++)
        this.#wakeAt(entry.retryAt)
        break
      }
      case 'woke':
        break
    }
    if (this.#nextSweep !== undefined && now >= this.#nextSweep) this.#sweep(now)
    if (this.#jobs.size === 0) this.#nextSweep = undefined
    else this.#wakeAt(now + SWEEP_MS)
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  nextWakeup(): Millis | undefined {
    return this.#nextSweep
  }

  has(jobId: JobId): boolean {
    return this.#jobs.has(jobId)
  }

  jobIds(): JobId[] {
    return [...this.#jobs.keys()]
  }

  /** Why the job is to be granted no further; empty: go on. */
  stopReason(jobId: JobId): string {
    const job = this.#jobs.get(jobId)
    return job === undefined ? '' : stopReason(job.spec, summarize(job))
  }

  cancelled(jobId: JobId): boolean {
    return this.#jobs.get(jobId)?.cancelled ?? false
  }

  /** Shards of a job with nothing left to do: how many, for comparison with other homes. */
  finishedCount(jobId: JobId): number {
    const job = this.#jobs.get(jobId)
    return job === undefined ? 0 : job.entries.size - job.unfinished.size
  }

  /** Owners of unfinished shards of a job that say nothing any more, for whoever asks why; at most {@link SILENT_MAX}. */
  silentOwners(jobId: JobId, now: Millis): readonly SilentOwner[] {
    const job = this.#jobs.get(jobId)
    const silent = new Map<NodeId, { nodeId: NodeId; address: string; at: Millis; shards: number }>()
    for (const shard of job?.unfinished ?? []) {
      for (const { status, at } of job!.entries.get(shard)!.silent(now)) {
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

  /** Jobs that this home counts for the network, being the first of theirs: not ended, and of them those with ready work. */
  firstCounts(wallMs: number): { readonly firstJobs: number; readonly firstReadyJobs: number } {
    let firstJobs = 0
    let firstReadyJobs = 0
    for (const job of this.#jobs.values()) {
      if (job.rank > 0 || job.cancelled || wallMs >= applyOrders(job.spec, job.orders).expiresAtMs) continue
      const summary = summarize(job)
      if (isFinished(summary)) continue
      firstJobs++
      if (summary.ready > 0 && stopReason(job.spec, summary) === '') firstReadyJobs++
    }
    return { firstJobs, firstReadyJobs }
  }

  rank(jobId: JobId): number {
    return this.#jobs.get(jobId)?.rank ?? 0
  }

  /** What this node is as a guard of a job; undefined: it is a home, or does not keep it. */
  guarding(jobId: JobId, now: Millis): 'watching' | 'acting' | undefined {
    const job = this.#jobs.get(jobId)
    if (job?.isGuard !== true) return undefined
    return acts(job, now) ? 'acting' : 'watching'
  }

  /** The first `limit` of them, as their owners told. */
  finishedShards(jobId: JobId, limit: number): { readonly shard: number; readonly status: OwnerStatus }[] {
    const finished: { shard: number; status: OwnerStatus }[] = []
    for (const entry of this.#jobs.get(jobId)?.entries.values() ?? []) {
      if (finished.length >= limit) break
      if (entry.shown !== undefined && entry.finished) finished.push({ shard: entry.shard, status: entry.shown })
    }
    return finished
  }

  view(jobId: JobId, now: Millis, withShards: boolean): HomeView | undefined {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return undefined
    const summary = summarize(job)
    return {
      jobId,
      spec: job.spec,
      summary,
      waiting: waitingOf(job, summary),
      ageMs: now - job.keptAt,
      firstGrantAgeMs: job.firstGrantAt === undefined ? undefined : job.firstGrantAt - job.keptAt,
      finished: summary.settled + summary.failed === summary.units,
      shards: withShards ? shardsOf(job, now) : [],
    }
  }

  checkInvariants(): void {
    for (const job of this.#jobs.values()) {
      for (const shard of job.unfinished)
        if (!job.entries.has(shard)) throw new Error(`shard ${shard} is unfinished but was never activated`)
      const summary = summarize(job)
      const sum = summary.open + summary.accepted + summary.settled + summary.disputed + summary.held + summary.failed
      if (sum !== summary.units || summary.units !== job.units)
        throw new Error(`job has ${job.units} units, states add up to ${sum} of ${summary.units}`)
    }
  }

  #heard(jobId: JobId, shard: number, status: OwnerStatus, now: Millis): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined || !job.shards.includes(shard)) return
    const known = job.entries.get(shard)
    const entry = known ?? new HomeShard(shard, job.shardUnits(shard), silenceMs(job), now)
    const before = entry.shown
    if (!entry.hear(status, now)) return
    if (known === undefined) {
      // Another home activates shards: it is at work.
      job.entries.set(shard, entry)
      job.windowOpenSince = undefined
    }
    this.#shownAgain(job, entry, before)
    if (status.firstGrantAgoMs !== undefined) {
      const at = Math.max(job.keptAt, now - status.firstGrantAgoMs)
      job.firstGrantAt = Math.min(job.firstGrantAt ?? at, at)
    }
    this.#fillWindow(job, now)
    this.#effects.push({ type: 'changed', jobId })
  }

  /** Keeps the sum equal to what is shown of the entry. */
  #shownAgain(job: HomeJob, entry: HomeShard, before: OwnerStatus | undefined): void {
    const { shown, shard } = entry
    if (before !== undefined) add(job.sum, before.summary, -1)
    if (shown !== undefined) add(job.sum, shown.summary, 1)
    if (entry.finished) job.unfinished.delete(shard)
    else job.unfinished.add(shard)
  }

  #sweep(now: Millis): void {
    this.#nextSweep = undefined
    for (const job of this.#jobs.values()) {
      for (const shard of job.unfinished) {
        const entry = job.entries.get(shard)!
        const before = entry.shown
        entry.refresh(now)
        if (entry.shown !== before) this.#shownAgain(job, entry, before)
        if (entry.activating || entry.finished || entry.retryAt > now) continue
        const wantedAt = before === undefined ? entry.wantedAt : entry.heardAt + entry.silenceMs
        if (now >= wantedAt && this.#mayAct(job, wantedAt, now)) this.#activate(job, shard)
      }
      this.#fillWindow(job, now)
    }
  }

  /** Whether this home is to do what should have been done since `wantedAt`. */
  #mayAct(job: HomeJob, wantedAt: Millis, now: Millis): boolean {
    if (acts(job, now)) return true
    const { rank, isGuard } = job
    const patienceMs = isGuard ? GUARD_BYPASS_MS + rank * GUARD_BYPASS_STEP_MS : BYPASS_MS + rank * BYPASS_STEP_MS
    if (now < wantedAt + patienceMs) return false
    job.actingUntil = now + (isGuard ? GUARD_ACTING_MS : ACTING_MS)
    return true
  }

  #fillWindow(job: HomeJob, now: Millis): void {
    if (job.cancelled || stopReason(job.spec, summarize(job)) !== '') return
    let withWork = 0
    let activating = 0
    let workers = 0
    for (const shard of job.unfinished) {
      const entry = job.entries.get(shard)!
      if (entry.activating) activating++
      if (entry.shown === undefined || entry.shown.summary.ready > 0) withWork++
      workers = Math.max(workers, entry.shown?.summary.workers ?? 0)
    }
    const window = Math.max(WINDOW_MIN, Math.ceil(workers / WORKERS_PER_SHARD))
    while (job.next < job.shards.length && job.entries.has(job.shards.at(job.next)!)) job.next++
    if (withWork >= window || job.next >= job.shards.length) {
      job.windowOpenSince = undefined
      return
    }
    job.windowOpenSince ??= now
    if (!this.#mayAct(job, job.windowOpenSince, now)) return
    for (; withWork < window && activating < ACTIVATING_MAX && job.next < job.shards.length; job.next++) {
      const shard = job.shards.at(job.next)!
      if (job.entries.has(shard)) continue
      job.entries.set(shard, new HomeShard(shard, job.shardUnits(shard), silenceMs(job), now))
      job.unfinished.add(shard)
      this.#activate(job, shard)
      withWork++
      activating++
    }
  }

  #activate(job: HomeJob, shard: number): void {
    const entry = job.entries.get(shard)!
    entry.activating = true
    this.#effects.push({ type: 'activate', jobId: job.jobId, shard })
  }

  #wakeAt(at: Millis): void {
    this.#nextSweep = Math.min(this.#nextSweep ?? Number.POSITIVE_INFINITY, at)
  }
}

function silenceMs({ isGuard }: HomeJob): Millis {
  return isGuard ? GUARD_SILENCE_MS : SUMMARY_SILENCE_MS
}

function rulingOrders(orders: readonly KnownOrder[]): number {
  return orders.filter(({ order }) => order.body.type === 'rulings').length
}

/** Whether this home does at once what is to be done. */
function acts({ rank, isGuard, actingUntil }: HomeJob, now: Millis): boolean {
  return (rank === 0 && !isGuard) || now < actingUntil
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

/** The whole job: units of shards that were never activated are open. */
function summarize(job: HomeJob): Summary {
  const { sum, units } = job
  let workers = 0
  let donors = 0
  // Workers serve many shards at once: the largest count is a lower bound of how many there are.
  for (const shard of job.unfinished) {
    const summary = job.entries.get(shard)!.shown?.summary
    workers = Math.max(workers, summary?.workers ?? 0)
    donors = Math.max(donors, summary?.donors ?? 0)
  }
  return { ...sum, units, open: sum.open + units - sum.units, workers, donors }
}

function waitingOf(job: HomeJob, summary: Summary): string {
  if (isFinished(summary)) return ''
  if (job.cancelled) return 'cancelled by the submitter'
  const stopped = stopReason(job.spec, summary)
  if (stopped !== '') return stopped
  const reasons = new Set<string>()
  for (const shard of job.unfinished) {
    const entry = job.entries.get(shard)!
    const reason = entry.shown?.waiting ?? entry.reason
    if (reason === '') return ''
    reasons.add(reason)
  }
  return [...reasons].slice(0, 3).join('; ')
}

function shardsOf(job: HomeJob, now: Millis): HomeView['shards'] {
  const shards: { shard: number; status: OwnerStatus; ageMs: Millis }[] = []
  for (const { shard, shown, heardAt } of job.entries.values())
    if (shown !== undefined) shards.push({ shard, status: shown, ageMs: now - heardAt })
  return shards
}
