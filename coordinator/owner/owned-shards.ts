import type { ActivateReply, ActivateRequest } from '../../proto/job-messages.js'
import type { JobId, Summary } from '../../proto/model.js'
import type { Clock } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'
import type { BookedJob } from '../jobs/booked-job.js'
import { countedAddress, type JobBook, PASSED_ON_SHARE } from '../jobs/job-book.js'
import type { CoordinatorOptions } from '../options.js'
import type { GroupCommit } from '../store/group-commit.js'
import type { Store } from '../store/store.js'
import type { Shard } from './core/shard.js'
import { type FinishedShards, finishedName } from './finished-shards.js'
import type { OwnerDriver } from './owner-driver.js'

/** Of the places for open shards these are for jobs on which work was settled here: jobs that strangers pile up cannot stop them. */
const UNDER_WAY_SHARE = 1 / 8

/** What {@link OwnedShards} are handed. */
interface OwnedShardsDependencies {
  readonly clock: Clock
  readonly store: Store
  readonly commits: GroupCommit
  readonly book: JobBook
  readonly owner: OwnerDriver
  readonly finished: FinishedShards
  readonly options: CoordinatorOptions
  /** Tells the home of this peer that a job has new orders. */
  readonly ordersAdded: (job: BookedJob) => void
}

/**
 * The shards that this peer owns, coming and going: opened when others ask, put to rest once they have finished, read back
 * when somebody wants to see them, dropped when others own them. Always on disk first.
 */
export class OwnedShards {
  readonly #d: OwnedShardsDependencies

  constructor(dependencies: OwnedShardsDependencies) {
    this.#d = dependencies
  }

  /** Owns a shard from now on, of a job that may be new here: then it is kept only where all of the request can be. */
  async activate({ spec, orders, shard }: ActivateRequest, host: string): Promise<ActivateReply> {
    const { book, options, clock } = this.#d
    const job = book.read(spec)
    const bringer = { host, share: PASSED_ON_SHARE }
    if (book.get(job.jobId) === undefined) {
      book.checkRoom(job, options, bringer)
      job.newOrders(orders, clock.wallMs())
      this.#checkOpenable(job, shard, host)
    }
    const booked = book.keep(job, bringer)
    await this.takeOrders(booked, orders)
    await this.open(booked, shard)
    return { summary: this.summary(booked.jobId, shard) }
  }

  /** What the shard counts. @throws GridError `unavailable` when it is not open and has not finished */
  summary(jobId: JobId, shard: number): Summary {
    const summary = this.#d.owner.core.report(jobId, shard)?.summary ?? this.#d.finished.summary(jobId, shard)
    if (summary === undefined) throw new GridError('unavailable', 'the shard is not open')
    return summary
  }

