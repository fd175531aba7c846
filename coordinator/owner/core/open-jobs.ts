import type { KnownOrder } from '../../../job/facts/orders.js'
import { isSameAnswer, type RulingsView } from '../../../job/facts/rulings.js'
import type { JobId, JobSpec } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { assert } from '../../../runtime/errors.js'
import { Job } from './job.js'
import type { OwnerEvent } from './messages.js'
import type { OwnerTables } from './owner-tables.js'
import type { Settling } from './settling.js'
import { Shard } from './shard.js'
import type { UnitQueue } from './unit-queue.js'
import { isDecided, type UnitRecord } from './unit-record.js'
import type { Instance } from './worker-record.js'

/** After a restart workers have this long to come back with their tickets before units are granted anew. */
const RETURN_MS = 2_000

/**
 * A newcomer among owners, one that was away and one that stood still grant nothing for so long unless another has told them
 * what it knows.
 */
const OTHERS_MS = 5_000
/** The longest wait for another that answers and does not tell: it is slow, does not take this node for an owner yet, or lies. */
const AHEAD_MS = 30_000

/**
 * Jobs and shards as they come, change and go. What leaves takes everything with it that hangs on it: leases,
 * reservations, waits, and the credit that unsettled reports bind.
 */
export class OpenJobs {
  readonly #state: OwnerTables
  readonly #queue: UnitQueue
  readonly #settling: Settling

  constructor(state: OwnerTables, queue: UnitQueue, settling: Settling) {
    this.#state = state
    this.#queue = queue
    this.#settling = settling
  }

  openJob(jobId: JobId, spec: JobSpec, orders: readonly KnownOrder[]): void {
    const { jobs, context, grantors } = this.#state
    if (!jobs.has(jobId)) this.#state.addJob(new Job(jobId, spec, orders, { ...context, grantors }))
  }

  /** Opens a shard of a job that is known. */
  openShard(event: Extract<OwnerEvent, { type: 'shardOpened' }>, now: Millis): void {
    const { jobId, shard: number, ranges, restarted, awaitsOthers = false } = event
    const job = this.#state.jobs.get(jobId)
    assert(job !== undefined, 'a shard is opened after its job')
    if (job.shards.has(number)) return
    // Workers may still compute units that this node granted before it was restarted.
    const returnMs = restarted ? RETURN_MS : 0
    const shard = new Shard(job, number, ranges, now, now + Math.max(returnMs, awaitsOthers ? OTHERS_MS : 0))
    shard.awaitsOthers = awaitsOthers
    shard.isNewHere = !restarted
    shard.returnUntil = now + returnMs
    shard.patientUntil = now + AHEAD_MS
    shard.owners = [this.#state.context.self]
    job.shards.set(number, shard)
    this.#queue.serveEveryone(job)
    this.#state.emit({ type: 'shardChanged', jobId, shard: number })
  }

  /** Nobody is waited for any more before units of the shard are granted. */
  othersAsked(jobId: JobId, number: number, now: Millis): void {
    const shard = this.#state.shard(jobId, number)
    if (shard === undefined || !shard.awaitsOthers) return
    shard.awaitsOthers = false
    shard.quietUntil = Math.max(now, shard.returnUntil)
    this.#queue.draw(shard, now)
    this.#queue.serveEveryone()
  }

  /** Somebody is waited for a little longer: what would be granted now may have been answered there. */
  othersAwaited(jobId: JobId, number: number, now: Millis): void {
    const shard = this.#state.shard(jobId, number)
    if (shard === undefined || !shard.awaitsOthers) return
    shard.quietUntil = Math.max(shard.quietUntil, Math.min(now + OTHERS_MS, shard.patientUntil))
  }

  /** This process stood still: other owners may have gone on, so that they are asked as after a restart. */
  stoodStill(now: Millis): void {
    const shared: Shard[] = []
    for (const job of this.#state.jobs.values())
      for (const shard of job.shards.values()) if (shard.owners.length > 1 && !shard.finished) shared.push(shard)
    this.#askOthers(shared, now)
  }

  /** The shard is owned again after others did without this node, which told it nothing meanwhile. */
  ownedAgain(shard: Shard, now: Millis): void {
    if (shard.owners.length > 1 && !shard.finished) this.#askOthers([shard], now)
  }

  /** Nothing of these shards is granted before the other owners were asked what they know. */
  #askOthers(shards: readonly Shard[], now: Millis): void {
    if (shards.length === 0) return
    for (const shard of shards) {
      shard.awaitsOthers = true
      shard.quietUntil = now + OTHERS_MS
      shard.patientUntil = now + AHEAD_MS
    }
    this.#state.emit({ type: 'askOthers', shards: shards.map(({ jobId, shard }) => ({ jobId, shard })) })
  }

  /** All orders known of the job, in place of those before. */
  setOrders(jobId: JobId, orders: readonly KnownOrder[], now: Millis): void {
    const job = this.#state.jobs.get(jobId)
    if (job === undefined || (orders.length === 0 && job.isUnordered)) return
    const before = job.view.rulings
    const wasCancelled = job.view.cancelled
    job.setOrders(orders)
    const isCancelledNow = job.view.cancelled && !wasCancelled
    const isRuled = !sameRulings(before, job.view.rulings)
    if (isRuled) this.#withdrawConvicted(job, now)
    for (const shard of job.shards.values()) {
      // Blocks of an owner that grants no more are for the others.
      if (isRuled) shard.setOwners(shard.owners)
      if (isRuled) shard.weighAgain()
      const decided: number[] = []
      for (const record of shard.records()) {
        if (!isRuled && record.state !== 'held' && record.state !== 'disputed') continue
        const answer = answerTo(record)
        const change = shard.review(record, now)
        const stands = answerTo(record) === answer
        // What stands as it stood needs nothing: its workers have been told.
        if (isRuled && change.after === change.before && stands) continue
        if (!stands) {
          this.#state.fetches.end(record)
          record.fetchTried = undefined
        }
        this.#settling.after(change, now)
        if (isDecided(change.after)) decided.push(record.unit)
      }
      // Whoever waits for results of a cancelled job need not.
      if (decided.length > 0 || isCancelledNow)
        this.#state.emit({ type: 'unitsDecided', jobId, shard: shard.shard, units: decided })
      this.#state.emit({ type: 'shardChanged', jobId, shard: shard.shard })
    }
    if (job.view.cancelled) this.#withdrawAll(job, 'cancelled by the submitter')
    else this.#queue.serveEveryone()
  }

  /** What convicted keys hold of the job goes to others. */
  #withdrawConvicted(job: Job, now: Millis): void {
    for (const worker of this.#state.workers.values()) {
      if (!job.isConvicted(worker)) continue
      for (const record of [...worker.reserved]) if (record.shard.job === job) this.#queue.redraw(record, now)
      for (const instance of [...worker.held]) {
        if (instance.shard.job !== job) continue
        this.#queue.release(instance, now, false, 'withdrawn', 'replays proved its answers wrong')
        if (worker.session !== undefined) this.#settling.withdraw(worker, instance.record)
      }
      worker.settleCredit(job)
    }
  }

