import type { NodeId } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { isWithoutPart } from './draw.js'
import type { OwnerTables } from './owner-tables.js'
import type { Settling } from './settling.js'
import { drawRules } from './unit-queue.js'
import { isNewlyDecided, type UnitRecord } from './unit-record.js'

/** A doubted unit that nobody may be asked about for so long stands as the facts have it, unless a vote says otherwise. */
const NOBODY_LEFT_MS: Millis = 30_000
/** Doubted units of one job looked at for that in one sweep, in turns. */
const LOOKS_MAX = 256

/** Looks again at what `Doubts` hold back, as owners are met and as nobody is left to ask. */
export class Doubting {
  readonly #state: OwnerTables
  readonly #settling: Settling

  constructor(state: OwnerTables, settling: Settling) {
    this.#state = state
    this.#settling = settling
  }

  /** These are peers: what they granted counts here as well. */
  met(nodeIds: readonly NodeId[], now: Millis): void {
    const { grantors, jobs } = this.#state
    if (grantors === undefined) return
    const unknown = nodeIds.filter((nodeId) => !grantors.isMet(nodeId))
    grantors.meet(nodeIds)
    if (unknown.length === 0) return
    const known = new Set(unknown)
    for (const { doubts } of jobs.values()) {
      for (const nodeId of unknown) doubts.soughtFor(nodeId)
      this.#review(ofGrantors(doubts.doubted, known), now)
    }
  }

  /** No peer has this id. */
  missing(nodeId: NodeId, now: Millis): void {
    this.#state.grantors?.found(nodeId, false, now)
    for (const { doubts } of this.#state.jobs.values()) this.#review(doubts.soughtFor(nodeId), now)
  }

  /** To be called at times: ends doubts that nobody can settle, and begins those that may be begun now. */
  sweep(now: Millis): void {
    for (const { doubts } of this.#state.jobs.values()) {
      this.#review([...doubts.due()], now)
      const over = doubts.takeTurns(LOOKS_MAX).filter((record) => this.#isOver(record, now))
      for (const { doubt } of over) doubt!.isOver = true
      this.#review(over, now)
    }
  }

  /** Whether the unit waits for an opinion that nobody is there to give, or that others would have to grant and do not. */
  #isOver(record: UnitRecord, now: Millis): boolean {
    const { shard, doubt, queue, wantedSince } = record
    if (doubt === undefined || doubt.isContradicted || doubt.isOver) return false
    if (queue !== 'undrawn' || now - wantedSince < NOBODY_LEFT_MS || shard.quietUntil > now) return false
    const state = this.#state
    if (record.held.length > 0 || state.isElsewhere(record, now)) return false
    if (state.isOutside(shard) || state.isSpent(record) || state.leansHere(record)) return true
    const { mayWork } = drawRules(state, shard, now)
    const { connected } = state
    if (connected.some((worker) => isWithoutPart(worker, record) && mayWork(worker, record))) return false
    return connected.some((worker) => mayWork(worker, record))
  }

  #review(records: Iterable<UnitRecord>, now: Millis): void {
    for (const record of records) {
      if (this.#state.shard(record.shard.jobId, record.shard.shard) !== record.shard) continue
      const change = record.shard.review(record, now)
      this.#settling.after(change, now)
      const { jobId, shard } = record.shard
      if (isNewlyDecided(change)) this.#state.emit({ type: 'unitsDecided', jobId, shard, units: [record.unit] })
      if (change.after !== change.before) this.#state.emit({ type: 'shardChanged', jobId, shard })
    }
  }
}

function ofGrantors(records: ReadonlySet<UnitRecord>, grantors: ReadonlySet<NodeId>): UnitRecord[] {
  return [...records].filter(({ votes }) => votes.some(({ grantor }) => grantors.has(grantor)))
}