  /** Owns a shard from now on: on disk first. Nothing to do for one that is open, or finished and left memory. */
  async open(job: BookedJob, shard: number): Promise<void> {
    const { jobId } = job
    if (this.#d.owner.core.hasShard(jobId, shard) || this.#d.finished.summary(jobId, shard) !== undefined) return
    this.#checkOpenable(job, shard, job.broughtFrom)
    const atMs = this.#d.clock.wallMs()
    await this.#d.commits.commit([
      { type: 'spec', jobId, role: 'shard', spec: job.signed, receivedAtMs: atMs },
      { type: 'shard', jobId, shard, activatedAtMs: atMs },
    ])
    await this.#d.owner.openShard(job, shard, false)
  }

  /** Anybody may ask a peer to own shards, and each that is open takes memory: fair by address, then submitter, then job. */
  #checkOpenable(asked: BookedJob, shard: number, host: string): void {
    const { jobId, spec } = asked
    if (!asked.shards.includes(shard)) throw new GridError('invalid', `the job has no shard ${shard}`)
    if (asked.removed) throw new GridError('expired', 'the job was removed by its submitter')
    const { shardsOpenMax, shardsOpenPerSubmitterMax, shardsOpenPerJobMax } = this.#d.options
    const { core } = this.#d.owner
    const from = countedAddress(host)
    let open = 0
    let ofSubmitter = 0
    let ofAddress = 0
    for (const job of core.jobs()) {
      open += job.shards.size
      if (job.spec.submitter === spec.submitter) ofSubmitter += job.shards.size
      if (from !== '' && this.#d.book.get(job.jobId)?.broughtFrom === from) ofAddress += job.shards.size
    }
    const most = (what: string) => new GridError('quota', `this peer has at most ${what} open`)
    if ((core.job(jobId)?.shards.size ?? 0) >= shardsOpenPerJobMax)
      throw most(`${shardsOpenPerJobMax} shards of one job`)
    if (ofSubmitter >= shardsOpenPerSubmitterMax) throw most(`${shardsOpenPerSubmitterMax} shards of one submitter`)
    const others = Math.ceil((1 - UNDER_WAY_SHARE) * shardsOpenMax)
    const places = open >= others && this.#isUnderWay(asked, shard) ? shardsOpenMax : others
    if (open >= places) throw most(`${places} shards`)
    if (from !== '' && ofAddress >= PASSED_ON_SHARE * (shardsOpenMax - open))
      throw most(`${PASSED_ON_SHARE} times as many shards of one address as it has room for`)
  }

  /** Whether volunteers have given work to the job here. Shards are asked for in their order, so the one before may have finished. */
  #isUnderWay({ jobId }: BookedJob, shard: number): boolean {
    const open = this.#d.owner.core.job(jobId)?.shards.values() ?? []
    return [...open].some(({ settledCount }) => settledCount > 0) || !!this.#d.finished.summary(jobId, shard - 1)
  }

  /**
   * Deletes a shard that other peers own now, or nobody wants. Closed first: what comes while it is being deleted opens it
   * anew, behind the deletion, or is not acknowledged.
   */
  async drop(job: BookedJob, shard: number): Promise<void> {
    const { jobId } = job
    this.#d.owner.dropShard(jobId, shard)
    // Else a shard that has finished would be opened anew without being put on disk again.
    this.#d.finished.forgetShard(jobId, shard)
    try {
      await this.#d.commits.commit([
        { type: 'dropShard', jobId, shard },
        { type: 'meta', name: finishedName(jobId, shard), value: new Uint8Array(0) },
      ])
    } catch (error) {
      await this.#d.owner.openShard(job, shard, true)
      throw error
    }
  }

  /** Keeps orders that are new here, on disk first. */
  async takeOrders(job: BookedJob, orders: ActivateRequest['orders']): Promise<void> {
    const { jobId } = job
    const nowMs = this.#d.clock.wallMs()
    const fresh = job.newOrders(orders, nowMs)
    if (fresh.length === 0) return
    await this.#d.commits.commit([
      { type: 'spec', jobId, role: 'shard', spec: job.signed, receivedAtMs: nowMs },
      ...job.orderWrites(fresh),
    ])
    for (const { signed } of fresh) job.addOrder(signed)
    this.#d.ordersAdded(job)
  }

  /** The shard in memory, read back if it had left. */
  async inMemory(job: BookedJob, number: number): Promise<Shard> {
    if (!this.#d.owner.core.hasShard(job.jobId, number)) {
      const kept = await this.#d.store.shards(job.jobId)
      if (!kept.some(({ shard }) => shard === number))
        throw new GridError('notFound', `shard ${number} is not owned here`)
      const units = job.units(number).reduce((sum, { count }) => sum + count, 0)
      await this.#d.finished.readBack(job.jobId, number, units, () => this.#d.owner.openShard(job, number, true))
    }
    this.#d.finished.touch(job.jobId, number)
    const shard = this.#d.owner.core.shard(job.jobId, number)
    if (shard === undefined) throw new GridError('unavailable', 'the shard did not open')
    return shard
  }

  /** A shard into memory, where it is kept here; else nothing happens. */
  async readBack(job: BookedJob, number: number): Promise<void> {
    if (!job.shards.includes(number) || this.#d.owner.core.hasShard(job.jobId, number)) return
    await this.inMemory(job, number).catch(() => {})
  }
}
