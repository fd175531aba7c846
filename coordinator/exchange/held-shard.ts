import type { Digest, Key, NodeId } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import type { Endpoint } from '../../runtime/transport.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { FactSet } from '../sync/core/fact-set.js'
import type { Custody } from './custody.js'

/** A shard that this peer has on disk: open, or at rest because nothing is left to do in it. */
export interface HeldShard {
  readonly job: BookedJob
  readonly shard: number
  readonly key: Key
  readonly custody: Custody
  /** Ids of its facts; undefined at rest, until somebody wants to compare. */
  facts: FactSet | undefined
  /** Some of {@link facts} were deleted since. */
  readonly gone: Set<Digest>
  /** Facts that there is no room for, the newest last: nobody is asked for them. */
  readonly crowdedOut: Set<Digest>
  isOpen: boolean
  readonly openedAt: Millis
  /** Since when other owners are asked, before it may be granted from. */
  askedAt: Millis
  /** Who has answered since then that it knows nothing of the shard, which others may. */
  readonly knowNothing: Set<NodeId>
  /** It may be granted from: an owner was asked what it knows, or none answered. */
  isServing: boolean
  /** Its owners by the routing table, nearest first, this node among them or not. */
  owners: readonly Endpoint[]
  /** The same without this node. */
  others: readonly Endpoint[]
  /** Owners that hand out units of it, as the core was told last; empty: it was not. */
  told: string
  /** Since when this node has stood too far down to keep it; undefined: it has not. */
  outsideSince: Millis | undefined
  /** Syncs since then that found nothing lacking at the peer. */
  cleanSyncs: number
}

/** Names a shard in tables; begins with the id of its job. */
export function heldName({ job, shard }: Pick<HeldShard, 'job' | 'shard'>): string {
  return `${job.jobId}/${shard}`
}
