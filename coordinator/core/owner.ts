import { isVote } from '../../job/digest.js'
import { shardOf } from '../../job/shard.js'
import type { Vote } from '../../job/verdict.js'
import type { Digest, Grant, JobId, PublicKey, UnitRange } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { assert, unreachable } from '../../runtime/errors.js'
import { HOST_FAILURES_MAX } from './draw.js'
import { Granting } from './granting.js'
import { Job } from './job.js'
import type {
  CheckedReport,
  OwnerEffect,
  OwnerEvent,
  SessionId,
  ShardReport,
  UnitSet,
  WorkerHello,
} from './messages.js'
import { AWAY_GRACE_MS, type OwnerContext, OwnerState } from './owner-state.js'
import { BYTES_WAIT_MS, type Decision, Shard, type UnitRecord } from './shard.js'
import { mayWork, UnitQueue } from './unit-queue.js'
import { waitingReason } from './waiting.js'
import { type Instance, WorkerRecord } from './worker-record.js'

/** Time between sweeps of leases, reservations and waits. */
const SWEEP_MS = 500
/** A connected worker that says nothing at all ends its leases after this long. */
export const SILENCE_MS = 30_000
/** A drawn key that does not come for its opinion is drawn anew. */
const REDRAW_MS = 60_000
/** After a restart workers have this long to come back with their tickets before units are granted anew. */
const RETURN_MS = 2_000
/** A key that already has a stream must answer within this, or the newcomer takes over. */
const TAKEOVER_MS = 1_000
/** Instances of one unit at other owners that are kept in mind. */
const ELSEWHERE_MAX = 16
/** What an owner says it has out is believed no longer than this; it repeats it. */
const ELSEWHERE_MS_MAX = 30_000
/** Units that the tickets of one hello may lease: as many as an honest worker ever holds. */
const TICKET_UNITS_MAX = 32_768
/** Equal answers of one key for one unit that are worth keeping: one more is needed where bytes were lost. */
const ANSWERS_MAX = 2
/** Workers away that are remembered for their credit. */
const WORKERS_AWAY_MAX = 10_000
/** Longest back-off of a key whose host keeps failing. */
const HOST_BACKOFF_MAX_MS = 10 * 60_000

/** A second stream of a key, waiting for the first to show that it is dead. */
interface Takeover {
  readonly session: SessionId
  readonly hello: WorkerHello
  readonly until: Millis
  /** What the newcomer has asked for while it waits. */
  want: number
}

/**
 * Everything an owner decides: who is granted what, whose opinion is asked for next, when a lease ends, and what to tell
 * workers once a verdict stands. Facts reach it only after they are on disk; what it has not been told as a fact it may
 * forget at any time (leases, credit, reservations).
 */
export class Owner {
  readonly #state: OwnerState
  readonly #queue: UnitQueue
  readonly #granting: Granting
  readonly #takeovers = new Map<PublicKey, Takeover>()
  #nextSweep: Millis | undefined

  constructor(context: OwnerContext) {
    this.#state = new OwnerState(context)
    this.#queue = new UnitQueue(this.#state)
    this.#granting = new Granting(this.#state)
  }

