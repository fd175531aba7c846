import type { Digest, JobId } from '../proto/model.js'
import type { Millis } from '../runtime/clock.js'
import { toGridError } from '../runtime/errors.js'
import type { Logger } from '../runtime/logger.js'
import type { BookedJob, JobBook } from './job-book.js'
import type { OutputFiles } from './output-files.js'
import type { Store } from './store.js'

export interface JobTermsContext {
  readonly logger: Logger
  readonly book: JobBook
  readonly store: Pick<Store, 'shards' | 'largeOutputs'>
  readonly outputs: OutputFiles
  /** From the expiry of a job to when outputs of it may go. */
  readonly deleteAfterMs: Millis
  /** Deletes a shard here, facts and small outputs, and what is in memory of it. */
  readonly dropShard: (job: BookedJob, shard: number) => Promise<void>
}

/**
 * How long an owner keeps what orders are about: the large outputs of a job that was extended stay as long as the job, and
 * of one that was removed everything goes but spec and orders, which keep others from bringing it back until it expires.
 */
export class JobTerms {
  readonly #c: JobTermsContext
  /** Expiry that large outputs were last given, of jobs that were extended. */
  readonly #extendedTo = new Map<JobId, number>()
  readonly #removed = new Set<JobId>()
  #busy: Promise<void> | undefined

  constructor(context: JobTermsContext) {
    this.#c = context
  }

  /** Looks for jobs whose orders have come since the last look. Never rejects: what fails is tried at the next. */
  look(): Promise<void> {
    this.#busy ??= this.#look().finally(() => {
      this.#busy = undefined
    })
    return this.#busy
  }

  /** A job was deleted. */
  forget(jobId: JobId): void {
    this.#extendedTo.delete(jobId)
    this.#removed.delete(jobId)
  }

  async #look(): Promise<void> {
    for (const job of this.#c.book.all()) {
      const { jobId, expiresAtMs } = job
      try {
        if (job.removed) {
          if (this.#removed.has(jobId)) continue
          await this.#remove(job)
          this.#removed.add(jobId)
        } else if (expiresAtMs > (this.#extendedTo.get(jobId) ?? job.spec.expiresAtMs)) {
          await this.#extend(job)
          this.#extendedTo.set(jobId, expiresAtMs)
        }
      } catch (error) {
        this.#c.logger.warn('an order is not carried out yet', { jobId, error: toGridError(error).message })
      }
    }
  }

  async #extend(job: BookedJob): Promise<void> {
    const { outputs, deleteAfterMs } = this.#c
    const keepUntilMs = job.expiresAtMs + deleteAfterMs
    for (const digest of await this.#digestsOf(job)) await outputs.extend(digest, keepUntilMs)
  }

  async #remove(job: BookedJob): Promise<void> {
    const { book, store, outputs, dropShard } = this.#c
    const own = await this.#digestsOf(job)
    // Equal outputs of several jobs are one file.
    for (const other of own.size > 0 ? book.all() : []) {
      if (other === job || other.removed) continue
      for (const digest of await this.#digestsOf(other)) own.delete(digest)
    }
    // The files first: only the shards know their names.
    for (const digest of own) await outputs.remove(digest)
    for (const { shard } of await store.shards(job.jobId)) await dropShard(job, shard)
  }

  async #digestsOf({ jobId }: BookedJob): Promise<Set<Digest>> {
    const { store } = this.#c
    const digests = new Set<Digest>()
    for (const { shard } of await store.shards(jobId))
      for (const { digest } of await store.largeOutputs(jobId, shard)) digests.add(digest)
    return digests
  }
}
