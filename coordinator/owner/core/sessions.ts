import { shardOf } from '../../../job/units/shard.js'
import type { Grant, PublicKey } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import type { OwnerEvent, SessionId, WorkerHello } from './messages.js'
import { AWAY_GRACE_MS, type OwnerTables } from './owner-tables.js'
import type { UnitQueue } from './unit-queue.js'
import { isDecided, type UnitRecord } from './unit-record.js'
import { heldBy, WorkerRecord } from './worker-record.js'

/** A key that already has a stream must answer within this, or the newcomer takes over. */
const TAKEOVER_MS = 1_000
/** Units that the tickets of one hello may lease: as many as an honest worker ever holds. */
const TICKET_UNITS_MAX = 32_768

/** A worker that says it runs a unit of another owner is believed for so long: heartbeats come every 5 s. */
const RUNNING_MS = 12_000

type WantChanged = Extract<OwnerEvent, { type: 'wantChanged' }>

/** A second stream of a key, waiting for the first to show that it is dead. */
interface Takeover {
  readonly session: SessionId
  readonly hello: WorkerHello
  readonly until: Millis
  /** What the newcomer has asked for while it waits. */
  want: WantChanged | undefined
}

/**
 * Streams of workers: which key speaks through which, what it still computes and how much it wants. A key has one stream
 * at a time. A newer one of the same process replaces it at once; one of another process waits until the older has shown
 * that it is dead, and is sent away as soon as it has shown that it lives.
 */
export class Sessions {
  readonly #state: OwnerTables
  readonly #queue: UnitQueue
  readonly #takeovers = new Map<PublicKey, Takeover>()
  /** Who is connected, or willing, has changed since the last {@link tellWorkforce}. */
  #workforceIsNews = false

  constructor(state: OwnerTables, queue: UnitQueue) {
    this.#state = state
    this.#queue = queue
  }