  handle(event: OwnerEvent, now: Millis): OwnerEffect[] {
    const state = this.#state
    assert(state.effects.length === 0, 'owner is re-entered')
    switch (event.type) {
      case 'jobOpened':
        if (!state.jobs.has(event.jobId)) state.jobs.set(event.jobId, new Job(event.jobId, event.spec, event.orders))
        break
      case 'shardOpened':
        this.#openShard(event.jobId, event.shard, event.ranges, event.restarted, now)
        break
      case 'ordersChanged':
        this.#setOrders(event.jobId, event.orders, now)
        break
      case 'jobStopped': {
        const job = state.jobs.get(event.jobId)
        if (job === undefined || job.stopped === event.reason) break
        job.stopped = event.reason
        if (event.reason === '') this.#queue.serveEveryone()
        break
      }
      case 'shardClosed':
        this.#closeShard(event.jobId, event.shard)
        break
      case 'jobClosed':
        this.#closeJob(event.jobId, event.reason)
        break
      case 'ownersChanged': {
        const shard = state.jobs.get(event.jobId)?.shards.get(event.shard)
        shard?.setOwners(event.owners)
        break
      }
      case 'sessionOpened':
        this.#openSession(event.session, event.hello, now)
        break
      case 'sessionClosed':
        this.#closeSession(event.session, now)
        break
      case 'sessionHeard':
        this.#heard(event.session, now)
        break
      case 'wantChanged': {
        this.#wantChanged(event.session, event.instances, now)
        break
      }
      case 'progressMade':
        this.#progress(event, now)
        break
      case 'unitsHandedBack':
      case 'reportRefused': {
        const worker = this.#heard(event.session, now)
        const shard = this.shard(event.jobId, event.shard)
        if (worker === undefined || shard === undefined) break
        const refused = event.type === 'reportRefused'
        if (refused) this.#hostFailed(worker, now)
        else worker.rest(event.jobId, now)
        for (const unit of event.units) {
          const instance = heldBy(worker, shard.record(unit))
          if (instance !== undefined) this.#queue.release(instance, now, refused)
        }
        break
      }
      case 'reportKept':
        this.#reportKept(event.session, event.report, event.stored, event.wallMs, event.live, now)
        break
      case 'outputKept':
        this.#outputKept(event.jobId, event.shard, event.unit, event.digest, now)
        break
      case 'outputFetchFailed': {
        for (const record of state.withoutBytes) {
          if (record.shard.jobId !== event.jobId || record.unit !== event.unit) continue
          record.fetchingFrom = undefined
          this.#fetchBytes(record, now)
        }
        break
      }
      case 'otherGranted': {
        const shard = state.jobs.get(event.jobId)?.shards.get(event.shard)
        if (shard === undefined) break
        const until = now + Math.min(ELSEWHERE_MS_MAX, event.durationMs)
        for (const run of event.runs) {
          for (let unit = run.first; unit < run.first + run.count; unit++) {
            if (!shard.contains(unit)) continue
            const record = shard.touch(unit, now)
            if (record.votes.some((vote) => vote.worker === event.worker)) continue
            record.elsewhere ??= new Map()
            if (record.elsewhere.size < ELSEWHERE_MAX) record.elsewhere.set(event.worker, until)
            this.#queue.ask(record, now)
          }
        }
        break
      }
      case 'woke':
        break
      default:
        unreachable(event)
    }
    if (this.#nextSweep !== undefined && now >= this.#nextSweep) this.#sweep(now)
    this.#flush(now)
    const busy = state.workers.size > 0 || state.jobs.size > 0
    if (!busy) this.#nextSweep = undefined
    else this.#nextSweep ??= now + SWEEP_MS
    const { effects } = state
    state.effects = []
    return effects
  }

  nextWakeup(): Millis | undefined {
    return this.#nextSweep
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
    return this.#state.jobs.get(jobId)?.shards.get(shard)
  }

  /** What there is to say of a shard to its home and to people. */
  report(jobId: JobId, number: number): ShardReport | undefined {
    const state = this.#state
    const shard = this.shard(jobId, number)
    if (shard === undefined) return undefined
    const { job } = shard
    const able = state.connected.filter((worker) => mayWork(worker, jobId, job.spec))
    const donors = new Set(able.map((worker) => worker.donor)).size
    const refusal = job.refusal(state.context.wallMs())
    const ready = refusal === '' ? shard.untouched + shard.again.length + shard.undrawn.length : 0
    return {
      jobId,
      shard: number,
      summary: shard.summary(able.length, donors, ready),
      waiting: waitingReason(shard, { refusal, connected: state.connected, able: able.length, donors }),
      firstGrantAt: shard.firstGrantAt,
    }
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

  isConnected(session: SessionId): boolean {
    return this.#state.sessions.has(session)
  }

  checkInvariants(): void {
    const state = this.#state
    for (const job of state.jobs.values()) for (const shard of job.shards.values()) shard.checkInvariants()
    for (const worker of state.workers.values()) {
      for (const instance of worker.held) {
        assert(instance.state === 'held', 'a held instance is held')
        assert(instance.record.held.includes(instance), 'a held instance stands in its unit')
      }
      assert(worker.unsettled >= 0, 'unsettled reports are counted once')
      assert((worker.session !== undefined) === state.connected.includes(worker), 'connected workers are listed')
    }
  }

  // ------------------------------------------------------------------------------------------------------ jobs, shards

  #openShard(jobId: JobId, number: number, ranges: readonly UnitRange[], restarted: boolean, now: Millis): void {
    const job = this.#state.jobs.get(jobId)
    assert(job !== undefined, 'a shard is opened after its job')
    if (job.shards.has(number)) return
    const shard = new Shard(job, number, ranges, now, restarted ? now + RETURN_MS : now)
    shard.owners = [this.#state.context.self]
    job.shards.set(number, shard)
    this.#queue.serveEveryone()
    this.#state.emit({ type: 'shardChanged', jobId, shard: number })
  }

  #setOrders(jobId: JobId, orders: Parameters<Job['setOrders']>[0], now: Millis): void {
    const job = this.#state.jobs.get(jobId)
    if (job === undefined) return
    job.setOrders(orders)
    for (const shard of job.shards.values()) {
      for (const record of shard.records())
        if (record.state === 'held' || record.state === 'disputed') this.#after(shard.review(record, now), now)
      this.#state.emit({ type: 'shardChanged', jobId, shard: shard.shard })
    }
    if (job.view.cancelled) this.#withdrawAll(job, 'cancelled by the submitter')
    else this.#queue.serveEveryone()
  }

  #withdrawAll(job: Job, reason: string): void {
    for (const worker of this.#state.workers.values()) {
      const instances = [...worker.held].filter((instance) => instance.shard.job === job)
      for (const instance of instances) {
        instance.fate = 'void'
        this.#state.endLease(instance)
      }
      for (const record of worker.reserved) if (record.shard.job === job) this.#state.cancelReservation(record)
      worker.credit.settle(worker.hello.slots, job.durations.unitMs)
      if (instances.length > 0 && worker.session !== undefined) {
        this.#state.emit({
          type: 'sendWithdraw',
          session: worker.session,
          jobId: job.jobId,
          shard: 0,
          units: [],
          wholeJob: true,
          reason,
        })
      }
    }
  }

  #closeJob(jobId: JobId, reason: string): void {
    const state = this.#state
    const job = state.jobs.get(jobId)
    if (job === undefined) return
    this.#withdrawAll(job, reason)
    for (const shard of [...job.shards.keys()]) this.#closeShard(jobId, shard)
    state.jobs.delete(jobId)
    for (const worker of state.workers.values()) worker.resting.delete(jobId)
  }

  #closeShard(jobId: JobId, number: number): void {
    const state = this.#state
    const shard = this.shard(jobId, number)
    if (shard === undefined) return
    for (const record of shard.records()) {
      state.delayed.delete(record)
      state.withoutBytes.delete(record)
      state.cancelReservation(record)
      for (const instance of record.reported) this.#dropReported(instance)
      for (const instance of [...record.held]) {
        instance.fate = 'void'
        state.endLease(instance)
      }
    }
    shard.job.shards.delete(number)
  }

  #dropReported(instance: Instance): void {
    if (instance.state !== 'reported') return
    instance.state = 'gone'
    instance.fate = 'void'
    instance.worker.unsettled--
  }

  // ---------------------------------------------------------------------------------------------------------- sessions

  #openSession(session: SessionId, hello: WorkerHello, now: Millis): void {
    const state = this.#state
    const known = state.workers.get(hello.worker)
    if (known?.session !== undefined && known.hello.bootId !== hello.bootId && known.session !== session) {
      const waiting = this.#takeovers.get(hello.worker)
      if (waiting !== undefined && waiting.session !== session)
        state.emit({ type: 'closeSession', session: waiting.session, reason: 'a newer stream of this key came' })
      this.#takeovers.set(hello.worker, { session, hello, until: now + TAKEOVER_MS, want: 0 })
      state.emit({ type: 'pingSession', session: known.session })
      this.#nextSweep = Math.min(this.#nextSweep ?? Number.POSITIVE_INFINITY, now + TAKEOVER_MS)
      return
    }
    if (known?.session !== undefined && known.session !== session) {
      state.emit({ type: 'closeSession', session: known.session, reason: 'a newer stream of this worker took over' })
      state.sessions.delete(known.session)
      state.disconnect(known)
      known.session = undefined
    }
    this.#attach(session, hello, now)
  }

  #attach(session: SessionId, hello: WorkerHello, now: Millis): void {
    const state = this.#state
    let worker = state.workers.get(hello.worker)
    if (worker === undefined) {
      worker = new WorkerRecord(hello, session, now)
      state.workers.set(hello.worker, worker)
    }
    const restarted = worker.hello.bootId !== hello.bootId
    if (restarted) worker.resting.clear()
    worker.session = session
    worker.hello = hello
    worker.donor = hello.donor
    worker.nodeId = hello.nodeId
    worker.host = hello.host
    worker.heardAt = now
    worker.awaySince = undefined
    worker.want = 0
    state.sessions.set(session, worker)
    state.connect(worker)
    this.#reconcileTickets(worker, hello.tickets, restarted, now)
    for (const job of state.jobs.values()) {
      for (const shard of job.shards.values()) {
        if (!shard.finished) state.emit({ type: 'shardChanged', jobId: job.jobId, shard: shard.shard })
      }
    }
  }

  /** The newcomer of a key whose first stream is gone. */
  #takeOver({ session, hello, want }: Takeover, now: Millis): void {
    this.#takeovers.delete(hello.worker)
    this.#attach(session, hello, now)
    this.#wantChanged(session, want, now)
  }

  /** Leases follow the tickets a worker says it still computes; what it no longer has is released. */
  #reconcileTickets(worker: WorkerRecord, tickets: readonly Grant[], restarted: boolean, now: Millis): void {
    const computing = new Set<UnitRecord>()
    let room = TICKET_UNITS_MAX
    for (const ticket of tickets) {
      const shard = this.shard(ticket.jobId, ticket.shard)
      if (shard === undefined || ticket.worker !== worker.key) continue
      for (const run of ticket.runs) {
        for (let unit = run.first; unit < run.first + run.count && room > 0; unit++) {
          room--
          if (!shard.contains(unit)) continue
          const record = shard.touch(unit, now)
          if (
            record.votes.some((vote) => vote.worker === worker.key && vote.outcome !== 'host') ||
            record.state === 'settled' ||
            record.state === 'failed'
          )
            continue
          computing.add(record)
          if (record.held.some((instance) => instance.worker === worker)) continue
          const instance: Instance = {
            shard,
            record,
            worker,
            opinion: run.opinion,
            grantedAt: now,
            movedAt: now,
            fuel: 0n,
            fate: 'pending',
            state: 'held',
          }
          shard.leaseStarted(instance)
          worker.held.add(instance)
          worker.credit.granted(instance)
        }
      }
    }
    for (const instance of [...worker.held])
      if (!computing.has(instance.record)) this.#queue.release(instance, now, restarted)
  }

  #closeSession(session: SessionId, now: Millis): void {
    const state = this.#state
    for (const [key, takeover] of this.#takeovers) if (takeover.session === session) this.#takeovers.delete(key)
    const worker = state.sessions.get(session)
    if (worker === undefined) return
    state.sessions.delete(session)
    if (worker.session !== session) return
    worker.session = undefined
    worker.awaySince = now
    state.disconnect(worker)
    const takeover = this.#takeovers.get(worker.key)
    if (takeover !== undefined) this.#takeOver(takeover, now)
    this.#nextSweep = Math.min(this.#nextSweep ?? Number.POSITIVE_INFINITY, now + AWAY_GRACE_MS)
    for (const job of state.jobs.values())
      for (const shard of job.shards.values())
        state.emit({ type: 'shardChanged', jobId: job.jobId, shard: shard.shard })
  }

  #wantChanged(session: SessionId, instances: number, now: Millis): void {
    const worker = this.#heard(session, now)
    if (worker === undefined) {
      for (const takeover of this.#takeovers.values()) if (takeover.session === session) takeover.want = instances
      return
    }
    const before = worker.want
    worker.want = instances
    this.#state.toServe.add(worker)
    if (instances === 0) for (const record of [...worker.reserved]) this.#redraw(record, now)
    else if (before === 0) this.#drawAll(now)
  }

  /** Opinions that nobody could be found for may have somebody now. */
  #drawAll(now: Millis): void {
    for (const job of this.#state.jobs.values())
      for (const shard of job.shards.values()) if (shard.undrawn.length > 0) this.#queue.draw(shard, now)
  }

  #heard(session: SessionId, now: Millis): WorkerRecord | undefined {
    const worker = this.#state.sessions.get(session)
    if (worker === undefined) return undefined
    worker.heardAt = now
    const takeover = this.#takeovers.get(worker.key)
    if (takeover !== undefined) {
      this.#takeovers.delete(worker.key)
      this.#state.emit({
        type: 'closeSession',
        session: takeover.session,
        reason: `this key already runs at ${worker.host}; make a new one with 'manyhands id new'`,
      })
    }
    return worker
  }

  #progress(event: Extract<OwnerEvent, { type: 'progressMade' }>, now: Millis): void {
    const worker = this.#heard(event.session, now)
    if (worker === undefined) return
    for (const { jobId, unit, fuel } of event.running) {
      const job = this.#state.jobs.get(jobId)
      const record = job?.shards.get(shardOf(job.spec, unit))?.record(unit)
      const instance = heldBy(worker, record)
      if (instance === undefined || fuel <= instance.fuel) continue
      instance.fuel = fuel
      instance.movedAt = now
    }
  }

  // ------------------------------------------------------------------------------------------------- reports, settling

  #reportKept(
    session: SessionId | undefined,
    checked: CheckedReport,
    stored: UnitSet,
    wallMs: number,
    live: boolean,
    now: Millis,
  ): void {
    const { report, factId, votes } = checked
    if (session !== undefined) this.#heard(session, now)
    const shard = this.shard(report.jobId, report.shard)
    if (shard === undefined || shard.facts.has(factId)) return
    shard.facts.add(factId)
    const worker = this.#state.workers.get(report.worker)
    const unitMs = votes.length > 0 ? wallMs / votes.length : 0
    const decided: number[] = []
    for (const vote of votes) {
      const record = shard.touch(vote.unit, now)
      if (worker !== undefined) this.#answered(record, worker, vote, now)
      if (stored.has(vote.unit) && !record.kept.includes(vote.digest)) record.kept.push(vote.digest)
      const decision = shard.vote(record, [vote], now)
      if (live && vote.outcome === 'host' && worker !== undefined) this.#hostFailed(worker, now)
      this.#after(decision, now)
      if (decision.after !== decision.before && (decision.after === 'settled' || decision.after === 'failed'))
        decided.push(vote.unit)
      if (live && decision.after !== 'open' && record.judgement !== undefined && agrees(vote, record))
        shard.job.durations.agreed(vote.donor, unitMs)
    }
    if (decided.length > 0)
      this.#state.emit({ type: 'unitsDecided', jobId: report.jobId, shard: report.shard, units: decided })
    this.#state.emit({ type: 'shardChanged', jobId: report.jobId, shard: report.shard })
    if (worker !== undefined) this.#state.toServe.add(worker)
  }

  /** The lease behind a vote ends; its fate follows when the unit is settled. */
  #answered(record: UnitRecord, worker: WorkerRecord, vote: Vote, now: Millis): void {
    const instance = record.held.find((held) => held.worker === worker)
    if (instance === undefined) return
    this.#state.endLease(instance)
    if (vote.outcome === 'host') {
      worker.credit.lost(instance)
      return
    }
    record.shard.job.durations.answered(now - instance.grantedAt)
    worker.failures = 0
    instance.state = 'reported'
    worker.unsettled++
    record.reported.push(instance)
  }

  #hostFailed(worker: WorkerRecord, now: Millis): void {
    worker.failures++
    if (worker.failures >= 3) worker.notBefore = now + Math.min(HOST_BACKOFF_MAX_MS, 1_000 * 2 ** worker.failures)
  }

  #after(decision: Decision, now: Millis): void {
    const { record, after } = decision
    this.#queue.decided(decision, now)
    if (after === 'settled' || after === 'failed') this.#settle(record)
    else if (after === 'accepted') this.#fetchBytes(record, now)
  }

  #outputKept(jobId: JobId, number: number, unit: number, digest: Digest, now: Millis): void {
    const shard = this.shard(jobId, number)
    const record = shard?.record(unit)
    if (shard === undefined || record === undefined) return
    const decision = shard.keep(record, digest, now)
    this.#after(decision, now)
    if (decision.after === 'settled' && decision.before !== 'settled') {
      this.#state.emit({ type: 'unitsDecided', jobId, shard: number, units: [unit] })
      this.#state.emit({ type: 'shardChanged', jobId, shard: number })
    }
  }

  /** Asks one agreeing worker after the other; a restarted one may have lost its bytes and then says nothing. */
  #fetchBytes(record: UnitRecord, now: Millis): void {
    const { judgement } = record
    if (record.fetchingFrom !== undefined) return
    if (judgement?.state !== 'accepted' && judgement?.state !== 'failed') return
    const { digest, agreeing } = judgement
    for (const vote of agreeing) {
      const worker = this.#state.workers.get(vote.worker)
      if (worker?.session === undefined || record.fetchTried?.has(worker.key) === true) continue
      record.fetchTried ??= new Set()
      record.fetchTried.add(worker.key)
      record.fetchingFrom = worker
      record.fetchingSince = now
      const { shard } = record
      this.#state.emit({
        type: 'fetchOutput',
        session: worker.session,
        jobId: shard.jobId,
        shard: shard.shard,
        unit: record.unit,
        digest,
      })
      return
    }
  }

  /** Fates of the instances behind a decided unit; copies still being computed are withdrawn. */
  readonly #settled = new Map<WorkerRecord, Map<Shard, { agreed: number[]; disagreed: number[] }>>()
  readonly #withdrawn = new Map<WorkerRecord, Map<Shard, number[]>>()

  #settle(record: UnitRecord): void {
    const { shard } = record
    for (const instance of record.reported) {
      if (instance.state !== 'reported') continue
      const vote = record.votes.find(
        (candidate) => candidate.worker === instance.worker.key && candidate.outcome !== 'host',
      )
      const agreed = vote !== undefined && agrees(vote, record)
      instance.state = 'gone'
      instance.fate = agreed ? 'agreed' : 'disagreed'
      instance.worker.unsettled--
      instance.worker.credit.settle(instance.worker.hello.slots, shard.job.durations.unitMs)
      this.#state.toServe.add(instance.worker)
    }
    record.reported = []
    for (const vote of record.votes) {
      const worker = this.#state.workers.get(vote.worker)
      if (worker?.session === undefined) continue
      const lists = listsOf(this.#settled, worker, shard, () => ({ agreed: [] as number[], disagreed: [] as number[] }))
      ;(agrees(vote, record) ? lists.agreed : lists.disagreed).push(record.unit)
    }
    for (const instance of [...record.held]) {
      instance.fate = 'void'
      this.#state.endLease(instance)
      instance.worker.credit.settle(instance.worker.hello.slots, shard.job.durations.unitMs)
      this.#state.toServe.add(instance.worker)
      if (instance.worker.session !== undefined)
        listsOf(this.#withdrawn, instance.worker, shard, () => [] as number[]).push(record.unit)
    }
  }

  #flush(now: Millis): void {
    const state = this.#state
    for (const [worker, byShard] of this.#settled) {
      for (const [shard, { agreed, disagreed }] of byShard) {
        if (worker.session !== undefined)
          state.emit({
            type: 'sendSettled',
            session: worker.session,
            jobId: shard.jobId,
            shard: shard.shard,
            agreed,
            disagreed,
          })
      }
    }
    this.#settled.clear()
    for (const [worker, byShard] of this.#withdrawn) {
      for (const [shard, units] of byShard) {
        if (worker.session === undefined) continue
        const reason = 'settled without this copy'
        state.emit({
          type: 'sendWithdraw',
          session: worker.session,
          jobId: shard.jobId,
          shard: shard.shard,
          units,
          wholeJob: false,
          reason,
        })
      }
    }
    this.#withdrawn.clear()
    for (const worker of state.toServe) this.#granting.serve(worker, now)
    state.toServe.clear()
  }

  // ------------------------------------------------------------------------------------------------------------- time

  #sweep(now: Millis): void {
    const state = this.#state
    this.#nextSweep = now + SWEEP_MS
    for (const [key, takeover] of this.#takeovers) {
      if (takeover.until > now) continue
      const old = state.workers.get(key)?.session
      if (old === undefined) this.#takeOver(takeover, now)
      else {
        state.emit({ type: 'closeSession', session: old, reason: 'did not answer while the same key came back' })
        this.#closeSession(old, now)
      }
    }
    for (const worker of state.workers.values()) this.#sweepWorker(worker, now)
    this.#forgetWorkers()
    for (const record of state.delayed) {
      if (record.notBefore > now || state.isElsewhere(record, now)) continue
      state.delayed.delete(record)
      this.#after(record.shard.review(record, now), now)
      this.#queue.ask(record, now)
    }
    for (const record of state.withoutBytes) {
      if (record.fetchingFrom?.session === undefined || now - record.fetchingSince > BYTES_WAIT_MS)
        record.fetchingFrom = undefined
      this.#fetchBytes(record, now)
      if (record.fetchingFrom === undefined && now - record.acceptedAt > BYTES_WAIT_MS && record.held.length === 0)
        this.#recompute(record, now)
    }
    for (const job of state.jobs.values()) {
      for (const shard of job.shards.values()) {
        if (shard.undrawn.length > 0) this.#queue.draw(shard, now)
        if (
          shard.again.length > 0 ||
          (shard.untouched > 0 && (shard.quietUntil <= now || shard.starvedSince !== undefined))
        )
          this.#queue.serveEveryone()
      }
    }
    for (const worker of state.connected) if (worker.held.size === 0 && worker.want > 0) state.toServe.add(worker)
  }

  #sweepWorker(worker: WorkerRecord, now: Millis): void {
    const state = this.#state
    if (worker.awaySince !== undefined && now - worker.awaySince >= AWAY_GRACE_MS) {
      for (const instance of [...worker.held]) this.#queue.release(instance, now, true)
      for (const record of [...worker.reserved]) this.#redraw(record, now)
      return
    }
    if (worker.session !== undefined && now - worker.heardAt >= SILENCE_MS) {
      const { session } = worker
      state.emit({ type: 'closeSession', session, reason: `said nothing for ${SILENCE_MS / 1_000} s` })
      this.#closeSession(session, now)
      for (const instance of [...worker.held]) this.#queue.release(instance, now, true)
      return
    }
    for (const instance of worker.held) {
      const { job } = instance.shard
      if (now - instance.movedAt <= job.durations.delayBound(job.spec.delayBoundMs)) continue
      const { shard, record } = instance
      this.#queue.release(instance, now, true)
      if (worker.session !== undefined) listsOf(this.#withdrawn, worker, shard, () => [] as number[]).push(record.unit)
    }
    for (const record of worker.reserved) {
      if (now - record.reservedAt < REDRAW_MS) break
      this.#redraw(record, now)
    }
  }

  #redraw(record: UnitRecord, now: Millis): void {
    this.#state.cancelReservation(record)
    this.#queue.ask(record, now)
  }

  /** Nobody delivers the bytes of an accepted unit: any worker computes them once more. */
  #recompute(record: UnitRecord, now: Millis): void {
    record.acceptedAt = now
    if (record.shard.job.refusal(this.#state.context.wallMs()) !== '') return
    record.fetchTried = undefined
    const { shard } = record
    const worker = this.#state.connected.find(
      (candidate) =>
        candidate.want > candidate.held.size &&
        mayWork(candidate, shard.jobId, shard.job.spec) &&
        !record.votes.some((vote) => vote.worker === candidate.key),
    )
    if (worker !== undefined) this.#granting.copy(worker, record, now)
  }

  #forgetWorkers(): void {
    const { workers } = this.#state
    if (workers.size <= WORKERS_AWAY_MAX) return
    for (const [key, worker] of workers) {
      if (worker.session === undefined && worker.held.size + worker.reserved.size + worker.unsettled === 0)
        workers.delete(key)
      if (workers.size <= WORKERS_AWAY_MAX) return
    }
  }
}

