import type { JobId } from '../../proto/model.js'
import { toGridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { GroupCommit } from '../store/group-commit.js'
import type { Store } from '../store/store.js'
import type { Shard } from './core/shard.js'
import { type FinishedShards, finishedName } from './finished-shards.js'

interface FinishedReviewContext {
  readonly logger: Logger
  readonly store: Pick<Store, 'shards'>
  readonly commits: Pick<GroupCommit, 'commit'>
  readonly finished: Pick<FinishedShards, 'summary' | 'forgetShard' | 'unload'>
  readonly isInMemory: (jobId: JobId, shard: number) => boolean
  /** The shard in memory, read back if it had left. Rejects with GridError. */
  readonly shard: (job: BookedJob, shard: number) => Promise<Pick<Shard, 'finished'>>
}

/**
 * Looks again at finished shards that have left memory, once something was ruled on their job: what was settled may be open
 * again. One shard at a time, and those that are still finished leave again before the next comes.
 */
export class FinishedReview {
  readonly #c: FinishedReviewContext
  /** Jobs being looked at; true: something was ruled meanwhile, so that they are looked at once more. */
  readonly #again = new Map<JobId, boolean>()
  #closed = false

  constructor(context: FinishedReviewContext) {
    this.#c = context
  }

  /** Something was ruled on the job. Never throws: what fails is looked at with the next ruling, or the next start. */
  soon(job: BookedJob): void {
    const { jobId } = job
    const isRunning = this.#again.has(jobId)
    this.#again.set(jobId, isRunning)
    if (!isRunning) void this.#run(job)
  }

  /** Ends after the shard at hand. */
  close(): void {
    this.#closed = true
  }

  async #run(job: BookedJob): Promise<void> {
    const { jobId } = job
    do {
      this.#again.set(jobId, false)
      await this.#look(job).catch((error: unknown) => this.#warn(jobId, error))
    } while (this.#again.get(jobId) === true && !this.#closed)
    this.#again.delete(jobId)
  }

  async #look(job: BookedJob): Promise<void> {
    const { store, finished } = this.#c
    const { jobId } = job
    for (const { shard } of await store.shards(jobId)) {
      if (this.#closed) return
      if (finished.summary(jobId, shard) === undefined) continue
      await this.#lookAt(job, shard).catch((error: unknown) => this.#warn(jobId, error, shard))
    }
  }

  async #lookAt(job: BookedJob, shard: number): Promise<void> {
    const { commits, finished, isInMemory } = this.#c
    const { jobId } = job
    const wasInMemory = isInMemory(jobId, shard)
    const opened = await this.#c.shard(job, shard)
    if (!opened.finished) {
      await commits.commit([{ type: 'meta', name: finishedName(jobId, shard), value: new Uint8Array(0) }])
      finished.forgetShard(jobId, shard)
    } else if (!wasInMemory) await finished.unload(jobId, shard)
  }

  #warn(jobId: JobId, error: unknown, shard?: number): void {
    this.#c.logger.warn('finished shards could not be looked at again', {
      jobId,
      ...(shard !== undefined && { shard }),
      error: toGridError(error).message,
    })
  }
}
