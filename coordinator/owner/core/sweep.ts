import type { Millis } from '../../../runtime/clock.js'
import type { Doubting } from './doubting.js'
import { grantCopy } from './drafts.js'
import { AWAY_GRACE_MS, type OwnerTables } from './owner-tables.js'
import type { Sessions } from './sessions.js'
import { isRedundant, type Settling } from './settling.js'
import { mayWork, type UnitQueue } from './unit-queue.js'
import type { UnitRecord } from './unit-record.js'
import type { WorkerRecord } from './worker-record.js'

/** Time between sweeps of leases, reservations and waits. */
const SWEEP_MS = 500
/**
 * A sweep that comes this late was not held up by work: the process was stopped, or the machine slept, in which time some
 * monotonic clocks stand still as well.
 */
const STOOD_STILL_MS = 5_000
/** A connected worker that says nothing at all ends its leases after this long. */
const SILENCE_MS = 30_000
/**
 * A drawn key that has come for no opinion for so long, and for as long as instances of the job take, is passed over. Not
 * one that works off what is kept for it: a ring that answers at once fills the hands of everybody else, and every new draw
 * would be another chance for a friend, who comes at once.
 */
const REDRAW_MS = 60_000
/** Opinions for each thread that wait for a key that comes for them. Those behind it are drawn anew: it may be slow. */
const WAITING_PER_THREAD = 16
/**
 * So many times its patience an opinion is kept at most. Else a key that comes for one a minute would keep others that were
 * drawn for it from being answered, at every owner.
 */
const KEPT_PATIENCES_MAX = 10
/** Workers away that are remembered for their credit. */
const WORKERS_AWAY_MAX = 10_000

/** The parts of the owner's core that a sweep has act. */
interface SweepParts {
  readonly state: OwnerTables
  readonly queue: UnitQueue
  readonly sessions: Sessions
  readonly settling: Settling
  readonly doubting: Doubting
}

/**
 * What time alone brings about: silent and absent workers lose their leases, instances reach their delay bound,
 * reservations and back-offs end, missing bytes are asked for again or computed once more, workers long gone are
 * forgotten. Looks every {@link SWEEP_MS} while there is a worker or a job, and earlier where a wait ends.
 */
export class Sweep {
  readonly #state: OwnerTables
  readonly #queue: UnitQueue
  readonly #sessions: Sessions
  readonly #settling: Settling
  readonly #doubting: Doubting
  #sweptAtWallMs: Millis | undefined

  constructor({ state, queue, sessions, settling, doubting }: SweepParts) {
    this.#state = state
    this.#queue = queue
    this.#sessions = sessions
    this.#settling = settling
    this.#doubting = doubting
  }

