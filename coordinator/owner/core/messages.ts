import type { KnownOrder } from '../../../job/facts/orders.js'
import type { Vote } from '../../../job/facts/votes.js'
import type { RefusalCode } from '../../../proto/explain-messages.js'
import type {
  Digest,
  Grant,
  JobId,
  JobSpec,
  NodeId,
  PublicKey,
  Report,
  Summary,
  UnitRange,
} from '../../../proto/model.js'
import type { Want } from '../../../proto/work-messages.js'
import type { Millis } from '../../../runtime/clock.js'

/** A stream to a worker, numbered by the driver from 1 on; never reused within a process. */
export type SessionId = number

/** What a worker said when its stream opened, after the codec and the channel have checked it. */
export interface WorkerHello {
  readonly worker: PublicKey
  readonly donor: PublicKey
  readonly nodeId: NodeId
  /** Remote host as the socket saw it. */
  readonly host: string
  readonly bootId: string
  readonly slots: number
  readonly tasks: ReadonlySet<string>
  /** Newest sandbox profile that the worker knows; 0: built-in tasks alone. */
  readonly profile: number
  readonly memoryBytes: number
  /** Only this job, if given. */
  readonly onlyJob: JobId | undefined
  /** How its volunteer shares time between submitters; who is not named has weight 1. */
  readonly weights?: ReadonlyMap<PublicKey, number>
  /** First time this owner saw the key, wall clock. */
  readonly firstSeenMs: number
  /** Grants the worker still computes, with signatures already checked. */
  readonly tickets: readonly Grant[]
}

/** A report whose fact has passed `job/facts/facts.ts`. */
export interface CheckedReport {
  readonly factId: Digest
  readonly report: Report
  readonly votes: readonly Vote[]
}

/**
 * What happens to an owner, as past facts. `at` fields are instants of the monotonic clock, handed to `handle` beside the
 * event; wall-clock instants end in `WallMs`.
 */
export type OwnerEvent =
  /** Followed at once by `shardOpened`: a job is there as long as one of its shards is. */
  | {
      readonly type: 'jobOpened'
      readonly jobId: JobId
      readonly spec: JobSpec
      readonly orders: readonly KnownOrder[]
    }
  /**
   * `ranges`: the selected units. `restarted`: it was open before this process started. `awaitsOthers`: there are other
   * owners, who may know more of it; until `othersAsked`, or for some seconds, nothing is granted. Its facts follow, not live.
   */
  | {
      readonly type: 'shardOpened'
      readonly jobId: JobId
      readonly shard: number
      readonly ranges: readonly UnitRange[]
      readonly restarted: boolean
      readonly awaitsOthers?: boolean
    }
  /** Another owner has told what it knows of the shard, or nobody answers. */
  | { readonly type: 'othersAsked'; readonly jobId: JobId; readonly shard: number }
  /** Another owner may know more of the shard and has not told it: it is slow, or does not take this node for an owner yet. */
  | { readonly type: 'othersAwaited'; readonly jobId: JobId; readonly shard: number }
  | { readonly type: 'ordersChanged'; readonly jobId: JobId; readonly orders: readonly KnownOrder[] }
  /** A finished shard leaves memory; its facts stay on disk. */
  | { readonly type: 'shardClosed'; readonly jobId: JobId; readonly shard: number }
  /** The home says that nothing more is to be granted. */
  | { readonly type: 'jobStopped'; readonly jobId: JobId; readonly reason: string }
  | { readonly type: 'jobClosed'; readonly jobId: JobId; readonly reason: string }
  | {
      readonly type: 'ownersChanged'
      readonly jobId: JobId
      readonly shard: number
      readonly owners: readonly NodeId[]
    }
  | { readonly type: 'sessionOpened'; readonly session: SessionId; readonly hello: WorkerHello }
  | { readonly type: 'sessionClosed'; readonly session: SessionId }
  /** A worker was turned away before it had a session. */
  | {
      readonly type: 'workerRefused'
      readonly nodeId: NodeId
      readonly reason: string
      readonly code: RefusalCode
    }
  | { readonly type: 'sessionHeard'; readonly session: SessionId }
  /** Replaces what the worker said before. */
  | ({ readonly type: 'wantChanged'; readonly session: SessionId } & Want)
  | {
      readonly type: 'progressMade'
      readonly session: SessionId
      readonly running: readonly { readonly jobId: JobId; readonly unit: number; readonly fuel: bigint }[]
    }
  | {
      readonly type: 'unitsHandedBack'
      readonly session: SessionId
      readonly jobId: JobId
      readonly shard: number
      readonly units: readonly number[]
      readonly reason: string
    }
  /** A report that will never count, whoever looks at it: its instances are lost, and the host is at fault. */
  | {
      readonly type: 'reportRefused'
      readonly session: SessionId
      readonly jobId: JobId
      readonly shard: number
      readonly units: readonly number[]
    }
  /** The fact is on disk here (and its small outputs with it). `stored`: units whose output bytes are kept. */
  | {
      readonly type: 'reportKept'
      readonly session: SessionId | undefined
      readonly report: CheckedReport
      readonly stored: ReadonlySet<number>
      readonly wallMs: number
      /** False for facts read back from the store or received from another owner: what they say of time and hosts is not counted. */
      readonly live: boolean
      /** It was read back from the store: when what it leads to came about is not known. */
      readonly fromStore?: boolean
    }
  | {
      readonly type: 'outputKept'
      readonly jobId: JobId
      readonly shard: number
      readonly unit: number
      readonly digest: Digest
      readonly fromStore?: boolean
    }
  /** Some of an output has come, from the worker that was asked or, as another owner says, there. */
  | {
      readonly type: 'outputMoved'
      readonly jobId: JobId
      readonly shard: number
      readonly unit: number
      readonly from: NodeId
    }
  /** What `from` was to bring is wrong, or did not come to its end. */
  | {
      readonly type: 'outputFetchFailed'
      readonly jobId: JobId
      readonly shard: number
      readonly unit: number
      readonly from: NodeId
    }
  /** Soft state from another owner of the shard: what it has handed out. Repeated while it is out; believed that long. */
  | {
      readonly type: 'otherGranted'
      readonly grantor: NodeId
      readonly jobId: JobId
      readonly shard: number
      readonly worker: PublicKey
      readonly runs: readonly (UnitRange & { readonly opinion: number })[]
      readonly durationMs: number
      /** Not granted yet: drawn, and kept for this worker. */
      readonly isKept?: boolean
    }
  /** These have been met as peers, before this process started or by a lookup. */
  | { readonly type: 'grantorsMet'; readonly nodeIds: readonly NodeId[] }
  /** A lookup has found no peer of this id. */
  | { readonly type: 'grantorMissing'; readonly nodeId: NodeId }
  | { readonly type: 'woke' }

