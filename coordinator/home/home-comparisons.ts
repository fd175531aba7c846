import { homeKey } from '../../job/units/shard.js'
import { ReleaseWatch } from '../../overlay/index.js'
import { COMPARED_JOBS_MAX, type ComparedJob, type CompareJobsReply } from '../../proto/home-messages.js'
import { methods } from '../../proto/methods.js'
import type { BootId, Digest, JobId, NodeId } from '../../proto/model.js'
import type { Millis, Timer } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import { utf8 } from '../../runtime/hex.js'
import { jitter } from '../../runtime/jitter.js'
import type { Endpoint } from '../../runtime/transport.js'
import type { Home } from './core/home.js'
import type { HomeDriverContext } from './home-context.js'
import type { HomePlaces } from './home-places.js'

interface HomeComparisonsContext
  extends Pick<HomeDriverContext, 'clock' | 'random' | 'logger' | 'sha256' | 'transport' | 'book' | 'options'> {
  readonly core: Home
  readonly places: HomePlaces
  /** Gives all of a job to a peer. False: worth another try. */
  readonly give: (to: Endpoint, jobId: JobId) => Promise<boolean>
  /** A peer has shown that it has a job on disk. */
  readonly held: (jobId: JobId, nodeId: NodeId, isHeld: true) => void
  /** A peer did not answer, or refused. */
  readonly failed: (nodeId: NodeId, error: unknown) => void
  /** The job has enough homes without this node. */
  readonly release: (jobId: JobId) => void
}

/** Homes compare what they keep this often, give or take a fifth. Unit: ms. */
const COMPARE_MS = 10_000
/** A guard asks a home for orders that it missed so rarely. Unit: ms. */
const GUARD_COMPARE_MS = 60_000
/** Time between looks at who is due, and until a home that did not answer is asked again. Unit: ms. */
const TICK_MS = 2_000
const RETRY_MS = 3_000
/** Deadline of a call to another home. Unit: ms. */
export const HOME_CALL_MS = 5_000
/** Jobs given to one peer in one round, and at a time. */
const GIVEN_MAX = 256
const GIVEN_AT_ONCE = 4

interface Peer {
  /** What was compared last and found, or made, equal on a boot of the peer. */
  same: { readonly root: Digest; readonly bootId: BootId } | undefined
  dueAt: Millis
  busy: boolean
}

/**
 * Compares with the other homes of each job what both keep, by one digest where nothing has changed, and gives them what
 * they lack. A job that enough nearer peers have had whole twice is let go of (PAST, Rowstron and Druschel 2001).
 */
export class HomeComparisons {
  readonly #c: HomeComparisonsContext
  readonly #peers = new Map<NodeId, Peer>()
  readonly #releases: ReleaseWatch
  #timer: Timer | undefined
  #closed = false

  constructor(context: HomeComparisonsContext) {
    this.#c = context
    const { releaseSlack, releaseAfterMs, releaseSyncs } = context.options
    this.#releases = new ReleaseWatch({ slack: releaseSlack, cleanSyncs: releaseSyncs, idleMs: releaseAfterMs })
  }

