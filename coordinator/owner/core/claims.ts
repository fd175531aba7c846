import type { GrantRun, NodeId, PublicKey } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import type { OwnerEvent } from './messages.js'
import type { OwnerTables } from './owner-tables.js'
import type { Shard } from './shard.js'
import type { UnitQueue } from './unit-queue.js'
import type { UnitRecord } from './unit-record.js'

/** Instances of one unit at other owners that are kept in mind. */
const ELSEWHERE_MAX = 16
/** What an owner says it has out is believed no longer than this; it repeats it. */
const ELSEWHERE_MS_MAX = 30_000
/**
 * An owner's word that a unit is out is believed for so long in all, and three times as long as an instance takes; its worker
 * may say so itself for longer. Three times what an opinion is kept for a key that does not come for it. Without a bound one
 * lying owner would stop a shard by claiming all of it, with keys that do not exist.
 */
export const CLAIMED_MS: Millis = 180_000
const CLAIMED_P95S = 3
/** Owners whose claims on one unit are added up: those that are heard on a shard. */
const CLAIMANTS_MAX = 8

/** What other owners of a shard say they have handed out: soft state, and no more than their word. */
export class Claims {
  readonly #state: OwnerTables
  readonly #queue: UnitQueue

  constructor(state: OwnerTables, queue: UnitQueue) {
    this.#state = state
    this.#queue = queue
  }

  /** Another owner has units out: they are not asked for here while that is believed. */
  heard(event: Extract<OwnerEvent, { type: 'otherGranted' }>, now: Millis): void {
    const { worker, grantor, runs, durationMs, isKept } = event
    const shard = this.#state.shard(event.jobId, event.shard)
    if (shard === undefined) return
    const until = now + Math.min(ELSEWHERE_MS_MAX, durationMs)
    for (const { first, count } of runs) {
      for (let unit = first; unit < first + count; unit++) {
        if (!shard.contains(unit)) continue
        const record = shard.touch(unit, now)
        if (record.votes.some((vote) => vote.worker === worker)) continue
        // Both keep it for somebody: one of the two lets go.
        if (isKept && record.reservedFor !== undefined && this.#state.context.self < grantor) continue
        if (!isBelieved(record, grantor)) continue
        record.elsewhere ??= new Map()
        const before = record.elsewhere.get(worker)
        if (before === undefined) shard.history.note(record, 'elsewhere', now, this.#state.workers.get(worker)?.nodeId)
        if (before !== undefined || record.elsewhere.size < ELSEWHERE_MAX) record.elsewhere.set(worker, until)
        record.claimed ??= new Map()
        const claimedMs = record.claimed.get(grantor) ?? 0
        record.claimed.set(grantor, claimedMs + Math.max(0, until - Math.max(now, before ?? now)))
        this.#queue.ask(record, now)
      }
    }
  }

  /** Whether a worker is asked for one of these units by `grantor`, and that was not known. Not what is not believed any more. */
  areNews(shard: Shard, grantor: NodeId, worker: PublicKey, runs: readonly GrantRun[]): boolean {
    return runs.some(({ first, count }) => {
      for (let unit = first; unit < first + count; unit++) {
        const record = shard.record(unit)
        if (record === undefined ? shard.contains(unit) : !isKnownOf(record, worker) && isBelieved(record, grantor))
          return true
      }
      return false
    })
  }
}

/** Whether the owner has not said yet for too long that the unit is out. */
function isBelieved({ claimed, shard }: UnitRecord, grantor: NodeId): boolean {
  if (claimed === undefined) return true
  const claimedMs = claimed.get(grantor)
  if (claimedMs === undefined) return claimed.size < CLAIMANTS_MAX
  return claimedMs < CLAIMED_MS + CLAIMED_P95S * (shard.job.durations.p95 ?? 0)
}

/** Whether the worker is known to compute the unit for another owner, or to have answered. */
function isKnownOf({ elsewhere, votes }: UnitRecord, worker: PublicKey): boolean {
  return elsewhere?.has(worker) === true || votes.some((vote) => vote.worker === worker)
}
