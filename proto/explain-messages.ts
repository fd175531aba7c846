/**
 * What peers say to explain why a job is where it is, and the words they say it with. Ages count back from the answer. All of
 * it is the word of the peer that says it. Pure.
 */
import type { ErrorCode } from '../runtime/errors.js'
import type { JobId, NodeId, Summary, UnitState } from './model.js'

/** How much of each kind one answer holds at most; who answers leaves out what is above. */
export const EXPLAIN_MAX = Object.freeze({
  shards: 64,
  workerGroups: 64,
  /** Of one group. */
  workerExamples: 4,
  unitExamples: 8,
  events: 256,
  /** Of one unit. */
  leases: 16,
  refusedKeys: 16,
  /** Peers that refuse, and peers that say nothing any more: half of it each. */
  troubles: 32,
})

/** Why a worker wants less than it could compute, as it tells its owners; the names of the preferences where one says so. */
export const RESTRAINTS = [
  'pause',
  'drain',
  'hours',
  'days',
  'when-idle',
  'on-battery',
  'max-temp',
  'pause-for',
  'cpu-time',
  'units',
  'for',
  'disk',
  'outputs',
  'other',
] as const
/** One of {@link RESTRAINTS}. */
export type RestraintWord = (typeof RESTRAINTS)[number]

/** Why a worker takes no units of a job that it knows of, as it tells the job's owners. */
export const DECLINES = ['refuse', 'accept', 'memory', 'task', 'profile', 'job', 'broken'] as const
/** One of {@link DECLINES}. */
export type DeclineWord = (typeof DECLINES)[number]

/**
 * How a connected worker stands towards a job. `none`: it may have units of it, and asks. From its hello: `memory` offered is
 * less than a unit may use, it lacks the `task` or its version, or the sandbox `profile`, wants another `job` alone, or is
 * `unnamed` in the job's list. As it said: a restraint (`restrained`), or that it declines the submitter (`refused`). As it
 * did: `convicted` by replays of the submitter, `resting` after it gave units of the job back, `failing` after failures of its
 * host, `window`: so many of its answers wait for others that it is given no more first opinions. `full`: its hands are; the
 * value names the job of the same submitter that comes before, if one does.
 */
const WORKER_BARS = [
  'none',
  'memory',
  'task',
  'profile',
  'job',
  'unnamed',
  'restrained',
  'refused',
  'convicted',
  'resting',
  'failing',
  'window',
  'full',
] as const
/** One of {@link WORKER_BARS}. */
export type WorkerBar = (typeof WORKER_BARS)[number]

/**
 * What a unit waits for. `untouched`: nobody was given it yet. `computing`: a worker has it. `elsewhere`: another owner has
 * given it out. `drawn`: a worker was drawn for its next opinion and is to fetch it. `donor`: nobody is here who may give its
 * next opinion. `grantor`: votes of grants from here count no more, another owner has to grant. `doubted`: only grants of owners
 * that this one has never met settle it, and somebody else is to be asked. `again`: it came back without an answer. `delay`: it rests after a failure of a host. `disputed`, `held`, `bytes` (of an accepted output). `limit`: it has
 * had as many instances as it may. Empty of a unit that is settled or failed: `done`.
 */
const UNIT_WAITS = [
  'untouched',
  'computing',
  'elsewhere',
  'drawn',
  'donor',
  'grantor',
  'doubted',
  'again',
  'delay',
  'disputed',
  'held',
  'bytes',
  'limit',
  'done',
] as const
/** One of {@link UNIT_WAITS}. */
export type UnitWait = (typeof UNIT_WAITS)[number]

/** What happens to units, as owners remember it for a while. */
const UNIT_EVENTS = [
  'granted',
  'elsewhere',
  'answered',
  'failedHost',
  'returned',
  'lost',
  'overdue',
  'drawn',
  'redrawn',
  'disputed',
  'accepted',
  'settled',
  'failed',
  'held',
  'released',
  'fetching',
  'withdrawn',
] as const
/** One of {@link UNIT_EVENTS}. */
export type UnitEventWord = (typeof UNIT_EVENTS)[number]

/** What is wrong with a peer as a home sees it: it says nothing, or refuses to own a shard or to keep the job. */
const TROUBLES = ['silent', 'shard', 'spec'] as const
/** One of {@link TROUBLES}. */
export type TroubleWord = (typeof TROUBLES)[number]

