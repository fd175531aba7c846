import { applyOrders } from '../../job/facts/orders.js'
import type { CompareJobsReply, CompareJobsRequest, KeepJobReply, KeepJobRequest } from '../../proto/home-messages.js'
import type { OrderReply, ShardStatus } from '../../proto/job-messages.js'
import { MESSAGE_SHARDS_MAX } from '../../proto/limits.js'
import { methods } from '../../proto/methods.js'
import type { JobId, NodeId, Signed } from '../../proto/model.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { Caller, Endpoint } from '../../runtime/transport.js'
import type { BookedJob } from '../jobs/booked-job.js'
import { PASSED_ON_SHARE } from '../jobs/job-book.js'
import type { Home, HomeEvent } from './core/home.js'
import type { PeerTroubles } from './core/peer-troubles.js'
import { HOME_CALL_MS, HomeComparisons } from './home-comparisons.js'
import type { HomeDriverContext } from './home-context.js'
import type { HomePlaces } from './home-places.js'

interface HomeCopiesContext extends Omit<HomeDriverContext, 'owner' | 'openShard'> {
  readonly core: Home
  /** Where it is noted who refuses a job. */
  readonly troubles: PeerTroubles
  readonly places: HomePlaces
  readonly handle: (event: HomeEvent) => void
  /** Becomes home of a job that is on disk. */
  readonly adopt: (job: BookedJob, rank: number) => void
  /** Orders of a job were added to the book. */
  readonly ordersAdded: (job: BookedJob) => void
  /** The job has enough homes without this node. */
  readonly release: (jobId: JobId) => void
}

/** Longest that a submitter waits for holders beyond this node. Unit: ms. */
export const SPREAD_MS = 3_000
/** Orders in one message. Unit: bytes. */
const ORDERS_BYTES_MAX = 384 * 1024
/** Finished shards that are told of one job: beyond them a home asks the owners itself when its turn comes. */
const FINISHED_TOLD_MAX = 16 * MESSAGE_SHARDS_MAX
/** A newcomer is one nearer home away from acting until its place is looked up. */
const RANK_UNKNOWN = 1

/**
 * Keeps the homes of a job alike: what one takes goes to the others at once, and every ten seconds each asks the others
 * what they lack ({@link HomeComparisons}). Merge is union, so it does not matter who asks whom. A home that came later is
 * filled that way.
 */
export class HomeCopies {
  readonly #c: HomeCopiesContext
  /** Other peers that said of late that they have a job on disk; no more of one job than were ever its homes at a time. */
  readonly #holders = new Map<JobId, Set<NodeId>>()
  readonly #comparisons: HomeComparisons

