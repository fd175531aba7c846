import type { HomeSight } from '../../proto/explain-messages.js'
import type { OrderReply, ShardStatus, ShowReply, SubmitReply, SummarizeReply } from '../../proto/job-messages.js'
import { MESSAGE_SHARDS_MAX } from '../../proto/limits.js'
import { methods } from '../../proto/methods.js'
import type { Digest, JobId, Signed } from '../../proto/model.js'
import { Alarm } from '../../runtime/alarm.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { Caller, Endpoint, MessageStream } from '../../runtime/transport.js'
import type { BookedJob } from '../jobs/booked-job.js'
import { SUBMITTED_SHARE } from '../jobs/job-book.js'
import { Home, type HomeEffect, type HomeEvent } from './core/home.js'
import type { HomeView } from './core/home-job.js'
import type { OwnerStatus } from './core/home-shard.js'
import { PeerTroubles } from './core/peer-troubles.js'
import type { HomeDriverContext } from './home-context.js'
import { firstPage, HomeCopies } from './home-copies.js'
import { HomePlaces } from './home-places.js'
import { ShardTrust } from './home-trust.js'
import { WatchPlaces } from './watch-places.js'

/** Deadline of one activation. */
const ACTIVATE_MS = 5_000
/** Time between two messages of `Watch`, at least and at most: a watcher tells a home that is gone by its silence. */
const WATCH_MS = 250
const WATCH_RENEWAL_MS = 5_000

/**
 * Feeds {@link Home}: keeps specs and orders on disk, here and at the other homes, activates shards over the network,
 * serves `Show` and `Watch`.
 */
export class HomeDriver {
  readonly core = new Home()
  /** The homes of each job kept here. */
  readonly places: HomePlaces
  readonly #c: HomeDriverContext
  readonly #copies: HomeCopies
  readonly #trust: ShardTrust
  readonly #troubles = new PeerTroubles()
  readonly #alarm: Alarm
  readonly #watchers = new Map<JobId, Set<() => void>>()
  readonly #watchPlaces = new WatchPlaces()
  #closed = false