  /** A worker said hello. */
  open(session: SessionId, hello: WorkerHello, now: Millis): void {
    const state = this.#state
    const known = state.workers.get(hello.worker)
    if (known?.session !== undefined && known.hello.bootId !== hello.bootId && known.session !== session) {
      const waiting = this.#takeovers.get(hello.worker)
      if (waiting !== undefined && waiting.session !== session)
        state.emit({ type: 'closeSession', session: waiting.session, reason: 'a newer stream of this key came' })
      this.#takeovers.set(hello.worker, { session, hello, until: now + TAKEOVER_MS, want: undefined })
      state.emit({ type: 'pingSession', session: known.session, sameKeyAt: hello.host })
      state.sweepBy(now + TAKEOVER_MS)
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

  /** The stream is gone. Its leases stay with the key for {@link AWAY_GRACE_MS}. */
  close(session: SessionId, now: Millis): void {
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
    state.sweepBy(now + AWAY_GRACE_MS)
    this.#workforceIsNews = true
  }

  /** Ends the first streams of keys whose newcomers have waited long enough. */
  endTakeovers(now: Millis): void {
    const state = this.#state
    for (const [key, takeover] of this.#takeovers) {
      if (takeover.until > now) continue
      const old = state.workers.get(key)?.session
      if (old === undefined) this.#takeOver(takeover, now)
      else {
        state.emit({ type: 'closeSession', session: old, reason: 'did not answer while the same key came back' })
        this.close(old, now)
      }
    }
  }

  /** The worker behind the stream lives; undefined for a stream that is closed or waits to take over. */
  heard(session: SessionId, now: Millis): WorkerRecord | undefined {
    const worker = this.#state.sessions.get(session)
    if (worker === undefined) return undefined
    worker.heardAt = now
    const takeover = this.#takeovers.get(worker.key)
    if (takeover !== undefined) {
      this.#takeovers.delete(worker.key)
      const reason = `this key already runs at ${worker.host}; make a new one with 'manyhands id new'`
      this.#state.turnedAway(takeover.hello.nodeId, reason, 'exists', now)
      this.#state.emit({ type: 'closeSession', session: takeover.session, reason })
    }
    return worker
  }

  /** The worker is willing to hold `instances` in all. */
  wantChanged(want: WantChanged, now: Millis): void {
    const { session, instances, restraint, declined = [], busy = false, jobs = [], ofNew = 0 } = want
    const worker = this.heard(session, now)
    if (worker === undefined) {
      for (const takeover of this.#takeovers.values()) if (takeover.session === session) takeover.want = want
      return
    }
    const wasDrawn = worker.mayBeDrawn
    worker.want = instances
    worker.wantOf = new Map(jobs.map((job) => [job.jobId, job.instances]))
    worker.wantOfNew = ofNew > 0 ? ofNew : Number.POSITIVE_INFINITY
    worker.busy = busy
    if (worker.restraint !== restraint) worker.restrainedAt = now
    const isSame =
      declined.length === worker.declined.size &&
      declined.every(({ jobId, reason }) => worker.declined.get(jobId) === reason)
    const isNews = worker.restraint !== restraint || !isSame
    worker.restraint = restraint
    worker.declined = new Map(declined.map(({ jobId, reason }) => [jobId, reason]))
    for (const record of [...worker.reserved])
      if (worker.declined.has(record.shard.jobId)) this.#queue.redraw(record, now)
    if (isNews) this.#workforceIsNews = true
    this.#state.toServe.add(worker)
    if (!worker.mayBeDrawn) for (const record of [...worker.reserved]) this.#queue.redraw(record, now)
    else if (!wasDrawn) this.#drawAll(now)
  }

  /** Fuel moved: the delay bound of those instances starts anew. */
  progressMade({ session, running }: Extract<OwnerEvent, { type: 'progressMade' }>, now: Millis): void {
    const worker = this.heard(session, now)
    if (worker === undefined) return
    for (const { jobId, unit, fuel } of running) {
      const job = this.#state.jobs.get(jobId)
      const record = job?.shards.get(shardOf(job.spec, unit))?.record(unit)
      const instance = heldBy(worker, record)
      // Granted by another owner: whoever computes it says so itself, even when that owner is gone.
      if (record?.elsewhere?.has(worker.key)) record.elsewhere.set(worker.key, now + RUNNING_MS)
      if (instance === undefined || fuel <= instance.fuel) continue
      instance.fuel = fuel
      instance.movedAt = now
    }
  }

  /** Units come back without an answer: handed back by the worker, or in a report that can never be taken. */
  unitsReturned(event: Extract<OwnerEvent, { type: 'unitsHandedBack' | 'reportRefused' }>, now: Millis): void {
    const worker = this.heard(event.session, now)
    const shard = this.#state.shard(event.jobId, event.shard)
    if (worker === undefined || shard === undefined) return
    const refused = event.type === 'reportRefused'
    if (refused) worker.hostFailed(event.jobId, now)
    else worker.rest(event.jobId, now)
    for (const unit of event.units) {
      const instance = heldBy(worker, shard.record(unit))
      const how = event.type === 'unitsHandedBack' ? event.reason : 'its report was refused'
      if (instance !== undefined) this.#queue.release(instance, now, refused, 'returned', how)
    }
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
    worker.connectedAt = now
    worker.want = 0
    worker.wantOf = new Map()
    worker.wantOfNew = Number.POSITIVE_INFINITY
    worker.restraint = undefined
    worker.declined = new Map()
    worker.busy = false
    state.sessions.set(session, worker)
    state.connect(worker)
    this.#reconcileTickets(worker, hello.tickets, restarted, now)
    this.#workforceIsNews = true
  }

  /**
   * Says of every shard under way that who could work on it has changed, if so. At most once a sweep, however many come, go
   * and change their minds: each time costs as much as there are shards, and anybody may open streams.
   */
  tellWorkforce(): void {
    if (!this.#workforceIsNews) return
    this.#workforceIsNews = false
    const state = this.#state
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
    if (want !== undefined) this.wantChanged(want, now)
  }

  /** Leases follow the tickets a worker says it still computes; what it no longer has is released. */
  #reconcileTickets(worker: WorkerRecord, tickets: readonly Grant[], restarted: boolean, now: Millis): void {
    const computing = new Set<UnitRecord>()
    let room = TICKET_UNITS_MAX
    for (const ticket of tickets) {
      const shard = this.#state.shard(ticket.jobId, ticket.shard)
      if (shard === undefined || this.#state.isOutside(shard) || ticket.worker !== worker.key) continue
      for (const run of ticket.runs) {
        for (let unit = run.first; unit < run.first + run.count && room > 0; unit++) {
          room--
          if (!shard.contains(unit)) continue
          const record = shard.touch(unit, now)
          if (
            record.votes.some((vote) => vote.worker === worker.key && vote.outcome !== 'host') ||
            isDecided(record.state)
          )
            continue
          computing.add(record)
          if (record.held.some((instance) => instance.worker === worker)) continue
          this.#state.startLease(worker, record, run.opinion, now)
        }
      }
    }
    for (const instance of [...worker.held])
      if (!computing.has(instance.record))
        this.#queue.release(instance, now, restarted, 'lost', restarted ? 'it was restarted' : 'it has it no longer')
  }

  /** Opinions that nobody could be found for may have somebody now. */
  #drawAll(now: Millis): void {
    for (const job of this.#state.jobs.values())
      for (const shard of job.shards.values()) if (shard.undrawn.length > 0) this.#queue.draw(shard, now)
  }
}
