import type { Digest, JobId } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import type { OutputFiles } from '../output-files.js'
import type { Store } from '../store/store.js'
import type { BookedJob } from './booked-job.js'
import type { JobBook } from './job-book.js'

/** Removed jobs whose outputs are compared with those of all others in one pass. */
const REMOVED_AT_ONCE = 256

interface JobTermsContext {
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
    const removed: BookedJob[] = []
    for (const job of this.#c.book.all()) {
      const { jobId, expiresAtMs } = job
      if (job.removed) {
        if (!this.#removed.has(jobId)) removed.push(job)
      } else if (expiresAtMs > (this.#extendedTo.get(jobId) ?? job.spec.expiresAtMs)) {
        await this.#carryOut(job, async () => {
          await this.#extend(job)
          this.#extendedTo.set(jobId, expiresAtMs)
        })
      }
    }
    for (let at = 0; at < removed.length; at += REMOVED_AT_ONCE) {
      const some = removed.slice(at, at + REMOVED_AT_ONCE)
      const own = new Map<BookedJob, Set<Digest>>()
      for (const job of some) await this.#carryOut(job, async () => void own.set(job, await this.#digestsOf(job)))
      const shared = await this.#sharedOf(own).catch((error: unknown) => {
        this.#c.logger.warn('jobs are not removed yet', { error: toGridError(error).message })
        return undefined
      })
      if (shared === undefined) return
      for (const [job, digests] of own) await this.#carryOut(job, () => this.#remove(job, digests, shared))
    }
  }

  async #carryOut({ jobId }: BookedJob, act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      this.#c.logger.warn('an order is not carried out yet', { jobId, error: toGridError(error).message })
    }
  }

  async #extend(job: BookedJob): Promise<void> {
    const { outputs, deleteAfterMs } = this.#c
    const keepUntilMs = job.expiresAtMs + deleteAfterMs
    for (const digest of await this.#digestsOf(job)) await outputs.extend(digest, keepUntilMs)
  }

  /** Those outputs of removed jobs that others have, too: equal outputs of several jobs are one file. */
  async #sharedOf(own: ReadonlyMap<BookedJob, ReadonlySet<Digest>>): Promise<ReadonlySet<Digest>> {
    const shared = new Set<Digest>()
    const all = new Set([...own.values()].flatMap((digests) => [...digests]))
    for (const other of all.size > 0 ? this.#c.book.all() : []) {
      if (other.removed) continue
      for (const digest of await this.#digestsOf(other)) if (all.has(digest)) shared.add(digest)
    }
    return shared
  }

  async #remove(job: BookedJob, own: ReadonlySet<Digest>, shared: ReadonlySet<Digest>): Promise<void> {
    const { store, outputs, dropShard } = this.#c
    // The files first: only the shards know their names.
    for (const digest of own) if (!shared.has(digest)) await outputs.remove(digest)
    for (const { shard } of await store.shards(job.jobId)) await dropShard(job, shard)
    this.#removed.add(job.jobId)
  }

  async #digestsOf({ jobId }: BookedJob): Promise<Set<Digest>> {
    const { store } = this.#c
    const digests = new Set<Digest>()
    for (const { shard } of await store.shards(jobId))
      for (const { digest } of await store.largeOutputs(jobId, shard)) digests.add(digest)
    return digests
  }
}