  constructor(context: HomeDriverContext) {
    this.#c = context
    this.#alarm = new Alarm(context.clock, () => this.handle({ type: 'woke' }))
    const { core } = this
    this.places = new HomePlaces({
      ...context,
      homeOwners: context.options.homeOwners,
      onRanked: (jobId, place) => this.handle({ type: 'ranked', jobId, ...place }),
    })
    this.#copies = new HomeCopies({
      ...context,
      core,
      troubles: this.#troubles,
      places: this.places,
      handle: (event) => this.handle(event),
      adopt: (job, rank) => this.#adopt(job, rank),
      ordersAdded: (job) => this.ordersAdded(job),
      release: (jobId) => this.#release(jobId),
    })
    this.#trust = new ShardTrust({ ...context, isGuard: (jobId) => this.places.isGuard(jobId) })
  }

  handle(event: HomeEvent): void {
    if (this.#closed) return
    this.#perform(this.core.handle(event, this.#c.clock.now()))
    this.#alarm.set(this.core.nextWakeup())
  }

  /** Becomes home of a job that is on disk: acts as the nearest one until it knows better. */
  adopt(job: BookedJob): void {
    this.#adopt(job, 0)
  }

  /** Whoever did not see it submitted goes by its date. */
  #adopt(job: BookedJob, rank: number, ageMs = Math.max(0, this.#c.clock.wallMs() - job.spec.createdAtMs)): void {
    this.handle({
      type: 'jobKept',
      jobId: job.jobId,
      spec: job.spec,
      orders: job.orders,
      shards: job.shards,
      shardUnits: (shard) => job.units(shard).reduce((sum, { count }) => sum + count, 0),
      rank,
      ageMs,
    })
    this.#copies.track(job.jobId)
  }

  /** Takes a spec from `host`: on disk here before it resolves, and at the other homes as far as the reply says. */
  async submit(signed: Signed, host: string): Promise<SubmitReply> {
    const { book, clock, options } = this.#c
    const job = book.read(signed)
    const { jobId } = job
    if (!this.core.has(jobId)) {
      if (clock.wallMs() >= job.expiresAtMs) throw new GridError('expired', 'the job has expired already')
      book.checkRoom(job, options, { host, share: SUBMITTED_SHARE })
    }
    return { jobId, ...(await this.#copies.spread(job, job.signedOrders, this.#keep(job, host))) }
  }

  /** Takes an order: on disk here before it resolves and at the other homes as far as the reply says. */
  async give(jobId: JobId, signed: Signed): Promise<OrderReply> {
    const { book, commits, clock } = this.#c
    const job = book.need(jobId)
    const order = job.checkOrder(signed, clock.wallMs())
    const kept = commits.commit(job.orderWrites([order])).then(() => {
      if (job.addOrder(signed)) this.ordersAdded(job)
      else if (!job.hasOrder(signed)) throw new GridError('quota', 'other orders took the last room of the job')
    })
    return this.#copies.spread(job, [signed], kept)
  }

  /** Becomes home of a job that no home knows any more, with what this node has of it as an owner of shards. */
  async revive(job: BookedJob): Promise<void> {
    await this.#copies.spread(job, job.signedOrders, Promise.resolve())
  }

  /** Gives a job to a guard that does not have it. Rejects with GridError. */
  giveGuard(guard: Endpoint, job: BookedJob): Promise<void> {
    return this.#copies.giveGuard(guard, job)
  }

  async #keep(job: BookedJob, host: string): Promise<void> {
    const { book, commits, clock } = this.#c
    if (this.core.has(job.jobId)) return
    await commits.commit([
      { type: 'spec', jobId: job.jobId, role: 'home', spec: job.signed, receivedAtMs: clock.wallMs() },
    ])
    this.#adopt(book.keep(job, { host, share: SUBMITTED_SHARE }), 0, 0)
  }

  /** Orders of a job were added to the book: home and owner both go by them. */
  ordersAdded(job: BookedJob): void {
    const { jobId, orders } = job
    this.handle({ type: 'ordersKept', jobId, orders })
    this.#c.owner.handle({ type: 'ordersChanged', jobId, orders })
    if (job.isRuled) this.#c.reviewFinished(job)
  }

  /** Takes what an owner tells of its shards. */
  async summarized(
    jobId: JobId,
    shards: readonly ShardStatus[],
    orders: Digest | undefined,
    caller: Pick<Caller, 'nodeId'>,
  ): Promise<SummarizeReply> {
    const job = this.core.has(jobId) ? this.#c.book.get(jobId) : undefined
    if (job === undefined) throw new GridError('notFound', 'this node is not the home of the job')
    const [first] = shards
    this.#troubles.clear(jobId, caller.nodeId, 'shard')
    const isOwner = first !== undefined && (await this.#trust.isOwner(job, first.shard, caller.nodeId))
    for (const { shard, ownerAddress, summary, waiting, firstGrantAgoMs } of isOwner ? shards : []) {
      this.handle({
        type: 'shardHeard',
        jobId,
        shard,
        status: { owner: caller.nodeId, address: ownerAddress, summary, waiting, firstGrantAgoMs },
      })
    }
    // The newest count most, should they not all fit.
    const missing = job.ordersDigest === orders ? [] : firstPage([...job.signedOrders].reverse())
    return { orders: missing, stopped: this.core.stopReason(jobId) }
  }

  show(jobId: JobId, withShards: boolean): ShowReply {
    const view = this.core.view(jobId, this.#c.clock.now(), withShards)
    if (view === undefined)
      throw new GridError('notFound', `this node is not the home of job ${jobId.slice(0, 8)}`, { fields: { jobId } })
    const job = this.#c.book.need(jobId)
    return {
      spec: job.signed,
      orders: job.signedOrders,
      summary: view.summary,
      shards: mostTelling(view.shards).map(({ shard, status, ageMs }) => ({
        shard,
        owner: status.owner,
        ownerAddress: status.address,
        summary: status.summary,
        waiting: status.waiting,
        summaryAgeMs: ageMs,
        firstGrantAgoMs: status.firstGrantAgoMs,
      })),
      waiting: view.waiting,
      ageMs: view.ageMs,
      firstGrantAgeMs: view.firstGrantAgeMs,
      ...this.#copies.holding(jobId),
    }
  }

  /** What this home sees that `show` does not tell, for whoever asks why; undefined: it is none of the job. */
  explain(jobId: JobId): HomeSight | undefined {
    if (!this.core.has(jobId)) return undefined
    const now = this.#c.clock.now()
    const silent = this.core.silentOwners(jobId, now)
    const refused = this.#troubles.of(jobId)
    return {
      rank: this.core.rank(jobId),
      guarding: this.core.guarding(jobId, now),
      troubles: [
        ...silent.map(({ nodeId, address, at, shards }) => ({
          nodeId,
          address,
          what: 'silent' as const,
          code: '' as const,
          reason: '',
          sinceMs: now - at,
          shards,
        })),
        ...refused.map(({ since, what, ...trouble }) => ({
          ...trouble,
          what,
          sinceMs: now - since,
          shards: what === 'shard' ? 1 : 0,
        })),
      ],
    }
  }

  /** Serves one `Watch`: at once, then on change, and ends when nothing is left to wait for. */
  watch(stream: MessageStream<unknown, ShowReply>, jobId: JobId, withShards: boolean): void {
    let leave: () => void
    try {
      leave = this.#watchPlaces.take(stream.caller)
    } catch (error) {
      stream.cancel(toGridError(error))
      return
    }
    let pending = false
    let cancelled = false
    const send = () => {
      pending = false
      if (cancelled) return
      try {
        const isTaken = stream.send(this.show(jobId, withShards))
        // A watcher that does not read misses looks; it gets the newest once it reads again.
        if (!isTaken) {
          pending = true
          void stream.drained().then(send)
        }
        if (this.core.view(jobId, this.#c.clock.now(), false)?.finished === true || this.core.cancelled(jobId))
          stream.end()
      } catch (error) {
        stream.cancel(toGridError(error))
      }
    }
    const notify = () => {
      if (pending) return
      pending = true
      this.#c.clock.setTimer(WATCH_MS, send)
    }
    const renew = () => {
      renewal = this.#c.clock.setTimer(WATCH_RENEWAL_MS, renew)
      notify()
    }
    let renewal = this.#c.clock.setTimer(WATCH_RENEWAL_MS, renew)
    const watchers = this.#watchers.get(jobId) ?? new Set()
    this.#watchers.set(jobId, watchers)
    watchers.add(notify)
    stream.onClose(() => {
      cancelled = true
      renewal.cancel()
      leave()
      watchers.delete(notify)
      if (watchers.size === 0) this.#watchers.delete(jobId)
    })
    send()
  }

  forget(jobId: JobId): void {
    this.#trust.forget(jobId)
    this.#troubles.forget(jobId)
    this.#copies.forget(jobId)
    this.handle({ type: 'jobForgotten', jobId })
  }

  /** Enough other peers are nearer to the job now, and have it. Spec and orders stay on disk until it expires. */
  #release(jobId: JobId): void {
    const { logger, commits } = this.#c
    logger.info('home released', { jobId })
    // Forgotten before it is written: should the job come back meanwhile, its new role is written after this.
    this.forget(jobId)
    commits.commit([{ type: 'dropRole', jobId, role: 'home' }]).catch((error: unknown) => {
      // A restart becomes home of it again, and lets go again.
      logger.warn('a home let go could not be written', { jobId, error: toGridError(error).message })
    })
  }

  #perform(effects: readonly HomeEffect[]): void {
    for (const effect of effects) {
      if (effect.type === 'changed') for (const notify of this.#watchers.get(effect.jobId) ?? []) notify()
      else void this.#activate(effect.jobId, effect.shard)
    }
  }

  async #activate(jobId: JobId, shard: number): Promise<void> {
    const job = this.#c.book.get(jobId)
    if (job === undefined) return
    try {
      const owners = await this.#c.directory.owners(job.shardKey(shard), this.#c.options.shardOwners)
      this.#trust.add(jobId, owners)
      if (owners.length === 0) throw new GridError('unreachable', 'no peer is there to own the shard')
      const statuses = await Promise.allSettled(owners.map((owner) => this.#activateAt(owner, job, shard)))
      for (const [i, status] of statuses.entries()) this.#noteActivation(jobId, owners[i]!, status)
      const answered = statuses.flatMap((status) => (status.status === 'fulfilled' ? [status.value] : []))
      if (answered.length === 0) throw (statuses[0] as PromiseRejectedResult).reason
      for (const status of answered) this.handle({ type: 'shardHeard', jobId, shard, status })
    } catch (error) {
      this.#c.logger.debug('shard not activated', { jobId, shard, error: toGridError(error).message })
      this.handle({ type: 'activationFailed', jobId, shard, reason: `shard ${shard}: ${toGridError(error).message}` })
    }
  }

  #noteActivation(jobId: JobId, { nodeId, address }: Endpoint, status: PromiseSettledResult<unknown>): void {
    if (status.status === 'fulfilled') {
      this.#troubles.clear(jobId, nodeId, 'shard')
      return
    }
    const { code, message } = toGridError(status.reason)
    const trouble = { nodeId, address, what: 'shard', code, reason: message } as const
    this.#troubles.note(jobId, trouble, this.#c.clock.now())
  }

  async #activateAt(owner: Endpoint, job: BookedJob, shard: number): Promise<OwnerStatus> {
    const { transport, directory } = this.#c
    if (owner.nodeId === directory.self.nodeId) {
      const summary = await this.#c.openShard(job, shard)
      this.#c.owner.handle({ type: 'ordersChanged', jobId: job.jobId, orders: job.orders })
      return { owner: owner.nodeId, address: owner.address, summary, waiting: '', firstGrantAgoMs: undefined }
    }
    const reply = await transport.call(
      owner,
      methods.activate,
      { spec: job.signed, orders: job.signedOrders, shard },
      { deadlineMs: ACTIVATE_MS },
    )
    return {
      owner: owner.nodeId,
      address: owner.address,
      summary: reply.summary,
      waiting: '',
      firstGrantAgoMs: undefined,
    }
  }

  close(): void {
    this.#closed = true
    this.#alarm.close()
    this.#copies.close()
  }
}

/** As many shards as one message carries, those with something left to do first. */
function mostTelling(shards: HomeView['shards']): HomeView['shards'] {
  if (shards.length <= MESSAGE_SHARDS_MAX) return shards
  const left = ({ status: { summary } }: HomeView['shards'][number]) => summary.units - summary.settled - summary.failed
  return [...shards].sort((a, b) => left(b) - left(a) || a.shard - b.shard).slice(0, MESSAGE_SHARDS_MAX)
}
