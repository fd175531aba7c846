import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs'
import { constants, setPriority, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { ZERO_DIGEST } from '../../job/digest.js'
import type { JobId } from '../../proto/model.js'
import type { Clock, Timer } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import {
  type Compute,
  type ComputeBatch,
  type ComputeJob,
  type ComputeResult,
  QUEUED_UNITS_MAX,
  type RunningUnit,
} from './compute.js'
import { FrameReader, writeFrame } from './frames.js'
import {
  type Control,
  decodeAnswers,
  decodeProgress,
  decodeTickets,
  encodeControl,
  encodeRun,
  FRAME,
  packItems,
} from './messages.js'
import { Queue } from './queue.js'

export type { Compute, ComputeBatch, ComputeJob, ComputeResult, RunningUnit } from './compute.js'

/** Heap of a compute thread unless told otherwise: the default memory limit of a job. */
export const THREAD_MEMORY_BYTES = 256 * 1024 * 1024

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
/** Wait before a dead child is replaced; doubles with each that dies without an answer. */
const RESTART_MS_MIN = 100
const RESTART_MS_MAX = 30_000
/** Kept of what the child writes to standard error. */
const STDERR_CHARS_MAX = 2000

export interface ComputeOptions {
  /** Threads that compute, at least 1. */
  readonly threads: number
  /** Heap of each thread. Default: {@link THREAD_MEMORY_BYTES}. */
  readonly memoryBytes?: number
  /** Modules with tasks of this machine's own, loaded by each thread. */
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

interface Job {
  readonly number: number
  readonly job: ComputeJob
  /** Units in hand, by index. */
  readonly units: Map<number, Unit>
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

/** One life of the child. */
interface Child {
  readonly process: ChildProcess
  readonly pipe: Duplex
  stderr: string
  /** Lets the child go on if this process dies while it is stopped, so that it can see that and end. */
  watcher: ChildProcess | undefined
}

/**
 * {@link Compute} by a child process. When the child dies, units on its threads end in `host`, the others go to the next
 * child, which is started after a growing wait.
 */
export class ComputeProcess implements Compute {
  readonly threads: number
  readonly #options: ComputeOptions
  readonly #folder: string
  readonly #jobs = new Map<JobId, Job>()
  readonly #units = new Map<number, Unit>()
  readonly #waiting = new Queue<Unit>()
  #sentUnits = 0
  #sentBytes = 0
  #nextTicket = 0
  #nextJob = 1
  #child: Child | undefined
  /** Children in a row that died without an answer. */
  #deaths = 0
  #restart: Timer | undefined
  #paused = false
  #closed = false
  #onResults: (results: readonly ComputeResult[]) => void = () => {}
  #onProgress: (running: readonly RunningUnit[]) => void = () => {}

  constructor(options: ComputeOptions) {
    if (!Number.isInteger(options.threads) || options.threads < 1) {
      throw new GridError('invalid', `threads is ${options.threads}, must be an integer from 1`)
    }
    this.threads = options.threads
    this.#options = options
    this.#folder = mkdtempSync(join(tmpdir(), 'manyhands-compute-'))
    this.#startChild()
  }

  /** Process id of the child, undefined while there is none. */
  get pid(): number | undefined {
    return this.#child?.process.pid
  }

  openJob(job: ComputeJob): void {
    if (this.#closed || this.#jobs.has(job.jobId)) return
    const opened: Job = { number: this.#nextJob++, job, units: new Map() }
    this.#jobs.set(job.jobId, opened)
    this.#control(openMessage(opened))
  }

  closeJob(jobId: JobId): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    this.abort(jobId)
    this.#jobs.delete(jobId)
    this.#control({ type: 'closeJob', job: job.number })
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
      this.#waiting.push(entry)
    }
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
    this.#send()
  }

  onResults(handler: (results: readonly ComputeResult[]) => void): void {
    this.#onResults = handler
  }

  onProgress(handler: (running: readonly RunningUnit[]) => void): void {
    this.#onProgress = handler
  }

  pause(): void {
    if (this.#paused || this.#closed) return
    if (process.platform === 'win32') throw new GridError('unsupported', 'Windows cannot stop and continue a process')
    this.#paused = true
    if (this.#child !== undefined) this.#stop(this.#child)
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#child?.process.kill('SIGCONT')
    if (this.#child === undefined && this.#restart === undefined && !this.#closed) this.#startChild()
  }

  async close(): Promise<void> {
    this.#restart?.cancel()
    const child = this.#child
    this.#closed = true
    this.#units.clear()
    this.#jobs.clear()
    if (child !== undefined) {
      const exited = once(child.process, 'exit')
      child.process.kill('SIGKILL')
      await exited
    }
    try {
      rmdirSync(this.#folder)
    } catch {
      // Already removed, by an earlier call or by the child.
    }
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
  }

  #leaveChild(unit: Unit): void {
    if (unit.state !== 'sent' && unit.state !== 'started') return
    this.#sentUnits--
    this.#sentBytes -= unit.items?.length ?? 0
  }

  #control(control: Control): void {
    if (this.#child !== undefined) writeFrame(this.#child.pipe, FRAME.control, [encodeControl(control)])
  }

  /** Fills the child up to its window. */
  #send(): void {
    if (this.#child === undefined) return
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
      writeFrame(this.#child.pipe, FRAME.run, encodeRun(job.number, units))
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
        const running = decodeProgress(body).flatMap(({ ticket, fuel }) => {
          const unit = this.#units.get(ticket)
          return unit === undefined ? [] : [{ jobId: unit.job.job.jobId, unit: unit.unit, fuel }]
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
    this.#deaths = 0
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

  #startChild(): void {
    const { lowPriority, threads, memoryBytes = THREAD_MEMORY_BYTES, taskModules = [] } = this.#options
    // Cleaners of temporary files take empty folders.
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
    const childProcess = spawn(process.execPath, [fileURLToPath(new URL('./child.js', import.meta.url))], {
      cwd: this.#folder,
      // Windows programs do not start without this one.
      env: process.env.SystemRoot === undefined ? {} : { SystemRoot: process.env.SystemRoot },
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    })
    const child: Child = {
      process: childProcess,
      pipe: childProcess.stdio[3] as Duplex,
      stderr: '',
      watcher: undefined,
    }
    this.#child = child
    // At once, before it has threads: they inherit the priority, those of the engine included.
    if (lowPriority && childProcess.pid !== undefined) setPriority(childProcess.pid, constants.priority.PRIORITY_LOW)
    const reader = new FrameReader((type, body) => this.#onFrame(type, body))
    child.pipe.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk)
      } catch (error) {
        if (!(error instanceof GridError) || error.code !== 'corrupt') throw error
        childProcess.kill('SIGKILL')
      }
    })
    child.pipe.on('error', () => {})
    childProcess.stderr!.setEncoding('utf8').on('data', (text: string) => {
      child.stderr = (child.stderr + text).slice(-STDERR_CHARS_MAX)
      this.#options.logger.debug('computeTrouble', { text: text.slice(0, STDERR_CHARS_MAX) })
    })
    childProcess.on('error', (error) => this.#onDeath(child, error.message))
    childProcess.on('exit', (code, signal) => this.#onDeath(child, signal ?? `exit ${code}`))
    this.#control({ type: 'start', threads, memoryBytes, taskModules: taskModules.map((path) => resolve(path)) })
    for (const job of this.#jobs.values()) this.#control(openMessage(job))
    this.#send()
    if (this.#paused) this.#stop(child)
  }

  #stop(child: Child): void {
    child.watcher ??= spawn('/bin/sh', ['-c', 'read _; kill -CONT "$0"', String(child.process.pid)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      env: {},
    }).on('error', () => {})
    child.process.kill('SIGSTOP')
  }

  #onDeath(child: Child, reason: string): void {
    child.watcher?.kill('SIGKILL')
    if (this.#child !== child) return
    this.#child = undefined
    child.pipe.destroy()
    if (this.#closed) return
    this.#options.logger.warn('computeDied', { reason, stderr: child.stderr })
    const again: Unit[] = []
    const failed: Unit[] = []
    for (const unit of this.#units.values()) {
      if (unit.state === 'started') failed.push(unit)
      else if (unit.state === 'sent') (++unit.deaths < DEATHS_MAX ? again : failed).push(unit)
    }
    this.#requeue(again)
    const delayMs = Math.min(RESTART_MS_MIN * 2 ** Math.min(this.#deaths++, 16), RESTART_MS_MAX)
    this.#restart = this.#options.clock.setTimer(delayMs, () => {
      this.#restart = undefined
      if (!this.#paused) this.#startChild()
    })
    this.#fail(failed)
  }
}

function openMessage({ number, job }: Job): Control {
  return {
    type: 'openJob',
    job: number,
    spec: job.spec,
    inputs: job.inputs.map(({ name, path }) => ({ name, path: resolve(path) })),
  }
}
