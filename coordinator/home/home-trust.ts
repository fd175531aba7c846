import type { JobId, NodeId } from '../../proto/model.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import type { Endpoint } from '../../runtime/transport.js'
import type { OwnerDirectory } from '../directory.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { CoordinatorOptions } from '../options.js'

interface ShardTrustContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly directory: OwnerDirectory
  /** Whether this node only guards the job. */
  readonly isGuard: (jobId: JobId) => boolean
  readonly options: CoordinatorOptions
}

/** Owners remembered of one job. */
const OWNERS_MAX = 1_024
/** Strangers are looked into once in this time, so many of them, and so many at a time. */
const STRANGER_MS: Millis = 5_000
const STRANGERS_MAX = 4_096
const LOOKUPS_MAX = 16

/**
 * Whose word on the shards of a job a home hears: that of the peers it gave shards to, or that a lookup names as owners
 * of the shard they speak of, since another home may have given it to them. A guard takes the word of whoever is near the
 * shard: a key ground to be there would be named by a lookup as well, and most jobs end before a guard is needed.
 */
export class ShardTrust {
  readonly #c: ShardTrustContext
  readonly #owners = new Map<JobId, Set<NodeId>>()
  /** Until when nobody asks again who these are. */
  readonly #strangers = new Map<string, Millis>()
  #lookups = 0

  constructor(context: ShardTrustContext) {
    this.#c = context
  }

  /** A lookup named these as owners of a shard of the job. */
  add(jobId: JobId, owners: readonly Pick<Endpoint, 'nodeId'>[]): void {
    let known = this.#owners.get(jobId)
    if (known === undefined) {
      known = new Set()
      this.#owners.set(jobId, known)
    }
    for (const { nodeId } of owners) if (known.size < OWNERS_MAX) known.add(nodeId)
  }

  async isOwner(job: BookedJob, shard: number, nodeId: NodeId): Promise<boolean> {
    const { directory, options, clock, logger } = this.#c
    const { jobId } = job
    if (nodeId === directory.self.nodeId || this.#owners.get(jobId)?.has(nodeId) === true) return true
    if (!job.shards.includes(shard)) return false
    if (this.#c.isGuard(jobId) && directory.guards(job.shardKey(shard), nodeId)) return true
    const stranger = `${jobId} ${nodeId}`
    const now = clock.now()
    if ((this.#strangers.get(stranger) ?? now) > now || this.#lookups >= LOOKUPS_MAX) return false
    if (this.#strangers.size >= STRANGERS_MAX) this.#strangers.clear()
    this.#strangers.set(stranger, now + STRANGER_MS)
    this.#lookups++
    try {
      const owners = await directory.owners(job.shardKey(shard), options.shardOwners)
      if (!owners.some((owner) => owner.nodeId === nodeId)) return false
      this.add(jobId, owners)
      this.#strangers.delete(stranger)
      return true
    } catch (error) {
      logger.debug('owners of a shard not found', { jobId, shard, error: toGridError(error).message })
      return false
    } finally {
      this.#lookups--
    }
  }

  forget(jobId: JobId): void {
    this.#owners.delete(jobId)
  }
}
