import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { ZERO_DIGEST } from '../../job/facts/digest.js'
import type { JobId } from '../../proto/model.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import { ChildLife } from './child-life.js'
import {
  CONTENT_BYTES_MAX,
  type Compute,
  type ComputeBatch,
  type ComputeJob,
  type ComputeResult,
  QUEUED_UNITS_MAX,
  type UnitOnThread,
} from './compute.js'
import { ContentFile } from './content-file.js'
import { Contents, type PlacedFile } from './contents.js'
import { writeFrame } from './frames.js'
import { type FileJob, JobFiles } from './job-files.js'
import {
  type Control,
  decodeAnswers,
  decodeProgress,
  decodeTickets,
  encodeControl,
  encodeRun,
  FRAME,
  type PlacedContent,
  packItems,
} from './messages.js'
import { processCpuMs } from './process-cpu.js'
import type { Restrictions } from './restrictions.js'
import { type UnitInHand, UnitsInHand } from './units-in-hand.js'

export type { Compute, ComputeBatch, ComputeJob, ComputeResult, UnitOnThread } from './compute.js'
export type { Restrictions } from './restrictions.js'

/** Heap of a compute thread unless told otherwise: the default memory limit of a job. */
const THREAD_MEMORY_BYTES = 256 * 1024 * 1024

/**
 * A child that held so much for jobs that are over, one after the other, and has nothing left to do is replaced: memory goes
 * back to the machine at once. Compiled, a module takes ten times its bytes and more. Unit: bytes of modules and inputs.
 */
const REPLACE_BYTES = 16 * 1024 * 1024

/** What the compute process may use, and what it is started with. */
export interface ComputeOptions {
  /** Threads that compute, at least 1. */
  readonly threads: number
  /** Heap of each thread. Default: {@link THREAD_MEMORY_BYTES}. */
  readonly memoryBytes?: number
  /** Modules and shared inputs that the child can read at a time. Default: {@link CONTENT_BYTES_MAX}. Unit: bytes. */
  readonly contentBytesMax?: number
  /** Where the file with them is made, which has no name there. Default: the folder for temporary files. */
  readonly contentFolder?: string
  /** Modules with tasks of this machine's own, loaded by each thread. With any, the child keeps the rights of the worker. */
  readonly taskModules?: readonly string[]
  /** Computes at the lowest priority of the operating system. */
  readonly lowPriority: boolean
  readonly clock: Clock
  readonly logger: Logger
}

/** Starts the compute process and keeps it running. */
export function startCompute(options: ComputeOptions): ComputeProcess {
  return new ComputeProcess(options)
}

interface Job extends FileJob {
  /** Drawn anew each time it is opened in the child. */
  number: number
  readonly job: ComputeJob
  /** Units in hand, by index. */
  readonly units: Map<number, Unit>
  /** Units that wait for the files of the job. */
  held: Unit[]
  contents: readonly PlacedFile[]
  idleAt: Millis | undefined
}

type Unit = UnitInHand<Job>

/**
 * {@link Compute} by a child process. When the child dies, units on its threads end in `host`, the others go to the next
 * child, which is started after a growing wait.
 */
export class ComputeProcess implements Compute {
  #threads: number
  #memoryBytes: number
  readonly #options: ComputeOptions
  readonly #life: ChildLife
  readonly #file: ContentFile
  readonly #files: JobFiles<Job>
  readonly #jobs = new Map<JobId, Job>()
  readonly #units = new UnitsInHand<Job>()
  /** What was let go of since the child was started. */
  #unloadedBytes = 0
  #pipe: Duplex | undefined
  #nextJob = 1
  #closed = false
  #onResults: (results: readonly ComputeResult[]) => void = () => {}
  #onProgress: (running: readonly UnitOnThread[]) => void = () => {}

