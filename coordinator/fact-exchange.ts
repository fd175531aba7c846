import type { UnitBytes } from '../proto/messages.js'
import type { Grant, NodeId, ReportFact } from '../proto/model.js'
import type { BookedJob } from './job-book.js'

/**
 * What owners of one shard tell one another. Merge is union: facts may come twice, late, or from any side.
 * One version serves shards with a single owner; the simulator has one that exchanges everything.
 */
export interface FactExchange {
  /** This node owns the shard from now on, with what it had on disk. */
  shardOpened(job: BookedJob, shard: number): void
  /**
   * Passes a fact on that is on disk here. Resolves with the nodes that have it on disk, this one first, once they are as
   * many as wanted or nobody else answers in time.
   */
  replicate(job: BookedJob, shard: number, fact: ReportFact, outputs: readonly UnitBytes[]): Promise<readonly NodeId[]>
  /** Soft state: what this owner has handed out. */
  granted(job: BookedJob, grant: Grant): void
}

/** A shard with one owner: what is on disk here is on disk everywhere it will ever be. */
export function soloExchange(self: NodeId): FactExchange {
  const holders = Promise.resolve([self])
  return { shardOpened() {}, replicate: () => holders, granted() {} }
}
