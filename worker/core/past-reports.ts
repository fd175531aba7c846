import type { Digest, JobId, NodeId } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import type { KeptReport } from './messages.js'
import { unitName } from './unit-name.js'

/** Memory for past reports, with the outputs beside them: of 48,000 short units. Unit: bytes. */
export const PAST_BYTES_MAX = 32 * 2 ** 20
/** Past reports that are kept. */
const PAST_REPORTS_MAX = 4_096

/** A report that is settled, and whom it was brought to again, when. */
interface PastReport {
  readonly report: KeptReport
  readonly broughtTo: Map<NodeId, Millis>
}

/**
 * Reports that are settled, the last ones first to be kept. An owner that takes over from a lost one may not have heard yet
 * what was settled there, and grants such a unit again: then it is answered from here, and not computed a second time.
 */
export class PastReports {
  /** In the order in which they were settled. */
  readonly #reports = new Map<Digest, PastReport>()
  readonly #byUnit = new Map<string, Digest>()
  #bytes = 0

  /** A report is settled. @returns those that are given up for it, itself among them if it is too large */
  add(past: PastReport): readonly Digest[] {
    const { report } = past
    this.remove(report.reportId)
    this.#reports.set(report.reportId, past)
    this.#bytes += report.bytes
    for (const unit of report.units) this.#byUnit.set(unitName(report.jobId, unit), report.reportId)
    const gone: Digest[] = []
    for (const reportId of this.#reports.keys()) {
      if (this.#bytes <= PAST_BYTES_MAX && this.#reports.size <= PAST_REPORTS_MAX) break
      this.remove(reportId)
      gone.push(reportId)
    }
    return gone
  }

  /** The last report with a unit, if it is here still. */
  find(jobId: JobId, unit: number): PastReport | undefined {
    const reportId = this.#byUnit.get(unitName(jobId, unit))
    return reportId && this.#reports.get(reportId)
  }

  /** A report is not past any more, or not kept any more. */
  remove(reportId: Digest): void {
    const past = this.#reports.get(reportId)
    if (past === undefined) return
    this.#reports.delete(reportId)
    this.#bytes -= past.report.bytes
    for (const unit of past.report.units) {
      const name = unitName(past.report.jobId, unit)
      if (this.#byUnit.get(name) === reportId) this.#byUnit.delete(name)
    }
  }
}
