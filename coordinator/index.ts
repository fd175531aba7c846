import { shardOf } from '../job/units/shard.js'
import type { ExplainReply, ExplainRequest } from '../proto/explain-messages.js'
import type { StatusReply } from '../proto/job-messages.js'
import type { BootId, JobId } from '../proto/model.js'
import type { Clock, Timer } from '../runtime/clock.js'
import { toGridError } from '../runtime/errors.js'
import type { Sha256 } from '../runtime/hash.js'
import type { Logger } from '../runtime/logger.js'
import type { Random } from '../runtime/random.js'
import type { Transport } from '../runtime/transport.js'
import type { OwnerDirectory } from './directory.js'
import { ShardExchange } from './exchange/shard-exchange.js'
import { HomeDriver } from './home/home-driver.js'
import { HomeReporter } from './home/home-reporter.js'
import type { BookedJob } from './jobs/booked-job.js'
import { JobBook, type SpecVerifier } from './jobs/job-book.js'
import { JobTerms } from './jobs/job-terms.js'
import { type CoordinatorOptions, resolveCoordinatorOptions } from './options.js'
import type { OutputFiles } from './output-files.js'
import type { OwnerSight } from './owner/core/explain.js'
import { type FactExchange, soloExchange } from './owner/fact-exchange.js'
import { FinishedReview } from './owner/finished-review.js'
import { FinishedShards } from './owner/finished-shards.js'
import { OwnedShards } from './owner/owned-shards.js'
import type { GrantSigner } from './owner/owner-context.js'
import { OwnerDriver } from './owner/owner-driver.js'
import { serve } from './serve.js'
import { ResultsService } from './services/results-service.js'
import { GroupCommit } from './store/group-commit.js'
import type { Store } from './store/store.js'

export type { OwnerDirectory, ReadyWork } from './directory.js'
export { type CoordinatorOptions, DEFAULT_COORDINATOR_OPTIONS } from './options.js'
export type { OutputFiles } from './output-files.js'
export type { FactExchange } from './owner/fact-exchange.js'

/** What a process hands to its coordinator. */
export interface CoordinatorDependencies {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly sha256: Sha256
  readonly transport: Transport
  readonly signer: GrantSigner
  readonly verifier: SpecVerifier
  readonly network: string
  readonly version: string
  readonly bootId: BootId
  readonly store: Store
  readonly outputs: OutputFiles
  readonly directory: OwnerDirectory
  /** Calls back after the events at hand: `setImmediate`, or a turn of the simulator. */
  readonly schedule: (run: () => void) => void
  readonly options?: Partial<CoordinatorOptions>
}

/** What a peer that owns nothing of a job tells of it. */
const NOTHING_OWNED: OwnerSight = {
  refusal: '',
  shards: [],
  workers: [],
  workersAble: 0,
  donorsAble: 0,
  refusedKeys: [],
  unit: undefined,
  events: [],
}

/** Time between looks at what is finished or expired. */
const SWEEP_MS = 2_000

/**
 * The owner's side of a peer: homes and shards of jobs, their storage, and what submitters, workers and other owners may
 * ask. Handlers are registered by the constructor; call {@link start} before the first connection is accepted.
 */
export class Coordinator {
  readonly owner: OwnerDriver
  readonly home: HomeDriver
  readonly book: JobBook
  readonly exchange: FactExchange
  readonly options: CoordinatorOptions
  readonly #d: CoordinatorDependencies
  readonly #commits: GroupCommit
  readonly #reporter: HomeReporter
  readonly #finished: FinishedShards
  readonly #shards: OwnedShards
  readonly #terms: JobTerms
  readonly #startedAt: number
  readonly #review: FinishedReview
  #sweepTimer: Timer | undefined
  #closed = false

