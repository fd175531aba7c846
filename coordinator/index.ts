import { homeKey } from '../job/shard.js'
import { orderCodec } from '../proto/codec/facts.js'
import type { ActivateReply, ActivateRequest, ShardStatus, StatusReply } from '../proto/messages.js'
import { methods } from '../proto/methods.js'
import type { BootId, JobId, Summary } from '../proto/model.js'
import type { Clock, Timer } from '../runtime/clock.js'
import { GridError, toGridError } from '../runtime/errors.js'
import type { Sha256 } from '../runtime/hash.js'
import type { Logger } from '../runtime/logger.js'
import type { Random } from '../runtime/random.js'
import type { Caller, Endpoint, Transport } from '../runtime/transport.js'
import { announcementHeader } from './announcement-header.js'
import type { Shard } from './core/shard.js'
import type { OwnerDirectory } from './directory.js'
import { type FactExchange, soloExchange } from './fact-exchange.js'
import { GroupCommit } from './group-commit.js'
import { HomeDriver } from './home-driver.js'
import { type BookedJob, JobBook, type SpecVerifier } from './job-book.js'
import { type CoordinatorOptions, resolveCoordinatorOptions } from './options.js'
import type { OutputFiles } from './output-files.js'
import { type GrantSigner, OwnerDriver } from './owner-driver.js'
import { ResultsService } from './results-service.js'
import type { Store } from './store.js'

export type { OwnerDirectory, ReadyWork } from './directory.js'
export type { FactExchange } from './fact-exchange.js'
export { type CoordinatorOptions, DEFAULT_COORDINATOR_OPTIONS } from './options.js'
export type { OutputFiles } from './output-files.js'

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
  /** Default: shards have one owner. */
  readonly exchange?: (coordinator: Coordinator) => FactExchange
  readonly options?: Partial<CoordinatorOptions>
}

/** Time between two summaries of one job to its home, and the pause before the first. */
const SUMMARY_MS = 1_000
const SUMMARY_SOON_MS = 50
/** Deadline of a summary, and how long the home found by a lookup is used. */
const SUMMARIZE_MS = 5_000
const HOME_CACHE_MS = 30_000
/** An owner says how its unfinished shards stand even if nothing changes, so that the home knows it is there. */
const SUMMARY_RENEWAL_MS = 4_000
const SWEEP_MS = 2_000

interface JobUpkeep {
  /** Shards whose counts changed since the last summary. */
  readonly dirty: Set<number>
  timer: Timer | undefined
  lastSentAt: number
  home: { readonly endpoint: Endpoint; readonly foundAt: number } | undefined
  announced: number
  announcedAt: number
}

/**
 * The owner's side of a peer: homes and shards of jobs, their storage, and what submitters, workers and other owners may
 * ask. Handlers are registered by the constructor; call {@link start} before the first connection is accepted.
 */
export class Coordinator {
  readonly owner: OwnerDriver
  readonly home: HomeDriver
  readonly book: JobBook
  readonly options: CoordinatorOptions
  readonly #d: CoordinatorDependencies
  readonly #commits: GroupCommit
  readonly #results: ResultsService
  readonly #jobs = new Map<JobId, JobUpkeep>()
  /** Finished shards that have left memory. */
  readonly #finished = new Map<string, { readonly summary: Summary; readonly jobId: JobId; readonly shard: number }>()
  readonly #idleSince = new Map<string, number>()
  readonly #startedAt: number
  #sweepTimer: Timer | undefined
  #closed = false

