import { tmpdir } from 'node:os'
import { resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { ZERO_DIGEST } from '../../job/digest.js'
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
  type RunningUnit,
} from './compute.js'
import { ContentFile } from './content-file.js'
import { type Content, Contents } from './contents.js'
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
import { Queue } from './queue.js'
import type { Restrictions } from './restrictions.js'

export type { Compute, ComputeBatch, ComputeJob, ComputeResult, RunningUnit } from './compute.js'
export type { Restrictions } from './restrictions.js'

/** Heap of a compute thread unless told otherwise: the default memory limit of a job. */
const THREAD_MEMORY_BYTES = 256 * 1024 * 1024

/** Units and bytes of items that are in the child at once; the rest waits here. */
const SENT_UNITS_MAX = 8192
const SENT_BYTES_MAX = 32 * 1024 * 1024
/** Units that share a frame, and the items they may bring; larger units go alone, to be handed to a thread uncopied. */
const FRAME_UNITS_MAX = 1024
const FRAME_ITEM_BYTES_MAX = 64 * 1024
/** Ends of the child that a unit waiting in it outlives. */
const DEATHS_MAX = 3
/** Times a unit comes back unfinished, because of its neighbours on a thread, before it counts as failed here. */
const RETURNS_MAX = 64
/**
 * A child that held so much for jobs that are over, one after the other, and has nothing left to do is replaced: memory goes
 * back to the machine at once. Compiled, a module takes ten times its bytes and more. Unit: bytes of modules and inputs.
 */
const REPLACE_BYTES = 16 * 1024 * 1024

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
  contents: readonly Content[]
  idleAt: Millis | undefined
}

