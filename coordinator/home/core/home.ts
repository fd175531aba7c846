import type { KnownOrder } from '../../../job/facts/orders.js'
import type { JobId } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { HomeJob, type HomeView, type KeptJob } from './home-job.js'
import { type HomeShard, isFinished, type OwnerStatus } from './home-shard.js'
import type { SilentOwner } from './home-shards.js'

/** Time between looks at all jobs. Unit: ms. */
const SWEEP_MS = 1_000

/** What has happened to the jobs of a home. */
export type HomeEvent =
  | ({ readonly type: 'jobKept' } & KeptJob)
  | { readonly type: 'ordersKept'; readonly jobId: JobId; readonly orders: readonly KnownOrder[] }
  /** This node's place among the homes of a job, or among the peers around it as a guard: see `HomeTurn`. */
  | { readonly type: 'ranked'; readonly jobId: JobId; readonly rank: number; readonly isGuard: boolean }
  | { readonly type: 'jobForgotten'; readonly jobId: JobId }
  /** An owner took a shard, or told how it stands. */
  | { readonly type: 'shardHeard'; readonly jobId: JobId; readonly shard: number; readonly status: OwnerStatus }
  /** Another home has heard this of a shard; only believed of one of which nothing was heard here. */
  | { readonly type: 'shardTold'; readonly jobId: JobId; readonly shard: number; readonly status: OwnerStatus }
  | { readonly type: 'activationFailed'; readonly jobId: JobId; readonly shard: number; readonly reason: string }
  | { readonly type: 'woke' }

/** What a home wants done, in the order in which it is to be done. */
export type HomeEffect =
  /** Find the shard's owners and give them spec and orders; answered by `shardHeard` or `activationFailed`. */
  | { readonly type: 'activate'; readonly jobId: JobId; readonly shard: number }
  /** Something that watchers of the job want to see. */
  | { readonly type: 'changed'; readonly jobId: JobId }

/**
 * One of the homes of jobs: keeps spec and orders, activates shards in a window sized to the volunteers at work, and adds
 * up what their owners tell. The nearest home acts at once. The others hear from the owners all the same, and whichever
 * sees for as long as its place asks (`HomeTurn`) that something is left undone does it: two that act at once waste a
 * message, none that acts is missed for long. States of a shard: see {@link HomeShard}.
 */
export class Home {
  readonly #jobs = new Map<JobId, HomeJob>()
  #effects: HomeEffect[] = []
  #nextSweep: Millis | undefined

  handle(event: HomeEvent, now: Millis): HomeEffect[] {
    if (event.type === 'jobKept') this.#keep(event, now)
    else if (event.type !== 'woke') {
      const job = this.#jobs.get(event.jobId)
      if (job !== undefined) this.#take(job, event, now)
    }
    if (this.#nextSweep !== undefined && now >= this.#nextSweep) this.#sweep(now)
    if (this.#jobs.size === 0) this.#nextSweep = undefined
    else this.#wakeBy(now + SWEEP_MS)
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
    return this.#jobs.get(jobId)?.stopReason ?? ''
  }

  cancelled(jobId: JobId): boolean {
    return this.#jobs.get(jobId)?.cancelled ?? false
  }

  /** Shards of a job with nothing left to do: how many, for comparison with other homes. */
  finishedCount(jobId: JobId): number {
    return this.#jobs.get(jobId)?.finishedCount ?? 0
  }

  /** The first `limit` of them, as their owners told. */
  finishedShards(jobId: JobId, limit: number): { readonly shard: number; readonly status: OwnerStatus }[] {
    return this.#jobs.get(jobId)?.finishedShards(limit) ?? []
  }

  /** Owners of unfinished shards of a job that say nothing any more, for whoever asks why; a few. */
  silentOwners(jobId: JobId, now: Millis): readonly SilentOwner[] {
    return this.#jobs.get(jobId)?.silentOwners(now) ?? []
  }

  /** Jobs that this home counts for the network, being the first of theirs: not ended, and of them those with ready work. */
  firstCounts(wallMs: number): { readonly firstJobs: number; readonly firstReadyJobs: number } {
    let firstJobs = 0
    let firstReadyJobs = 0
    for (const job of this.#jobs.values()) {
      const { summary } = job
      if (job.turn.rank > 0 || job.cancelled || isFinished(summary) || wallMs >= job.expiresAtMs) continue
      firstJobs++
      if (summary.ready > 0 && job.stopReason === '') firstReadyJobs++
    }
    return { firstJobs, firstReadyJobs }
  }

  rank(jobId: JobId): number {
    return this.#jobs.get(jobId)?.turn.rank ?? 0
  }

  /** What this node is as a guard of a job; undefined: it is a home, or does not keep it. */
  guarding(jobId: JobId, now: Millis): 'watching' | 'acting' | undefined {
    const turn = this.#jobs.get(jobId)?.turn
    if (turn?.isGuard !== true) return undefined
    return turn.acts(now) ? 'acting' : 'watching'
  }

  view(jobId: JobId, now: Millis, withShards: boolean): HomeView | undefined {
    return this.#jobs.get(jobId)?.view(now, withShards)
  }

  checkInvariants(): void {
    for (const job of this.#jobs.values()) job.checkInvariants()
  }

  #keep(kept: KeptJob, now: Millis): void {
    if (this.#jobs.has(kept.jobId)) return
    const job = new HomeJob(kept, now)
    this.#jobs.set(kept.jobId, job)
    this.#activate(job, job.due(now))
    this.#changed(job)
  }

  #take(job: HomeJob, event: Exclude<HomeEvent, { readonly type: 'jobKept' | 'woke' }>, now: Millis): void {
    switch (event.type) {
      case 'ordersKept':
        this.#activate(job, job.ordered(event.orders, now))
        this.#changed(job)
        break
      case 'ranked':
        if (job.ranked(event.rank, event.isGuard)) this.#activate(job, job.due(now))
        break
      case 'jobForgotten':
        this.#jobs.delete(event.jobId)
        break
      case 'shardHeard':
        this.#heard(job, event.shard, event.status, now)
        break
      case 'shardTold':
        if (!job.knows(event.shard)) this.#heard(job, event.shard, event.status, now)
        break
      case 'activationFailed':
        this.#wakeBy(job.failed(event.shard, event.reason, now))
        break
    }
  }

  #heard(job: HomeJob, shard: number, status: OwnerStatus, now: Millis): void {
    if (!job.heard(shard, status, now)) return
    this.#activate(job, job.due(now))
    this.#changed(job)
  }

  #sweep(now: Millis): void {
    this.#nextSweep = undefined
    for (const job of this.#jobs.values()) {
      this.#activate(job, job.missed(now))
      this.#activate(job, job.due(now))
    }
  }

  #wakeBy(at: Millis | undefined): void {
    if (at !== undefined) this.#nextSweep = Math.min(this.#nextSweep ?? at, at)
  }

  #activate({ jobId }: HomeJob, shards: readonly HomeShard[]): void {
    for (const { shard } of shards) this.#effects.push({ type: 'activate', jobId, shard })
  }

  #changed({ jobId }: HomeJob): void {
    this.#effects.push({ type: 'changed', jobId })
  }
}
