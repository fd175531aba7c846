/** Requests and replies of the service Jobs. Pure. */
import type { Digest, JobId, NodeId, Outcome, ReportFact, Signed, Summary, UnitRange, UnitState } from './model.js'

/** Takes a job: the signed spec, to one of its homes. */
export interface SubmitRequest {
  readonly spec: Signed
}

/** Who has taken the job. */
export interface SubmitReply {
  readonly jobId: JobId
  /** Nodes that have the spec on disk. */
  readonly holders: readonly NodeId[]
  /** Holders that make it durable. */
  readonly wanted: number
}

/** Takes an order about a job, to one of its homes. */
export interface OrderRequest {
  readonly order: Signed
}

/** Who has the order on disk, and how many make it durable. */
export interface OrderReply {
  readonly holders: readonly NodeId[]
  readonly wanted: number
}

/** How a job stands, as one of its homes sees it; `Watch` asks the same and is answered again and again. */
export interface ShowRequest {
  readonly jobId: JobId
  readonly withShards: boolean
}

/** A job as one of its homes sees it. */
export interface ShowReply {
  readonly spec: Signed
  readonly orders: readonly Signed[]
  readonly summary: Summary
  /** Only those activated so far. */
  readonly shards: readonly ShardStatus[]
  /** Why nothing moves; empty when it does. */
  readonly waiting: string
  /** Since the home took the job. */
  readonly ageMs: number
  /** Undefined: nothing granted yet. */
  readonly firstGrantAgeMs: number | undefined
  /** Homes known to have the spec on disk, the one that was asked first. */
  readonly holders: readonly NodeId[]
  /** Holders that make it durable; 0: the home does not say. */
  readonly wanted: number
}

/** A shard as one of its owners told it. */
export interface ShardStatus {
  readonly shard: number
  readonly owner: NodeId
  /** `host:port`; empty when the owner speaks of itself. */
  readonly ownerAddress: string
  readonly summary: Summary
  readonly waiting: string
  readonly summaryAgeMs: number
  /** Since this owner granted the first instance of the shard; undefined: it has not. */
  readonly firstGrantAgoMs: number | undefined
}

/** States of the units of one shard, from one of its owners. */
export interface UnitsRequest {
  readonly jobId: JobId
  readonly shard: number
  /** Undefined: all. */
  readonly state: UnitState | undefined
  /** Units to list in all, 1 to 16,384. */
  readonly limit: number
  /** Units before this one are left out. Default 0. */
  readonly fromUnit?: number
}

/** Some of the units asked for, ascending; more may follow. */
export interface UnitsReply {
  readonly units: readonly UnitStatus[]
}

/** One unit as an owner sees it. */
export interface UnitStatus {
  readonly unit: number
  readonly state: UnitState
  /** Being computed. */
  readonly instances: number
  readonly answers: number
  /** Host failures. */
  readonly errors: number
  /** Canonical result once accepted. */
  readonly result: { readonly digest: Digest; readonly outcome: Outcome } | undefined
  readonly waiting: string
}

/** Facts and outputs of one shard, from one of its owners. */
export interface ResultsRequest {
  readonly jobId: JobId
  readonly shard: number
  /** Empty: all. */
  readonly units: readonly UnitRange[]
  /** Keep sending as units settle, until nothing is left to wait for. */
  readonly follow: boolean
  readonly withOutputs: boolean
}

/** Facts come before the units they settle, in this message or an earlier one. */
export interface ResultsReply {
  /** Facts whose reports hold votes for units settled or failed since the last message. */
  readonly facts: readonly ReportFact[]
  /** Units that these facts settle. */
  readonly settled: readonly SettledUnit[]
  /** Nothing left to wait for in this shard. */
  readonly done: boolean
}

/** A unit that an owner calls settled or failed; the facts prove it. */
export interface SettledUnit {
  readonly unit: number
  readonly digest: Digest
  readonly outcome: Outcome
  /** Encoded `UnitOutput`; undefined: fetch it with `Output`. */
  readonly output: Uint8Array | undefined
  /** Bytes of the encoded output. */
  readonly outputBytes: number
}

/** One output by unit and digest. */
export interface OutputRequest {
  readonly jobId: JobId
  readonly shard: number
  readonly unit: number
  readonly digest: Digest
}

/** A part of an output, at most 256 KiB; they come in order. */
export interface Chunk {
  readonly bytes: Uint8Array
}

/** A home gives a shard to one of its owners. */
export interface ActivateRequest {
  readonly spec: Signed
  readonly orders: readonly Signed[]
  readonly shard: number
}

/** How the shard stands at its owner. */
export interface ActivateReply {
  readonly summary: Summary
}

/** An owner tells a home how its shards of a job stand. */
export interface SummarizeRequest {
  readonly jobId: JobId
  readonly shards: readonly ShardStatus[]
  /** Digest of the orders that the owner has; undefined: none, or it does not say. */
  readonly orders: Digest | undefined
}

/** What the home knows that the owner does not. */
export interface SummarizeReply {
  /** All orders of the job that the home holds; none when they are those that the owner has. */
  readonly orders: readonly Signed[]
  /** Why nothing more is to be granted; empty: go on. */
  readonly stopped: string
}

/** A worker asks an owner to sign what its key gave to a shard. */
export interface AttestRequest {
  readonly jobId: JobId
  readonly shard: number
}

/** What the owner signed. */
export interface AttestReply {
  /** An encoded Attestation. */
  readonly attestation: Signed
}

/** What a peer sees of the network and does itself. */
export type StatusRequest = Readonly<Record<never, never>>
/** One peer, and its share of the counts of the network. */
export interface StatusReply {
  readonly peers: number
  readonly workers: number
  readonly threads: number
  /** Jobs with a shard here, and of them those with ready work. */
  readonly jobs: number
  readonly readyJobs: number
  readonly settledLastMinute: number
  readonly uptimeMs: number
  readonly version: string
  readonly address: string
  /** Dialled back: it may own. */
  readonly eligible: boolean
  /** Shards open here. 0 from peers that do not say. */
  readonly shards: number
  /** Content kept: modules, inputs, large outputs. 0 from peers that do not say. */
  readonly storedBytes: number
  /** ms since 1970 by the clock of the peer; for judging clocks alone. 0: it does not say. */
  readonly wallMs: number
  /** Unfinished jobs whose first home it is, and of them those with ready work: each counted by one peer. */
  readonly firstJobs: number
  readonly firstReadyJobs: number
  /** Units settled that this owner was to grant first: each counted by one peer. */
  readonly firstSettledLastMinute: number
  /** Workers that this peer counts for the network, by version. */
  readonly countedWorkers: readonly WorkerCount[]
}

/** Workers of one version, and their threads. */
export interface WorkerCount {
  readonly version: string
  readonly workers: number
  readonly threads: number
}
