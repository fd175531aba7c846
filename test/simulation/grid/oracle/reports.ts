import { reportCodec } from '../../../../proto/codec/facts.js'
import type { Digest, JobId, NodeId } from '../../../../proto/model.js'
import type { OwnerMessage, WorkerMessage } from '../../../../proto/work-messages.js'
import { sha256 } from '../../../../runtime/hash.js'
import type { Host } from '../../world/host.js'
import { JOURNAL_FILE } from '../processes.js'
import { readStore, shardName } from '../store-log.js'
import { type Notes, unitName } from './notes.js'

/** A report as its worker sent it, and what the oracle heard about it. */
export interface SentReport {
  readonly reportId: Digest
  readonly jobId: JobId
  readonly shard: number
  readonly units: readonly number[]
  readonly worker: Host
  readonly sentAtMs: number
  /** Key of the worker when it sent it: another one after its disk was lost. */
  readonly producer: NodeId
  /** Units that an owner has told the worker to be settled. */
  readonly settled: Set<number>
  readonly acks: { readonly holders: readonly NodeId[]; readonly isDurable: boolean }[]
  /** The worker had it on its own disk when it was first acknowledged. */
  isJournaled: boolean
  /** Disks lost in the whole run when it was first acknowledged. */
  diskLosses: number
  /** An owner has said that it changes nothing. */
  isRefused: boolean
}

/** A report that an owner has acknowledged. */
export interface Acknowledged {
  readonly reportId: Digest
  readonly jobId: JobId
  readonly shard: number
  /** Its producer has it on disk, and was not told yet that it may drop it. */
  readonly isKept: boolean
}

/** What workers say and hear of their reports: one that they are told to be settled may leave their disk. */
export class Reports {
  readonly #notes: Notes
  readonly #reports = new Map<Digest, SentReport>()
  /** Reports by worker host and unit. */
  readonly #byUnit = new Map<string, Set<SentReport>>()
  /** When a worker last sent a report for the first time. */
  lastSentAtMs = 0

  constructor(notes: Notes) {
    this.#notes = notes
  }

  get(reportId: Digest): SentReport | undefined {
    return this.#reports.get(reportId)
  }

  all(): Iterable<SentReport> {
    return this.#reports.values()
  }

  said(worker: Host, message: WorkerMessage): void {
    if (message.type !== 'report') return
    const reportId = sha256(message.fact.report.bytes)
    if (this.#reports.has(reportId)) return
    const { jobId, shard, results } = reportCodec.decode(message.fact.report.bytes)
    const report: SentReport = {
      reportId,
      jobId,
      shard,
      // A host failure is no vote: its producer need not keep it.
      units: results.filter(({ outcome }) => outcome !== 'host').map(({ unit }) => unit),
      worker,
      sentAtMs: this.#notes.world.nowMs,
      producer: worker.caller.nodeId,
      settled: new Set(),
      acks: [],
      isJournaled: false,
      diskLosses: this.#diskLosses,
      isRefused: false,
    }
    this.#reports.set(reportId, report)
    this.lastSentAtMs = report.sentAtMs
    for (const unit of report.units) {
      const name = `${report.producer} ${unitName(jobId, unit)}`
      const reports = this.#byUnit.get(name) ?? new Set()
      this.#byUnit.set(name, reports.add(report))
    }
  }

  heard(worker: Host, message: OwnerMessage): void {
    if (message.type === 'settled') {
      for (const unit of [...message.agreed, ...message.disagreed]) {
        const reports = this.#byUnit.get(`${worker.caller.nodeId} ${unitName(message.jobId, unit)}`) ?? []
        for (const report of reports) {
          report.settled.add(unit)
          this.#checkSettled(report)
        }
      }
    } else if (message.type === 'refused') {
      // An owner that has settled all its units without it may say so: then the producer need not keep it.
      const report = this.#reports.get(message.report)
      for (const unit of report?.units ?? []) report?.settled.add(unit)
      if (report !== undefined) report.isRefused = true
    } else if (message.type === 'ack') {
      for (const reportId of message.reports) {
        const report = this.#reports.get(reportId)
        if (report === undefined) continue
        const { holders, wanted } = message
        if (report.acks.length === 0) {
          const journal = worker.disk.contents(JOURNAL_FILE)
          report.isJournaled = journal !== undefined && Buffer.from(journal).includes(reportId)
        }
        report.acks.push({ holders, isDurable: holders.length >= wanted })
        this.#checkSettled(report)
        this.#notes.world.count('acksHeard')
        this.#notes.world.count(holders.length >= wanted ? 'durableAcks' : 'partialAcks')
      }
    }
  }

  /** Every report acknowledged so far. */
  acknowledged(): Acknowledged[] {
    const acked = [...this.#reports.values()].filter(({ acks }) => acks.length > 0)
    return acked.map(({ reportId, jobId, shard, isJournaled, settled, units }) => ({
      reportId,
      jobId,
      shard,
      isKept: isJournaled && settled.size < units.length,
    }))
  }

  get #diskLosses(): number {
    const { diskLoss = 0, isolatedAndLost = 0 } = this.#notes.world.counters()
    return diskLoss + isolatedAndLost
  }

  /**
   * A producer that is told that all its units are settled drops its report: by then two owners must have, of each unit, this
   * report or another of that producer, whatever the acknowledgement said. A withholder that says it has everything is
   * believed. Not looked at once a disk has been lost since it was sent: an owner may count on that one still.
   */
  #checkSettled(report: SentReport): void {
    const { reportId, jobId, shard, worker, acks, settled, units, diskLosses, isRefused, sentAtMs } = report
    if (this.#notes.plan.owners === 1 || isRefused || settled.size < units.length || units.length === 0) return
    if (acks.length === 0 || acks.some(({ isDurable }) => isDurable) || diskLosses !== this.#diskLosses) return
    const claims = (this.#notes.claimedAt.get(shardName(jobId, shard)) ?? Number.NEGATIVE_INFINITY) >= sentAtMs ? 1 : 0
    const disks = Math.min(...units.map((unit) => this.#disksWith(report, unit)))
    this.#notes.check(
      disks + claims >= 2,
      `${worker.name} is told that all of report ${reportId.slice(0, 8)} is settled, which ${disks} owners have on disk`,
    )
    this.#notes.world.count('thinMadeDurable')
  }

  /** Hosts with what the producer of a report said of a unit, in that report or in the one that most of them have. */
  #disksWith({ producer, jobId }: SentReport, unit: number): number {
    const reports = [...(this.#byUnit.get(`${producer} ${unitName(jobId, unit)}`) ?? [])]
    const disks = this.#notes.world.hosts.map(({ disk }) => readStore(disk).reports)
    return Math.max(...reports.map(({ reportId }) => disks.filter((kept) => kept.has(reportId)).length))
  }
}
