/** Our own types for the requests, replies and stream messages of the services Jobs, Coordinator and Blobs. Pure. */
import type { DeclineWord, RestraintWord } from './explain-messages.js'
import type {
  BlobRef,
  BootId,
  Digest,
  JobId,
  NodeId,
  Outcome,
  PublicKey,
  ReportFact,
  Signed,
  Summary,
  UnitRange,
  UnitState,
} from './model.js'
import type { ProtocolRange } from './protocol-range.js'

// --------------------------------------------------------------------------------------------------------- coordinator

/** Encoded `UnitOutput` of one unit. */
export interface UnitBytes {
  readonly unit: number
  readonly bytes: Uint8Array
}

/** A built-in task that a worker has. */
export interface BuiltinTask {
  readonly name: string
  readonly version: number
}

/** An instance that is being computed, and the steps it has made so far. */
export interface RunningUnit {
  readonly jobId: JobId
  readonly unit: number
  readonly fuel: bigint
}

/** First message of a worker on a stream: who it is and what it can do. */
export interface Hello {
  readonly type: 'hello'
  readonly bootId: BootId
  /** Threads, 1 to 4,096. */
  readonly slots: number
  /** At most 256. */
  readonly tasks: readonly BuiltinTask[]
  /** Most that a unit may ask for. */
  readonly memoryBytes: number
  /** Only this job; undefined: any. */
  readonly jobId: JobId | undefined
  /** The person behind the worker; undefined: the worker's own key. */
  readonly donor: PublicKey | undefined
  /** 64 bytes; empty without `donor`. */
  readonly donorSignature: Uint8Array
  /** Grants still being computed, at most 256. */
  readonly tickets: readonly Signed[]
  /** How the volunteer shares time between submitters, at most 64; who is not named has weight 1. */
  readonly weights?: readonly SubmitterWeight[]
  /** Newest sandbox rules known; 0: built-in tasks only. */
  readonly profile: number
  /** Versions of the protocol that the worker speaks; absent: 1. */
  readonly protocol?: ProtocolRange
}

/** Range of the weight: 0.01 to 100. */
export interface SubmitterWeight {
  readonly submitter: PublicKey
  readonly weight: number
}

/** A job that a worker takes nothing of, and why. */
export interface DeclinedJob {
  readonly jobId: JobId
  readonly reason: DeclineWord
}

/** How many instances of one job a worker is willing to hold from an owner. */
export interface JobWant {
  readonly jobId: JobId
  readonly instances: number
}

/** What a worker says to an owner. */
export type WorkerMessage =
  | Hello
  /** How many instances the worker is willing to hold from this owner in all; replaces what it said before. */
  | {
      readonly type: 'want'
      readonly instances: number
      /** Why it is less than the worker could compute; undefined: it is not, or the worker does not say. */
      readonly restraint?: RestraintWord | undefined
      readonly declined?: readonly DeclinedJob[]
      /** None at the moment, for it is full with work of others, but further opinions may be kept for it. */
      readonly busy?: boolean | undefined
      /** Instances of single jobs in hand at most. */
      readonly jobs?: readonly JobWant[]
      /** Of a job that is not among these, for its units were never timed here; 0 or undefined: no bound but `instances`. */
      readonly ofNew?: number
    }
  /** A report with the outputs of its units that are at most 4 KiB encoded. `wallMs`: of all its units together. */
  | {
      readonly type: 'report'
      readonly fact: ReportFact
      readonly outputs: readonly UnitBytes[]
      readonly wallMs: number
    }
  | { readonly type: 'progress'; readonly running: readonly RunningUnit[] }
  /** Instances that the worker gives up without an answer. */
  | {
      readonly type: 'handBack'
      readonly jobId: JobId
      readonly shard: number
      readonly units: readonly number[]
      readonly reason: string
    }

/** What an owner says to a worker. */
export type OwnerMessage =
  /**
   * Sent again it asks whether the worker is still there. `sameKeyAt`: host of another process that says hello with this
   * worker's key, and is turned away once this one answers; none is left out.
   */
  | { readonly type: 'welcome'; readonly bootId: BootId; readonly sameKeyAt?: string }
  /** Before the first grant of a job on this stream. */
  | { readonly type: 'spec'; readonly spec: Signed }
  | { readonly type: 'grant'; readonly grant: Signed }
  /** Reports (SHA-256 of their signed bytes) that are on disk at `holders`; durable once these are `wanted` many. */
  | {
      readonly type: 'ack'
      readonly reports: readonly Digest[]
      readonly holders: readonly NodeId[]
      readonly wanted: number
    }
  /** The worker's answers counted, or did not; its copies may go. */
  | {
      readonly type: 'settled'
      readonly jobId: JobId
      readonly shard: number
      readonly agreed: readonly number[]
      readonly disagreed: readonly number[]
    }
  /** Instances that nobody needs any more. */
  | {
      readonly type: 'withdraw'
      readonly jobId: JobId
      readonly shard: number
      readonly units: readonly number[]
      readonly wholeJob: boolean
      readonly reason: string
    }
  | { readonly type: 'noWork'; readonly reason: string; readonly retryAfterMs: number }
  /** Upload this output with `PutOutput`. */
  | {
      readonly type: 'fetch'
      readonly jobId: JobId
      readonly shard: number
      readonly unit: number
      readonly digest: Digest
    }
  /** A report that will never be taken; the producer drops it. */
  | { readonly type: 'refused'; readonly report: Digest; readonly reason: string }

/** One output on its way to an owner. The first message says whose it is and carries bytes; the rest carry bytes alone. */
export interface OutputChunk {
  readonly start: OutputRequest | undefined
  /** At most 256 KiB. */
  readonly bytes: Uint8Array
}

/** Reply of `PutOutput`: whether the owner has the output on disk now. */
export interface PutOutputReply {
  readonly stored: boolean
}

// ---------------------------------------------------------------------------------------------------------------- jobs

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

// --------------------------------------------------------------------------------------------------------------- blobs

/** How much of a blob a peer has. */
export interface BlobStatRequest {
  readonly blob: BlobRef
}

/** What there is of the blob. */
export interface BlobStatReply {
  readonly complete: boolean
  /** One bit a chunk, least significant first; empty: nothing here. */
  readonly present: Uint8Array
}

/** An upload: start, hashes of all chunks, then chunks in any order. */
export type BlobPut =
  /** First. `keepUntilMs`: expiry of the job that needs it, ms since 1970. */
  | { readonly type: 'start'; readonly blob: BlobRef; readonly keepUntilMs: number }
  /** 32 bytes a chunk, in order, at most 8,192 hashes a message. */
  | { readonly type: 'hashes'; readonly hashes: Uint8Array }
  | ({ readonly type: 'chunk' } & BlobChunk)
/** Whether the peer has the whole blob on disk now. */
export interface BlobPutReply {
  readonly complete: boolean
  readonly holder: NodeId
}

/** The hashes of all chunks of a blob. */
export interface BlobManifestRequest {
  readonly blob: BlobRef
}

/** Some of the hashes; parts come in order. */
export interface BlobManifestPart {
  /** 32 bytes a chunk, in order, at most 8,192 hashes a message. */
  readonly hashes: Uint8Array
}

/** Chunks of a blob. */
export interface BlobGetRequest {
  readonly blob: BlobRef
  /** Indices in the order wanted, at most 4,096. */
  readonly chunks: readonly number[]
}

/** One chunk; its hash is checked against the manifest. */
export interface BlobChunk {
  readonly index: number
  /** At most 256 KiB. */
  readonly bytes: Uint8Array
}
