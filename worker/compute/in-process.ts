import type { JobId, JobSpec } from '../../proto/model.js'
import type { Clock, Millis, Timer } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'
import type { Task } from '../../tasks/task.js'
import {
  type Compute,
  type ComputeBatch,
  type ComputeJob,
  type ComputeResult,
  QUEUED_UNITS_MAX,
  type UnitOnThread,
} from './compute.js'
import { executeUnit, hostEnd, type PreparedJob, prepareJob, wallEnd } from './execute.js'
import { Queue } from './queue.js'

/** How often progress is told while something runs. */
const PROGRESS_MS = 1000

/** How computing is modelled where no child process runs. */
export interface InProcessOptions {
  /** Units that run at once. */
  readonly threads: number
  readonly clock: Clock
  /** How long a unit takes on this machine, in time of `clock`. Unit: ms, >= 0. */
  costMs(spec: JobSpec, unit: number): Millis
  /** Finds the task of a job; undefined: its units end in `host`. */
  findTask(spec: JobSpec): Task | undefined
  /** Bytes of a shared input by its path. Default: nothing can be read, and units of jobs with inputs end in `host`. */
  readInput?(path: string): Uint8Array
}

/** Starts a {@link Compute} without process or threads. */
export function startInProcessCompute(options: InProcessOptions): InProcessCompute {
  return new InProcessCompute(options)
}

interface Job {
  readonly job: ComputeJob
  /** Undefined when the job cannot run here. */
  readonly prepared: PreparedJob | undefined
  readonly units: Map<number, Unit>
}

/** A unit in hand; `timer` is set while it runs and nothing is paused. */
interface Unit {
  readonly job: Job
  readonly unit: number
  readonly items: readonly Uint8Array[]
  state: 'waiting' | 'running' | 'gone'
  /** Run time used up before the timer was last set, and when that was. */
  ranMs: Millis
  sinceMs: Millis
  timer: Timer | undefined
}

/**
 * {@link Compute} for the simulator: a unit is computed in one go, on a turn of its own, once the time it costs has passed
 * on the clock. A unit that costs more than its job allows ends in `wall` at that limit. Its progress is the time it ran.
 */
export class InProcessCompute implements Compute {
  threads: number
  readonly #options: InProcessOptions
  readonly #jobs = new Map<JobId, Job>()
  readonly #waiting = new Queue<Unit>()
  readonly #running = new Set<Unit>()
  #queued = 0
  #progress: Timer | undefined
  #paused = false
  #closed = false
  #onResults: (results: readonly ComputeResult[]) => void = () => {}
  #onProgress: (running: readonly UnitOnThread[]) => void = () => {}

  constructor(options: InProcessOptions) {
    this.threads = options.threads
    this.#options = options
  }