/** Why a job, or one of its units, is where it is. */
export interface ExplainRequest {
  readonly jobId: JobId
  /** Undefined: the job as a whole. */
  readonly unit: number | undefined
  /** What happened last, for a whole job. */
  readonly events: boolean
}

/** What one peer knows of it. */
export interface ExplainReply {
  readonly version: string
  /** ms since 1970 by the clock of the peer; for judging clocks alone. */
  readonly wallMs: number
  readonly uptimeMs: number
  /** Why nothing of the job is granted here; empty: it is. */
  readonly refusal: string
  /** Undefined: not a home of the job. */
  readonly home: HomeSight | undefined
  readonly shards: readonly ShardSight[]
  readonly workers: readonly WorkerGroup[]
  readonly workersAble: number
  readonly donorsAble: number
  readonly refusedKeys: readonly RefusedKey[]
  readonly unit: UnitSight | undefined
  /** Oldest first. */
  readonly events: readonly UnitEvent[]
}

/** What a guard does for a job: whether homes leave it undone, or it has stepped in for them. */
export type Guarding = 'watching' | 'acting'

/** A job as one of its homes sees it. */
export interface HomeSight {
  /** Homes that are nearer to the job and seem to be there; of a guard, nearer peers. */
  readonly rank: number
  /** Undefined: it is a home. */
  readonly guarding: Guarding | undefined
  readonly troubles: readonly PeerTrouble[]
}

/** A peer that does not do what the job needs of it. */
export interface PeerTrouble {
  readonly nodeId: NodeId
  readonly address: string
  readonly what: TroubleWord
  /** What it answered, and why by its own word; empty of one that is silent. */
  readonly code: ErrorCode | ''
  readonly reason: string
  readonly sinceMs: number
  /** Shards of the job that it is about; 0 of `spec`. */
  readonly shards: number
}

/** A shard as one of its owners sees it. */
export interface ShardSight {
  readonly shard: number
  readonly summary: Summary
  readonly owners: number
  readonly minGrantors: number
  /** Nothing is granted for so long; 0: it is. */
  readonly quietMs: number
  readonly groups: readonly UnitGroup[]
  /** Ago; undefined: none. */
  readonly lastGrantMs: number | undefined
  readonly lastAnswerMs: number | undefined
}

/** Units of a shard that wait for the same. */
export interface UnitGroup {
  readonly wait: UnitWait
  readonly units: number
  readonly examples: readonly number[]
  /** Of the one that has waited longest; undefined: not known. */
  readonly sinceMs: number | undefined
}

/** Connected workers that stand alike towards the job. */
export interface WorkerGroup {
  readonly bar: WorkerBar
  readonly value: string
  readonly workers: number
  readonly threads: number
  readonly examples: readonly NodeId[]
  readonly sinceMs: number | undefined
}

/** Why a worker was turned away: its key runs elsewhere, or it speaks no version of the protocol that the owner does. */
export type RefusalCode = 'exists' | 'unsupported'

/** A worker key that was turned away of late. */
export interface RefusedKey {
  readonly nodeId: NodeId
  readonly reason: string
  readonly code: RefusalCode
  readonly agoMs: number
}

/** One unit as an owner sees it. */
export interface UnitSight {
  readonly unit: number
  readonly shard: number
  readonly state: UnitState
  readonly wait: UnitWait
  readonly sinceMs: number | undefined
  /** Opinions that are in, and failures of hosts, each with the most there may be. */
  readonly answers: number
  readonly errors: number
  readonly instancesMax: number
  readonly errorsMax: number
  readonly leases: readonly LeaseSight[]
  /** The key drawn for the next opinion, and how long ago. */
  readonly drawn: NodeId | undefined
  readonly drawnMs: number
  /** Still to rest after failures of hosts; 0: it does not. */
  readonly restingMs: number
  /** Granted by other owners, as they tell. */
  readonly elsewhere: readonly LeaseSight[]
}

/** An instance that is being computed. */
export interface LeaseSight {
  /** Undefined: its owner does not say. */
  readonly worker: NodeId | undefined
  readonly sinceMs: number
  /** Since it last made progress, and the steps it had made then. */
  readonly movedMs: number
  readonly fuel: bigint
}

/** Something that happened to a unit. */
export interface UnitEvent {
  readonly unit: number
  readonly agoMs: number
  readonly what: UnitEventWord
  readonly worker: NodeId | undefined
  readonly detail: string
}