  /** Nothing of the job is granted while there is a reason; an empty one lets it go on. */
  setStopped(jobId: JobId, reason: string): void {
    const job = this.#state.jobs.get(jobId)
    if (job === undefined || job.stopped === reason) return
    job.stopped = reason
    if (reason === '') this.#queue.serveEveryone()
  }

  closeJob(jobId: JobId, reason: string): void {
    const state = this.#state
    const job = state.jobs.get(jobId)
    if (job === undefined) return
    this.#withdrawAll(job, reason)
    for (const shard of [...job.shards.keys()]) this.closeShard(jobId, shard)
  }

  /** With the last of its shards the job goes: it is opened again with the next. */
  closeShard(jobId: JobId, number: number): void {
    const state = this.#state
    const shard = state.shard(jobId, number)
    if (shard === undefined) return
    for (const record of shard.records()) {
      state.delayed.delete(record)
      state.withoutBytes.delete(record)
      state.fetches.end(record)
      state.cancelReservation(record)
      for (const instance of record.reported) dropReported(instance)
      for (const instance of [...record.held]) {
        instance.credited.fate = 'void'
        state.endLease(instance)
      }
    }
    const { job } = shard
    job.doubts.forget(shard.records())
    job.shards.delete(number)
    if (job.shards.size > 0) return
    state.removeJob(job)
    for (const worker of state.workers.values()) worker.forgetJob(jobId)
  }

  #withdrawAll(job: Job, reason: string): void {
    for (const worker of this.#state.workers.values()) {
      const instances = [...worker.held].filter((instance) => instance.shard.job === job)
      for (const instance of instances) {
        instance.credited.fate = 'void'
        this.#state.endLease(instance)
      }
      for (const record of worker.reserved) if (record.shard.job === job) this.#state.cancelReservation(record)
      worker.settleCredit(job)
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
}

/** The answer that a unit has for now; undefined: none. Several outcomes share the digest of no output. */
function answerTo({ judgement }: UnitRecord): string | undefined {
  return judgement !== undefined && 'digest' in judgement ? judgement.outcome + judgement.digest : undefined
}

function sameRulings(a: RulingsView | undefined, b: RulingsView | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  const same = <T>(some: ReadonlySet<T>, others: ReadonlySet<T>) =>
    some.size === others.size && [...some].every((value) => others.has(value))
  if (!same(a.convicted, b.convicted) || !same(a.dismissed, b.dismissed)) return false
  if (a.answers.size !== b.answers.size) return false
  return [...a.answers].every(([unit, answer]) => {
    const other = b.answers.get(unit)
    return other !== undefined && isSameAnswer(answer, other)
  })
}

function dropReported(instance: Instance): void {
  if (instance.state !== 'reported') return
  instance.state = 'gone'
  instance.credited.fate = 'void'
  instance.worker.unsettled.delete(instance)
}
