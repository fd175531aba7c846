/** What workers and owners say to one another over the service Coordinator. Pure. */
import type { DeclineWord, RestraintWord } from './explain-messages.js'
import type { OutputRequest } from './job-messages.js'
import type { BootId, Digest, JobId, NodeId, PublicKey, ReportFact, Signed } from './model.js'
import type { ProtocolRange } from './protocol-range.js'

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

/** What a worker is willing to take from one owner. */
export interface Want {
  /** Instances that it would hold from this owner in all. */
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

/** What a worker says to an owner. */
export type WorkerMessage =
  | Hello
  /** Replaces what it said before. */
  | ({ readonly type: 'want' } & Want)
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
