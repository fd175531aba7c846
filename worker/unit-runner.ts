import { setMaxListeners } from 'node:events'
import type { RunningUnit } from '../proto/messages.js'
import type { JobId, JobSpec } from '../proto/model.js'
import { GridError, toGridError } from '../runtime/errors.js'
import type { ComputeResult } from './compute/compute.js'
import type { ComputedUnit, WorkerEvent } from './core/messages.js'
import type { WorkerDependencies } from './dependencies.js'
import type { KnownSpecs } from './known-specs.js'
import type { ReportWriter } from './report-writer.js'
import type { WorkerTally } from './tally.js'

/** Jobs known to the compute process at a time; the one used longest ago is closed first. */
const JOBS_MAX = 64
/** Units whose items are fetched at once. */
const ITEMS_AT_ONCE = 64

interface OpenJob {
  readonly spec: JobSpec
  readonly abort: AbortController
  /** Resolves when units can be computed. */
  readonly ready: Promise<void>
}

export interface UnitRunnerParts {
  readonly dependencies: Pick<WorkerDependencies, 'logger' | 'compute' | 'inputs'>
  readonly tally: WorkerTally
  readonly specs: KnownSpecs
  readonly reports: ReportWriter
  readonly handle: (event: WorkerEvent) => void
  /** What runs has changed. */
  readonly onProgress: (running: readonly RunningUnit[]) => void
}

/**
 * Has units computed: opens their jobs in the compute process, with the inputs that all units share, fetches the items of
 * each unit, and turns what comes out into the events `computed` and `jobFailed`. Says nothing once it is closed.
 */
export class UnitRunner {
  readonly #d: UnitRunnerParts['dependencies']
  readonly #tally: WorkerTally
  readonly #specs: KnownSpecs
  readonly #reports: ReportWriter
  readonly #handle: (event: WorkerEvent) => void
  readonly #jobs = new Map<JobId, OpenJob>()
  #running: readonly RunningUnit[] = []
  #closed = false

  constructor({ dependencies, tally, specs, reports, handle, onProgress }: UnitRunnerParts) {
    this.#d = dependencies
    this.#tally = tally
    this.#specs = specs
    this.#reports = reports
    this.#handle = handle
    const { compute } = dependencies
    compute.onResults((results) => this.#onResults(results))
    compute.onProgress((running) => {
      this.#running = running
      onProgress(running)
    })
  }

  /** Units being computed, as the compute process told last. */
  get running(): readonly RunningUnit[] {
    return this.#running
  }

  /** Whether a job is known to the compute process. */
  isOpen(jobId: JobId): boolean {
    return this.#jobs.has(jobId)
  }

  /** Has units computed as soon as their inputs are here; where that cannot be, `jobFailed` says why. */
  async run(jobId: JobId, units: readonly number[]): Promise<void> {
    try {
      const job = this.#open(jobId)
      await job.ready
      const { compute, inputs } = this.#d
      if (job.spec.source.type !== 'list') {
        compute.run({ jobId, units: units.map((unit) => ({ unit, items: [] })) })
        return
      }
      for (let at = 0; at < units.length; at += ITEMS_AT_ONCE) {
        await Promise.all(
          units.slice(at, at + ITEMS_AT_ONCE).map(async (unit) => {
            const items = await inputs.items(job.spec, unit, job.abort.signal)
            if (!this.#closed) compute.run({ jobId, units: [{ unit, items }] })
          }),
        )
      }
    } catch (error) {
      if (this.#closed) return
      const { message } = toGridError(error)
      this.#d.logger.warn('job cannot be computed here', { jobId, error: message })
      this.#closeJob(jobId)
      this.#handle({ type: 'jobFailed', jobId, reason: message.slice(0, 200) })
    }
  }

  /** Stops fetching inputs. The compute process is its owner's to close. */
  close(): void {
    this.#closed = true
    for (const { abort } of this.#jobs.values()) abort.abort()
  }

  #open(jobId: JobId): OpenJob {
    const known = this.#jobs.get(jobId)
    if (known !== undefined) {
      this.#jobs.delete(jobId)
      this.#jobs.set(jobId, known)
      return known
    }
    const spec = this.#specs.get(jobId)
    if (spec === undefined) throw new GridError('notFound', 'the spec of this job did not come')
    const abort = new AbortController()
    setMaxListeners(0, abort.signal)
    const ready = this.#d.inputs
      .shared(spec, abort.signal)
      .then((inputs) => this.#d.compute.openJob({ jobId, spec, inputs }))
    ready.catch(() => {})
    const job = { spec, abort, ready }
    this.#jobs.set(jobId, job)
    if (this.#jobs.size > JOBS_MAX) this.#closeJob(this.#jobs.keys().next().value!)
    return job
  }

  #closeJob(jobId: JobId): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    this.#jobs.delete(jobId)
    job.abort.abort()
    this.#d.compute.closeJob(jobId)
  }

  #onResults(results: readonly ComputeResult[]): void {
    if (this.#closed) return
    const units: ComputedUnit[] = []
    for (const { jobId, unit, outcome, digest, output, fuel, wallMs } of results) {
      this.#reports.addOutput(jobId, unit, output)
      units.push({ jobId, unit, outcome, digest, outputBytes: output.length, fuel, wallMs })
    }
    this.#tally.computed(units.length)
    this.#handle({ type: 'computed', units })
    this.#reports.forgetUnreported(results)
  }
}
