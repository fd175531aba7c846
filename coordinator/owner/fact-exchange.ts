import type { Digest, Grant, JobId, NodeId, PublicKey, Report } from '../../proto/model.js'
import type { UnitBytes } from '../../proto/work-messages.js'
import type { BookedJob } from '../jobs/booked-job.js'

/** A fact that is on disk here, as it is passed on. */
export interface KeptFact {
  readonly factId: Digest
  readonly report: Report
  /** The encoded `ReportFact`, as it came. */
  readonly encoded: Uint8Array
  /** Small outputs of its units. */
  readonly outputs: readonly UnitBytes[]
}

/** Who has a fact on disk, and how many make it durable. */
export interface FactHolding {
  /** This node first. */
  readonly holders: readonly NodeId[]
  /** No more than there are owners. */
  readonly wanted: number
}

/**
 * What owners of one shard tell one another. Merge is union: facts may come twice, late, or from any side. Versions: a
 * shard with one owner, below; and `exchange/shard-exchange.ts`.
 */
export interface FactExchange {
  /** Reads what is remembered from before. To be called before any shard is opened. */
  start(): Promise<void>
  /** Whether the shard has other owners that may know more of it: then nothing is granted before they were asked. */
  awaitsOthers(job: BookedJob, shard: number): boolean
  /** This node owns the shard from now on. `restored`: facts of it were on disk. */
  shardOpened(job: BookedJob, shard: number, restored: boolean): void
  /** A shard on disk that is not in memory, because nothing is left to do in it. */
  shardResting(job: BookedJob, shard: number): void
  /** Everything about the job is gone from disk. */
  jobDropped(jobId: JobId): void
  /** A fact of an open shard is on disk here: read back, or just written. */
  factKept(jobId: JobId, shard: number, factId: Digest): void
  /** There is no room for these facts of a shard, here or anywhere: they are not asked for. */
  factsDropped(jobId: JobId, shard: number, factIds: readonly Digest[]): void
  /** The bytes of a large output are on disk here; they came from `from`, a worker or another owner. */
  outputKept(job: BookedJob, shard: number, unit: number, digest: Digest, from: NodeId): void
  /**
   * Passes a fact on that is on disk here. Resolves with the nodes that have it on disk once they are as many as wanted, or
   * nobody else answers in time.
   */
  replicate(job: BookedJob, shard: number, fact: KeptFact): Promise<FactHolding>
  /** Soft state: what this owner has handed out. */
  granted(job: BookedJob, grant: Grant): void
  /** Whether enough owners have what the worker said of a settled unit, and its bytes, that it may drop its copies. */
  isSafe(jobId: JobId, shard: number, worker: PublicKey, unit: number): boolean
  /** Other owners of an open shard are asked what they know before it is granted from: they may have gone on without this node. */
  askOthers(jobId: JobId, shard: number): void
  /** Brings the other owners up to date because this node is leaving. Resolves to the shards that are. */
  handOver(): Promise<number>
  /** Safe to call twice. */
  close(): void
}

/** A shard with one owner: what is on disk here is on disk everywhere it will ever be. */
export function soloExchange(self: NodeId): FactExchange {
  const holding = Promise.resolve({ holders: [self], wanted: 1 })
  return {
    start: async () => {},
    awaitsOthers: () => false,
    shardOpened() {},
    shardResting() {},
    jobDropped() {},
    factKept() {},
    factsDropped() {},
    outputKept() {},
    replicate: () => holding,
    granted() {},
    isSafe: () => true,
    askOthers() {},
    handOver: async () => 0,
    close() {},
  }
}
