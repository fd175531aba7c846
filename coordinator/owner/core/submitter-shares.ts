import type { JobId, PublicKey } from '../../../proto/model.js'
import { byPriority, type Job } from './job.js'
import type { WorkerRecord } from './worker-record.js'

/** Submitters whose share is remembered beside those of the open jobs. */
const SUBMITTERS_MAX = 1_024
/** Work a unit is taken to be while nobody knows, for the shares of submitters. */
const UNKNOWN_UNIT_MS = 1_000

/** Whose jobs are served next: work of the grid is shared between submitters, not between jobs. */
export class SubmitterShares {
  /** Work granted to each submitter so far, ms: the one with the least is next. */
  readonly #spent = new Map<PublicKey, number>()
  /** What the submitter served last had been granted before that: nobody who comes is owed more than from here on. */
  #served = 0
  readonly #jobs: ReadonlyMap<JobId, Job>

  /** `jobs`: those of the owner, as they come and go. */
  constructor(jobs: ReadonlyMap<JobId, Job>) {
    this.#jobs = jobs
  }

  /**
   * Least served submitter first; within one, priority, then age. Start-time fair queueing (Goyal, Vin & Cheng 1996): who
   * was away is owed nothing for that time.
   */
  inOrder(jobs: readonly Job[], worker: WorkerRecord): readonly Job[] {
    for (const { spec } of jobs)
      this.#spent.set(spec.submitter, Math.max(this.#served, this.#spent.get(spec.submitter) ?? 0))
    if (this.#spent.size > SUBMITTERS_MAX + this.#jobs.size) this.#forgetSubmitters()
    if (jobs.length === 1) return jobs
    // A volunteer's own weights come before fairness among all.
    const spent = worker.servedBy(jobs.map(({ spec }) => spec.submitter)) ?? this.#spent
    return [...jobs].sort((a, b) => spent.get(a.spec.submitter)! - spent.get(b.spec.submitter)! || byPriority(a, b))
  }

  #forgetSubmitters(): void {
    const present = new Set<PublicKey>()
    for (const { spec } of this.#jobs.values()) present.add(spec.submitter)
    for (const submitter of this.#spent.keys()) if (!present.has(submitter)) this.#spent.delete(submitter)
  }

  /** Units of the job were granted to the worker: its submitter has had so much more. */
  granted({ spec: { submitter }, durations }: Job, worker: WorkerRecord, units: number): void {
    const workMs = units * (durations.unitMs ?? UNKNOWN_UNIT_MS)
    this.#served = this.#spent.get(submitter)!
    this.#spent.set(submitter, this.#served + workMs)
    worker.wasServed(submitter, workMs)
  }
}
