import type { Vote } from '../../../job/facts/votes.js'
import type { Judgement } from '../../../job/verdict/judgement.js'
import type { Digest, NodeId, PublicKey, UnitState } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import type { Doubt } from './doubts.js'
import type { PastEvent } from './history.js'
import type { SessionId } from './messages.js'
import type { Shard } from './shard.js'
import type { Instance, WorkerRecord } from './worker-record.js'

/** An output that a worker was asked for. */
interface OutputFetch {
  readonly worker: WorkerRecord
  readonly session: number
  readonly bytes: number
  /** When it was asked for, or last brought some more of it. */
  movedAt: Millis
  /** Some of it has come. */
  hasMoved: boolean
}

/** A unit that has been granted or reported at least once. Untouched units have no record. */
export interface UnitRecord {
  readonly unit: number
  readonly shard: Shard
  votes: Vote[]
  held: Instance[]
  reported: Instance[]
  state: UnitState
  judgement: Judgement | undefined
  /** Digests whose bytes are kept here. */
  kept: Digest[]
  /** Since when it has wanted an opinion that nobody has been granted. */
  wantedSince: Millis
  reservedFor: WorkerRecord | undefined
  reservedAt: Millis
  /** Back-off after host failures, or the end of being held. */
  notBefore: Millis
  /** Host failures when `notBefore` was last set by one. */
  hostVotes: number
  /** The queue of its shard that it waits in; an entry in the other one is stale. */
  queue: 'again' | 'undrawn' | undefined
  /** Instances that other owners say they have handed out: by worker, until when that is believed. */
  elsewhere: Map<PublicKey, Millis> | undefined
  /** For how long that was believed in all, by the owner that said so. */
  claimed: Map<NodeId, Millis> | undefined
  /** Accepted at, for the bytes that are still missing. */
  acceptedAt: Millis
  /** Who is to bring them. */
  bringing: OutputFetch | undefined
  /** When they were last asked for, waited for their turn, or came nearer: here or to another owner. */
  hopeAt: Millis
  /** What happened to it, while it is not decided. */
  past: PastEvent[] | undefined
  /** Streams of workers that were asked for the bytes already, in vain so far. */
  fetchTried: Set<SessionId> | undefined
  /** One donor would be believed, and a second one is asked all the same. */
  spotChecked: boolean
  /** Only strangers' grants have settled it, at some time; see `Doubts`. */
  doubt: Doubt | undefined
}

/** What a vote or an event changed about a unit. */
export type UnitChange = { readonly record: UnitRecord; readonly before: UnitState; readonly after: UnitState }

/** Whether nothing is asked for a unit any more: it is settled, or has failed for good. */
export function isDecided(state: UnitState): state is 'settled' | 'failed' {
  return state === 'settled' || state === 'failed'
}

/** Whether a unit was not decided before, or otherwise: its result can be read from now on. */
export function isNewlyDecided({ before, after }: UnitChange): boolean {
  return after !== before && isDecided(after)
}
