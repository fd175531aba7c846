import type { Digest, JobId, NodeId } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { assert } from '../../runtime/errors.js'
import { type Link, type Links, LOST_OWNER_MS } from './links.js'
import type { KeptReport, WorkerEffect } from './messages.js'
import { PastReports } from './past-reports.js'
import { unitName, unitOf } from './unit-name.js'

/** Reports are offered again to an owner that has not settled them after this long, and then to another. */
const REOFFER_MS = 60_000
/** First wait before a job that an owner does not know is asked about again; doubles to the second. */
const UNKNOWN_SEEK_MS = 5_000
const UNKNOWN_SEEK_MAX_MS = 10 * 60_000
/**
 * A job that no owner knows for so long is over: as much later as owners keep one past its end. Until then it may be that all who
 * knew it were lost, and that its homes are about to bring it back.
 */
const UNKNOWN_MS = 24 * 3_600_000
/** A worker that drains waits this long for outputs that are fetched to be taken. */
const DRAIN_OUTPUTS_MS = 60_000
/** An owner that was brought a report may have granted more of its units before it came. */
const BROUGHT_MS = 2_000

interface OpenReport extends KeptReport {
  readonly unsettled: Set<number>
  /** Its owner has it on disk. */
  taken: boolean
  link: Link | undefined
  offeredAt: Millis
  /** Its owner has had it for long and does not settle it: the next owner that is found gets it, if there is one. */
  moves: boolean
  /** Owners did not know its job since, when they are looked for next, and after how long then; undefined: one does. */
  unknown: { readonly since: Millis; readonly seekAt: Millis; readonly waitMs: Millis } | undefined
  /** Owners that have granted a unit of it after that was settled, and when they were offered it for that. */
  readonly broughtTo: Map<NodeId, Millis>
}

/**
 * What a worker has to say of computed units, until it need not say it any more. Once a report is kept (`ReportBatches`) it
 * is offered to its owner -> is taken -> is settled, and only then dropped. While nobody takes a report, the owners of its
 * shard are looked for. What is to be done goes to the end of `effects`.
 */
export class ReportBook {
  readonly #links: Links
  readonly #effects: WorkerEffect[]
  readonly #reports = new Map<Digest, OpenReport>()
  readonly #reportsByUnit = new Map<string, OpenReport>()
  /** The same for units that are settled, while others of their report are not. */
  readonly #settledIn = new Map<string, OpenReport>()
  /** Reported units whose outputs stay here until they are settled. */
  readonly #unfetched = new Set<string>()
  readonly #past = new PastReports()
  #emptyAt: Millis | undefined

  constructor(links: Links, effects: WorkerEffect[]) {
    this.#links = links
    this.#effects = effects
  }

  /** Reports not settled yet. */
  get unsettledCount(): number {
    return this.#reports.size
  }

  /** The report, not settled yet, that a unit is in. */
  reportOf(jobId: JobId, unit: number): Digest | undefined {
    return this.#reportsByUnit.get(unitName(jobId, unit))?.reportId
  }

  /** Whether `owner` is the one that has, or is to get, the report a unit is in. */
  isReportedTo(owner: NodeId, jobId: JobId, unit: number): boolean {
    return this.#reportsByUnit.get(unitName(jobId, unit))?.link?.endpoint.nodeId === owner
  }

  /** Whether a unit is in a report that is not settled yet. */
  has(jobId: JobId, unit: number): boolean {
    return this.#reportsByUnit.has(unitName(jobId, unit))
  }

  /**
   * Whether the unit, which the owner of `link` has just granted, was answered before: in a report that is under way, or in
   * one where the unit is settled. That one is offered to this owner, which does not seem to have it; once. Not where its
   * output is lost with an earlier life of this process.
   */
  answers(link: Link, jobId: JobId, unit: number, now: Millis): boolean {
    const name = unitName(jobId, unit)
    const owner = link.endpoint.nodeId
    const reported = this.#reportsByUnit.get(name)
    if (reported !== undefined) {
      const hasOutput = !reported.large.includes(unit) || this.#unfetched.has(name)
      return hasOutput || now - (reported.broughtTo.get(owner) ?? Number.NEGATIVE_INFINITY) < BROUGHT_MS
    }
    const open = this.#settledIn.get(name)
    const past = open === undefined ? this.#past.find(jobId, unit) : undefined
    const broughtTo = open?.broughtTo ?? past?.broughtTo
    if (broughtTo === undefined) return false
    const broughtAt = broughtTo.get(owner)
    if (broughtAt !== undefined) return now - broughtAt < BROUGHT_MS
    broughtTo.set(owner, now)
    if (open !== undefined) this.#effects.push({ type: 'offerReport', owner, reportId: open.reportId })
    if (past === undefined) return true
    this.#effects.push({ type: 'recallReport', reportId: past.report.reportId })
    this.#open(past.report, link, now, broughtTo)
    return true
  }

