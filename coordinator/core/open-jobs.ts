import type { KnownOrder } from '../../job/orders.js'
import type { JobId, JobSpec } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { assert } from '../../runtime/errors.js'
import { Job } from './job.js'
import type { OwnerEvent } from './messages.js'
import type { OwnerState } from './owner-state.js'
import type { Settling } from './settling.js'
import { Shard } from './shard.js'
import type { UnitQueue } from './unit-queue.js'
import type { Instance } from './worker-record.js'

/** After a restart workers have this long to come back with their tickets before units are granted anew. */
const RETURN_MS = 2_000

/** A newcomer among owners grants nothing for so long unless one of them has told it what it knows. */
const OTHERS_MS = 5_000

/**
 * Jobs and shards as they come, change and go. What leaves takes everything with it that hangs on it: leases,
 * reservations, waits, and the credit that unsettled reports bind.
 */
export class OpenJobs {
  readonly #state: OwnerState
  readonly #queue: UnitQueue
  readonly #settling: Settling

  constructor(state: OwnerState, queue: UnitQueue, settling: Settling) {
    this.#state = state
    this.#queue = queue
    this.#settling = settling
  }

  openJob(jobId: JobId, spec: JobSpec, orders: readonly KnownOrder[]): void {
    if (!this.#state.jobs.has(jobId)) this.#state.jobs.set(jobId, new Job(jobId, spec, orders))
  }

  /** Opens a shard of a job that is known. */
  openShard(event: Extract<OwnerEvent, { type: 'shardOpened' }>, now: Millis): void {
    const { jobId, shard: number, ranges, restarted, awaitsOthers = false } = event
    const job = this.#state.jobs.get(jobId)
    assert(job !== undefined, 'a shard is opened after its job')
    if (job.shards.has(number)) return
    // Workers may still compute units that this node granted before it was restarted.
    const quietMs = restarted ? RETURN_MS : awaitsOthers ? OTHERS_MS : 0
    const shard = new Shard(job, number, ranges, now, now + quietMs)
    shard.awaitsOthers = awaitsOthers && !restarted
    shard.owners = [this.#state.context.self]
    job.shards.set(number, shard)
    this.#queue.serveEveryone()
    this.#state.emit({ type: 'shardChanged', jobId, shard: number })
  }

  /** Nobody is waited for any more before units of the shard are granted. */
  othersAsked(jobId: JobId, number: number, now: Millis): void {
    const shard = this.#state.shard(jobId, number)
    if (shard === undefined || !shard.awaitsOthers) return
    shard.awaitsOthers = false
    shard.quietUntil = now
    this.#queue.draw(shard, now)
    this.#queue.serveEveryone()
  }

  /** All orders known of the job, in place of those before. */
  setOrders(jobId: JobId, orders: readonly KnownOrder[], now: Millis): void {
    const job = this.#state.jobs.get(jobId)
    if (job === undefined) return
    job.setOrders(orders)
    for (const shard of job.shards.values()) {
      for (const record of shard.records())
        if (record.state === 'held' || record.state === 'disputed') this.#settling.after(shard.review(record, now), now)
      this.#state.emit({ type: 'shardChanged', jobId, shard: shard.shard })
    }
    if (job.view.cancelled) this.#withdrawAll(job, 'cancelled by the submitter')
    else this.#queue.serveEveryone()
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
    state.jobs.delete(jobId)
    for (const worker of state.workers.values()) worker.resting.delete(jobId)
  }

  closeShard(jobId: JobId, number: number): void {
    const state = this.#state
    const shard = state.shard(jobId, number)
    if (shard === undefined) return
    for (const record of shard.records()) {
      state.delayed.delete(record)
      state.withoutBytes.delete(record)
      state.cancelReservation(record)
      for (const instance of record.reported) dropReported(instance)
      for (const instance of [...record.held]) {
        instance.fate = 'void'
        state.endLease(instance)
      }
    }
    shard.job.shards.delete(number)
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
}

function dropReported(instance: Instance): void {
  if (instance.state !== 'reported') return
  instance.state = 'gone'
  instance.fate = 'void'
  instance.worker.unsettled--
}