  constructor(dependencies: CoordinatorDependencies) {
    this.#d = dependencies
    const { clock, random, sha256, signer, store, outputs, directory, transport, verifier, network } = dependencies
    const logger = dependencies.logger.child('coordinator')
    this.options = resolveCoordinatorOptions(dependencies.options)
    this.#startedAt = clock.now()
    this.#commits = new GroupCommit(store, dependencies.schedule)
    this.book = new JobBook({ sha256, verifier, network, wallMs: () => clock.wallMs() })
    const exchange = dependencies.exchange?.(this) ?? soloExchange(signer.nodeId)
    const { options, book } = this
    const commits = this.#commits
    this.owner = new OwnerDriver({
      clock,
      random,
      logger,
      sha256,
      signer,
      store,
      commits,
      book,
      outputs,
      exchange,
      bootId: dependencies.bootId,
      options,
    })
    this.home = new HomeDriver({
      clock,
      logger,
      transport,
      directory,
      commits,
      book,
      owner: this.owner,
      options,
      openShards: (job, shards) => this.#openShards(job, shards),
    })
    this.#results = new ResultsService({
      owner: this.owner,
      book,
      store,
      outputs,
      shard: (job, shard) => this.#shard(job, shard),
    })
    this.owner.onShardChanged((jobId, shard) => this.#shardChanged(jobId, shard))
    this.#serve()
  }

  /** Reads everything back that was kept, homes and unfinished shards. Resolves when work can be granted again. */
  async start(): Promise<void> {
    const { store, logger } = this.#d
    await this.owner.start()
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
        await this.owner.openShard(job, shard, true)
      }
      if (stored.roles.has('home')) this.home.adopt(job, stored.receivedAtMs)
    }
    this.#sweepTimer = this.#d.clock.setTimer(SWEEP_MS, () => this.#sweep())
    this.#d.directory.onNeighboursChanged(() => {
      for (const upkeep of this.#jobs.values()) upkeep.home = undefined
    })
  }

  /** Jobs kept here, for `status`. */
  status(): StatusReply {
    const { clock, directory, version } = this.#d
    const { workers, threads } = this.owner.core.connected
    let jobs = 0
    let readyJobs = 0
    for (const upkeep of this.#jobs.values()) {
      jobs++
      if (upkeep.announced > 0) readyJobs++
    }
    return {
      peers: directory.peerCount,
      workers,
      threads,
      jobs,
      readyJobs,
      settledLastMinute: this.owner.settledLastMinute,
      uptimeMs: clock.now() - this.#startedAt,
      version,
      address: directory.self.address,
      eligible: directory.eligible,
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#sweepTimer?.cancel()
    for (const { timer } of this.#jobs.values()) timer?.cancel()
    this.owner.close()
    this.home.close()
  }

  #serve(): void {
    const { transport } = this.#d
    transport.handleUnary(methods.submit, ({ spec }) => this.home.submit(spec))
    transport.handleUnary(methods.give, ({ order }) => {
      const { jobId, seq } = orderCodec.decode(order.bytes)
      return this.home.give(jobId, seq, order)
    })
    transport.handleUnary(methods.show, ({ jobId, withShards }) => this.home.show(jobId, withShards))
    transport.handleUnary(methods.activate, (request) => this.#activate(request))
    transport.handleUnary(methods.summarize, ({ jobId, shards }, caller) => ({
      orders: this.#summarized(jobId, shards, caller),
    }))
    transport.handleUnary(methods.status, () => this.status())
    transport.handleStream(methods.watch, (stream) =>
      stream.onMessage(({ jobId, withShards }) => this.home.watch(stream, jobId, withShards)),
    )
    transport.handleStream(methods.results, (stream) =>
      stream.onMessage((request) => this.#results.results(stream, request)),
    )
    transport.handleStream(methods.listUnits, (stream) =>
      stream.onMessage((request) => this.#results.listUnits(stream, request)),
    )
    transport.handleStream(methods.output, (stream) =>
      stream.onMessage((request) => this.#results.output(stream, request)),
    )
    transport.handleStream(methods.work, (stream) => this.owner.onWork(stream))
    transport.handleStream(methods.putOutput, (stream) => this.owner.onPutOutput(stream))
  }

  // ------------------------------------------------------------------------------------------------- shards come and go

  async #activate({ spec, orders, shards }: ActivateRequest): Promise<ActivateReply> {
    const job = this.book.read(spec)
    this.book.checkRoom(job, this.options)
    const booked = this.book.add(spec)
    await this.#takeOrders(booked, orders)
    await this.#openShards(booked, shards)
    const reports = shards.map((shard) => this.#summaryOf(booked.jobId, shard))
    const [first] = reports
    if (first === undefined || reports.length !== 1) throw new GridError('invalid', 'one shard is activated at a time')
    return { summary: first }
  }

  #summaryOf(jobId: JobId, shard: number): Summary {
    const summary = this.owner.core.report(jobId, shard)?.summary ?? this.#finished.get(nameOf(jobId, shard))?.summary
    if (summary === undefined) throw new GridError('unavailable', 'the shard is not open')
    return summary
  }

  async #openShards(job: BookedJob, shards: readonly number[]): Promise<void> {
    const missing = shards.filter(
      (shard) => !this.owner.core.hasShard(job.jobId, shard) && !this.#finished.has(nameOf(job.jobId, shard)),
    )
    for (const shard of missing)
      if (!job.shards.includes(shard)) throw new GridError('invalid', `the job has no shard ${shard}`)
    if (missing.length > 0) {
      const atMs = this.#d.clock.wallMs()
      await this.#commits.commit([
        { type: 'spec', jobId: job.jobId, role: 'shard', spec: job.signed, receivedAtMs: atMs },
        ...missing.map((shard) => ({ type: 'shard' as const, jobId: job.jobId, shard, activatedAtMs: atMs })),
      ])
    }
    for (const shard of missing) await this.owner.openShard(job, shard, false)
    this.owner.handle({ type: 'ordersChanged', jobId: job.jobId, orders: job.orders })
  }

  async #takeOrders(job: BookedJob, orders: ActivateRequest['orders']): Promise<void> {
    const fresh = orders.filter((order) => !job.hasOrder(order))
    if (fresh.length === 0) return
    const writes = fresh.map((order) => ({
      type: 'order' as const,
      jobId: job.jobId,
      order,
      seq: job.checkOrder(order).order.seq,
    }))
    await this.#commits.commit([
      { type: 'spec', jobId: job.jobId, role: 'shard', spec: job.signed, receivedAtMs: this.#d.clock.wallMs() },
      ...writes,
    ])
    for (const order of fresh) job.addOrder(order)
    this.owner.handle({ type: 'ordersChanged', jobId: job.jobId, orders: job.orders })
  }

  /** The shard in memory, read back if it had left. */
  async #shard(job: BookedJob, number: number): Promise<Shard> {
    const name = nameOf(job.jobId, number)
    if (!this.owner.core.hasShard(job.jobId, number)) {
      const kept = await this.#d.store.shards(job.jobId)
      if (!kept.some(({ shard }) => shard === number))
        throw new GridError('notFound', `shard ${number} is not owned here`)
      await this.owner.openShard(job, number, true)
    }
    this.#idleSince.set(name, this.#d.clock.now())
    const shard = this.owner.core.shard(job.jobId, number)
    if (shard === undefined) throw new GridError('unavailable', 'the shard did not open')
    return shard
  }

  #shardChanged(jobId: JobId, shard: number): void {
    let upkeep = this.#jobs.get(jobId)
    if (upkeep === undefined) {
      upkeep = {
        dirty: new Set(),
        timer: undefined,
        lastSentAt: Number.NEGATIVE_INFINITY,
        home: undefined,
        announced: 0,
        announcedAt: 0,
      }
      this.#jobs.set(jobId, upkeep)
    }
    upkeep.dirty.add(shard)
    this.#summarizeSoon(jobId, upkeep)
  }

  #summarizeSoon(jobId: JobId, upkeep: JobUpkeep): void {
    if (upkeep.timer !== undefined || this.#closed) return
    const wait = Math.max(SUMMARY_SOON_MS, upkeep.lastSentAt + SUMMARY_MS - this.#d.clock.now())
    upkeep.timer = this.#d.clock.setTimer(wait, () => {
      upkeep.timer = undefined
      upkeep.lastSentAt = this.#d.clock.now()
      void this.#summarize(jobId, upkeep)
    })
  }

  /** Tells the home how shards here stand, and the board what work is ready. */
  async #summarize(jobId: JobId, upkeep: JobUpkeep): Promise<void> {
    const job = this.book.get(jobId)
    if (job === undefined || this.#closed) return
    this.#announce(job, upkeep)
    const shards = [...upkeep.dirty]
    upkeep.dirty.clear()
    const statuses: ShardStatus[] = []
    for (const shard of shards) {
      const report = this.owner.core.report(jobId, shard)
      if (report === undefined) continue
      const { summary, waiting } = report
      const { self } = this.#d.directory
      statuses.push({ shard, owner: self.nodeId, ownerAddress: self.address, summary, waiting, summaryAgeMs: 0 })
    }
    if (statuses.length === 0) return
    try {
      await this.#tellHome(job, upkeep, statuses)
    } catch (error) {
      upkeep.home = undefined
      for (const shard of shards) upkeep.dirty.add(shard)
      this.#d.logger.debug('home not reached', { jobId, error: toGridError(error).message })
      this.#summarizeSoon(jobId, upkeep)
    }
  }

  async #tellHome(job: BookedJob, upkeep: JobUpkeep, shards: readonly ShardStatus[]): Promise<void> {
    const { directory, transport, clock } = this.#d
    const { jobId } = job
    if (this.home.core.has(jobId)) {
      this.home.summarized(jobId, shards, { nodeId: directory.self.nodeId, host: '' })
      return
    }
    if (upkeep.home === undefined || clock.now() - upkeep.home.foundAt > HOME_CACHE_MS) {
      const [endpoint] = await directory.owners(homeKey(jobId), 1)
      if (endpoint === undefined || endpoint.nodeId === directory.self.nodeId)
        throw new GridError('unreachable', 'no home')
      upkeep.home = { endpoint, foundAt: clock.now() }
    }
    const { orders } = await transport.call(
      upkeep.home.endpoint,
      methods.summarize,
      { jobId, shards },
      { deadlineMs: SUMMARIZE_MS },
    )
    await this.#takeOrders(job, orders)
  }

  #summarized(jobId: JobId, shards: readonly ShardStatus[], caller: Caller) {
    return this.home.summarized(jobId, shards, caller)
  }

  #announce(job: BookedJob, upkeep: JobUpkeep): void {
    let ready = 0
    for (const shard of this.owner.core.job(job.jobId)?.shards.keys() ?? [])
      ready += this.owner.core.report(job.jobId, shard)?.summary.ready ?? 0
    if (ready === 0 && upkeep.announced === 0) return
    upkeep.announced = ready
    this.#d.directory.announce({
      jobId: job.jobId,
      submitter: job.spec.submitter,
      ready,
      header: announcementHeader(job.spec),
    })
  }

  // ------------------------------------------------------------------------------------------------------------- upkeep

  #sweep(): void {
    if (this.#closed) return
    this.#sweepTimer = this.#d.clock.setTimer(SWEEP_MS, () => this.#sweep())
    const now = this.#d.clock.now()
    for (const [jobId, upkeep] of this.#jobs) {
      const job = this.owner.core.job(jobId)
      if (job === undefined) continue
      for (const shard of job.shards.values()) {
        if (shard.finished) this.#unloadLater(shard, now)
        else if (now - upkeep.lastSentAt >= SUMMARY_RENEWAL_MS) upkeep.dirty.add(shard.shard)
      }
      if (upkeep.dirty.size > 0) this.#summarizeSoon(jobId, upkeep)
    }
    for (const job of this.book.all()) {
      if (this.#d.clock.wallMs() >= job.expiresAtMs + this.options.deleteAfterMs) void this.#delete(job)
    }
  }

  #unloadLater(shard: Shard, now: number): void {
    const name = nameOf(shard.jobId, shard.shard)
    const since = this.#idleSince.get(name)
    if (since === undefined) {
      this.#idleSince.set(name, now)
      return
    }
    if (now - since < this.options.unloadAfterMs || this.owner.isListenedTo(shard.jobId, shard.shard)) return
    const report = this.owner.core.report(shard.jobId, shard.shard)
    if (report !== undefined)
      this.#finished.set(name, { summary: report.summary, jobId: shard.jobId, shard: shard.shard })
    this.#idleSince.delete(name)
    this.owner.unloadShard(shard.jobId, shard.shard)
  }

  async #delete(job: BookedJob): Promise<void> {
    const { jobId } = job
    try {
      await this.#commits.commit([{ type: 'dropJob', jobId }])
    } catch (error) {
      this.#d.logger.warn('an expired job could not be deleted yet', { jobId, error: toGridError(error).message })
      return
    }
    this.owner.closeJob(jobId, 'expired')
    this.home.forget(jobId)
    this.book.forget(jobId)
    this.#jobs.get(jobId)?.timer?.cancel()
    this.#jobs.delete(jobId)
    for (const [name, finished] of this.#finished) if (finished.jobId === jobId) this.#finished.delete(name)
  }
}

function nameOf(jobId: JobId, shard: number): string {
  return `${jobId}/${shard}`
}
