import type { ErrorCode } from '../runtime/errors.js'
import type { JobId, NodeId, PublicKey } from './model.js'

/** What a process of a machine tells its owner, and is told, over the admin socket. Times in ms since 1970. */

/** What one computing thread does. */
export interface ThreadState {
  /** From 0. */
  readonly thread: number
  /** Undefined: the thread waits. */
  readonly unit: RunningUnitState | undefined
}

/** A unit on a thread. */
export interface RunningUnitState {
  readonly jobId: JobId
  readonly jobName: string
  readonly submitter: PublicKey
  readonly unit: number
  /** `primes@1`, or `module` with the first digits of its digest. */
  readonly task: string
  readonly sinceMs: number
  /** Fuel used so far, and the limit. */
  readonly fuel: bigint
  readonly fuelMax: bigint
}

/** What an owner that this worker talks to, or tried to, last said. */
export interface OwnerState {
  readonly nodeId: NodeId
  readonly address: string
  readonly connected: boolean
  /** Instances in hand from this owner. */
  readonly held: number
  /** Why it had no work or refused, in its own words; empty: nothing said. */
  readonly reason: string
  readonly reasonAtMs: number
  /** Of the refusal, where it was one; empty or undefined: it only had no work. */
  readonly code?: ErrorCode | ''
}

/** Why the worker computes less than it may, in the words of the preference: `on battery`, `outside 22:00-07:00`. */
export interface Restraint {
  /** The preference that says so: `hours`, `on-battery`, `pause`, ... */
  readonly preference: string
  readonly reason: string
  /** When it ends by itself; 0: unknown. */
  readonly untilMs: number
}

/** Another process that came to an owner with this worker's key, and was turned away. */
export interface SameKey {
  readonly host: string
  /** Who told so, and when last. */
  readonly owner: NodeId
  readonly atMs: number
}

/** Everything that this worker did since it started, and now. */
export interface WorkerState {
  readonly threads: readonly ThreadState[]
  readonly owners: readonly OwnerState[]
  /** None: it may compute on all its threads. */
  readonly restraints: readonly Restraint[]
  /** Threads that may compute now, and the share of time that they may. Range of the share: 0 to 1. */
  readonly threadsAllowed: number
  readonly cpuTimeShare: number
  readonly paused: boolean
  readonly draining: boolean
  readonly held: number
  readonly unsettled: number
  readonly computed: number
  readonly agreed: number
  readonly disagreed: number
  /** Fuel of computed units. */
  readonly fuel: bigint
  /** Why there is nothing to compute; empty: there is. */
  readonly idleReason: string
  /** Preferences in force, by name, as they would be typed. */
  readonly preferences: readonly PreferenceValue[]
  /** Undefined: no owner told of any. */
  readonly sameKey: SameKey | undefined
}

/** A preference as text, empty: its default; and where the value comes from. */
export interface PreferenceValue {
  readonly name: string
  /** Empty: not set. */
  readonly value: string
  /** `flag`, `environment`, `file`, `prefs` (set at run time) or `default`. */
  readonly origin: string
}

/** A peer in this process's routing table. */
export interface PeerState {
  readonly nodeId: NodeId
  readonly address: string
  /** Undefined: not measured yet. Unit: ms. */
  readonly roundTripMs: number | undefined
  readonly lastSeenMs: number
  readonly version: string
}

/** One process. */
export interface ProcessState {
  readonly nodeId: NodeId
  readonly publicKey: PublicKey
  readonly version: string
  readonly network: string
  readonly startedMs: number
  /** Empty: it does not listen. */
  readonly address: string
  /** Dialled back by others: it may own. */
  readonly eligible: boolean
  readonly peers: readonly PeerState[]
  /** Shards that it owns, and bytes that it keeps for them. */
  readonly shards: number
  readonly storedBytes: number
  /** Undefined: no worker. */
  readonly worker: WorkerState | undefined
  /** Why nobody to join through has answered; empty: one has, or none was tried. */
  readonly unreached: string
  /** Address of another process that was met lately and has the same key; empty: none. */
  readonly otherSelf: string
}

/** Asks for the state of the process, again and again. */
export interface WatchProcessRequest {
  /** Least time between two states. Range: 100 to 60,000; unit: ms. */
  readonly everyMs: number
}

/** Asks for the log: so many lines of before, and all that follow. */
export interface LogRequest {
  /** Entries of the past to begin with. Range: 0 to 1,000. */
  readonly past: number
}

/** One line of the log. */
export interface LogEntry {
  readonly atMs: number
  readonly level: string
  readonly scope: string
  readonly message: string
  /** JSON of the fields. */
  readonly fields: string
}

/** Sets preferences until the process ends; an empty value takes what was set at run time away again. */
export interface PreferRequest {
  readonly values: readonly { readonly name: string; readonly value: string }[]
}

/** All preferences after the change. */
export interface PreferReply {
  readonly preferences: readonly PreferenceValue[]
}

/** Stops computing for a time. */
export interface PauseRequest {
  /** 0: until resumed. Unit: ms. */
  readonly forMs: number
}

/** Goes on computing. */
export type ResumeRequest = Readonly<Record<never, never>>
/** Finish or hand back what is in hand, and take nothing new; the process ends. */
export type DrainRequest = Readonly<Record<never, never>>
/** Done. */
export type AdminReply = Readonly<Record<never, never>>
