import { applyOrders, type KnownOrder } from '../../job/orders.js'
import { type ShardList, selectedUnitCount } from '../../job/shard.js'
import { stopReason } from '../../job/stop-rule.js'
import type { JobId, JobSpec, NodeId, Summary } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'

/** Shards with work to grant that a home keeps active, at least, and for each so many connected workers. */
const WINDOW_MIN = 8
const WORKERS_PER_SHARD = 2
/** Activations under way at once. */
const ACTIVATING_MAX = 16
/** An owner that has not summarized an unfinished shard for this long is looked for anew. */
export const SUMMARY_SILENCE_MS = 10_000
/** First wait after an activation that failed; doubles up to the longest. */
const RETRY_MS = 500
const RETRY_MAX_MS = 10_000
/** Time between looks at all jobs. */
const SWEEP_MS = 1_000

/** An owner's word on one of its shards. */
export interface OwnerStatus {
  readonly owner: NodeId
  readonly address: string
  readonly summary: Summary
  readonly waiting: string
  /** Since it granted the first instance of the shard. */
  readonly firstGrantAgoMs: Millis | undefined
}

export type HomeEvent =
  | {
      readonly type: 'jobKept'
      readonly jobId: JobId
      readonly spec: JobSpec
      readonly orders: readonly KnownOrder[]
      readonly shards: ShardList
      readonly shardUnits: (shard: number) => number
      readonly keptWallMs: Millis
    }
  | { readonly type: 'ordersKept'; readonly jobId: JobId; readonly orders: readonly KnownOrder[] }
  | { readonly type: 'jobForgotten'; readonly jobId: JobId }
  /** An owner took a shard, or told how it stands. */
  | { readonly type: 'shardHeard'; readonly jobId: JobId; readonly shard: number; readonly status: OwnerStatus }
  | { readonly type: 'activationFailed'; readonly jobId: JobId; readonly shard: number; readonly reason: string }
  | { readonly type: 'woke' }

export type HomeEffect =
  /** Find the shard's owners and give them spec and orders; answered by `shardHeard` or `activationFailed`. */
  | { readonly type: 'activate'; readonly jobId: JobId; readonly shard: number }
  /** Something that watchers of the job want to see. */
  | { readonly type: 'changed'; readonly jobId: JobId }

/** What a home knows of one shard. Unactivated shards have no entry. */
interface ShardEntry {
  status: OwnerStatus | undefined
  heardAt: Millis
  activating: boolean
  attempts: number
  retryAt: Millis
  reason: string
}

interface HomeJob {
  readonly jobId: JobId
  readonly spec: JobSpec
  orders: readonly KnownOrder[]
  readonly shards: ShardList
  readonly shardUnits: (shard: number) => number
  readonly units: number
  readonly keptWallMs: Millis
  readonly keptAt: Millis
  firstGrantAt: Millis | undefined
  /** Shards activated so far are the first `next` of `shards`. */
  next: number
  readonly entries: Map<number, ShardEntry>
  /** Entries that are not finished. */
  readonly unfinished: Set<number>
  /** Sum over all statuses, `workers` and `donors` aside. */
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

const NOTHING: Summary = Object.freeze({
  units: 0,
  open: 0,
  accepted: 0,
  settled: 0,
  disputed: 0,
  held: 0,
  failed: 0,
  leased: 0,
  granted: 0,
  answered: 0,
  disagreeing: 0,
  workers: 0,
  donors: 0,
  fuel: 0n,
  ready: 0,
})

/**
 * The home of jobs: keeps spec and orders, activates shards in a window sized to the volunteers at work, and adds up what
 * their owners tell. A shard: unknown -> activating -> active (heard within {@link SUMMARY_SILENCE_MS}) -> finished;
 * active -> activating again when its owner falls silent.
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
          keptWallMs: event.keptWallMs,
          keptAt: now,
          firstGrantAt: undefined,
          next: 0,
          entries: new Map(),
          unfinished: new Set(),
          sum: { ...NOTHING },
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
        job.orders = event.orders
        job.cancelled = applyOrders(job.spec, event.orders).cancelled
        for (const shard of job.unfinished) this.#activate(job, shard)
        this.#effects.push({ type: 'changed', jobId: event.jobId })
        break
      }
      case 'jobForgotten':
        this.#jobs.delete(event.jobId)
        break
      case 'shardHeard':
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
    const entry = job?.entries.get(shard)
    // Counts that do not add up come from a peer that is wrong or lies: they are not believed.
    if (job === undefined || entry === undefined || !addsUp(status.summary, job.shardUnits(shard))) return
    entry.activating = false
    entry.attempts = 0
    entry.reason = ''
    entry.heardAt = now
    if (entry.status !== undefined) add(job.sum, entry.status.summary, -1)
    add(job.sum, status.summary, 1)
    entry.status = status
    if (status.firstGrantAgoMs !== undefined) {
      const at = Math.max(job.keptAt, now - status.firstGrantAgoMs)
      job.firstGrantAt = Math.min(job.firstGrantAt ?? at, at)
    }
    const finished = isFinished(status.summary)
    if (finished) job.unfinished.delete(shard)
    else job.unfinished.add(shard)
    this.#fillWindow(job, now)
    this.#effects.push({ type: 'changed', jobId })
  }

  #sweep(now: Millis): void {
    this.#nextSweep = undefined
    for (const job of this.#jobs.values()) {
      for (const shard of job.unfinished) {
        const entry = job.entries.get(shard)!
        if (entry.activating || entry.retryAt > now) continue
        if (entry.status === undefined || now - entry.heardAt >= SUMMARY_SILENCE_MS) this.#activate(job, shard)
      }
      this.#fillWindow(job, now)
    }
  }

  #fillWindow(job: HomeJob, now: Millis): void {
    if (job.cancelled || stopReason(job.spec, summarize(job)) !== '') return
    let withWork = 0
    let activating = 0
    let workers = 0
    for (const shard of job.unfinished) {
      const entry = job.entries.get(shard)!
      if (entry.activating) activating++
      if (entry.status === undefined || entry.status.summary.ready > 0) withWork++
      workers = Math.max(workers, entry.status?.summary.workers ?? 0)
    }
    const window = Math.max(WINDOW_MIN, Math.ceil(workers / WORKERS_PER_SHARD))
    while (withWork < window && activating < ACTIVATING_MAX && job.next < job.shards.length) {
      const shard = job.shards.at(job.next++)!
      job.entries.set(shard, {
        status: undefined,
        heardAt: now,
        activating: false,
        attempts: 0,
        retryAt: 0,
        reason: '',
      })
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

function isFinished(summary: Summary): boolean {
  return summary.settled + summary.failed === summary.units
}

function addsUp(summary: Summary, units: number): boolean {
  const { open, accepted, settled, disputed, held, failed } = summary
  return summary.units === units && open + accepted + settled + disputed + held + failed === units
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
    const summary = job.entries.get(shard)!.status?.summary
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
    const reason = entry.status?.waiting ?? entry.reason
    if (reason === '') return ''
    reasons.add(reason)
  }
  return [...reasons].slice(0, 3).join('; ')
}

function shardsOf(job: HomeJob, now: Millis): HomeView['shards'] {
  const shards: { shard: number; status: OwnerStatus; ageMs: Millis }[] = []
  for (const [shard, { status, heardAt }] of job.entries)
    if (status !== undefined) shards.push({ shard, status, ageMs: now - heardAt })
  return shards
}
