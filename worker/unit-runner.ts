import type { JobId, JobSpec } from '../proto/model.js'
import { GridError, toGridError } from '../runtime/errors.js'
import { stopOfMany } from '../runtime/stop.js'
import { BRIEF_MS, CONTENT_BYTES_MAX, type ComputeResult, type UnitOnThread } from './compute/compute.js'
import type { ComputedUnit, WorkerEvent } from './core/messages.js'
import type { WorkerDependencies } from './dependencies.js'
import type { JobInputs } from './inputs.js'
import type { KnownSpecs } from './known-specs.js'
import type { ReportWriter } from './report-writer.js'
import type { WorkerTally } from './tally.js'
import { ThreadBoard } from './thread-board.js'

/** Jobs known to the compute process at a time, those with units in hand aside; the one used longest ago is closed first. */
const JOBS_MAX = 64
/** Units whose items are fetched at once. */
const ITEMS_AT_ONCE = 64

interface OpenJob {
  readonly spec: JobSpec
  /** Units in hand: while there are any, the job stays open. */
  readonly inHand: Set<number>
  readonly abort: AbortController
  /** Resolves to the files of the job when units can be computed. */
  readonly ready: Promise<JobInputs>
}

interface UnitRunnerParts {
  readonly dependencies: Pick<WorkerDependencies, 'clock' | 'logger' | 'compute' | 'inputs'>
  readonly tally: WorkerTally
  readonly specs: KnownSpecs
  readonly reports: ReportWriter
  readonly handle: (event: WorkerEvent) => void
  /** How far units are that run for longer than a moment. */
  readonly onProgress: (running: readonly UnitOnThread[]) => void
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
  readonly board: ThreadBoard
  #closed = false

  constructor({ dependencies, tally, specs, reports, handle, onProgress }: UnitRunnerParts) {
    this.#d = dependencies
    this.#tally = tally
    this.#specs = specs
    this.#reports = reports
    this.#handle = handle
    this.board = new ThreadBoard(dependencies.clock)
    const { compute } = dependencies
    compute.onResults((results) => this.#onResults(results))
    compute.onProgress((running) => {
      this.board.told(running)
      onProgress(this.running)
    })
  }

  /** Units that run for longer than a moment, as the compute process told last. */
  get running(): readonly UnitOnThread[] {
    return this.board.running().filter(({ ranMs }) => ranMs >= BRIEF_MS)
  }

  /** Whether a job is known to the compute process. */
  isOpen(jobId: JobId): boolean {
    return this.#jobs.has(jobId)
  }

  /** Has units computed as soon as their inputs are here; where that cannot be, `jobFailed` says why. */
  async run(jobId: JobId, units: readonly number[]): Promise<void> {
    try {
      const job = this.#open(jobId)
      for (const unit of units) job.inHand.add(unit)
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

  /** Drops units, whatever becomes of them in the compute process. */
  abort(jobId: JobId, units: readonly number[]): void {
    this.#d.compute.abort(jobId, units)
    this.board.ended(units.map((unit) => ({ jobId, unit })))
    const inHand = this.#jobs.get(jobId)?.inHand
    for (const unit of units) inHand?.delete(unit)
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
    const bytes = fileBytes(spec)
    if (bytes > CONTENT_BYTES_MAX) {
      throw new GridError(
        'quota',
        `program and inputs of a unit have ${bytes} bytes, at most ${CONTENT_BYTES_MAX} are taken here`,
      )
    }
    const abort = stopOfMany()
    const ready = this.#files(spec, abort.signal).then((files) => {
      if (abort.signal.aborted) {
        files.release()
        throw new GridError('closed', 'the job was closed')
      }
      const { inputs, modulePath } = files
      this.#d.compute.openJob({ jobId, spec, inputs, ...(modulePath !== undefined && { modulePath }) })
      return files
    })
    ready.catch(() => {})
    const surplus = Math.max(0, this.#jobs.size + 1 - JOBS_MAX)
    for (const [idle] of this.#idleJobs().slice(0, surplus)) this.#closeJob(idle)
    const job = { spec, abort, ready, inHand: new Set<number>() }
    this.#jobs.set(jobId, job)
    return job
  }

  /** The files of a job; for want of room, those of jobs without units in hand go first. */
  async #files(spec: JobSpec, signal: AbortSignal): Promise<JobInputs> {
    try {
      return await this.#d.inputs.files(spec, signal)
    } catch (error) {
      const idle = this.#idleJobs().filter(([, job]) => fileBytes(job.spec) > 0)
      if (toGridError(error).code !== 'quota' || idle.length === 0) throw error
      for (const [jobId] of idle) this.#closeJob(jobId)
      // The files are let go a moment after their job is closed.
      await Promise.allSettled(idle.map(([, { ready }]) => ready))
      return this.#d.inputs.files(spec, signal)
    }
  }

  /** Jobs without units in hand, the one used longest ago first. */
  #idleJobs(): [JobId, OpenJob][] {
    return [...this.#jobs].filter(([, { inHand }]) => inHand.size === 0)
  }

  #closeJob(jobId: JobId): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    this.#jobs.delete(jobId)
    job.abort.abort()
    this.#d.compute.closeJob(jobId)
    job.ready.then(
      ({ release }) => release(),
      () => {},
    )
  }

  #onResults(results: readonly ComputeResult[]): void {
    if (this.#closed) return
    const units: ComputedUnit[] = []
    for (const { jobId, unit, outcome, digest, output, fuel, wallMs } of results) {
      this.#reports.addOutput(jobId, unit, output)
      units.push({ jobId, unit, outcome, digest, outputBytes: output.length, fuel, wallMs })
      this.#jobs.get(jobId)?.inHand.delete(unit)
    }
    this.board.ended(units)
    this.#tally.computed(
      units.length,
      units.reduce((sum, { fuel }) => sum + fuel, 0n),
    )
    this.#d.logger.debug('computed', { units: units.length })
    this.#handle({ type: 'computed', units })
    this.#reports.forgetUnreported(results)
  }
}

/** What the compute process holds for a job. */
function fileBytes({ task, inputs }: JobSpec): number {
  return inputs.reduce((sum, { blob }) => sum + blob.size, task.type === 'module' ? task.module.size : 0)
}
