import { INLINE_OUTPUT_BYTES_MAX } from '../../proto/limits.js'
import type { Digest, JobId, Signed } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { assert } from '../../runtime/errors.js'
import type { Link } from './links.js'
import type { ComputedUnit, KeptReport, WorkerEffect } from './messages.js'
import { unitName } from './unit-name.js'
import type { HeldGrant } from './work-in-hand.js'

/** Units of a report. */
const REPORT_UNITS_MAX = 64
/** Bytes of outputs that travel beside one report. */
const REPORT_OUTPUT_BYTES_MAX = 32 * 1024
/** Bytes of grants that travel with one report, so that it stays under what a stream message may have. */
const REPORT_GRANT_BYTES_MAX = 12 * 1024

/** Computed units of one shard that wait to be reported together. */
interface Batch {
  readonly jobId: JobId
  readonly shard: number
  readonly link: Link
  units: ComputedUnit[]
  grants: Map<Digest, Signed>
  grantBytes: number
  outputBytes: number
  since: Millis
}

/**
 * Computed units until they are in a report: each waits in a batch -> its report is being kept -> is kept, and the affair of
 * `ReportBook`. What is to be done goes to the end of `effects`.
 */
export class ReportBatches {
  readonly #effects: WorkerEffect[]
  readonly #batches = new Map<string, Batch>()
  /** Units in batches, and in reports that are being kept. */
  readonly #waiting = new Set<string>()
  /** Reports on their way to the journal. */
  #keeping = 0

  constructor(effects: WorkerEffect[]) {
    this.#effects = effects
  }

  /** Nothing waits to be reported. */
  get isEmpty(): boolean {
    return this.#keeping === 0 && this.#batches.size === 0
  }

  /** Whether a computed unit waits to be put into a report. */
  has(jobId: JobId, unit: number): boolean {
    return this.#waiting.has(unitName(jobId, unit))
  }

  /** A unit that was held under `held` is computed. */
  add(unit: ComputedUnit, held: HeldGrant, now: Millis): void {
    const { grant, link, signed } = held
    const name = `${grant.jobId}/${grant.shard}/${link.endpoint.nodeId}`
    let batch = this.#batches.get(name)
    if (batch === undefined) {
      batch = {
        jobId: grant.jobId,
        shard: grant.shard,
        link,
        units: [],
        grants: new Map(),
        grantBytes: 0,
        outputBytes: 0,
        since: now,
      }
      this.#batches.set(name, batch)
    }
    const bytes = unit.outputBytes <= INLINE_OUTPUT_BYTES_MAX ? unit.outputBytes : 0
    const isFull =
      batch.outputBytes + bytes > REPORT_OUTPUT_BYTES_MAX ||
      (!batch.grants.has(held.id) && batch.grantBytes + signed.bytes.length > REPORT_GRANT_BYTES_MAX)
    if (batch.units.length > 0 && isFull) this.#flush(name, batch)
    if (batch.units.length === 0) batch.since = now
    batch.units.push(unit)
    this.#waiting.add(unitName(unit.jobId, unit.unit))
    if (!batch.grants.has(held.id)) batch.grantBytes += signed.bytes.length
    batch.grants.set(held.id, signed)
    batch.outputBytes += bytes
    if (batch.units.length >= REPORT_UNITS_MAX) this.#flush(name, batch)
  }

  /**
   * Makes reports of the batches that have waited for `waitMs`.
   * @returns when the next one has; infinite: none waits
   */
  flushDue(waitMs: (jobId: JobId) => Millis, now: Millis): Millis {
    let dueAt = Number.POSITIVE_INFINITY
    for (const [name, batch] of this.#batches) {
      if (batch.units.length === 0) this.#batches.delete(name)
      else {
        const batchDueAt = batch.since + waitMs(batch.jobId)
        if (now >= batchDueAt) this.#flush(name, batch)
        else dueAt = Math.min(dueAt, batchDueAt)
      }
    }
    return dueAt
  }

  /** A report that was asked for is in the journal. */
  kept({ jobId, units }: KeptReport): void {
    this.#keeping--
    for (const unit of units) this.#waiting.delete(unitName(jobId, unit))
  }

  checkInvariants(): void {
    assert(this.#keeping >= 0, 'a report is kept once')
    for (const { units } of this.#batches.values())
      for (const { jobId, unit } of units) assert(this.has(jobId, unit), 'a unit waits while it is in a batch')
  }

  #flush(name: string, batch: Batch): void {
    this.#batches.delete(name)
    const units = [...batch.units].sort((a, b) => a.unit - b.unit)
    // The others wait until the report is kept: until then a second grant of such a unit must not start it again.
    for (const { jobId, unit, outcome } of units) if (outcome === 'host') this.#waiting.delete(unitName(jobId, unit))
    this.#keeping++
    this.#effects.push({
      type: 'keepReport',
      owner: batch.link.endpoint.nodeId,
      jobId: batch.jobId,
      shard: batch.shard,
      units,
      // By ascending id, as a fact has them.
      grants: [...batch.grants].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, signed]) => signed),
    })
    batch.units = []
    batch.grants = new Map()
    batch.grantBytes = 0
    batch.outputBytes = 0
    this.#batches.set(name, batch)
  }
}
