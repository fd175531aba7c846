/** Our own types for the messages of the service Homes. Pure. */
import type { ShardStatus } from './job-messages.js'
import type { BootId, Digest, JobId, Signed } from './model.js'

/** Gives a job to another home or guard. */
export interface KeepJobRequest {
  readonly spec: Signed
  readonly orders: readonly Signed[]
  /** Finished shards, at most 1,024. */
  readonly shards: readonly ShardStatus[]
}

/** What the caller lacks. */
export interface KeepJobReply {
  /** Orders that the caller did not send. */
  readonly orders: readonly Signed[]
}

/** Jobs that both should have, to be compared. */
export interface CompareJobsRequest {
  /** At most {@link COMPARED_JOBS_MAX}. */
  readonly jobs: readonly ComparedJob[]
}

/** What two homes should have alike of a job. */
export interface ComparedJob {
  readonly jobId: JobId
  /** SHA-256 of the ids of its orders, ascending; undefined: none. */
  readonly orders: Digest | undefined
  /** Shards known to be finished. */
  readonly finished: number
}

/** Which of them the peer wants whole. */
export interface CompareJobsReply {
  readonly bootId: BootId
  /** Jobs of which the peer lacks something. */
  readonly wanted: readonly JobId[]
}

/** Jobs of one comparison. */
export const COMPARED_JOBS_MAX = 4_096