  /** A report made here is in the journal, and is to go to the owner of `link`; undefined: to whoever is found. */
  kept(report: KeptReport, link: Link | undefined, now: Millis): void {
    for (const unit of report.large) this.#unfetched.add(unitName(report.jobId, unit))
    this.#open(report, link, now)
  }

  /** A report of an earlier life of this process was in the journal: it goes to whoever is found. */
  restored(report: KeptReport, now: Millis): void {
    this.#open(report, undefined, now)
  }

  #open(report: KeptReport, link: Link | undefined, now: Millis, broughtTo = new Map<NodeId, Millis>()): void {
    // The same answer under a later grant is the same report: it takes the place of the one before.
    const before = this.#reports.get(report.reportId)
    before?.link?.reports.delete(report.reportId)
    if (before !== undefined) this.#forgetSettled(before)
    this.#past.remove(report.reportId)
    const open: OpenReport = {
      ...report,
      unsettled: new Set(report.units),
      taken: false,
      link,
      offeredAt: now,
      moves: false,
      unknown: undefined,
      broughtTo,
    }
    this.#reports.set(report.reportId, open)
    for (const unit of report.units) {
      const name = unitName(report.jobId, unit)
      const earlier = this.#reportsByUnit.get(name)
      this.#reportsByUnit.set(name, open)
      // Computed once more for its lost output: the later report stands for the earlier one.
      if (earlier === undefined || earlier.reportId === report.reportId || !earlier.unsettled.delete(unit)) continue
      if (earlier.unsettled.size === 0) this.#drop(earlier)
    }
    link?.reports.add(report.reportId)
    if (link?.state === 'open') this.#offer(open, link, now)
  }

  /** Offers everything that is for the owner of `link`, which has just opened. */
  offerAll(link: Link, now: Millis): void {
    for (const reportId of link.reports) this.#offer(this.#reports.get(reportId)!, link, now)
  }

  /**
   * Hands the reports of a shard that no owner takes at the moment to one of `links`, its owners; and those that their owner
   * has not settled for long to another: it may keep them for itself.
   */
  moveTo(links: readonly Link[], jobId: JobId, shard: number, now: Millis): void {
    for (const report of this.#reports.values()) {
      if (report.jobId !== jobId || report.shard !== shard) continue
      const { link, moves } = report
      if (!moves && link !== undefined && (link.state === 'open' || links.includes(link))) continue
      const others = links.filter((other) => !moves || other !== link)
      const next = others.find(({ state }) => state === 'open') ?? others[0]
      if (next === undefined) {
        report.moves = false
        continue
      }
      link?.reports.delete(report.reportId)
      report.link = next
      report.taken = false
      report.moves = false
      next.reports.add(report.reportId)
      if (next.state === 'open') this.#offer(report, next, now)
    }
  }

  /** An owner has these reports on disk. */
  taken(owner: NodeId, reportIds: readonly Digest[]): void {
    for (const reportId of reportIds) {
      const report = this.#reports.get(reportId)
      if (report?.link?.endpoint.nodeId !== owner) continue
      report.taken = true
      report.unknown = undefined
      if (report.unsettled.size === 0) this.#close(report)
    }
  }

  /** Only the owner that the report went to can say so: any other would make the producer lose its copy. */
  settled(owner: NodeId, jobId: JobId, unit: number): void {
    const report = this.#reportsByUnit.get(unitName(jobId, unit))
    if (report === undefined || report.link?.endpoint.nodeId !== owner) return
    this.#forgetUnit(report, unit)
    report.unsettled.delete(unit)
    this.#settledIn.set(unitName(jobId, unit), report)
    if (report.unsettled.size === 0) this.#close(report)
  }

  /** An owner does not take a report that went to it. */
  refused(owner: NodeId, reportId: Digest, reason: string, now: Millis): void {
    const report = this.#reports.get(reportId)
    if (report?.link === undefined || report.link.endpoint.nodeId !== owner) return
    // Not knowing a job is no word on the report: another owner may.
    if (reason !== 'unknownJob') {
      this.#drop(report)
      return
    }
    report.link.reports.delete(reportId)
    report.link = undefined
    const { since, waitMs } = report.unknown ?? { since: now, waitMs: UNKNOWN_SEEK_MS / 2 }
    const nextMs = Math.min(UNKNOWN_SEEK_MAX_MS, 2 * waitMs)
    if (report.unknown === undefined) this.#links.seek(report.jobId, report.shard, now)
    report.unknown = { since, seekAt: now + nextMs, waitMs: nextMs }
  }

  /** Offers again what is not settled for long, and looks for owners by shard where nobody takes a report at the moment. */
  seekOwners(now: Millis): void {
    for (const report of this.#reports.values()) {
      const { link, unknown } = report
      if (unknown !== undefined && link === undefined) {
        if (now - unknown.since >= UNKNOWN_MS) this.#drop(report)
        else if (now >= unknown.seekAt) {
          report.unknown = { ...unknown, seekAt: now + unknown.waitMs }
          this.#links.seek(report.jobId, report.shard, now)
        }
        continue
      }
      if (link?.state === 'open') {
        if (now - report.offeredAt >= REOFFER_MS) {
          this.#offer(report, link, now)
          report.moves = true
        }
        // Until it is known who else there is: that may have been asked a moment ago, and then is not asked again.
        if (report.moves) this.#links.seek(report.jobId, report.shard, now)
        continue
      }
      if (link === undefined || now - link.lostAt >= LOST_OWNER_MS) this.#links.seek(report.jobId, report.shard, now)
    }
  }

  /**
   * Nothing is left that an open link could still take, asked when nothing is in hand nor to be reported any more: what is settled later is in
   * the journal, and offered at the next start. Outputs too large to travel beside reports are in memory only, so their
   * owners get a while to fetch them, counted from the first time there was nothing else to do.
   */
  isDone(now: Millis): boolean {
    this.#emptyAt ??= now
    const waitsForFetch = this.#unfetched.size > 0 && now - this.#emptyAt < DRAIN_OUTPUTS_MS
    for (const { link, taken } of this.#reports.values())
      if (link?.state === 'open' && (!taken || waitsForFetch)) return false
    return true
  }

  checkInvariants(): void {
    for (const [name, report] of this.#reportsByUnit) {
      assert(report.unsettled.has(unitOf(name)), 'a unit stands in its report until it is settled')
      assert(this.#reports.get(report.reportId) === report, 'a reported unit has its report')
    }
    for (const report of this.#settledIn.values())
      assert(this.#reports.get(report.reportId) === report, 'a settled unit is forgotten with its report')
    for (const report of this.#reports.values())
      assert(report.link === undefined || report.link.reports.has(report.reportId), 'a report is listed by its owner')
  }

  #offer(report: OpenReport, link: Link, now: Millis): void {
    report.offeredAt = now
    this.#effects.push({ type: 'offerReport', owner: link.endpoint.nodeId, reportId: report.reportId })
  }

  #forgetUnit(report: OpenReport, unit: number): void {
    const name = unitName(report.jobId, unit)
    if (this.#reportsByUnit.get(name) !== report) return
    this.#reportsByUnit.delete(name)
    this.#unfetched.delete(name)
  }

  #forgetSettled(report: OpenReport): void {
    for (const unit of report.units) {
      const name = unitName(report.jobId, unit)
      if (this.#settledIn.get(name) === report) this.#settledIn.delete(name)
    }
  }

  /** Nothing more is to be done for the report, and nobody is to get it again. */
  #drop(report: OpenReport): void {
    this.#remove(report)
    this.#effects.push({ type: 'forgetReport', reportId: report.reportId })
  }

  /** All units of the report are settled; an owner that does not know yet may ask for them again. */
  #close(report: OpenReport): void {
    if (report.units.length === 0) {
      this.#drop(report)
      return
    }
    this.#remove(report)
    const { reportId, jobId, shard, units, large, bytes, broughtTo } = report
    for (const gone of this.#past.add({ report: { reportId, jobId, shard, units, large, bytes }, broughtTo }))
      this.#effects.push({ type: 'forgetReport', reportId: gone })
  }

  #remove(report: OpenReport): void {
    this.#reports.delete(report.reportId)
    report.link?.reports.delete(report.reportId)
    for (const unit of report.unsettled) this.#forgetUnit(report, unit)
    this.#forgetSettled(report)
    this.#effects.push({ type: 'dropReport', reportId: report.reportId })
  }
}