  /** To be called when there is a job to compare; goes on until there is none. */
  wake(): void {
    if (this.#timer === undefined && !this.#closed) this.#tick()
  }

  forget(jobId: JobId): void {
    this.#releases.forget(homeKey(jobId))
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #tick(): void {
    const { clock, random, places } = this.#c
    if (this.#closed) return
    if (places.size === 0) {
      this.#timer = undefined
      return
    }
    this.#timer = clock.setTimer(jitter(random, TICK_MS, 0.2), () => this.#tick())
    places.refresh()
    const now = clock.now()
    const peers = places.peers()
    for (const nodeId of this.#peers.keys()) if (!peers.has(nodeId)) this.#peers.delete(nodeId)
    for (const [nodeId, { endpoint, jobIds, isGuarded }] of peers) {
      let peer = this.#peers.get(nodeId)
      if (peer === undefined) {
        peer = { same: undefined, dueAt: now, busy: false }
        this.#peers.set(nodeId, peer)
      }
      if (peer.busy || now < peer.dueAt) continue
      peer.dueAt = now + jitter(random, isGuarded ? GUARD_COMPARE_MS : COMPARE_MS, 0.2)
      void this.#compareWith(endpoint, peer, jobIds)
    }
    this.#letGo(now)
  }

  async #compareWith(endpoint: Endpoint, peer: Peer, jobIds: readonly JobId[]): Promise<void> {
    const { places, logger, sha256 } = this.#c
    peer.busy = true
    try {
      const compared = this.#comparable(jobIds)
      const root = sha256(
        ...compared.map(({ jobId, orders, finished }) => utf8(`${jobId} ${orders ?? ''} ${finished}\n`)),
      )
      const { same } = peer
      const isSame = same?.root === root && (await this.#ask(endpoint, [])).bootId === same.bootId
      const given = isSame ? new Set<JobId>() : await this.#fill(endpoint, peer, compared, root)
      for (const { jobId } of compared) {
        this.#releases.synced(homeKey(jobId), !given.has(jobId))
        if (!given.has(jobId)) this.#c.held(jobId, endpoint.nodeId, true)
      }
      places.reached(endpoint.nodeId)
    } catch (error) {
      peer.same = undefined
      peer.dueAt = Math.min(peer.dueAt, this.#c.clock.now() + RETRY_MS)
      this.#c.failed(endpoint.nodeId, error)
      for (const jobId of jobIds) this.#releases.synced(homeKey(jobId), false)
      logger.debug('homes not compared', { peer: endpoint.nodeId, error: toGridError(error).message })
    } finally {
      peer.busy = false
    }
  }

  #comparable(jobIds: readonly JobId[]): ComparedJob[] {
    const { book, core, clock } = this.#c
    const compared: ComparedJob[] = []
    for (const jobId of [...jobIds].sort()) {
      const job = book.get(jobId)
      if (job === undefined || !core.has(jobId) || clock.wallMs() >= job.expiresAtMs) continue
      compared.push({ jobId, orders: job.ordersDigest, finished: core.finishedCount(jobId) })
    }
    return compared
  }

  #ask(endpoint: Endpoint, jobs: readonly ComparedJob[]): Promise<CompareJobsReply> {
    return this.#c.transport.call(endpoint, methods.compareJobs, { jobs }, { deadlineMs: HOME_CALL_MS })
  }

  /** Compares job by job and gives the peer what it lacks. Resolves with the jobs given, or refused for good. */
  async #fill(
    endpoint: Endpoint,
    peer: Peer,
    compared: readonly ComparedJob[],
    root: Digest,
  ): Promise<ReadonlySet<JobId>> {
    const wanted: JobId[] = []
    let bootId: BootId | undefined
    for (let at = 0; at < compared.length; at += COMPARED_JOBS_MAX) {
      const page = compared.slice(at, at + COMPARED_JOBS_MAX)
      const asked = new Set(page.map(({ jobId }) => jobId))
      const reply = await this.#ask(endpoint, page)
      bootId = reply.bootId
      for (const jobId of reply.wanted) if (asked.delete(jobId)) wanted.push(jobId)
    }
    const given = new Set(wanted)
    const queue = wanted.slice(0, GIVEN_MAX)
    let isWhole = wanted.length <= GIVEN_MAX
    const giveNext = async (): Promise<void> => {
      for (let jobId = queue.pop(); jobId !== undefined; jobId = queue.pop()) {
        if (!(await this.#c.give(endpoint, jobId))) isWhole = false
      }
    }
    await Promise.all(Array.from({ length: GIVEN_AT_ONCE }, giveNext))
    peer.same = isWhole && bootId !== undefined ? { root, bootId } : undefined
    return given
  }

  /** Lets go of jobs that enough nearer peers have kept for long. A guard keeps what it guards, whatever these say. */
  #letGo(now: Millis): void {
    const { core, places, options, release } = this.#c
    for (const jobId of core.jobIds()) {
      const key = homeKey(jobId)
      this.#releases.ranked(key, places.isGuard(jobId) ? 0 : places.nearer(jobId), options.homeOwners, now)
      if (this.#releases.mayDrop(key, now)) release(jobId)
    }
  }
}