  openJob(job: ComputeJob): void {
    if (this.#closed || this.#jobs.has(job.jobId)) return
    this.#jobs.set(job.jobId, { job, prepared: this.#prepare(job), units: new Map() })
  }

  closeJob(jobId: JobId): void {
    this.abort(jobId)
    this.#jobs.delete(jobId)
  }

  run(batch: ComputeBatch): void {
    if (this.#closed) throw new GridError('closed', 'computing has ended')
    const job = this.#jobs.get(batch.jobId)
    if (job === undefined)
      throw new GridError('notFound', 'the job is not open here', { fields: { jobId: batch.jobId } })
    if (this.#queued + batch.units.length > QUEUED_UNITS_MAX) {
      throw new GridError('quota', `at most ${QUEUED_UNITS_MAX} units can wait to be computed`)
    }
    for (const { unit, items } of batch.units) {
      if (job.units.has(unit)) continue
      const entry: Unit = { job, unit, items, state: 'waiting', ranMs: 0, sinceMs: 0, timer: undefined }
      job.units.set(unit, entry)
      this.#waiting.push(entry)
      this.#queued++
    }
    this.#fill()
  }

  abort(jobId: JobId, units?: readonly number[]): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    for (const unit of units ?? [...job.units.keys()]) {
      const entry = job.units.get(unit)
      if (entry !== undefined) this.#drop(entry)
    }
    this.#waiting.retain((entry) => entry.state === 'waiting')
    this.#fill()
  }

  onResults(handler: (results: readonly ComputeResult[]) => void): void {
    this.#onResults = handler
  }

  onProgress(handler: (running: readonly UnitOnThread[]) => void): void {
    this.#onProgress = handler
  }

  pause(): void {
    if (this.#paused) return
    this.#paused = true
    for (const unit of this.#running) {
      unit.timer?.cancel()
      unit.timer = undefined
      unit.ranMs += this.#options.clock.now() - unit.sinceMs
    }
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    for (const unit of this.#running) this.#arm(unit)
    this.#fill()
  }

  reshape(threads: number): void {
    this.threads = threads
    this.#fill()
  }

  cpuMs(): undefined {
    return undefined
  }

  async close(): Promise<void> {
    for (const jobId of [...this.#jobs.keys()]) this.closeJob(jobId)
    this.#progress?.cancel()
    this.#closed = true
  }

  #prepare(job: ComputeJob): PreparedJob | undefined {
    const { findTask, readInput } = this.#options
    const task = findTask(job.spec)
    if (task === undefined || (job.inputs.length > 0 && readInput === undefined)) return undefined
    const files = new Map(job.inputs.map(({ name, path }) => [name, readInput!(path)]))
    return prepareJob(job.spec, task, files)
  }

  #drop(unit: Unit): void {
    unit.timer?.cancel()
    unit.state = 'gone'
    unit.job.units.delete(unit.unit)
    this.#running.delete(unit)
    this.#queued--
  }

  /** Starts units while a thread is free. */
  #fill(): void {
    if (this.#paused || this.#closed) return
    while (this.#running.size < this.threads && this.#waiting.length > 0) {
      const unit = this.#waiting.shift()!
      unit.state = 'running'
      this.#running.add(unit)
      this.#arm(unit)
    }
    if (this.#running.size > 0 && this.#progress === undefined) {
      this.#progress = this.#options.clock.setTimer(PROGRESS_MS, () => this.#tellProgress())
    }
  }

  #arm(unit: Unit): void {
    const { spec } = unit.job.job
    const costMs = Math.min(this.#options.costMs(spec, unit.unit), spec.limits.wallMs)
    unit.sinceMs = this.#options.clock.now()
    unit.timer = this.#options.clock.setTimer(Math.max(0, costMs - unit.ranMs), () => this.#compute(unit))
  }

  #compute(unit: Unit): void {
    unit.timer = undefined
    const { prepared, job } = unit.job
    const isSlow = this.#options.costMs(job.spec, unit.unit) > job.spec.limits.wallMs
    const end = prepared === undefined ? hostEnd() : isSlow ? wallEnd() : executeUnit(prepared, unit.unit, unit.items)
    if (end instanceof Promise) void end.then((value) => this.#answer(unit, value))
    else this.#answer(unit, end)
  }

  #answer(unit: Unit, end: Pick<ComputeResult, 'outcome' | 'digest' | 'output' | 'fuel'>): void {
    if (unit.state === 'gone') return
    this.#drop(unit)
    const wallMs = unit.ranMs + this.#options.clock.now() - unit.sinceMs
    this.#fill()
    this.#onResults([{ jobId: unit.job.job.jobId, unit: unit.unit, ...end, wallMs }])
  }

  #tellProgress(): void {
    this.#progress = undefined
    if (this.#running.size === 0) return
    this.#progress = this.#options.clock.setTimer(PROGRESS_MS, () => this.#tellProgress())
    if (this.#paused) return
    const nowMs = this.#options.clock.now()
    this.#onProgress(
      [...this.#running].map(({ job, unit, ranMs, sinceMs }, thread) => ({
        jobId: job.job.jobId,
        unit,
        fuel: BigInt(Math.floor(ranMs + nowMs - sinceMs)),
        thread,
        ranMs: ranMs + nowMs - sinceMs,
      })),
    )
  }
}