/**
 * What the driver is to do, in this order. Grants are signed by the driver and sent before any later message of the same
 * session; nothing here waits for a disk, because a report becomes an event only after it is on disk.
 */
export type OwnerEffect =
  | { readonly type: 'sendGrant'; readonly session: SessionId; readonly grant: GrantDraft }
  | {
      readonly type: 'sendSettled'
      readonly session: SessionId
      readonly jobId: JobId
      readonly shard: number
      readonly agreed: readonly number[]
      readonly disagreed: readonly number[]
    }
  | {
      readonly type: 'sendWithdraw'
      readonly session: SessionId
      readonly jobId: JobId
      readonly shard: number
      readonly units: readonly number[]
      readonly wholeJob: boolean
      readonly reason: string
    }
  | { readonly type: 'sendNoWork'; readonly session: SessionId; readonly reason: string; readonly retryAfterMs: number }
  | {
      readonly type: 'fetchOutput'
      readonly session: SessionId
      readonly jobId: JobId
      readonly shard: number
      readonly unit: number
      readonly digest: Digest
    }
  /** A second stream of a key that is already here, from `sameKeyAt`: ask the first whether it still answers. */
  | { readonly type: 'pingSession'; readonly session: SessionId; readonly sameKeyAt: string }
  | { readonly type: 'closeSession'; readonly session: SessionId; readonly reason: string }
  /** Units that have just become settled or failed for good; none when their job was cancelled. Results can be read. */
  | { readonly type: 'unitsDecided'; readonly jobId: JobId; readonly shard: number; readonly units: readonly number[] }
  | { readonly type: 'shardChanged'; readonly jobId: JobId; readonly shard: number }
  /** Facts that there is no room for any more beside others of their grantors, as for all owners: they are to be deleted. */
  | {
      readonly type: 'dropFacts'
      readonly jobId: JobId
      readonly shard: number
      readonly facts: readonly { readonly factId: Digest; readonly reportId: Digest }[]
    }
  /**
   * This process stood still, or owns shards again that others owned without it: their other owners are to be asked what they
   * know, then `othersAsked`.
   */
  | { readonly type: 'askOthers'; readonly shards: readonly { readonly jobId: JobId; readonly shard: number }[] }
  /** A grant of somebody unknown: look it up, then `grantorsMet` or `grantorMissing`. */
  | { readonly type: 'seekGrantor'; readonly nodeId: NodeId }

/** A grant but for what the driver adds: its own key and the nonce. */
export type GrantDraft = Omit<Grant, 'grantor' | 'grantorIdNonce' | 'nonce'>

/** What an owner knows of one of its shards. */
export interface ShardReport {
  readonly jobId: JobId
  readonly shard: number
  readonly summary: Summary
  /** Why nothing moves, or empty. */
  readonly waiting: string
  readonly firstGrantAt: Millis | undefined
}