function isRedundant(vote: Vote, record: UnitRecord | undefined): boolean {
  if (record === undefined) return false
  let same = 0
  let first: Vote | undefined
  for (const other of record.votes) {
    if (other.worker !== vote.worker) continue
    if (other.outcome === vote.outcome && other.digest === vote.digest) same++
    if (!isVote(vote.outcome) || !isVote(other.outcome)) continue
    first ??= other
    // It contradicts itself already.
    if (other.outcome !== first.outcome || other.digest !== first.digest) return true
  }
  return same >= (vote.outcome === 'host' ? HOST_FAILURES_MAX : ANSWERS_MAX)
}

function heldBy(worker: WorkerRecord, record: UnitRecord | undefined): Instance | undefined {
  return record?.held.find((instance) => instance.worker === worker)
}

function agrees(vote: Vote, record: UnitRecord): boolean {
  const { judgement } = record
  if (judgement === undefined || (judgement.state !== 'accepted' && judgement.state !== 'failed')) return false
  return vote.outcome === judgement.outcome && vote.digest === judgement.digest
}

function listsOf<Lists>(
  table: Map<WorkerRecord, Map<Shard, Lists>>,
  worker: WorkerRecord,
  shard: Shard,
  make: () => Lists,
): Lists {
  let byShard = table.get(worker)
  if (byShard === undefined) {
    byShard = new Map()
    table.set(worker, byShard)
  }
  let lists = byShard.get(shard)
  if (lists === undefined) {
    lists = make()
    byShard.set(shard, lists)
  }
  return lists
}
