import { homeKey } from '../job/shard.js'
import { MESSAGE_SHARDS_MAX } from '../proto/limits.js'
import type { ShardStatus } from '../proto/messages.js'
import { methods } from '../proto/methods.js'
import type { JobId, Signed } from '../proto/model.js'
import type { Clock, Timer } from '../runtime/clock.js'
import { GridError, toGridError } from '../runtime/errors.js'
import type { Logger } from '../runtime/logger.js'
import type { Endpoint, Transport } from '../runtime/transport.js'
import { announcementHeader } from './announcement-header.js'
import type { OwnerDirectory } from './directory.js'
import type { HomeDriver } from './home-driver.js'
import type { BookedJob, JobBook } from './job-book.js'
import type { OwnerDriver } from './owner-driver.js'

export interface HomeReporterContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly transport: Transport
  readonly directory: OwnerDirectory
  readonly book: JobBook
  readonly owner: OwnerDriver
  readonly home: HomeDriver
  /** Takes in orders that the home passed on. */
  readonly takeOrders: (job: BookedJob, orders: readonly Signed[]) => Promise<void>
}

/** Time between two summaries of one job to its home, and the pause before the first. */
const SUMMARY_MS = 1_000
const SUMMARY_SOON_MS = 50
/** An owner says how its unfinished shards stand even if nothing changes, so that the home knows it is there. */
const SUMMARY_RENEWAL_MS = 4_000
/** Deadline of a summary, and how long the home found by a lookup is used. */
const SUMMARIZE_MS = 5_000
const HOME_CACHE_MS = 30_000
/** Peers asked for the home: those that came since may be nearer than the one that has the job. */
const HOMES_ASKED = 5

interface JobReports {
  /** Shards whose counts changed since the last summary. */
  readonly dirty: Set<number>
  timer: Timer | undefined
  lastSentAt: number
  home: { readonly endpoint: Endpoint; readonly foundAt: number } | undefined
  /** Ready work as the board has it from here. */
  announced: number
}

/** Tells the homes of jobs how their shards here stand, at most once a second each, and the board what work is ready. */
export class HomeReporter {
  readonly #c: HomeReporterContext
  readonly #jobs = new Map<JobId, JobReports>()
  #closed = false