  constructor(options: ComputeOptions) {
    if (!Number.isInteger(options.threads) || options.threads < 1) {
      throw new GridError('invalid', `threads is ${options.threads}, must be an integer from 1`)
    }
    this.#threads = options.threads
    this.#memoryBytes = options.memoryBytes ?? THREAD_MEMORY_BYTES
    this.#options = options
    const { lowPriority, clock, logger, contentBytesMax = CONTENT_BYTES_MAX, taskModules = [] } = options
    this.#file = new ContentFile(options.contentFolder ?? tmpdir())
    this.#files = new JobFiles<Job>(new Contents(this.#file), contentBytesMax, clock, {
      loaded: (job) => this.#onLoaded(job),
      failed: (job, error) => {
        logger.warn('files of a job not loaded', { jobId: job.job.jobId, error: error.message })
        this.#fail(job.held.splice(0))
      },
      unloading: (job) => this.#control({ type: 'closeJob', job: job.number }),
      unloaded: (bytes) => {
        this.#unloadedBytes += bytes
        if (this.#unloadedBytes >= REPLACE_BYTES && this.#units.size === 0) this.#replaceChild()
      },
    })
    this.#life = new ChildLife(
      {
        threads: () => this.#threads,
        content: this.#file.descriptor,
        ownTasks: taskModules.length > 0,
        // Windows programs do not start without this one.
        environment: process.env.SystemRoot === undefined ? {} : { SystemRoot: process.env.SystemRoot },
        lowPriority,
        clock,
        logger,
      },
      {
        started: (pipe) => this.#onStarted(pipe),
        frame: (type, body) => this.#onFrame(type, body),
        died: (blameless) => this.#onDeath(blameless),
        continuing: (stoppedMs) => this.#control({ type: 'continued', stoppedMs }),
      },
    )
    this.#life.start()
  }

  get threads(): number {
    return this.#threads
  }

  /** Process id of the child, undefined while there is none. */
  get pid(): number | undefined {
    return this.#life.pid
  }

  /** What is kept from the compute process, once it runs; undefined when it was closed before. */
  restrictions(): Promise<Restrictions | undefined> {
    return this.#life.restrictions()
  }

  openJob(job: ComputeJob): void {
    if (this.#closed || this.#jobs.has(job.jobId)) return
    const paths = job.inputs.map(({ path }) => path)
    if (job.modulePath !== undefined) paths.push(job.modulePath)
    const opened: Job = {
      number: this.#nextJob++,
      job,
      units: new Map(),
      held: [],
      paths,
      files: paths.length === 0 ? 'here' : 'absent',
      contents: [],
      idleAt: undefined,
    }
    this.#jobs.set(job.jobId, opened)
    if (opened.files === 'here') this.#control(openMessage(opened))
  }

  closeJob(jobId: JobId): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    this.abort(jobId)
    this.#jobs.delete(jobId)
    if (job.paths.length > 0) this.#files.forget(job)
    else this.#control({ type: 'closeJob', job: job.number })
  }

  run(batch: ComputeBatch): void {
    if (this.#closed) throw new GridError('closed', 'computing has ended')
    const job = this.#jobs.get(batch.jobId)
    if (job === undefined)
      throw new GridError('notFound', 'the job is not open here', { fields: { jobId: batch.jobId } })
    if (this.#units.size + batch.units.length > QUEUED_UNITS_MAX) {
      throw new GridError('quota', `at most ${QUEUED_UNITS_MAX} units can wait to be computed`)
    }
    const added: Unit[] = []
    for (const { unit, items } of batch.units) {
      if (job.units.has(unit)) continue
      const entry = this.#units.add(job, unit, packItems(items))
      job.units.set(unit, entry)
      added.push(entry)
    }
    if (job.files === 'here') this.#units.wait(added)
    else job.held = job.held.concat(added)
    if (job.paths.length > 0 && job.units.size > 0) this.#files.want(job)
    this.#send()
  }

  abort(jobId: JobId, units?: readonly number[]): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    const dropped = [...(units ?? job.units.keys())].flatMap((unit) => job.units.get(unit) ?? [])
    const tickets = dropped.filter(({ state }) => state !== 'waiting').map(({ ticket }) => ticket)
    this.#drop(dropped)
    if (tickets.length > 0) this.#control({ type: 'abort', tickets })
    if (job.held.length > 0) job.held = job.held.filter((entry) => entry.state === 'waiting')
    this.#send()
  }

  onResults(handler: (results: readonly ComputeResult[]) => void): void {
    this.#onResults = handler
  }

  onProgress(handler: (running: readonly UnitOnThread[]) => void): void {
    this.#onProgress = handler
  }

  pause(): void {
    this.#life.pause()
  }

  resume(): void {
    this.#life.resume()
  }

  reshape(threads: number, memoryBytes: number): void {
    if (this.#closed || (threads === this.#threads && memoryBytes === this.#memoryBytes)) return
    this.#threads = threads
    this.#memoryBytes = memoryBytes
    this.#pipe = undefined
    this.#units.childReplaced()
    this.#life.replace()
  }

  cpuMs(): Millis | undefined {
    return this.pid === undefined ? undefined : processCpuMs(this.pid)
  }

  stoppedPid(): number | undefined {
    return this.#life.stoppedPid
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#jobs.clear()
    this.#files.close()
    await this.#life.close()
    await this.#file.close()
  }

  /** Forgets units, whatever becomes of them in the child. */
  #drop(units: readonly Unit[]): void {
    this.#units.drop(units)
    for (const { job, unit } of units) {
      job.units.delete(unit)
      if (job.paths.length > 0 && job.units.size === 0) this.#files.idle(job)
    }
  }

  #control(control: Control): void {
    if (this.#pipe !== undefined) writeFrame(this.#pipe, FRAME.control, [encodeControl(control)])
  }

  /** Gives the child as much as it may have. */
  #send(): void {
    if (this.#pipe === undefined) return
    for (;;) {
      const units = this.#units.next()
      const [first] = units
      if (first === undefined) return
      writeFrame(this.#pipe, FRAME.run, encodeRun(first.job.number, units))
    }
  }

  #onFrame(type: number, body: Uint8Array<ArrayBuffer>): void {
    if (this.#closed) return
    switch (type) {
      case FRAME.started:
        this.#units.started(decodeTickets(body))
        return
      case FRAME.results:
        this.#onAnswers(body)
        return
      case FRAME.returned:
        this.#fail(this.#units.returned(decodeTickets(body)))
        this.#send()
        return
      case FRAME.progress: {
        const running = decodeProgress(body).flatMap(({ ticket, ...progress }) => {
          const unit = this.#units.get(ticket)
          return unit === undefined ? [] : [{ jobId: unit.job.job.jobId, unit: unit.unit, ...progress }]
        })
        if (running.length > 0) this.#onProgress(running)
      }
    }
  }

  #onAnswers(body: Uint8Array<ArrayBuffer>): void {
    const results: ComputeResult[] = []
    for (const { ticket, outcome, digest, output, fuel, wallMs } of decodeAnswers(body)) {
      const unit = this.#units.get(ticket)
      if (unit === undefined) continue
      this.#drop([unit])
      results.push({ jobId: unit.job.job.jobId, unit: unit.unit, outcome, digest, output, fuel, wallMs })
    }
    this.#life.proved()
    this.#send()
    if (results.length > 0) this.#onResults(results)
  }

  /** Answers units for which this host is to blame. */
  #fail(units: readonly Unit[]): void {
    if (units.length === 0) return
    this.#drop(units)
    const output = new Uint8Array(0)
    this.#onResults(
      units.map((unit) => ({
        jobId: unit.job.job.jobId,
        unit: unit.unit,
        outcome: 'host',
        digest: ZERO_DIGEST,
        output,
        fuel: 0n,
        wallMs: 0,
      })),
    )
  }

  #onStarted(pipe: Duplex): void {
    const { taskModules = [] } = this.#options
    const [threads, memoryBytes] = [this.#threads, this.#memoryBytes]
    this.#pipe = pipe
    this.#unloadedBytes = 0
    this.#control({ type: 'start', threads, memoryBytes, taskModules: taskModules.map((path) => resolve(path)) })
    for (const job of this.#jobs.values()) if (job.files === 'here') this.#control(openMessage(job))
    this.#send()
  }

  /** The child can read the files of a job: it may begin. */
  #onLoaded(job: Job): void {
    job.number = this.#nextJob++
    this.#control(openMessage(job))
    this.#units.wait(job.held.splice(0))
    this.#send()
  }

  #onDeath(blameless: boolean): void {
    this.#pipe = undefined
    if (!this.#closed) this.#fail(this.#units.childDied(blameless))
  }

  #replaceChild(): void {
    this.#pipe = undefined
    this.#life.replace()
  }
}

function openMessage({ number, job, contents }: Job): Control {
  const { spec, inputs, modulePath } = job
  const placed = contents.map(({ number, at, bytes }): PlacedContent => ({ number, at, bytes }))
  return {
    type: 'openJob',
    job: number,
    spec,
    inputs: inputs.map(({ name }, i) => ({ name, content: placed[i]! })),
    module: modulePath === undefined ? undefined : placed.at(-1),
  }
}
