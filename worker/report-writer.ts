import { isDeterministic } from '../job/facts/digest.js'
import { reportCodec, reportFactCodec } from '../proto/codec/facts.js'
import { INLINE_OUTPUT_BYTES_MAX } from '../proto/limits.js'
import type { Digest, JobId, NodeId, PublicKey, Report, ReportFact } from '../proto/model.js'
import type { UnitBytes } from '../proto/work-messages.js'
import { toGridError } from '../runtime/errors.js'
import type { Rate } from '../runtime/rate.js'
import type { Endpoint } from '../runtime/transport.js'
import type { KeptReport, WorkerEffect, WorkerEvent } from './core/messages.js'
import type { SettledCost, SettledJob } from './core/settled-book.js'
import { unitName } from './core/unit-name.js'
import type { WorkerCore } from './core/worker-core.js'
import type { WorkerDependencies } from './dependencies.js'
import type { ReportedWork } from './journal.js'
import type { KnownSpecs } from './known-specs.js'
import type { NewlyCounted } from './ledger.js'
import { type OutputRequested, OutputUploads } from './output-uploads.js'

/** Reports remembered that are to leave the journal while the ledger cannot be written. */
const STAYING_MAX = 16_384
/**
 * What a report and each unit in it take in memory beside their bytes, in the tables here and in the core: most of what reports
 * of short units take. Measured with Node 20 over full and single reports. Unit: bytes.
 */
const REPORT_BESIDES_BYTES = 2 * 1024
const UNIT_BESIDES_BYTES = 600

/** A report with what travels beside it. */
interface WrittenReport {
  readonly fact: ReportFact
  readonly outputs: readonly UnitBytes[]
  readonly wallMs: number
  /** What the ledger is to know of it. */
  readonly job: SettledJob
  readonly units: ReadonlyMap<number, SettledCost>
}

interface ReportWriterParts {
  readonly dependencies: Pick<
    WorkerDependencies,
    'logger' | 'sha256' | 'transport' | 'clock' | 'signer' | 'donor' | 'journal' | 'ledger' | 'options'
  >
  readonly core: WorkerCore
  readonly specs: KnownSpecs
  readonly handle: (event: WorkerEvent) => void
  /** Where to bring an output; undefined: that owner is not there. */
  readonly endpoint: (owner: NodeId) => Endpoint | undefined
}

/**
 * Signs reports and keeps them, with their outputs: a report is in the journal, on disk, before `reportKept` says so, and
 * leaves it when it is dropped. Small outputs stand beside their report; large ones are in memory only, until their unit is
 * settled, and go to the owner that asks. Past a bound of bytes in memory `outputsFull` says so.
 */
export class ReportWriter {
  readonly #d: ReportWriterParts['dependencies']
  readonly #core: WorkerCore
  readonly #specs: KnownSpecs
  readonly #handle: (event: WorkerEvent) => void
  readonly #written = new Map<Digest, WrittenReport>()
  /** Dropped, and not forgotten yet: an owner may ask again. */
  readonly #past = new Map<Digest, WrittenReport>()
  /** Outputs of units computed and not yet reported. */
  readonly #fresh = new Map<string, Uint8Array>()
  /** Large outputs until their units are settled. */
  readonly #large = new Map<string, Uint8Array>()
  #largeBytes = 0
  /** Reports not settled, with the outputs beside them. */
  #writtenBytes = 0
  /** Reports that are done with, and leave the journal with the flush of the ledger that what they counted is in. */
  readonly #leaving = new Map<Promise<void>, Set<Digest>>()
  /** Those whose flush has failed: they leave with the next. */
  readonly #staying = new Set<Digest>()
  readonly #uploads: OutputUploads
  #full = false

  constructor({ dependencies, core, specs, handle, endpoint }: ReportWriterParts) {
    this.#d = dependencies
    this.#core = core
    this.#specs = specs
    this.#handle = handle
    const { clock, logger, transport } = dependencies
    const output = (jobId: JobId, unit: number) =>
      this.#large.get(unitName(jobId, unit)) ?? this.#smallOutput(jobId, unit)
    this.#uploads = new OutputUploads({ clock, logger, transport, endpoint, output })
  }

  /** Of large outputs. */
  get rate(): Rate {
    return this.#uploads.rate
  }

  /** Ends uploads of outputs. Reports are written and dropped as before. Safe to call twice. */
  close(): void {
    this.#uploads.close()
  }

  /** Takes up what the journal holds from before. */
  restore(): void {
    for (const { id, fact, outputs, work } of this.#d.journal.entries()) {
      const decoded = reportFactCodec.decode(fact)
      const report = reportCodec.decode(decoded.report.bytes)
      this.#keep(id, { fact: decoded, outputs, wallMs: 0, ...forLedger(report, work) })
      this.#handle({ type: 'reportKept', report: this.#keptReport(id, report), owner: undefined })
    }
  }

