import { homeKey } from '../../job/units/shard.js'
import type { ShardStatus, SummarizeReply } from '../../proto/job-messages.js'
import { MESSAGE_SHARDS_MAX } from '../../proto/limits.js'
import { methods } from '../../proto/methods.js'
import type { JobId, Signed, Summary } from '../../proto/model.js'
import { Alarm } from '../../runtime/alarm.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import type { Endpoint, Transport } from '../../runtime/transport.js'
import type { OwnerDirectory } from '../directory.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { JobBook } from '../jobs/job-book.js'
import type { CoordinatorOptions } from '../options.js'
import type { OwnerDriver } from '../owner/owner-driver.js'
import { announcementHeader } from './announcement-header.js'
import { agreedStop } from './core/agreed-stop.js'
import type { HomeDriver } from './home-driver.js'

interface HomeReporterContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly transport: Transport
  readonly directory: OwnerDirectory
  readonly book: JobBook
  readonly owner: OwnerDriver
  readonly home: HomeDriver
  readonly options: Pick<CoordinatorOptions, 'homeOwners'>
  /** How a shard ended that has left memory; undefined: none that is known. */
  readonly finished: (jobId: JobId, shard: number) => Summary | undefined
  /** Takes in orders that the home passed on. */
  readonly takeOrders: (job: BookedJob, orders: readonly Signed[]) => Promise<void>
}

/** Homes that hear of every change: the nearest that answers, and the one that would stand in for it. */
const CLOSE_HOMES = 2
/** Time between two summaries of one job to them, and to the other homes, and the pause before the first. Unit: ms. */
const SUMMARY_MS = 1_000
const SUMMARY_FAR_MS = 3_000
const SUMMARY_SOON_MS = 50
/** The same to guards, the first time as well: most jobs are over by then. Unit: ms. */
const SUMMARY_GUARD_MS = 20_000
/** An owner says how its unfinished shards stand even if nothing changes, so that homes know it is there. Unit: ms. */
const SUMMARY_RENEWAL_MS = 4_000
/** Deadline of a summary, and how long homes found by a lookup are used. Unit: ms. */
const SUMMARIZE_MS = 5_000
const HOMES_CACHE_MS = 30_000
/** Wait after a home did not take a summary, doubled each time up to the longest. Unit: ms. */
const RETRY_MS = 1_000
const RETRY_MAX_MS = 8_000
/** Time between two attempts to give a job that no home knows back to its homes. Unit: ms. */
const REVIVE_MS = 10_000

/** One of the homes and guards that are told of a job. */
interface Target {
  readonly endpoint: Endpoint
  readonly isGuard: boolean
  /** Shards that it has not been told of as they are. */
  readonly dirty: Set<number>
  nextAt: Millis
  busy: boolean
  /** Summaries in a row that it did not take. */
  failures: number
  /** It answered that it does not have the job. */
  isStranger: boolean
  /** Why nothing more is to be granted, as it said last; empty: go on. */
  stopped: string
}