  /**
   * Whether the process stood still until now; said once. What workers said meanwhile is not read yet: nobody counts as
   * silent, and no lease as overdue, for that time.
   */
  hasStoodStill(now: Millis): boolean {
    const { nextSweep, context } = this.#state
    if (nextSweep === undefined) return false
    const wallMs = context.wallMs()
    const lateMs = Math.max(now - nextSweep, wallMs - (this.#sweptAtWallMs ?? wallMs) - SWEEP_MS)
    if (lateMs < STOOD_STILL_MS) return false
    this.#sweptAtWallMs = wallMs
    this.#state.nextSweep = now
    // A clock that stood still, too, has let no time pass.
    const stoodMs = Math.max(0, now - nextSweep)
    for (const worker of this.#state.workers.values()) {
      worker.heardAt += stoodMs
      if (worker.awaySince !== undefined) worker.awaySince += stoodMs
      for (const instance of worker.held) instance.movedAt += stoodMs
    }
    for (const { bringing } of this.#state.withoutBytes) if (bringing !== undefined) bringing.movedAt += stoodMs
    return true
  }

  /** Sweeps if it is time. */
  runIfDue(now: Millis): void {
    const { nextSweep } = this.#state
    if (nextSweep !== undefined && now >= nextSweep) this.#run(now)
  }

  /** Settles when to look again, after everything else that an event has done. */
  scheduleNext(now: Millis): void {
    const state = this.#state
    const busy = state.workers.size > 0 || state.jobs.size > 0
    if (busy && state.nextSweep === undefined) {
      state.nextSweep = now + SWEEP_MS
      this.#sweptAtWallMs = state.context.wallMs()
    } else if (!busy) state.nextSweep = undefined
  }

  #run(now: Millis): void {
    const state = this.#state
    state.nextSweep = now + SWEEP_MS
    this.#sweptAtWallMs = state.context.wallMs()
    this.#sessions.endTakeovers(now)
    for (const worker of state.workers.values()) this.#sweepWorker(worker, now)
    this.#forgetWorkers()
    this.#sessions.tellWorkforce()
    for (const record of state.delayed) {
      if (record.notBefore > now || state.isElsewhere(record, now)) continue
      state.delayed.delete(record)
      this.#settling.after(record.shard.review(record, now), now)
      this.#queue.ask(record, now)
    }
    for (const record of state.withoutBytes) {
      if (state.fetches.sweep(record, now)) this.#recompute(record, now)
    }
    this.#doubting.sweep(now)
    let isWorkLeft = false
    for (const job of state.jobs.values()) {
      for (const shard of job.shards.values()) {
        if (shard.undrawn.length > 0) this.#queue.draw(shard, now)
        if (
          shard.again.length > 0 ||
          (shard.untouched > 0 && (shard.quietUntil <= now || shard.starvedSince !== undefined))
        )
          isWorkLeft = true
      }
    }
    if (isWorkLeft) this.#queue.serveEveryone()
    for (const worker of state.connected) if (worker.held.size === 0 && worker.want > 0) state.toServe.add(worker)
  }

  #sweepWorker(worker: WorkerRecord, now: Millis): void {
    const state = this.#state
    if (worker.awaySince !== undefined && now - worker.awaySince >= AWAY_GRACE_MS) {
      for (const instance of [...worker.held]) this.#queue.release(instance, now, true, 'lost', 'its connection broke')
      for (const record of [...worker.reserved]) this.#queue.redraw(record, now)
      return
    }
    if (worker.session !== undefined && now - worker.heardAt >= SILENCE_MS) {
      const { session } = worker
      state.emit({ type: 'closeSession', session, reason: `said nothing for ${SILENCE_MS / 1_000} s` })
      this.#sessions.close(session, now)
      for (const instance of [...worker.held]) this.#queue.release(instance, now, true, 'lost', 'it said nothing')
      return
    }
    for (const instance of worker.held) {
      const { job } = instance.shard
      if (now - instance.movedAt <= job.durations.delayBound(job.spec.delayBoundMs)) continue
      const { record } = instance
      this.#queue.release(instance, now, true, 'overdue')
      if (worker.session !== undefined) this.#settling.withdraw(worker, record)
    }
    let waiting = 0
    for (const record of worker.reserved) {
      const keptMs = now - record.reservedAt
      // The oldest are first: what follows is not due either.
      if (keptMs < REDRAW_MS) break
      const isNear = waiting++ < WAITING_PER_THREAD * worker.hello.slots
      const since = isNear ? Math.max(record.reservedAt, worker.cameAt) : record.reservedAt
      const patience = Math.max(REDRAW_MS, record.shard.job.durations.p95 ?? 0)
      if (now - since >= patience || keptMs >= patience * KEPT_PATIENCES_MAX) this.#queue.redraw(record, now)
    }
  }

  /**
   * Nobody delivers the bytes of an accepted unit: a worker computes them once more. One that has answered already only where
   * no other is connected: it may have lost its output and its memory of it. With nobody at all the job goes onto the board.
   */
  #recompute(record: UnitRecord, now: Millis): void {
    record.hopeAt = now
    if (record.shard.job.refusal(this.#state.context.wallMs()) !== '') return
    record.fetchTried = undefined
    const { shard, judgement } = record
    const agreeing = judgement !== undefined && 'agreeing' in judgement ? judgement.agreeing : []
    const able = this.#state.connected.filter(
      (candidate) => candidate.roomFor(shard.job) > 0 && mayWork(candidate, shard.job),
    )
    const worker =
      able.find(({ key }) => !record.votes.some((vote) => vote.worker === key)) ??
      able.find(({ key }) => agreeing.some((vote) => vote.worker === key && !isRedundant(vote, record)))
    if (worker === undefined) shard.stranded.add(record)
    else {
      shard.stranded.delete(record)
      grantCopy(this.#state, worker, record, now)
    }
    this.#state.emit({ type: 'shardChanged', jobId: shard.jobId, shard: shard.shard })
  }

  #forgetWorkers(): void {
    const { workers } = this.#state
    if (workers.size <= WORKERS_AWAY_MAX) return
    for (const [key, worker] of workers) {
      if (worker.session === undefined && worker.held.size + worker.reserved.size + worker.unsettled.size === 0)
        workers.delete(key)
      if (workers.size <= WORKERS_AWAY_MAX) return
    }
  }
}
