import { applyOrders, errorsAllowed, type KnownOrder, type OrdersView } from '../../../job/facts/orders.js'
import { OTHER_OWNERS } from '../../../job/standing.js'
import { type VerdictRules, verdictRules } from '../../../job/verdict/rules.js'
import type { JobId, JobSpec, NodeId, PublicKey } from '../../../proto/model.js'
import { DurationStatistics } from './delay-bound.js'
import { Doubts } from './doubts.js'
import type { Grantors } from './grantors.js'
import type { Shard } from './shard.js'
import type { UnitRecord } from './unit-record.js'

/** Who keeps a job. */
interface JobParts {
  readonly self: NodeId
  readonly selfKey?: PublicKey | undefined
  /** Absent: every grantor counts as a peer. */
  readonly grantors?: Grantors | undefined
}

/** A job that this owner holds shards of: the spec, what orders make of it, and how long its units take. */
export class Job {
  readonly jobId: JobId
  readonly spec: JobSpec
  readonly shards = new Map<number, Shard>()
  readonly durations = new DurationStatistics()
  readonly doubts: Doubts<UnitRecord>
  /** What it asks of a worker's hello: jobs that ask the same are open to the same workers. */
  readonly demands: string
  view: OrdersView
  rules: VerdictRules
  /** Why the home stopped it, or empty. */
  stopped = ''
  readonly #self: NodeId
  readonly #isNamed: boolean
  #isUnordered: boolean

  constructor(jobId: JobId, spec: JobSpec, orders: readonly KnownOrder[], { self, selfKey, grantors }: JobParts) {
    this.jobId = jobId
    this.spec = spec
    this.doubts = new Doubts(grantors, spec)
    this.demands = demandsOf(jobId, spec)
    this.#self = self
    this.#isNamed = spec.owners.length === 0 || selfKey === undefined || spec.owners.includes(selfKey)
    this.#isUnordered = orders.length === 0
    this.view = applyOrders(spec, orders)
    this.rules = verdictRules(spec, this.view)
  }

  setOrders(orders: readonly KnownOrder[]): void {
    this.#isUnordered = orders.length === 0
    this.view = applyOrders(this.spec, orders)
    this.rules = verdictRules(this.spec, this.view)
  }

  /** No order of it is known. */
  get isUnordered(): boolean {
    return this.#isUnordered
  }

  /** Different hosts that may fail the unit before it is held. */
  errorsAllowed(unit: number): number {
    return errorsAllowed(this.spec, this.view, unit)
  }

  /** Whether a ruling has put the key or its donor out for this job. */
  isConvicted({ key, donor }: { readonly key: PublicKey; readonly donor: PublicKey }): boolean {
    const convicted = this.view.rulings?.convicted
    return convicted !== undefined && (convicted.has(key) || convicted.has(donor))
  }

  /** Why nothing of this job is granted; empty: it is. */
  refusal(wallMs: number): string {
    if (this.view.cancelled) return 'cancelled by the submitter'
    if (wallMs >= this.view.expiresAtMs) return 'expired'
    if (!this.#isNamed) return OTHER_OWNERS
    if (this.view.rulings?.dismissed.has(this.#self)) return 'most of the sampled votes granted here were false'
    return this.stopped
  }
}

/** Order of two jobs of one submitter: priority, then age. */
export function byPriority(a: Job, b: Job): number {
  return b.view.priority - a.view.priority || a.spec.createdAtMs - b.spec.createdAtMs || (a.jobId < b.jobId ? -1 : 1)
}

/** What `WorkerRecord.bar` looks at. A job that names its workers is alone. */
function demandsOf(jobId: JobId, { task, workers, profile, limits }: JobSpec): string {
  if (workers.length > 0) return jobId
  const what = task.type === 'module' ? `profile ${profile}` : `${task.name}@${task.version}`
  return `${what} ${limits.memoryBytes}`
}