interface JobReports {
  readonly alarm: Alarm
  /** Shards that changed since the targets were last marked. */
  readonly dirty: Set<number>
  /** Nearest first. */
  targets: Target[]
  foundAt: Millis
  finding: boolean
  renewedAt: Millis
  revivedAt: Millis
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
      for (const reports of this.#jobs.values()) reports.foundAt = Number.NEGATIVE_INFINITY
    })
  }

  /** Jobs with shards here, and of them those with ready work. */
  get counts(): { readonly jobs: number; readonly readyJobs: number; readonly shards: number } {
    let readyJobs = 0
    let shards = 0
    for (const [jobId, { announced }] of this.#jobs) {
      if (announced > 0) readyJobs++
      shards += this.#c.owner.core.job(jobId)?.shards.size ?? 0
    }
    return { jobs: this.#jobs.size, readyJobs, shards }
  }

  /** To be called every few seconds: renews summaries of shards that are not finished, and what the board has. */
  renew(): void {
    const now = this.#c.clock.now()
    for (const [jobId, reports] of this.#jobs) {
      if (now - reports.renewedAt < SUMMARY_RENEWAL_MS) continue
      reports.renewedAt = now
      // Shards may have gone to others, of which nothing is told.
      const job = this.#c.book.get(jobId)
      if (job !== undefined) this.#announce(job, reports)
      for (const shard of this.#c.owner.core.job(jobId)?.shards.values() ?? []) {
        if (!shard.finished) reports.dirty.add(shard.shard)
      }
      this.#schedule(reports)
    }
  }

  forget(jobId: JobId): void {
    this.#jobs.get(jobId)?.alarm.close()
    this.#jobs.delete(jobId)
  }

  close(): void {
    this.#closed = true
    for (const { alarm } of this.#jobs.values()) alarm.close()
  }

  #changed(jobId: JobId, shard: number): void {
    let reports = this.#jobs.get(jobId)
    if (reports === undefined) {
      const made: JobReports = {
        alarm: new Alarm(this.#c.clock, () => void this.#flush(jobId, made)),
        dirty: new Set(),
        targets: [],
        foundAt: Number.NEGATIVE_INFINITY,
        finding: false,
        renewedAt: this.#c.clock.now(),
        revivedAt: Number.NEGATIVE_INFINITY,
        announced: 0,
      }
      reports = made
      this.#jobs.set(jobId, reports)
    }
    reports.dirty.add(shard)
    this.#schedule(reports)
  }

  /** Wakes when the first home is due that has something to be told. */
  #schedule(reports: JobReports): void {
    if (this.#closed || reports.finding) return
    const now = this.#c.clock.now()
    let at = reports.targets.length === 0 && reports.dirty.size > 0 ? now : Number.POSITIVE_INFINITY
    for (const target of reports.targets)
      if (!target.busy && (target.dirty.size > 0 || reports.dirty.size > 0)) at = Math.min(at, target.nextAt)
    if (at < Number.POSITIVE_INFINITY) reports.alarm.set(Math.max(at, now + SUMMARY_SOON_MS))
  }

  async #flush(jobId: JobId, reports: JobReports): Promise<void> {
    const { book, clock } = this.#c
    const job = book.get(jobId)
    if (job === undefined || this.#closed || reports.finding) return
    this.#announce(job, reports)
    if (clock.now() - reports.foundAt > HOMES_CACHE_MS || reports.targets.length === 0) {
      reports.finding = true
      await this.#findHomes(job, reports)
      reports.finding = false
      if (this.#closed || this.#jobs.get(jobId) !== reports) return
    }
    const now = clock.now()
    for (const { dirty } of reports.targets) for (const shard of reports.dirty) dirty.add(shard)
    if (reports.targets.length > 0) reports.dirty.clear()
    let close = 0
    for (const target of reports.targets) {
      const isClose = !target.isGuard && target.failures === 0 && close++ < CLOSE_HOMES
      const periodMs = target.isGuard ? SUMMARY_GUARD_MS : isClose ? SUMMARY_MS : SUMMARY_FAR_MS
      if (!target.busy && target.dirty.size > 0 && now >= target.nextAt) void this.#tell(job, reports, target, periodMs)
    }
    // Nobody found: later, without spinning.
    if (reports.targets.length === 0) reports.alarm.set(now + RETRY_MS)
    else this.#schedule(reports)
  }

  async #findHomes(job: BookedJob, reports: JobReports): Promise<void> {
    const { directory, home, owner, options, clock, logger } = this.#c
    const { jobId } = job
    const { self } = directory
    try {
      const isHome = home.core.has(jobId)
      const { homeOwners } = options
      const key = homeKey(jobId)
      // A home knows the others; it looks around only where there are guards.
      const isSmall = isHome && !directory.guards(key, self.nodeId)
      const keepers = isSmall ? { owners: [], guards: [] } : await directory.keepers(key, homeOwners)
      const found = [...(isHome ? await home.places.current(jobId) : keepers.owners)]
      if (isHome && !found.some(({ nodeId }) => nodeId === self.nodeId)) found.push(self)
      if (found.length === 0) return
      const before = new Map(reports.targets.map((target) => [target.endpoint.nodeId, target]))
      const shards = owner.core.job(jobId)?.shards.keys() ?? []
      const targetOf = (endpoint: Endpoint, isGuard: boolean): Target => {
        const same = before.get(endpoint.nodeId)
        if (same?.endpoint.address === endpoint.address && same.isGuard === isGuard) return same
        const nextAt = clock.now() + (isGuard ? SUMMARY_GUARD_MS : 0)
        return {
          endpoint,
          isGuard,
          dirty: new Set(shards),
          nextAt,
          busy: false,
          failures: 0,
          isStranger: false,
          stopped: '',
        }
      }
      const homes = new Set(found.map(({ nodeId }) => nodeId))
      reports.targets = [
        ...found.map((endpoint) => targetOf(endpoint, false)),
        ...keepers.guards.filter(({ nodeId }) => !homes.has(nodeId)).map((endpoint) => targetOf(endpoint, true)),
      ]
      reports.foundAt = clock.now()
    } catch (error) {
      logger.debug('homes not found', { jobId, error: toGridError(error).message })
    }
  }

  async #tell(job: BookedJob, reports: JobReports, target: Target, periodMs: Millis): Promise<void> {
    const { clock, logger } = this.#c
    const { jobId } = job
    const shards = [...target.dirty]
    target.dirty.clear()
    target.busy = true
    try {
      const statuses = this.#statuses(jobId, shards)
      for (let at = 0; at < statuses.length; at += MESSAGE_SHARDS_MAX)
        await this.#summarize(job, reports, target, statuses.slice(at, at + MESSAGE_SHARDS_MAX))
      target.nextAt = clock.now() + periodMs
    } catch (error) {
      const failure = toGridError(error)
      for (const shard of shards) target.dirty.add(shard)
      target.isStranger = failure.code === 'notFound'
      target.nextAt = clock.now() + retryMs(target)
      target.failures++
      // Whoever fell silent may have been replaced.
      if (target.failures === 1 && !target.isGuard) reports.foundAt = Number.NEGATIVE_INFINITY
      logger.debug('home not told', { jobId, home: target.endpoint.nodeId, error: failure.message })
      if (target.isGuard && target.isStranger) await this.#giveGuard(job, target)
      this.#reviveMaybe(job, reports)
    } finally {
      target.busy = false
      if (this.#jobs.get(jobId) === reports) this.#schedule(reports)
    }
  }

  /** A peer that came into the region later learns of the job from its owners. */
  async #giveGuard(job: BookedJob, { endpoint }: Target): Promise<void> {
    const { home, logger } = this.#c
    try {
      await home.giveGuard(endpoint, job)
    } catch (error) {
      logger.debug('job not given to a guard', { jobId: job.jobId, error: toGridError(error).message })
    }
  }

  #statuses(jobId: JobId, shards: readonly number[]): ShardStatus[] {
    const { owner, clock, directory } = this.#c
    const statuses: ShardStatus[] = []
    for (const shard of shards) {
      const report = owner.core.report(jobId, shard)
      // Read back and let go of again since it changed, as after a ruling that left it as it was.
      const summary = report?.summary ?? this.#c.finished(jobId, shard)
      if (summary === undefined) continue
      const { waiting = '', firstGrantAt } = report ?? {}
      const { nodeId, address } = directory.self
      const firstGrantAgoMs = firstGrantAt === undefined ? undefined : clock.now() - firstGrantAt
      statuses.push({
        shard,
        owner: nodeId,
        ownerAddress: address,
        summary,
        waiting,
        summaryAgeMs: 0,
        firstGrantAgoMs,
      })
    }
    return statuses
  }

  async #summarize(job: BookedJob, reports: JobReports, target: Target, shards: readonly ShardStatus[]): Promise<void> {
    const { directory, transport, home, takeOrders } = this.#c
    const { jobId, ordersDigest: orders } = job
    const { endpoint } = target
    let reply: SummarizeReply
    if (endpoint.nodeId === directory.self.nodeId) reply = await home.summarized(jobId, shards, orders, directory.self)
    else
      reply = await transport.call(endpoint, methods.summarize, { jobId, shards, orders }, { deadlineMs: SUMMARIZE_MS })
    target.failures = 0
    target.isStranger = false
    target.stopped = reply.stopped
    const answering = reports.targets.filter(({ isGuard, failures }) => !isGuard && failures === 0)
    if (!target.isGuard) this.#stop(jobId, agreedStop(answering.map(({ stopped }) => stopped)))
    await takeOrders(job, reply.orders)
  }

  /** Gives the job back to its homes when all that answer have lost it. */
  #reviveMaybe(job: BookedJob, reports: JobReports): void {
    const { clock, home, logger } = this.#c
    const now = clock.now()
    const homes = reports.targets.filter(({ isGuard }) => !isGuard)
    const isLost = homes.every(({ failures }) => failures > 0)
    if (!isLost || !homes.some(({ isStranger }) => isStranger) || now - reports.revivedAt < REVIVE_MS) return
    reports.revivedAt = now
    logger.info('job given back to its homes', { jobId: job.jobId })
    void home.revive(job)
  }

  #stop(jobId: JobId, reason: string): void {
    const { owner } = this.#c
    if ((owner.core.job(jobId)?.stopped ?? '') !== reason) owner.handle({ type: 'jobStopped', jobId, reason })
  }

  #announce(job: BookedJob, reports: JobReports): void {
    const { owner, directory } = this.#c
    const { jobId, spec } = job
    const ready = owner.core.ready(jobId)
    if (ready === 0 && reports.announced === 0) return
    reports.announced = ready
    directory.announce({ jobId, submitter: spec.submitter, ready, header: announcementHeader(spec) })
  }
}

/** Wait after a failure more of a home, or guard, that has failed so often in a row. */
function retryMs({ isGuard, failures }: Target): Millis {
  if (isGuard) return SUMMARY_GUARD_MS * 2 ** Math.min(failures, 4)
  return Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** Math.min(failures, 10))
}