/** A unit in hand: waiting here, or sent to the child and perhaps on a thread there. */
interface Unit {
  readonly ticket: number
  readonly job: Job
  readonly unit: number
  readonly items: Uint8Array | undefined
  state: 'waiting' | 'sent' | 'started' | 'gone'
  deaths: number
  returns: number
}

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
  readonly #units = new Map<number, Unit>()
  readonly #waiting = new Queue<Unit>()
  /** What was let go of since the child was started. */
  #unloadedBytes = 0
  #pipe: Duplex | undefined
  #sentUnits = 0
  #sentBytes = 0
  #nextTicket = 0
  #nextJob = 1
  #closed = false
  #onResults: (results: readonly ComputeResult[]) => void = () => {}
  #onProgress: (running: readonly RunningUnit[]) => void = () => {}

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
    for (const { unit, items } of batch.units) {
      if (job.units.has(unit)) continue
      const ticket = this.#drawTicket()
      const entry: Unit = { ticket, job, unit, items: packItems(items), state: 'waiting', deaths: 0, returns: 0 }
      job.units.set(unit, entry)
      this.#units.set(ticket, entry)
      if (job.files === 'here') this.#waiting.push(entry)
      else job.held.push(entry)
    }
    if (job.paths.length > 0 && job.units.size > 0) this.#files.want(job)
    this.#send()
  }

  abort(jobId: JobId, units?: readonly number[]): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    const tickets: number[] = []
    const waited = this.#waiting.length > 0
    for (const unit of units ?? [...job.units.keys()]) {
      const entry = job.units.get(unit)
      if (entry === undefined) continue
      if (entry.state !== 'waiting') tickets.push(entry.ticket)
      this.#drop(entry)
    }
    if (tickets.length > 0) this.#control({ type: 'abort', tickets })
    if (waited) this.#waiting.retain((entry) => entry.state === 'waiting')
    if (job.held.length > 0) job.held = job.held.filter((entry) => entry.state === 'waiting')
    this.#send()
  }

  onResults(handler: (results: readonly ComputeResult[]) => void): void {
    this.#onResults = handler
  }

  onProgress(handler: (running: readonly RunningUnit[]) => void): void {
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
    this.#requeue([...this.#units.values()].filter(({ state }) => state === 'sent' || state === 'started'))
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
    this.#units.clear()
    this.#jobs.clear()
    this.#files.close()
    await this.#life.close()
    await this.#file.close()
  }

  #drawTicket(): number {
    do this.#nextTicket = (this.#nextTicket + 1) >>> 0
    while (this.#units.has(this.#nextTicket))
    return this.#nextTicket
  }

  /** Forgets a unit, whatever becomes of it in the child. */
  #drop(unit: Unit): void {
    this.#leaveChild(unit)
    unit.state = 'gone'
    unit.job.units.delete(unit.unit)
    this.#units.delete(unit.ticket)
    if (unit.job.paths.length > 0 && unit.job.units.size === 0) this.#files.idle(unit.job)
  }

  #leaveChild(unit: Unit): void {
    if (unit.state !== 'sent' && unit.state !== 'started') return
    this.#sentUnits--
    this.#sentBytes -= unit.items?.length ?? 0
  }

  #control(control: Control): void {
    if (this.#pipe !== undefined) writeFrame(this.#pipe, FRAME.control, [encodeControl(control)])
  }

  /** Fills the child up to its window. */
  #send(): void {
    if (this.#pipe === undefined) return
    while (this.#waiting.length > 0 && this.#hasRoom()) {
      const units: Unit[] = []
      let itemBytes = 0
      const { job } = this.#waiting.peek()!
      while (units.length < FRAME_UNITS_MAX && this.#hasRoom() && this.#waiting.peek()?.job === job) {
        const bytes = this.#waiting.peek()!.items?.length ?? 0
        if (units.length > 0 && itemBytes + bytes > FRAME_ITEM_BYTES_MAX) break
        const unit = this.#waiting.shift()!
        unit.state = 'sent'
        this.#sentUnits++
        this.#sentBytes += bytes
        itemBytes += bytes
        units.push(unit)
      }
      writeFrame(this.#pipe, FRAME.run, encodeRun(job.number, units))
    }
  }

  #hasRoom(): boolean {
    return this.#sentUnits < SENT_UNITS_MAX && this.#sentBytes < SENT_BYTES_MAX
  }

  #onFrame(type: number, body: Uint8Array<ArrayBuffer>): void {
    if (this.#closed) return
    switch (type) {
      case FRAME.started:
        for (const ticket of decodeTickets(body)) {
          const unit = this.#units.get(ticket)
          if (unit?.state === 'sent') unit.state = 'started'
        }
        return
      case FRAME.results:
        this.#onAnswers(body)
        return
      case FRAME.returned:
        this.#onReturned(decodeTickets(body))
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
      this.#drop(unit)
      results.push({ jobId: unit.job.job.jobId, unit: unit.unit, outcome, digest, output, fuel, wallMs })
    }
    this.#life.proved()
    this.#send()
    if (results.length > 0) this.#onResults(results)
  }

  #onReturned(tickets: Uint32Array): void {
    const again: Unit[] = []
    const failed: Unit[] = []
    for (const ticket of tickets) {
      const unit = this.#units.get(ticket)
      if (unit === undefined) continue
      if (++unit.returns > RETURNS_MAX) failed.push(unit)
      else again.push(unit)
    }
    this.#requeue(again)
    this.#fail(failed)
    this.#send()
  }

  #requeue(units: readonly Unit[]): void {
    for (const unit of units) {
      this.#leaveChild(unit)
      unit.state = 'waiting'
    }
    this.#waiting.pushFront(units)
  }

  /** Answers units for which this host is to blame. */
  #fail(units: readonly Unit[]): void {
    if (units.length === 0) return
    for (const unit of units) this.#drop(unit)
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
    this.#control({ type: 'start', threads, memoryBytes, taskModules: taskModules.map((path) => resolve(path)) })
    for (const job of this.#jobs.values()) if (job.files === 'here') this.#control(openMessage(job))
    this.#send()
  }

  /** The child can read the files of a job: it may begin. */
  #onLoaded(job: Job): void {
    job.number = this.#nextJob++
    this.#control(openMessage(job))
    for (const unit of job.held.splice(0)) this.#waiting.push(unit)
    this.#send()
  }

  #onDeath(blameless: boolean): void {
    this.#pipe = undefined
    const again: Unit[] = []
    const failed: Unit[] = []
    for (const unit of this.#units.values()) {
      if (unit.state === 'started') failed.push(unit)
      else if (unit.state === 'sent') (blameless || ++unit.deaths < DEATHS_MAX ? again : failed).push(unit)
    }
    this.#requeue(again)
    this.#fail(failed)
  }

  #replaceChild(): void {
    this.#unloadedBytes = 0
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
