import type { Vote } from '../../../job/facts/votes.js'
import type { GrantRun, JobId, NodeId, PublicKey } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { assert, unreachable } from '../../../runtime/errors.js'
import { Claims } from './claims.js'
import { Doubting } from './doubting.js'
import { isAble, type OwnerSight, sightOf } from './explain.js'
import { Granting } from './granting.js'
import type { Job } from './job.js'
import type { OwnerEffect, OwnerEvent, SessionId, ShardReport } from './messages.js'
import { OpenJobs } from './open-jobs.js'
import { BLOCK_UNITS, type OwnerContext, OwnerTables } from './owner-tables.js'
import { Sessions } from './sessions.js'
import { isRedundant, Settling } from './settling.js'
import type { Shard } from './shard.js'
import { Sweep } from './sweep.js'
import { UnitQueue } from './unit-queue.js'
import type { UnitRecord } from './unit-record.js'
import { waitingReason } from './waiting.js'
import type { Outstanding } from './worker-record.js'

/**
 * Everything an owner decides: who is granted what, whose opinion is asked for next, when a lease ends, and what to tell
 * workers once a verdict stands. Facts reach it only after they are on disk; what it has not been told as a fact it may
 * forget at any time (leases, credit, reservations).
 *
 * An event goes to the part that it concerns; then comes what time has brought about ({@link Sweep}), what workers are
 * told ({@link Settling}), and last what they are given ({@link Granting}).
 */
export class Owner {
  readonly #state: OwnerTables
  readonly #queue: UnitQueue
  readonly #granting: Granting
  readonly #settling: Settling
  readonly #openJobs: OpenJobs
  readonly #sessions: Sessions
  readonly #claims: Claims
  readonly #sweep: Sweep
  readonly #doubting: Doubting

  constructor(context: OwnerContext) {
    const state = new OwnerTables(context)
    const queue = new UnitQueue(state)
    const settling = new Settling(state, queue)
    const sessions = new Sessions(state, queue)
    const doubting = new Doubting(state, settling)
    this.#state = state
    this.#queue = queue
    this.#granting = new Granting(state)
    this.#settling = settling
    this.#openJobs = new OpenJobs(state, queue, settling)
    this.#sessions = sessions
    this.#claims = new Claims(state, queue)
    this.#doubting = doubting
    this.#sweep = new Sweep({ state, queue, sessions, settling, doubting })
  }

  handle(event: OwnerEvent, now: Millis): OwnerEffect[] {
    const state = this.#state
    assert(state.effects.length === 0, 'owner is re-entered')
    if (this.#sweep.hasStoodStill(now)) this.#openJobs.stoodStill(now)
    this.#dispatch(event, now)
    this.#sweep.runIfDue(now)
    state.fetches.askWaiting(now)
    this.#settling.tellWorkers()
    for (const worker of state.toServe) this.#granting.serve(worker, now)
    state.toServe.clear()
    this.#sweep.scheduleNext(now)
    const { effects } = state
    state.effects = []
    return effects
  }

  #dispatch(event: OwnerEvent, now: Millis): void {
    switch (event.type) {
      case 'jobOpened':
        this.#openJobs.openJob(event.jobId, event.spec, event.orders)
        break
      case 'shardOpened':
        this.#openJobs.openShard(event, now)
        break
      case 'othersAsked':
        this.#openJobs.othersAsked(event.jobId, event.shard, now)
        break
      case 'othersAwaited':
        this.#openJobs.othersAwaited(event.jobId, event.shard, now)
        break
      case 'ordersChanged':
        this.#openJobs.setOrders(event.jobId, event.orders, now)
        break
      case 'jobStopped':
        this.#openJobs.setStopped(event.jobId, event.reason)
        break
      case 'shardClosed':
        this.#openJobs.closeShard(event.jobId, event.shard)
        break
      case 'jobClosed':
        this.#openJobs.closeJob(event.jobId, event.reason)
        break
      case 'ownersChanged':
        this.#ownersChanged(event, now)
        break
      case 'sessionOpened':
        this.#sessions.open(event.session, event.hello, now)
        break
      case 'workerRefused':
        this.#state.turnedAway(event.nodeId, event.reason, event.code, now)
        break
      case 'sessionClosed':
        this.#sessions.close(event.session, now)
        break
      case 'sessionHeard':
        this.#sessions.heard(event.session, now)
        break
      case 'wantChanged':
        this.#sessions.wantChanged(event, now)
        break
      case 'progressMade':
        this.#sessions.progressMade(event, now)
        break
      case 'unitsHandedBack':
      case 'reportRefused':
        this.#sessions.unitsReturned(event, now)
        break
      case 'reportKept':
        if (event.session !== undefined) this.#sessions.heard(event.session, now)
        this.#settling.reportKept(event.report, event, now)
        break
      case 'outputKept':
        this.#settling.outputKept(event, now)
        break
      case 'outputFetchFailed':
        this.#settling.outputFetchFailed(event, now)
        break
      case 'outputMoved':
        this.#settling.outputMoved(event, now)
        break
      case 'otherGranted':
        this.#claims.heard(event, now)
        break
      case 'grantorsMet':
        this.#doubting.met(event.nodeIds, now)
        break
      case 'grantorMissing':
        this.#doubting.missing(event.nodeId, now)
        break
      case 'woke':
        break
      default:
        unreachable(event)
    }
  }