  /** A report that was not dropped yet. */
  get(reportId: Digest): WrittenReport | undefined {
    return this.#written.get(reportId)
  }

  /** The output of a unit just computed, for the report it will be in. */
  addOutput(jobId: JobId, unit: number, output: Uint8Array): void {
    this.#fresh.set(unitName(jobId, unit), output)
  }

  /** Outputs of units that were withdrawn meanwhile are in no report. */
  forgetUnreported(units: Iterable<{ readonly jobId: JobId; readonly unit: number }>): void {
    for (const { jobId, unit } of units)
      if (!this.#core.isWaiting(jobId, unit)) this.#fresh.delete(unitName(jobId, unit))
  }

  /** Signs a report over computed units and keeps it; `reportKept` follows. */
  async write({ owner, jobId, shard, units, grants }: Extract<WorkerEffect, { type: 'keepReport' }>): Promise<void> {
    const { signer, donor, sha256, journal, logger } = this.#d
    const report: Report = {
      jobId,
      shard,
      worker: signer.publicKey,
      donor: donor?.publicKey ?? signer.publicKey,
      donorSignature: donor?.signature ?? new Uint8Array(0),
      results: units.map(({ unit, outcome, digest, outputBytes, fuel }) => ({
        unit,
        outcome,
        digest,
        outputBytes,
        fuel,
      })),
    }
    const outputs: UnitBytes[] = []
    let wallMs = 0
    for (const { unit, outcome, wallMs: unitMs } of units) {
      wallMs += unitMs
      const name = unitName(jobId, unit)
      const output = this.#fresh.get(name)
      this.#fresh.delete(name)
      // A unit that wrote nothing has an output all the same: its encoding is empty.
      if (output === undefined || !isDeterministic(outcome)) continue
      if (output.length <= INLINE_OUTPUT_BYTES_MAX) outputs.push({ unit, bytes: output })
      else this.#keepLarge(name, output)
    }
    const spec = this.#specs.get(jobId)
    const work: ReportedWork | undefined = spec && {
      submitter: spec.submitter,
      jobName: spec.name,
      computeMs: units.map((unit) => unit.wallMs),
    }
    const bytes = reportCodec.encode(report)
    const fact: ReportFact = { report: { bytes, signature: signer.sign('report', bytes) }, grants }
    const reportId = sha256(bytes)
    this.#keep(reportId, { fact, outputs, wallMs, ...forLedger(report, work) })
    try {
      await journal.append({ id: reportId, fact: reportFactCodec.encode(fact), outputs, ...(work && { work }) })
    } catch (error) {
      // The report still goes out, from memory; what is lost is only its survival of a crash of this worker.
      logger.error('report not kept on disk', { error: toGridError(error).message })
    }
    this.#handle({ type: 'reportKept', report: this.#keptReport(reportId, report), owner })
  }

  /** A report that was dropped is wanted once more; from memory alone if it has left the journal, as owners have it on disk. */
  recall(reportId: Digest): void {
    const past = this.#past.get(reportId)
    if (past === undefined) return
    this.#keep(reportId, past)
  }

  /** A dropped report will not be wanted any more. */
  forget(reportId: Digest): void {
    this.#past.delete(reportId)
  }

  /** Removes a report from disk, once what was counted of it is in the ledger on disk. It stays here until it is forgotten. */
  drop(reportId: Digest): void {
    const { ledger } = this.#d
    const written = this.#written.get(reportId)
    this.#written.delete(reportId)
    if (written !== undefined) {
      this.#past.set(reportId, written)
      this.#writtenBytes -= bytesOf(written)
      // Of a report that was refused: nobody will ask for them, unless the unit is in another one.
      const { jobId } = written.job
      for (const unit of written.units.keys()) if (!this.#core.isReported(jobId, unit)) this.#dropLarge(jobId, unit)
    }
    this.#checkFull()
    const flushed = ledger.flushed()
    const leaving = this.#leaving.get(flushed) ?? this.#leaveAfter(flushed)
    leaving.add(reportId)
  }

  /**
   * The reports that leave the journal once `flushed`: not those that are dropped while it is under way, as what they counted is
   * in the flush after it.
   */
  #leaveAfter(flushed: Promise<void>): Set<Digest> {
    const { journal, logger } = this.#d
    const leaving = new Set(this.#staying)
    this.#leaving.set(flushed, leaving)
    this.#staying.clear()
    flushed.then(
      () => {
        this.#leaving.delete(flushed)
        journal.remove([...leaving])
      },
      (error: unknown) => {
        this.#leaving.delete(flushed)
        logger.warn('settled units not kept on disk', { error: toGridError(error).message })
        for (const id of leaving) this.#staying.add(id)
        // The oldest of very many are offered again at the next start.
        for (const id of this.#staying) {
          if (this.#staying.size <= STAYING_MAX) break
          this.#staying.delete(id)
        }
      },
    )
    return leaving
  }

  /**
   * Units of a job that their owner has called settled: their large outputs may go, and the ledger counts those that it has
   * not yet. Gives how many that were.
   */
  settled(jobId: JobId, agreed: readonly number[], disagreed: readonly number[]): NewlyCounted {
    const counted = { agreed: 0, disagreed: 0 }
    const byReport = new Map<WrittenReport, { agreed: SettledCost[]; disagreed: SettledCost[] }>()
    const sort = (unit: number, to: 'agreed' | 'disagreed') => {
      this.#dropLarge(jobId, unit)
      const reportId = this.#core.reportOf(jobId, unit)
      const report = reportId === undefined ? undefined : this.#written.get(reportId)
      const one = report?.units.get(unit)
      if (report === undefined || one === undefined) return
      const lists = byReport.get(report) ?? { agreed: [], disagreed: [] }
      lists[to].push(one)
      byReport.set(report, lists)
    }
    for (const unit of agreed) sort(unit, 'agreed')
    for (const unit of disagreed) sort(unit, 'disagreed')
    for (const [{ job }, lists] of byReport) {
      const added = this.#d.ledger.settle(job, lists.agreed, lists.disagreed)
      counted.agreed += added.agreed
      counted.disagreed += added.disagreed
    }
    return counted
  }

  #dropLarge(jobId: JobId, unit: number): void {
    const name = unitName(jobId, unit)
    const output = this.#large.get(name)
    if (output === undefined) return
    this.#large.delete(name)
    this.#largeBytes -= output.length
    this.#checkFull()
  }

  /**
   * Sends one output to an owner that asked for it. Answers of open units are for the owner that has their report, and for
   * nobody else who asks.
   */
  upload(owner: NodeId, fetch: OutputRequested): void {
    if (!this.#core.isReportedTo(owner, fetch.jobId, fetch.unit)) return
    this.#uploads.ask(owner, fetch)
  }

  #smallOutput(jobId: JobId, unit: number): Uint8Array | undefined {
    const reportId = this.#core.reportOf(jobId, unit)
    return reportId && this.#written.get(reportId)?.outputs.find((output) => output.unit === unit)?.bytes
  }

  #keep(reportId: Digest, written: WrittenReport): void {
    const known = this.#written.get(reportId)
    this.#writtenBytes += bytesOf(written) - (known === undefined ? 0 : bytesOf(known))
    this.#written.set(reportId, written)
    this.#past.delete(reportId)
    // What is under way once more is not to leave the journal for having been done with.
    this.#staying.delete(reportId)
    for (const leaving of this.#leaving.values()) leaving.delete(reportId)
    this.#checkFull()
  }

  #keptReport(reportId: Digest, { jobId, shard, results }: Report): KeptReport {
    const own = results.filter(({ outcome }) => outcome !== 'host')
    const large = own.filter(
      ({ outcome, outputBytes }) => isDeterministic(outcome) && outputBytes > INLINE_OUTPUT_BYTES_MAX,
    )
    const written = this.#written.get(reportId)
    return {
      reportId,
      jobId,
      shard,
      units: own.map(({ unit }) => unit),
      large: large.map(({ unit }) => unit),
      bytes: written === undefined ? 0 : bytesOf(written),
    }
  }

  #keepLarge(name: string, output: Uint8Array): void {
    this.#largeBytes += output.length - (this.#large.get(name)?.length ?? 0)
    this.#large.set(name, output)
    this.#checkFull()
  }