  constructor(context: HomeCopiesContext) {
    this.#c = context
    this.#comparisons = new HomeComparisons({
      ...context,
      give: (to, jobId) => this.#giveAll(to, jobId),
      held: (jobId, nodeId, isHeld) => this.#held(jobId, nodeId, isHeld),
      failed: (nodeId, error) => this.#failed(nodeId, error),
    })
    context.transport.handleUnary(methods.keepJob, (request, caller) => this.#keep(request, caller))
    context.transport.handleUnary(methods.compareJobs, (request) => this.#compared(request))
  }

  /** Follows a job that this node is a home of from now on. */
  track(jobId: JobId): void {
    this.#c.places.track(jobId)
    this.#comparisons.wake()
  }

  forget(jobId: JobId): void {
    this.#c.places.forget(jobId)
    this.#holders.delete(jobId)
    this.#comparisons.forget(jobId)
  }

  /** The homes known to have a job on disk, this one first, and how many make it durable: no more than there are homes. */
  holding(jobId: JobId): OrderReply {
    const { places, directory, options } = this.#c
    const self = directory.self.nodeId
    const others = (places.homes(jobId) ?? []).map(({ nodeId }) => nodeId).filter((nodeId) => nodeId !== self)
    const known = this.#holders.get(jobId)
    const holders = [self, ...others.filter((nodeId) => known?.has(nodeId) === true)]
    return {
      holders: holders.slice(0, options.homeOwners),
      wanted: Math.min(options.homeHolders, others.length + 1),
    }
  }

  /** A peer has shown that it has a job on disk, or that it may not. */
  #held(jobId: JobId, nodeId: NodeId, isHeld: boolean): void {
    const { places, core, troubles } = this.#c
    const known = this.#holders.get(jobId)
    if (isHeld) troubles.clear(jobId, nodeId, 'spec')
    if (!isHeld) {
      known?.delete(nodeId)
      return
    }
    if (known !== undefined) {
      const homes = places.homes(jobId)
      for (const holder of known) if (homes?.some((home) => home.nodeId === holder) === false) known.delete(holder)
      known.add(nodeId)
    } else if (core.has(jobId)) this.#holders.set(jobId, new Set([nodeId]))
  }

  close(): void {
    this.#comparisons.close()
  }

  /**
   * Gives spec and `orders` of a job to the other homes; `kept` resolves when they are on disk here. Resolves with the
   * holders once they are as many as wanted, or nobody else answers in time. Rejects as `kept` does.
   */
  async spread(job: BookedJob, orders: readonly Signed[], kept: Promise<void>): Promise<OrderReply> {
    const { places, directory, options, clock } = this.#c
    const self = directory.self.nodeId
    const looked = places.find(job.jobId)
    kept.catch(() => {})
    const homes = await looked
    const others = homes.filter(({ nodeId }) => nodeId !== self)
    const wanted = Math.min(options.homeHolders, others.length + 1)
    const holders: NodeId[] = [self]
    const spread = new Promise<void>((resolve) => {
      let open = others.length
      const settle = () => {
        if (open > 0 && holders.length < wanted) return
        timer.cancel()
        resolve()
      }
      const timer = clock.setTimer(SPREAD_MS, resolve)
      settle()
      for (const other of others) {
        this.#give(other, job, orders, [])
          .then(
            () => holders.push(other.nodeId),
            () => {},
          )
          .then(() => {
            open--
            settle()
          })
      }
    })
    await kept
    // Whoever answered before it was kept here counts for `show`, too, which asks where the homes are.
    void places.current(job.jobId)
    await spread
    for (const holder of holders) if (holder !== self) this.#held(job.jobId, holder, true)
    return { holders: holders.slice(0, options.homeOwners), wanted }
  }

  /** Gives a job to a guard that does not have it. Rejects with GridError. */
  giveGuard(guard: Endpoint, job: BookedJob): Promise<void> {
    return this.#give(guard, job, job.signedOrders, [])
  }

  // -------------------------------------------------------------------------------------------------- what others ask

  async #keep({ spec, orders, shards }: KeepJobRequest, { nodeId: caller, host }: Caller): Promise<KeepJobReply> {
    const { book, clock, options, core, places, handle } = this.#c
    const job = book.read(spec, 'orExpired')
    const { jobId } = job
    const isNew = !core.has(jobId)
    if (isNew) {
      const known = [...job.orders, ...job.newOrders(orders, clock.wallMs()).map((order) => order.known)]
      if (clock.wallMs() >= applyOrders(job.spec, known).expiresAtMs)
        throw new GridError('expired', 'the job has expired already')
      book.checkRoom(job, options, { host, share: PASSED_ON_SHARE })
    }
    await this.#keepOrders(job, orders, isNew)
    const booked = book.keep(job, { host, share: PASSED_ON_SHARE })
    if (isNew) this.#c.adopt(booked, RANK_UNKNOWN)
    // Somebody else may have booked the job meanwhile.
    const more = booked === job ? [] : booked.newOrders(orders, clock.wallMs())
    if (more.filter(({ signed }) => booked.addOrder(signed)).length > 0) this.#c.ordersAdded(booked)
    if (shards.length > 0 && (await places.current(jobId)).some(({ nodeId }) => nodeId === caller)) {
      for (const { shard, owner, ownerAddress, summary, waiting, firstGrantAgoMs } of shards) {
        const status = { owner, address: ownerAddress, summary, waiting, firstGrantAgoMs }
        handle({ type: 'shardTold', jobId, shard, status })
      }
    }
    places.reached(caller)
    const sent = new Set(orders.map(({ bytes }) => this.#c.sha256(bytes)))
    return { orders: firstPage(booked.signedOrders.filter(({ bytes }) => !sent.has(this.#c.sha256(bytes)))) }
  }

  /** Puts orders, and with `withSpec` the job, on disk, then into the book. */
  async #keepOrders(job: BookedJob, orders: readonly Signed[], withSpec: boolean): Promise<void> {
    const { commits, clock } = this.#c
    const { jobId } = job
    const fresh = job.newOrders(orders, clock.wallMs())
    const writes = job.orderWrites(fresh)
    const spec = { type: 'spec' as const, jobId, role: 'home' as const, spec: job.signed, receivedAtMs: clock.wallMs() }
    await commits.commit(withSpec ? [spec, ...writes] : writes)
    let added = false
    for (const { signed } of fresh) added = job.addOrder(signed) || added
    if (added) this.#c.ordersAdded(job)
  }

  #compared({ jobs }: CompareJobsRequest): CompareJobsReply {
    const { core, book, options, bootId } = this.#c
    const wanted: JobId[] = []
    for (const { jobId, orders, finished } of jobs) {
      const job = book.get(jobId)
      const isSame =
        job !== undefined &&
        core.has(jobId) &&
        job.ordersDigest === orders &&
        core.finishedCount(jobId) >= Math.min(finished, FINISHED_TOLD_MAX)
      if (!isSame && (job !== undefined || book.size < options.jobsMax)) wanted.push(jobId)
    }
    return { bootId, wanted }
  }

  // ------------------------------------------------------------------------------------------------- what is given away

  /** Gives a job to another home and takes the orders it had. Rejects with GridError when it does not have it all then. */
  async #give(
    to: Endpoint,
    job: BookedJob,
    orders: readonly Signed[],
    finished: readonly ShardStatus[],
  ): Promise<void> {
    const { transport, places, core, book } = this.#c
    let left = orders
    let told = 0
    do {
      const page = firstPage(left)
      left = left.slice(page.length)
      const shards = left.length > 0 ? [] : finished.slice(told, told + MESSAGE_SHARDS_MAX)
      told += shards.length
      const request = { spec: job.signed, orders: page, shards }
      let reply: KeepJobReply
      try {
        reply = await transport.call(to, methods.keepJob, request, { deadlineMs: HOME_CALL_MS })
      } catch (error) {
        this.#failed(to.nodeId, error)
        const { code, message } = toGridError(error)
        const trouble = { ...to, what: 'spec', code, reason: message } as const
        this.#c.troubles.note(job.jobId, trouble, this.#c.clock.now())
        throw error
      }
      places.reached(to.nodeId)
      this.#held(job.jobId, to.nodeId, true)
      const booked = book.get(job.jobId)
      if (booked !== undefined && core.has(job.jobId)) await this.#keepOrders(booked, reply.orders, false)
    } while (left.length > 0 || told < finished.length)
  }

  #failed(nodeId: NodeId, error: unknown): void {
    const { code } = toGridError(error)
    if (code === 'unreachable' || code === 'timeout' || code === 'closed') this.#c.places.missed(nodeId)
    else this.#c.places.reached(nodeId)
  }

  /** False: worth another try. */
  async #giveAll(endpoint: Endpoint, jobId: JobId): Promise<boolean> {
    const { book, core, logger } = this.#c
    const job = book.get(jobId)
    if (job === undefined) return true
    const finished = core.finishedShards(jobId, FINISHED_TOLD_MAX).map(({ shard, status }) => ({
      shard,
      owner: status.owner,
      ownerAddress: status.address,
      summary: status.summary,
      waiting: status.waiting,
      summaryAgeMs: 0,
      firstGrantAgoMs: status.firstGrantAgoMs,
    }))
    try {
      await this.#give(endpoint, job, job.signedOrders, finished)
      return true
    } catch (error) {
      const failure = toGridError(error)
      logger.debug('job not given to a home', { jobId, peer: endpoint.nodeId, error: failure.message })
      this.#held(jobId, endpoint.nodeId, false)
      return !failure.retryable
    }
  }
}

/** As many of the first orders as one message carries. */
export function firstPage(orders: readonly Signed[]): readonly Signed[] {
  let bytes = 0
  const end = orders.findIndex((order) => {
    bytes += order.bytes.length
    return bytes > ORDERS_BYTES_MAX
  })
  return end < 0 ? orders : orders.slice(0, Math.max(1, end))
}