  /** What was the turn of owners that are lost is granted at once, and not when somebody happens to look; what others own is let go. */
  #ownersChanged({ jobId, shard: number, owners }: Extract<OwnerEvent, { type: 'ownersChanged' }>, now: Millis): void {
    const shard = this.shard(jobId, number)
    if (shard === undefined) return
    const wasOutside = this.#state.isOutside(shard)
    shard.setOwners(owners)
    this.#doubting.met(owners, now)
    if (this.#state.isOutside(shard)) {
      this.#queue.leaveToOthers(shard, now)
      this.#queue.serveEveryone()
      return
    }
    if (wasOutside) this.#openJobs.ownedAgain(shard, now)
    if (shard.formerOwners === undefined || shard.finished) return
    this.#queue.draw(shard, now)
    this.#queue.serveEveryone()
  }

  nextWakeup(): Millis | undefined {
    return this.#state.nextSweep
  }

  // --------------------------------------------------------------------------------------------------- what others ask

  hasShard(jobId: JobId, shard: number): boolean {
    return this.#state.jobs.get(jobId)?.shards.has(shard) ?? false
  }

  job(jobId: JobId): Job | undefined {
    return this.#state.jobs.get(jobId)
  }

  jobs(): IterableIterator<Job> {
    return this.#state.jobs.values()
  }

  shard(jobId: JobId, shard: number): Shard | undefined {
    return this.#state.shard(jobId, shard)
  }

  /** What there is to say of a shard to its home and to people. */
  report(jobId: JobId, number: number): ShardReport | undefined {
    const state = this.#state
    const shard = this.shard(jobId, number)
    if (shard === undefined) return undefined
    const { job } = shard
    const able = state.connected.filter((worker) => isAble(worker, job))
    const donors = new Set(able.map((worker) => worker.donor)).size
    const refusal = job.refusal(state.context.wallMs())
    const ready = refusal === '' ? shard.readyCount : 0
    return {
      jobId,
      shard: number,
      summary: shard.summary(able.length, donors, ready),
      waiting: waitingReason(shard, { refusal, connected: state.connected, able: able.length, donors }),
      firstGrantAt: shard.firstGrantAt,
    }
  }

  /** Instances of a job that could be granted here now; of shards that others own, none. */
  ready(jobId: JobId): number {
    const job = this.#state.jobs.get(jobId)
    if (job === undefined || job.refusal(this.#state.context.wallMs()) !== '') return 0
    let ready = 0
    for (const shard of job.shards.values()) if (!this.#state.isOutside(shard)) ready += shard.readyCount
    return ready
  }

  /** Units of a job that {@link explain} looks at: those in memory of shards that are not finished. */
  waitingUnits(jobId: JobId): number {
    let units = 0
    for (const shard of this.#state.jobs.get(jobId)?.shards.values() ?? [])
      if (!shard.finished) units += shard.unitCount - shard.untouched
    return units
  }

  /** What this owner sees of a job, or one unit of it, for whoever asks why; undefined: it has nothing of the job. */
  explain(jobId: JobId, unit: number | undefined, now: Millis): OwnerSight | undefined {
    const job = this.#state.jobs.get(jobId)
    return job === undefined ? undefined : sightOf(this.#state, job, unit, now)
  }

  /** Connected workers and their threads. */
  get connected(): { readonly workers: number; readonly threads: number } {
    return {
      workers: this.#state.connected.length,
      threads: this.#state.connected.reduce((sum, worker) => sum + worker.hello.slots, 0),
    }
  }

  /**
   * Whether the votes of a report by one worker change nothing: of each unit it has given the same answer, or two that
   * differ, often enough. Nothing else bounds how many reports a key can sign under one grant.
   */
  isRedundant(jobId: JobId, number: number, votes: readonly Vote[]): boolean {
    const shard = this.shard(jobId, number)
    return shard !== undefined && votes.every((vote) => isRedundant(vote, shard.record(vote.unit)))
  }

  /** How many of these votes lean on grants of strangers; see {@link Doubts}. */
  votesOfStrangers(votes: readonly Vote[]): number {
    const { grantors } = this.#state
    return grantors === undefined ? 0 : votes.filter(({ grantor }) => !grantors.isMet(grantor)).length
  }

  /** Whether this node has met a peer of that id. */
  hasMet(nodeId: NodeId): boolean {
    return this.#state.grantors?.isMet(nodeId) ?? true
  }

  /** Whether there is room for a fact with these votes beside others of their grantors: where not, no owner keeps it. */
  hasRoom(jobId: JobId, number: number, votes: readonly Vote[]): boolean {
    return this.shard(jobId, number)?.facts.hasRoom(votes) ?? true
  }

  /** Instances that are out, of all workers, and opinions kept for one: nobody else is to be asked for them. */
  *outstanding(): Generator<Outstanding> {
    for (const worker of this.#state.workers.values()) {
      yield* worker.held
      for (const record of worker.reserved)
        yield { shard: record.shard, record, worker, opinion: record.votes.length + record.held.length, isKept: true }
    }
  }

  /** The stream of a worker, if it has one. */
  sessionOf(worker: PublicKey): SessionId | undefined {
    return this.#state.workers.get(worker)?.session
  }

  /** Whether the missing bytes of a unit are on their way here: no other owner need have it computed again. */
  isComing(record: UnitRecord): boolean {
    return this.#state.fetches.isComing(record)
  }

  /** Accepted units whose bytes have been missing here for `ms`. */
  *missingBytes(ms: Millis, now: Millis): Generator<UnitRecord> {
    for (const record of this.#state.withoutBytes) if (now - record.acceptedAt >= ms) yield record
  }

  /** Whether units of the shard that nobody has touched wait for `owner` to grant them. */
  waitsFor(owner: NodeId, jobId: JobId, number: number): boolean {
    const shard = this.shard(jobId, number)
    if (shard === undefined || shard.untouched === 0) return false
    return shard.ranges.some(({ first, count }) => {
      for (let at = first - (first % BLOCK_UNITS); at < first + count; at += BLOCK_UNITS)
        if (this.#state.preferredFor(shard, at, 0) === owner && shard.untouchedUnits.hasAny(at, BLOCK_UNITS))
          return true
      return false
    })
  }

  /** Whether a worker is asked for one of these units by `grantor`, another owner, and that was not known. */
  isNews(jobId: JobId, number: number, grantor: NodeId, worker: PublicKey, runs: readonly GrantRun[]): boolean {
    const shard = this.shard(jobId, number)
    return shard !== undefined && this.#claims.areNews(shard, grantor, worker, runs)
  }

  /** Whether this owner is the one that is to grant the unit first. */
  isFirst(jobId: JobId, number: number, unit: number): boolean {
    const shard = this.shard(jobId, number)
    return shard !== undefined && this.#state.isPreferred(shard, unit, 0)
  }

  checkInvariants(): void {
    const state = this.#state
    for (const job of state.jobs.values()) for (const shard of job.shards.values()) shard.checkInvariants()
    for (const worker of state.workers.values()) {
      for (const instance of worker.held) {
        assert(instance.state === 'held', 'a held instance is held')
        assert(instance.record.held.includes(instance), 'a held instance stands in its unit')
      }
      for (const instance of worker.unsettled)
        assert(instance.state === 'reported', 'an unsettled instance is reported')
      assert((worker.session !== undefined) === state.connected.includes(worker), 'connected workers are listed')
    }
  }
}