  #checkFull(): void {
    // An owner that never settles anything must not fill this machine: nothing new is asked for meanwhile.
    const full = this.#largeBytes + this.#writtenBytes > this.#d.options.outputBytesMax
    if (full === this.#full) return
    this.#full = full
    // Not from within an event of the core.
    queueMicrotask(() => this.#handle({ type: 'outputsFull', full }))
  }
}

/** What the ledger is to know of a report; without `work`, of a former version, not whose it was and how long it took. */
function forLedger({ jobId, results }: Report, work: ReportedWork | undefined): Pick<WrittenReport, 'job' | 'units'> {
  const units = results.map(({ unit, fuel }, i): [number, SettledCost] => [
    unit,
    { unit, fuel, computeMs: work?.computeMs[i] ?? 0 },
  ])
  return {
    job: { jobId, jobName: work?.jobName ?? '', submitter: work?.submitter ?? ('' as PublicKey) },
    units: new Map(units),
  }
}

/** What a report takes in memory, roughly. */
function bytesOf({ fact, outputs, units }: WrittenReport): number {
  const grants = fact.grants.reduce((sum, { bytes }) => sum + bytes.length, 0)
  const besides = REPORT_BESIDES_BYTES + UNIT_BESIDES_BYTES * units.size
  return outputs.reduce((sum, { bytes }) => sum + bytes.length, fact.report.bytes.length + grants + besides)
}
