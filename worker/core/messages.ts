import type { DeclineWord, RestraintWord } from '../../proto/explain-messages.js'
import type { Digest, Grant, JobId, NodeId, Outcome, PublicKey, Signed } from '../../proto/model.js'
import type { DeclinedJob, JobWant } from '../../proto/work-messages.js'
import type { Millis } from '../../runtime/clock.js'
import type { Endpoint } from '../../runtime/transport.js'

/** One unit's result as the compute process gives it, without its bytes. */
export interface ComputedUnit {
  readonly jobId: JobId
  readonly unit: number
  readonly outcome: Outcome
  readonly digest: Digest
  readonly outputBytes: number
  readonly fuel: bigint
  readonly wallMs: Millis
}

/**
 * A signed report in the journal: the producer's copy, kept until every unit of it is settled. `units` leaves out those
 * that this host failed: such a unit may be tried again, and nobody settles what was said of it.
 */
export interface KeptReport {
  readonly reportId: Digest
  readonly jobId: JobId
  readonly shard: number
  readonly units: readonly number[]
  /** Those of them whose outputs are too large to travel beside it, and are on no disk here. */
  readonly large: readonly number[]
  /** What it takes in memory, with the outputs beside it. */
  readonly bytes: number
}

/** What happens to a worker, as past facts. */
export type WorkerEvent =
  /** An owner is said to have ready work. `declined`: why this worker takes nothing of it; undefined: it may. */
  | {
      readonly type: 'workSeen'
      readonly owner: Endpoint
      readonly jobId: JobId
      readonly ready: number
      readonly declined?: DeclineWord | undefined
    }
  /** Answers `findOwners`; empty when nobody was found. */
  | {
      readonly type: 'ownersFound'
      readonly jobId: JobId
      readonly shard: number
      readonly owners: readonly Endpoint[]
    }
  | { readonly type: 'linkOpened'; readonly owner: NodeId }
  /** `lasting`: the owner does not want this key; asking again soon is useless. */
  | { readonly type: 'linkClosed'; readonly owner: NodeId; readonly lasting: boolean }
  | {
      readonly type: 'granted'
      readonly owner: NodeId
      readonly grant: Grant
      readonly signed: Signed
      readonly grantId: Digest
      /** Of the job, for `Shares`; undefined: time is not shared for it. */
      readonly submitter?: PublicKey
    }
  | { readonly type: 'computed'; readonly units: readonly ComputedUnit[] }
  /** The job cannot be computed here; its units in hand are given back. */
  | { readonly type: 'jobFailed'; readonly jobId: JobId; readonly reason: string }
  /** The report is in the journal. Without an owner: since before this process started. */
  | { readonly type: 'reportKept'; readonly report: KeptReport; readonly owner: NodeId | undefined }
  /** The owner has these reports on disk. */
  | { readonly type: 'reportsTaken'; readonly owner: NodeId; readonly reportIds: readonly Digest[] }
  /** An owner has settled units; what it leans on may go. */
  | {
      readonly type: 'unitsSettled'
      readonly owner: NodeId
      readonly jobId: JobId
      readonly shard: number
      readonly agreed: readonly number[]
      readonly disagreed: readonly number[]
    }
  | { readonly type: 'reportRefused'; readonly owner: NodeId; readonly reportId: Digest; readonly reason: string }
  | {
      readonly type: 'withdrawn'
      readonly owner: NodeId
      readonly jobId: JobId
      readonly units: readonly number[]
      readonly wholeJob: boolean
    }
  /** Bytes of outputs waiting to be fetched passed the bound, or fell below it. */
  | { readonly type: 'outputsFull'; readonly full: boolean }
  /** No new work: finish or give back what is in hand. `atOnce`: give everything back. */
  | { readonly type: 'drained'; readonly atOnce: boolean }
  /**
   * The volunteer wants nothing computed now, and the compute process stands still; undefined: it may go on. Without a
   * process that can be stopped, `atOnce` says that what is in hand goes back at once.
   */
  | {
      readonly type: 'paused'
      readonly reason: string | undefined
      /** The same as a word, for owners. */
      readonly restraint?: RestraintWord
      readonly atOnce: boolean
    }
  /** Jobs that the volunteer does not want; what owners grant of them goes back. Replaces what was said before. */
  | { readonly type: 'declined'; readonly jobs: readonly DeclinedJob[] }
  /** So many threads compute from now on. */
  | { readonly type: 'resized'; readonly threads: number }
  /** How time is to be shared between submitters from now on; who is not named has weight 1, none named: not at all. */
  | { readonly type: 'weighed'; readonly weights: ReadonlyMap<PublicKey, number> }
  /** Units to compute at most, in all since the start; undefined: no bound. */
  | { readonly type: 'limited'; readonly unitsMax: number | undefined }
  | { readonly type: 'woke' }

/**
 * What the driver is to do, in this order. A report is signed, written to the journal, and only then sent: the event
 * `reportKept` says so and `offerReport` follows.
 */
export type WorkerEffect =
  | { readonly type: 'openLink'; readonly owner: Endpoint }
  | { readonly type: 'closeLink'; readonly owner: NodeId; readonly reason: string }
  | { readonly type: 'findOwners'; readonly jobId: JobId; readonly shard: number }
  | {
      readonly type: 'sendWant'
      readonly owner: NodeId
      readonly instances: number
      /** No room at the moment, but it goes on working. */
      readonly busy: boolean
      /** Why it is less than could be computed, and jobs that are not wanted; absent: nothing to say. */
      readonly restraint?: RestraintWord
      readonly declined?: readonly DeclinedJob[]
      /** Instances of single jobs at most, and of a job that is not among them. */
      readonly jobs: readonly JobWant[]
      readonly ofNew: number
    }
  | {
      readonly type: 'sendHandBack'
      readonly owner: NodeId
      readonly jobId: JobId
      readonly shard: number
      readonly units: readonly number[]
      readonly reason: string
    }
  | { readonly type: 'sendHeartbeat'; readonly owner: NodeId }
  | { readonly type: 'compute'; readonly jobId: JobId; readonly shard: number; readonly units: readonly number[] }
  | { readonly type: 'abort'; readonly jobId: JobId; readonly units: readonly number[] }
  /** Sign and keep a report over these units, with the grants that cover them. */
  | {
      readonly type: 'keepReport'
      readonly owner: NodeId | undefined
      readonly jobId: JobId
      readonly shard: number
      readonly units: readonly ComputedUnit[]
      readonly grants: readonly Signed[]
    }
  | { readonly type: 'offerReport'; readonly owner: NodeId; readonly reportId: Digest }
  /** The report leaves the journal. It stays in memory until `forgetReport`, and may come back: `recallReport`. */
  | { readonly type: 'dropReport'; readonly reportId: Digest }
  | { readonly type: 'recallReport'; readonly reportId: Digest }
  | { readonly type: 'forgetReport'; readonly reportId: Digest }
  /** Everything in hand is answered for: the process may leave. */
  | { readonly type: 'finished' }
