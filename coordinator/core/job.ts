import { applyOrders, errorsAllowed, type KnownOrder, type OrdersView } from '../../job/orders.js'
import { type VerdictRules, verdictRules } from '../../job/verdict.js'
import type { JobId, JobSpec } from '../../proto/model.js'
import { DurationStatistics } from './delay-bound.js'
import type { Shard } from './shard.js'

/** A job that this owner holds shards of: the spec, what orders make of it, and how long its units take. */
export class Job {
  readonly jobId: JobId
  readonly spec: JobSpec
  readonly shards = new Map<number, Shard>()
  readonly durations = new DurationStatistics()
  view: OrdersView
  rules: VerdictRules
  /** Why the home stopped it, or empty. */
  stopped = ''

  constructor(jobId: JobId, spec: JobSpec, orders: readonly KnownOrder[]) {
    this.jobId = jobId
    this.spec = spec
    this.view = applyOrders(spec, orders)
    this.rules = verdictRules(spec, this.view)
  }

  setOrders(orders: readonly KnownOrder[]): void {
    this.view = applyOrders(this.spec, orders)
    this.rules = verdictRules(this.spec, this.view)
  }

  /** Different hosts that may fail the unit before it is held. */
  errorsAllowed(unit: number): number {
    return errorsAllowed(this.spec, this.view, unit)
  }

  /** Why nothing of this job is granted; empty: it is. */
  refusal(wallMs: number): string {
    if (this.view.cancelled) return 'cancelled by the submitter'
    if (wallMs >= this.view.expiresAtMs) return 'expired'
    return this.stopped
  }
}