  constructor(dependencies: CoordinatorDependencies) {
    this.#d = dependencies
    const { clock, signer, store } = dependencies
    const logger = dependencies.logger.child('coordinator')
    this.options = resolveCoordinatorOptions(dependencies.options)
    this.#startedAt = clock.now()
    this.#commits = new GroupCommit(store, dependencies.schedule, (reason) => {
      if (reason === undefined) logger.info('jobs and reports are kept again')
      else
        logger.warn('jobs and reports cannot be kept, and are not acknowledged', {
          reason: toGridError(reason).message,
        })
    })
    const { sha256, verifier, network } = dependencies
    this.book = new JobBook({ sha256, verifier, network, wallMs: () => clock.wallMs() })
    const { options, book } = this
    const parts = { ...dependencies, logger, options, book, commits: this.#commits }
    const dropShard = (job: BookedJob, shard: number) => this.#shards.drop(job, shard)
    const inMemory = (job: BookedJob, shard: number) => this.#shards.inMemory(job, shard)

    const exchange =
      options.shardOwners === 1
        ? soloExchange(signer.nodeId)
        : new ShardExchange({ ...parts, owner: () => this.owner, dropShard })
    this.exchange = exchange
    const keepShard = (job: BookedJob, shard: number) => this.#shards.open(job, shard)
    const owner = new OwnerDriver({ ...parts, exchange, keepShard })
    this.owner = owner
    const home = new HomeDriver({
      ...parts,
      owner,
      openShard: async (job, shard) => {
        await this.#shards.open(job, shard)
        return this.#shards.summary(job.jobId, shard)
      },
      reviewFinished: (job) => this.#review.soon(job),
    })
    this.home = home
    const finished = new FinishedShards({ ...parts, owner, unloadAfterMs: options.unloadAfterMs })
    this.#finished = finished
    this.#shards = new OwnedShards({ ...parts, owner, finished, ordersAdded: (job) => home.ordersAdded(job) })
    this.#reporter = new HomeReporter({
      ...parts,
      owner,
      home,
      finished: (jobId, shard) => finished.summary(jobId, shard),
      takeOrders: (job, orders) => this.#shards.takeOrders(job, orders),
    })
    this.#terms = new JobTerms({ ...parts, deleteAfterMs: options.deleteAfterMs, dropShard })
    const isInMemory = (jobId: JobId, shard: number) => owner.core.hasShard(jobId, shard)
    this.#review = new FinishedReview({ ...parts, finished, isInMemory, shard: inMemory })
    serve({
      ...parts,
      home,
      owner,
      shards: this.#shards,
      results: new ResultsService({ ...parts, owner, shard: inMemory }),
      status: () => this.status(),
      explain: (request) => this.explain(request),
    })
  }

  /** Reads everything back that was kept, homes and unfinished shards. Resolves when work can be granted again. */
  async start(): Promise<void> {
    const { store, logger } = this.#d
    await this.owner.start()
    await this.exchange.start()
    for (const stored of await store.jobs()) {
      let job: BookedJob
      try {
        job = this.book.restore(stored.spec)
        for (const { order } of stored.orders) job.addOrder(order)
      } catch (error) {
        logger.error('a job on disk cannot be read', { jobId: stored.jobId, error: toGridError(error).message })
        continue
      }
      for (const { shard } of await store.shards(stored.jobId)) {
        if (await this.#finished.restore(stored.jobId, shard)) this.exchange.shardResting(job, shard)
        else await this.owner.openShard(job, shard, true)
      }
      if (stored.roles.has('home')) this.home.adopt(job)
      // This process may have ended before it had looked at all of them.
      if (job.isRuled) this.#review.soon(job)
    }
    this.#sweepTimer = this.#d.clock.setTimer(SWEEP_MS, () => this.#sweep())
  }

  /** Jobs kept here, for `status`. */
  status(): StatusReply {
    const { clock, directory, version } = this.#d
    const { workers, threads } = this.owner.core.connected
    return {
      peers: directory.peerCount,
      workers,
      threads,
      ...this.#reporter.counts,
      settledLastMinute: this.owner.settledLastMinute,
      uptimeMs: clock.now() - this.#startedAt,
      wallMs: clock.wallMs(),
      version,
      address: directory.self.address,
      eligible: directory.eligible,
      storedBytes: this.#d.outputs.bytesUsed,
      ...this.home.core.firstCounts(clock.wallMs()),
      firstSettledLastMinute: this.owner.settledFirstLastMinute,
      countedWorkers: directory.workersWatching?.() ?? [],
    }
  }

  /** Writes, and their bytes, that wait for the disk. */
  get queued(): { readonly writes: number; readonly bytes: number } {
    return this.#commits.queued
  }

  /** What this peer sees of a job as home and as owner, for whoever asks why. @throws GridError `notFound` */
  async explain({ jobId, unit, events }: ExplainRequest): Promise<ExplainReply> {
    const job = this.book.need(jobId)
    const { clock, version } = this.#d
    if (unit !== undefined) await this.#shards.readBack(job, shardOf(job.spec, unit))
    const sight = this.owner.core.explain(jobId, unit, clock.now())
    return {
      version,
      wallMs: clock.wallMs(),
      uptimeMs: clock.now() - this.#startedAt,
      home: this.home.explain(jobId),
      ...(sight ?? NOTHING_OWNED),
      events: unit !== undefined || events ? (sight?.events ?? []) : [],
    }
  }

  /**
   * Leaves in peace: the peers that own the shards without this one get everything first, then workers are sent to them,
   * then what came meanwhile. Resolves to the shards that are safe without this node. Takes half a minute at most.
   */
  async handOver(): Promise<number> {
    await this.exchange.handOver()
    this.owner.sendWorkersAway()
    return this.exchange.handOver()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#review.close()
    this.exchange.close()
    this.#sweepTimer?.cancel()
    this.#reporter.close()
    this.owner.close()
    this.home.close()
  }

  #sweep(): void {
    if (this.#closed) return
    this.#sweepTimer = this.#d.clock.setTimer(SWEEP_MS, () => this.#sweep())
    this.#reporter.renew()
    this.#finished.sweep()
    void this.#terms.look()
    for (const job of this.book.all()) {
      if (this.#d.clock.wallMs() >= job.expiresAtMs + this.options.deleteAfterMs) void this.#delete(job)
    }
  }

  async #delete(job: BookedJob): Promise<void> {
    const { jobId } = job
    try {
      await this.#commits.commit([{ type: 'dropJob', jobId }, ...this.#finished.drops(jobId)])
    } catch (error) {
      this.#d.logger.warn('an expired job could not be deleted yet', { jobId, error: toGridError(error).message })
      return
    }
    this.exchange.jobDropped(jobId)
    this.owner.closeJob(jobId, 'expired')
    this.home.forget(jobId)
    this.book.forget(jobId)
    this.#reporter.forget(jobId)
    this.#terms.forget(jobId)
    this.#finished.forget(jobId)
  }
}
