import type { PublicKey } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { type Drafts, grantCopy } from './drafts.js'
import { drawWorker, failuresOf, isDistinct } from './draw.js'
import type { OwnerTables } from './owner-tables.js'
import { drawRules, mayWork } from './unit-queue.js'
import type { UnitRecord } from './unit-record.js'
import type { Instance, WorkerRecord } from './worker-record.js'

/** A unit's last instance is copied once it runs longer than this many times the 95th percentile. */
const STRAGGLER_FACTOR = 2
const STRAGGLER_MIN_MS = 1_000
/** Time between two draws for one straggler's copy. */
const COPY_DRAW_MS = 500
/** Instances looked at for a straggler. */
const STRAGGLER_SCAN_MAX = 4_096

/** Copies of units that run long, when nothing else is left to give: what one slow machine holds does not hold up the job. */
export class Stragglers {
  readonly #state: OwnerTables
  /** When somebody was last drawn for a copy of a unit. */
  readonly #copyDrawnAt = new WeakMap<UnitRecord, Millis>()

  constructor(state: OwnerTables) {
    this.#state = state
  }

  /**
   * One extra copy of the instance that has run longest, when there is nothing else to give. Like any further opinion it is
   * drawn among all, and given only when the draw falls on a key that has nothing in hand: whoever asks first is the fast
   * ring, one key of which stalls a unit until a friend gets the copy.
   */
  copy(worker: WorkerRecord, drafts: Drafts, now: Millis, wallMs: Millis): void {
    let worst: Instance | undefined
    let seen = 0
    for (const other of this.#state.connected) {
      if (other === worker) continue
      for (const instance of other.held) {
        if (++seen > STRAGGLER_SCAN_MAX) break
        const { job } = instance.shard
        const p95 = job.durations.p95
        if (p95 === undefined || now - instance.grantedAt < Math.max(STRAGGLER_MIN_MS, STRAGGLER_FACTOR * p95)) continue
        if (worst !== undefined && worst.grantedAt <= instance.grantedAt) continue
        const { record } = instance
        if (record.held.length > instance.shard.wanted(record) || record.reservedFor !== undefined) continue
        if (instance.shard.quietUntil > now) continue
        if (now - (this.#copyDrawnAt.get(record) ?? Number.NEGATIVE_INFINITY) < COPY_DRAW_MS) continue
        // Each donor has one vote: a copy whose vote cannot count would use one up.
        if (this.#state.isCapped(record) || this.#state.leansHere(record)) continue
        if (!isDistinct(worker, record) || failuresOf(worker, record) > 0) continue
        if (!mayWork(worker, job) || !worker.isFree(job.jobId, now) || job.refusal(wallMs) !== '') continue
        if (job.isConvicted(worker)) continue
        worst = instance
      }
    }
    if (worst === undefined) return
    const { record, shard } = worst
    const state = this.#state
    if (!this.#hasSpareDonor(record, now)) return
    this.#copyDrawnAt.set(record, now)
    const drawn = drawWorker(record, state.connected, drawRules(state, shard, now), state.context.random)
    if (drawn === worker) drafts.add(record, now)
    else if (drawn !== undefined && drawn.held.size === 0) grantCopy(this.#state, drawn, record, now)
  }

  /**
   * Where votes of a grantor are capped, a copy may be answered beside the original, and one of the two then counts for nothing:
   * there must be another donor left for the grant of another owner.
   */
  #hasSpareDonor(record: UnitRecord, now: Millis): boolean {
    const { shard } = record
    if (shard.rules.minGrantors === 1) return true
    const { mayWork: may } = drawRules(this.#state, shard, now)
    const donors = new Set<PublicKey>()
    for (const worker of this.#state.connected) {
      if (isDistinct(worker, record) && may(worker, record)) donors.add(worker.donor)
      if (donors.size > 1) return true
    }
    return false
  }
}
