/** Our own types for the requests and replies of the service Exchange. Pure. */

import type { Digest, GrantRun, JobId, PublicKey } from './model.js'
import type { RangeReply, RangeRequest } from './sync-messages.js'
import type { UnitBytes } from './work-messages.js'

/** A fact as it travels between owners. */
export interface OfferedFact {
  /** An encoded `ReportFact`, byte for byte as its first owner wrote it. */
  readonly fact: Uint8Array
  /** Small outputs of its units. */
  readonly outputs: readonly UnitBytes[]
}

/** Facts that another owner may lack. */
export interface OfferRequest {
  readonly facts: readonly OfferedFact[]
}

/**
 * What became of an offered fact. `kept`: on disk. `unknown`: the job is not known here. `refused`: it will never count
 * here. `notNow`: it could not be written; offer it again.
 */
export type OfferState = 'kept' | 'unknown' | 'refused' | 'notNow'

/** What became of each fact, in their order. */
export interface OfferReply {
  /** One a fact, in order. */
  readonly states: readonly OfferState[]
}

/** What is asked about one shard. */
export interface ShardQuestion {
  readonly jobId: JobId
  readonly shard: number
  readonly ranges: RangeRequest
}

/** Ranges of the facts of shards, to be compared. */
export interface ReconcileRequest {
  readonly shards: readonly ShardQuestion[]
}

/** `unknown`: the answerer does not keep the shard. `notNow`: it has said enough in this reply, or cannot look. */
export type ShardAnswer =
  | {
      readonly state: 'answered'
      readonly ranges: RangeReply
      /** Whoever answers does not take the caller for an owner, and tells it nothing of what comes. */
      readonly toOutsider: boolean
    }
  | { readonly state: 'unknown' | 'notNow' }

/** One answer a shard, in their order. */
export interface ReconcileReply {
  /** One a question, in order. */
  readonly shards: readonly ShardAnswer[]
}

/** Facts of a shard by id. */
export interface FetchFactsRequest {
  readonly jobId: JobId
  readonly shard: number
  readonly factIds: readonly Digest[]
}

/** Those of them that the owner has. */
export interface FetchFactsReply {
  /** In no particular order; fewer than asked for when they do not fit or are not here. */
  readonly facts: readonly OfferedFact[]
}

/** Instances of one worker and shard that an owner has handed out, or keeps for the worker. */
export interface OutstandingGrant {
  readonly jobId: JobId
  readonly shard: number
  readonly worker: PublicKey
  readonly runs: readonly GrantRun[]
  /** What is not said again within this is forgotten. Unit: ms. */
  readonly believedMs: number
  /** Not granted yet: drawn, and kept for this worker until it has room. */
  readonly kept: boolean
}

/** What an owner has granted and believes to be computed still. */
export interface OutstandingRequest {
  readonly grants: readonly OutstandingGrant[]
}

/** Heard. */
export type OutstandingReply = Readonly<Record<never, never>>