  constructor(context: HomeReporterContext) {
    this.#c = context
    context.owner.onShardChanged((jobId, shard) => this.#changed(jobId, shard))
    context.directory.onNeighboursChanged(() => {
      for (const reports of this.#jobs.values()) reports.home = undefined
    })
  }

  /** Jobs with shards here, and of them those with ready work. */
  get counts(): { readonly jobs: number; readonly readyJobs: number } {
    let readyJobs = 0
    for (const { announced } of this.#jobs.values()) if (announced > 0) readyJobs++
    return { jobs: this.#jobs.size, readyJobs }
  }

  /** To be called every few seconds: renews summaries of shards that are not finished. */
  renew(): void {
    const now = this.#c.clock.now()
    for (const [jobId, reports] of this.#jobs) {
      if (now - reports.lastSentAt < SUMMARY_RENEWAL_MS) continue
      for (const shard of this.#c.owner.core.job(jobId)?.shards.values() ?? []) {
        if (!shard.finished) reports.dirty.add(shard.shard)
      }
      if (reports.dirty.size > 0) this.#sendSoon(jobId, reports)
    }
  }

  forget(jobId: JobId): void {
    this.#jobs.get(jobId)?.timer?.cancel()
    this.#jobs.delete(jobId)
  }

  close(): void {
    this.#closed = true
    for (const { timer } of this.#jobs.values()) timer?.cancel()
  }

  #changed(jobId: JobId, shard: number): void {
    let reports = this.#jobs.get(jobId)
    if (reports === undefined) {
      const lastSentAt = Number.NEGATIVE_INFINITY
      reports = { dirty: new Set(), timer: undefined, lastSentAt, home: undefined, announced: 0 }
      this.#jobs.set(jobId, reports)
    }
    reports.dirty.add(shard)
    this.#sendSoon(jobId, reports)
  }

  #sendSoon(jobId: JobId, reports: JobReports): void {
    if (reports.timer !== undefined || this.#closed) return
    const wait = Math.max(SUMMARY_SOON_MS, reports.lastSentAt + SUMMARY_MS - this.#c.clock.now())
    reports.timer = this.#c.clock.setTimer(wait, () => {
      reports.timer = undefined
      reports.lastSentAt = this.#c.clock.now()
      void this.#send(jobId, reports)
    })
  }

  async #send(jobId: JobId, reports: JobReports): Promise<void> {
    const job = this.#c.book.get(jobId)
    if (job === undefined || this.#closed) return
    this.#announce(job, reports)
    const shards = [...reports.dirty]
    reports.dirty.clear()
    const { self } = this.#c.directory
    const statuses: ShardStatus[] = []
    for (const shard of shards) {
      const report = this.#c.owner.core.report(jobId, shard)
      if (report === undefined) continue
      const { summary, waiting, firstGrantAt } = report
      const firstGrantAgoMs = firstGrantAt === undefined ? undefined : this.#c.clock.now() - firstGrantAt
      statuses.push({
        shard,
        owner: self.nodeId,
        ownerAddress: self.address,
        summary,
        waiting,
        summaryAgeMs: 0,
        firstGrantAgoMs,
      })
    }
    try {
      for (let at = 0; at < statuses.length; at += MESSAGE_SHARDS_MAX) {
        await this.#tellHome(job, reports, statuses.slice(at, at + MESSAGE_SHARDS_MAX))
      }
    } catch (error) {
      reports.home = undefined
      for (const shard of shards) reports.dirty.add(shard)
      this.#c.logger.debug('home not reached', { jobId, error: toGridError(error).message })
      this.#sendSoon(jobId, reports)
    }
  }

  async #tellHome(job: BookedJob, reports: JobReports, shards: readonly ShardStatus[]): Promise<void> {
    const { directory, transport, clock, home, takeOrders } = this.#c
    const { jobId } = job
    if (home.core.has(jobId)) {
      this.#stop(jobId, home.summarized(jobId, shards, directory.self).stopped)
      return
    }
    const known = reports.home
    const candidates =
      known !== undefined && clock.now() - known.foundAt <= HOME_CACHE_MS
        ? [known.endpoint]
        : await directory.owners(homeKey(jobId), HOMES_ASKED)
    let failure = new GridError('unreachable', 'no peer is there to be the home of the job')
    for (const endpoint of candidates) {
      if (endpoint.nodeId === directory.self.nodeId) continue
      try {
        const reply = await transport.call(endpoint, methods.summarize, { jobId, shards }, { deadlineMs: SUMMARIZE_MS })
        if (endpoint !== known?.endpoint) reports.home = { endpoint, foundAt: clock.now() }
        this.#stop(jobId, reply.stopped)
        await takeOrders(job, reply.orders)
        return
      } catch (error) {
        failure = toGridError(error)
      }
    }
    throw failure
  }

  #stop(jobId: JobId, reason: string): void {
    const { owner } = this.#c
    if ((owner.core.job(jobId)?.stopped ?? '') !== reason) owner.handle({ type: 'jobStopped', jobId, reason })
  }

  #announce(job: BookedJob, reports: JobReports): void {
    const { owner, directory } = this.#c
    const { jobId, spec } = job
    let ready = 0
    for (const shard of owner.core.job(jobId)?.shards.keys() ?? []) {
      ready += owner.core.report(jobId, shard)?.summary.ready ?? 0
    }
    if (ready === 0 && reports.announced === 0) return
    reports.announced = ready
    directory.announce({ jobId, submitter: spec.submitter, ready, header: announcementHeader(spec) })
  }
}
