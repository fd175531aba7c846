import type { Digest, JobId, PublicKey, Signed } from '../../proto/model.js'
import type { UnitBytes } from '../../proto/work-messages.js'

/** Why this peer keeps a job: as one of the owners of the job's own id, or of one of its shards. */
export type JobRole = 'home' | 'shard'

/**
 * One statement of a group. All are idempotent: what is there already is left as it is. Except for `spec`, whatever names
 * a job, shard or fact that the store does not have (any more) is left out, so that a late report of a dropped job
 * neither fails its group nor brings the job back.
 */
export type Write =
  /** Keeps a job; roles add up, the first `receivedAtMs` (wall clock) stays. */
  | {
      readonly type: 'spec'
      readonly jobId: JobId
      readonly role: JobRole
      readonly spec: Signed
      readonly receivedAtMs: number
    }
  /** Two orders may carry one seq when a submitter signed two; both are kept. */
  | { readonly type: 'order'; readonly jobId: JobId; readonly order: Signed; readonly seq: number }
  /** Forgets one order; `order` and `seq` as they were given. */
  | { readonly type: 'dropOrder'; readonly jobId: JobId; readonly order: Signed; readonly seq: number }
  /** This peer owns the shard from now on. */
  | { readonly type: 'shard'; readonly jobId: JobId; readonly shard: number; readonly activatedAtMs: number }
  /** `fact` is an encoded ReportFact; `outputs` those of its units that came with it. */
  | {
      readonly type: 'fact'
      readonly jobId: JobId
      readonly shard: number
      readonly factId: Digest
      readonly fact: Uint8Array
      readonly outputs: readonly UnitBytes[]
    }
  /** Outputs of a fact that came in frames of their own; of a unit, the first bytes stay. */
  | {
      readonly type: 'smallOutputs'
      readonly jobId: JobId
      readonly shard: number
      readonly factId: Digest
      readonly outputs: readonly UnitBytes[]
    }
  /** A large output, whose bytes are already synced in a file of the blob store named by `digest`. */
  | {
      readonly type: 'output'
      readonly jobId: JobId
      readonly shard: number
      readonly unit: number
      readonly digest: Digest
      readonly size: number
    }
  /** Forgets facts of a shard with the small outputs that came with them. */
  | {
      readonly type: 'dropFacts'
      readonly jobId: JobId
      readonly shard: number
      readonly factIds: readonly Digest[]
    }
  /** Forgets all outputs of a shard, large ones included (their files are the caller's to delete); facts stay. */
  | { readonly type: 'dropOutputs'; readonly jobId: JobId; readonly shard: number }
  /** Forgets a shard with its facts and outputs: other peers own it now. */
  | { readonly type: 'dropShard'; readonly jobId: JobId; readonly shard: number }
  /** Takes a role away again; the job with all else it has stays, even without any role, until `dropJob`. */
  | { readonly type: 'dropRole'; readonly jobId: JobId; readonly role: JobRole }
  /** Forgets a job with all its shards, facts and outputs. */
  | { readonly type: 'dropJob'; readonly jobId: JobId }
  /** First sight of a worker key; an earlier one stays. Ignored once {@link KEYS_SEEN_MAX} keys are known. */
  | { readonly type: 'keySeen'; readonly key: PublicKey; readonly atMs: number }
  /** A small named value, replaced as a whole; forgotten where the new one is empty. */
  | { readonly type: 'meta'; readonly name: string; readonly value: Uint8Array }

/**
 * Worker keys remembered. Past it new keys stay unknown, hence younger than any job, which only costs them weight; the
 * old ones, which peers trust more, cannot be flushed out by a flood of fresh ones. About 20 MB in memory.
 */
export const KEYS_SEEN_MAX = 200_000

/** A job as it is on disk. */
export interface StoredJob {
  readonly jobId: JobId
  readonly roles: ReadonlySet<JobRole>
  readonly spec: Signed
  /** By seq. */
  readonly orders: readonly StoredOrder[]
  readonly receivedAtMs: number
}

/** An order as it is on disk. */
export interface StoredOrder {
  readonly seq: number
  readonly order: Signed
}

/** A shard that this peer owns, as it is on disk. */
export interface StoredShard {
  readonly shard: number
  readonly activatedAtMs: number
}

/** A fact as it is on disk. */
export interface StoredFact {
  /** Rises with each fact of the shard; at least 1. */
  readonly row: number
  readonly factId: Digest
  readonly fact: Uint8Array
}

/** A large output, whose bytes are in a file. */
export interface StoredOutput {
  readonly unit: number
  readonly digest: Digest
  readonly size: number
}

/** A unit's output as one fact gave it: while a unit is disputed, its facts hold different ones. */
export interface FactOutput {
  readonly unit: number
  readonly factId: Digest
}

/**
 * What an owner keeps. Versions: SQLite and, for the simulator, a log over a `Disk`; both pass the suite in
 * `test/support/storage/store-conformance.ts`. Reads see every group whose `commit` has resolved.
 */
export interface Store {
  /**
   * Makes all writes durable together, in order; resolves after fsync. Rejects with GridError `unavailable` when the
   * disk is full or fails (the hint says what to do), `corrupt` when the file is damaged, `closed` after {@link close};
   * nothing of the group is kept then.
   */
  commit(writes: readonly Write[]): Promise<void>
  /** All jobs, in no particular order. */
  jobs(): Promise<StoredJob[]>
  /** Shards of a job that this peer owns, ascending. */
  shards(jobId: JobId): Promise<StoredShard[]>
  /** Up to `limit` facts of a shard in commit order, from those with a row above `after` (0: from the first). */
  facts(jobId: JobId, shard: number, after: number, limit: number): Promise<StoredFact[]>
  /** Those of the named facts that the shard has, in no particular order. */
  factsById(jobId: JobId, shard: number, ids: readonly Digest[]): Promise<StoredFact[]>
  /** Ids of all facts of a shard, in no particular order. */
  factIds(jobId: JobId, shard: number): Promise<Digest[]>
  /** Small outputs by unit; units without stored bytes are missing. Asking for the units of one fact together is cheap. */
  outputs(jobId: JobId, shard: number, wanted: readonly FactOutput[]): Promise<Map<number, Uint8Array>>
  /** Large outputs of a shard, by unit. */
  largeOutputs(jobId: JobId, shard: number): Promise<StoredOutput[]>
  /** Worker keys and when each was first seen, ms of the wall clock. */
  keysSeen(): Promise<Map<PublicKey, number>>
  meta(name: string): Promise<Uint8Array | undefined>
  /** Bytes on disk in use, without what is free for reuse. */
  bytesUsed(): Promise<number>
  /** Ends reading and writing. Safe to call twice. */
  close(): Promise<void>
}
