import { fileURLToPath } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { Piscina } from 'piscina'
import type { Clock, Millis, Timer } from '../../runtime/clock.js'
import { type Batch, endOfAll, makeBatch } from './batch.js'
import { BRIEF_MS } from './compute.js'
import { failureEnd, hostEnd, wallEnd } from './execute.js'
import {
  AnswerWriter,
  type OpenedJob,
  type QueuedUnit,
  shortenLongest,
  type UnitEnd,
  type UnitProgress,
} from './messages.js'
import { type ModuleState, Modules, PREPARE_MS_MAX, type PreparedModule } from './modules.js'
import { makePoolJob, type PoolJob } from './pool-job.js'
import { processMs, RunClock } from './run-clock.js'
import { Slots } from './slots.js'
import { ThreadNumbers } from './thread-numbers.js'
import type { ThreadAnswer, ThreadCall, ThreadData } from './unit-thread.js'

/** How often time limits are looked at while something runs. */
const TICK_MS = 50
/** How often progress is told. */
const PROGRESS_MS = 1000
/** Items that share one call to a thread; a single unit may have more. */
const BATCH_ITEM_BYTES_MAX = 1024 * 1024
/** Stack of a thread: the limit of a module's call depth (`DEPTH_SLOTS`) needs a quarter of it. Node's default, said. */
const STACK_MB = 4
/** Answers given together to units that end without running. */
const ANSWERS_BYTES_MAX = 4 * 1024 * 1024
/** Time the pool may lack threads before the process gives up and is started anew. */
const THREADS_MISSING_MS = 10_000

interface PoolOptions {
  readonly threads: number
  /** Heap of each thread. */
  readonly memoryBytes: number
  readonly taskModules: readonly string[]
  /** Descriptor of the file with modules and inputs. */
  readonly content: number
  /** Run time that admission and compilation of a module may take. Default: {@link PREPARE_MS_MAX}. */
  readonly prepareMs?: Millis
  readonly clock: Clock
}

/** What the pool tells its owner. */
export interface PoolEvents {
  /** A thread runs. */
  ready(): void
  /** These units are handed to a thread now. */
  started(tickets: readonly number[]): void
  /** Body of a `results` frame. */
  results(parts: readonly Uint8Array[]): void
  /** Units that were started but not run to the end, through no fault of theirs. */
  returned(tickets: readonly number[]): void
  progress(running: readonly UnitProgress[]): void
  /** Why a unit ended in `host` or a thread was lost. */
  trouble(reason: string): void
  /** The pool cannot go on; the process should end. */
  broken(reason: string): void
  /** False while results pile up: nothing new is started until {@link Pool.dispatch} is called again. */
  writable(): boolean
}

/**
 * Spreads units over Piscina threads. Short units share calls, and a thread gets its next call while it works on the
 * last; long ones go alone, to a thread that is free. A unit over its time limit ends with its thread, which is replaced;
 * what else was on that thread is returned. A module is admitted and compiled by one thread, for all, before the first
 * unit that needs it; a module that takes too long ends with that thread, and all units that need it in `wall`.
 */
export class Pool {
  readonly #options: PoolOptions
  readonly #events: PoolEvents
  readonly #slots: Slots
  readonly #piscina: Piscina<ThreadCall, unknown>
  readonly #clock: Clock
  readonly #runClock: RunClock
  readonly #jobs = new Map<number, PoolJob>()
  readonly #modules = new Modules()
  /** Counts jobs that were closed, for threads to let go of what they keep ready. */
  readonly #closings = new Int32Array(new SharedArrayBuffer(4))
  readonly #batches = new Set<Batch>()
  /** Threads that were told to end. */
  readonly #doomed = new Set<number>()
  readonly #threads = new ThreadNumbers(() => this.#piscina.threads.map(({ threadId }) => threadId))
  #timer: Timer | undefined
  #closed = false
  #runMs: Millis = 0
  #toldMs: Millis = -PROGRESS_MS
  #fullMs: Millis = 0

  constructor(options: PoolOptions, events: PoolEvents) {
    const { threads, memoryBytes, taskModules, content, clock } = options
    this.#options = options
    this.#events = events
    this.#clock = clock
    this.#runClock = new RunClock(TICK_MS, processMs())
    // Two a thread, and as many again for batches taken back whose threads have not yet noticed.
    this.#slots = new Slots(4 * threads)
    this.#piscina = new Piscina({
      filename: fileURLToPath(new URL('./unit-thread.js', import.meta.url)),
      name: 'runCall',
      minThreads: threads,
      maxThreads: threads,
      concurrentTasksPerWorker: 2,
      env: {},
      recordTiming: false,
      resourceLimits: {
        maxOldGenerationSizeMb: Math.max(16, Math.floor(memoryBytes / 2 ** 20)),
        stackSizeMb: STACK_MB,
      },
      workerData: {
        slots: this.#slots.buffer,
        closings: this.#closings.buffer,
        taskModules,
        content,
      } satisfies ThreadData,
    })
    this.#piscina.on('error', (error: Error) => events.trouble(error.message))
    this.#piscina.run({ type: 'ready' }).then(
      () => events.ready(),
      (error: unknown) => events.broken(String(error)),
    )
  }

  /** Ends all threads. */
  async close(): Promise<void> {
    this.#timer?.cancel()
    this.#closed = true
    await this.#piscina.destroy()
  }

  openJob(opened: OpenedJob): void {
    const { content } = this.#options
    this.#jobs.set(
      opened.job,
      makePoolJob(opened, content, (reason) => this.#events.trouble(reason)),
    )
  }

  /** Forgets a job; what waits of it is dropped. */
  closeJob(job: number): void {
    if (this.#jobs.delete(job)) Atomics.add(this.#closings, 0, 1)
  }

  /** The process was stopped for so long: that is nobody's run time. */
  continued(stoppedMs: Millis): void {
    if (this.#timer !== undefined) this.#runMs = this.#runClock.announce(stoppedMs, processMs())
  }

  run(job: number, units: readonly QueuedUnit[]): void {
    const known = this.#jobs.get(job)
    if (known === undefined) return
    for (const unit of units) known.queue.push(unit)
    this.dispatch()
  }

  /** Drops units; those that run already are stopped if they take longer than a moment. */
  abort(tickets: readonly number[]): void {
    const dropped = new Set(tickets)
    for (const job of this.#jobs.values()) job.queue.retain((unit) => !dropped.has(unit.ticket))
    for (const batch of this.#batches) {
      for (const ticket of batch.tickets) if (dropped.has(ticket)) batch.withdrawn.add(ticket)
    }
  }

  /** Hands work to threads as long as there is room. */
  dispatch(): void {
    if (this.#closed) return
    const { threads } = this.#options
    while (this.#batches.size < 2 * threads && this.#events.writable()) {
      const job = this.#nextJob(this.#batches.size >= threads)
      if (job === undefined) return
      const module = this.#moduleOf(job)
      const end = endOfAll(job, module)
      if (end !== undefined) {
        this.#endAll(job, end)
        continue
      }
      const slot = this.#slots.take()
      if (slot === undefined) return
      if (module?.type === 'absent') this.#prepare(job, slot)
      else this.#start(job, slot, module)
    }
  }

  #moduleOf({ moduleKey: key }: PoolJob): ModuleState | undefined {
    return key === undefined ? undefined : this.#modules.state(key)
  }

  /** Answers everything that waits of a job whose units all end the same way. */
  #endAll(job: PoolJob, end: UnitEnd): void {
    const writer = new AnswerWriter()
    for (let unit = job.queue.shift(); unit !== undefined; unit = job.queue.shift()) {
      writer.add({ ...end, ticket: unit.ticket, wallMs: 0 })
      if (writer.length > ANSWERS_BYTES_MAX) break
    }
    this.#events.results(writer.finish())
  }

  /** Has one thread admit and compile the module of a job. */
  #prepare(job: PoolJob, slot: number): void {
    const key = job.moduleKey!
    const module = job.module!
    this.#modules.set(key, module.bytes, { type: 'preparing' })
    const batch = this.#addBatch(job, slot, [])
    const done = (state: ModuleState) => {
      this.#forget(batch)
      this.#modules.set(key, module.bytes, state)
      // To be tried again by the next unit.
      if (state.type === 'failed') {
        this.#modules.set(key, 0, { type: 'absent' })
        this.#endAll(job, hostEnd())
      }
      if (state.type === 'failed' || state.type === 'refused') this.#events.trouble(`module: ${state.reason}`)
      this.dispatch()
    }
    const { limits, task } = job.spec
    this.#piscina.run({ type: 'prepare', slot, module, spec: { limits, task } }).then(
      (prepared) => done(prepared as PreparedModule),
      (error: unknown) =>
        done(
          batch.stopped?.reason === 'wall'
            ? { type: 'slow' }
            : { type: 'failed', reason: error instanceof Error ? error.message : String(error) },
        ),
    )
  }

  /** The job whose unit waits longest; with `ahead` only one whose units may wait on a busy thread. */
  #nextJob(ahead: boolean): PoolJob | undefined {
    let first: PoolJob | undefined
    for (const job of this.#jobs.values()) {
      if (job.queue.length === 0 || (ahead && !job.size.ahead)) continue
      const module = this.#moduleOf(job)?.type
      if (module === 'preparing' || (ahead && module === 'absent')) continue
      if (first === undefined || job.queue.peek()!.ticket < first.queue.peek()!.ticket) first = job
    }
    return first
  }

  #start(job: PoolJob, slot: number, prepared: ModuleState | undefined): void {
    const units: QueuedUnit[] = []
    let itemBytes = 0
    const count = job.size.next(job.queue.length, this.#options.threads)
    while (units.length < count) {
      const bytes = job.queue.peek()!.items?.length ?? 0
      if (units.length > 0 && itemBytes + bytes > BATCH_ITEM_BYTES_MAX) break
      itemBytes += bytes
      units.push(job.queue.shift()!)
    }
    const tickets = units.map((unit) => unit.ticket)
    const module = prepared?.type === 'ready' ? prepared.module : undefined
    if (module !== undefined) this.#modules.touch(job.moduleKey!)
    const { message, transferList } = makeBatch(slot, job, module, units, itemBytes)
    const batch = this.#addBatch(job, slot, tickets)
    this.#events.started(tickets)
    this.#piscina.run(message, { transferList }).then(
      (answer) => this.#onAnswer(batch, answer as ThreadAnswer),
      (error: unknown) => this.#onLost(batch, error),
    )
  }

  #addBatch(job: PoolJob, slot: number, tickets: readonly number[]): Batch {
    if (this.#batches.size === 0) this.#wake()
    const batch: Batch = {
      slot,
      job,
      tickets,
      sentMs: this.#runMs,
      withdrawn: new Set(),
      ahead: this.#batches.size >= this.#options.threads,
      takenBack: false,
      last: undefined,
      position: -1,
      beganMs: this.#runMs,
      stopped: undefined,
    }
    this.#batches.add(batch)
    return batch
  }

  #onAnswer(batch: Batch, answer: ThreadAnswer): void {
    this.#forget(batch)
    if (batch.takenBack) {
      this.dispatch()
      return
    }
    if (answer.trouble !== undefined) this.#events.trouble(answer.trouble)
    this.#runMs = this.#runClock.tick(processMs())
    const stoppedMs = this.#runClock.stoppedBetween(answer.fromMs, answer.toMs)
    if (stoppedMs > 0) shortenLongest(answer.parts, stoppedMs)
    batch.job.size.measured(answer.done, answer.toMs - answer.fromMs - stoppedMs)
    if (answer.done > 0) this.#events.results(answer.parts)
    const rest = batch.tickets.slice(answer.done).filter((ticket) => isHeld(batch, ticket))
    if (rest.length > 0) this.#events.returned(rest)
    this.dispatch()
  }

  /** A thread has ended with this batch on it. */
  #onLost(batch: Batch, error: unknown): void {
    const ran = this.#slots.isRunning(batch.slot)
    const { threadId, position } = this.#slots.where(batch.slot)
    this.#forget(batch)
    if (batch.takenBack) {
      this.dispatch()
      return
    }
    const ticket = ran ? batch.tickets[position] : undefined
    const end = ticket === undefined ? undefined : this.#endOf(batch, ticket, threadId, error)
    if (ticket !== undefined && end !== undefined) {
      const writer = new AnswerWriter()
      writer.add({ ...end, ticket, wallMs: Math.max(0, this.#runMs - batch.beganMs) })
      this.#events.results(writer.finish())
    }
    const rest = batch.tickets.filter((other) => isHeld(batch, other) && (end === undefined || other !== ticket))
    if (rest.length > 0) this.#events.returned(rest)
    this.dispatch()
  }

  /** How the unit that ran when its thread ended is answered; undefined when it is not to blame. */
  #endOf(batch: Batch, ticket: number, threadId: number, error: unknown): UnitEnd | undefined {
    if (batch.stopped?.ticket === ticket) return batch.stopped.reason === 'wall' ? wallEnd() : undefined
    if (this.#doomed.has(threadId)) return undefined
    const isOutOfMemory = (error as { code?: unknown } | null)?.code === 'ERR_WORKER_OUT_OF_MEMORY'
    // The heap is what a built-in task allocates; what a module allocates lies elsewhere, under a limit of its own.
    if (isOutOfMemory && batch.job.moduleKey === undefined) return failureEnd(batch.job.spec, 'memory', '', 0n)
    this.#events.trouble(error instanceof Error ? error.message : String(error))
    return hostEnd()
  }

  #forget(batch: Batch): void {
    this.#batches.delete(batch)
    this.#slots.free(batch.slot)
  }

  #wake(): void {
    if (this.#timer !== undefined) return
    const now = processMs()
    this.#runClock.skipTo(now)
    this.#fullMs = this.#runMs
    this.#timer = this.#clock.setTimer(TICK_MS, () => this.#tick())
  }

  #tick(): void {
    this.#timer = undefined
    if (this.#batches.size === 0) return
    this.#timer = this.#clock.setTimer(TICK_MS, () => this.#tick())
    this.#runMs = this.#runClock.tick(processMs())
    for (const batch of this.#batches) this.#watch(batch)
    this.#takeBackStuck()
    if (this.#piscina.threads.length >= this.#options.threads) this.#fullMs = this.#runMs
    else if (this.#runMs - this.#fullMs > THREADS_MISSING_MS) this.#events.broken('threads cannot be started')
    if (this.#runMs - this.#toldMs >= PROGRESS_MS) this.#tellProgress()
  }

  #watch(batch: Batch): void {
    if (batch.stopped !== undefined || !this.#slots.isRunning(batch.slot)) return
    const { position, threadId } = this.#slots.where(batch.slot)
    if (position !== batch.position) {
      batch.position = position
      batch.beganMs = this.#runMs
      return
    }
    const ticket = batch.tickets[position]
    const isPreparing = batch.tickets.length === 0
    if (ticket === undefined && !isPreparing) return
    const ranMs = this.#runMs - batch.beganMs
    const { prepareMs = PREPARE_MS_MAX } = this.#options
    const reason =
      ranMs > (isPreparing ? prepareMs : batch.job.spec.limits.wallMs)
        ? 'wall'
        : ticket !== undefined && batch.withdrawn.has(ticket) && ranMs > BRIEF_MS
          ? 'withdrawn'
          : undefined
    if (reason === undefined) return
    const worker: Worker | undefined = this.#piscina.threads.find((thread) => thread.threadId === threadId)
    if (worker === undefined) return
    batch.stopped = { ticket, reason }
    this.#doomed.add(threadId)
    worker.once('exit', () => this.#doomed.delete(threadId))
    void worker.terminate()
  }

  /**
   * Frees what waits behind a unit longer than was guessed, if another thread has nothing to do: batches, and units of the
   * same batch. Those that ran before it come, too, as their answers wait with it; to run them again takes a moment.
   */
  #takeBackStuck(): void {
    let running = 0
    for (const batch of this.#batches) if (this.#slots.isRunning(batch.slot)) running++
    if (running >= this.#options.threads) return
    for (const batch of this.#batches) {
      if (this.#slots.isRunning(batch.slot)) this.#cutLong(batch)
      if (!batch.ahead || this.#runMs - batch.sentMs < BRIEF_MS || !this.#slots.takeBack(batch.slot)) continue
      batch.takenBack = true
      // Its slot is freed when the thread answers for it.
      this.#batches.delete(batch)
      this.#events.returned(batch.tickets)
    }
    this.dispatch()
  }

  #cutLong(batch: Batch): void {
    const { position, tickets } = batch
    const ticket = tickets[position]
    if (ticket === undefined || tickets.length === 1 || batch.last !== undefined || batch.stopped !== undefined) return
    if (this.#runMs - batch.beganMs < BRIEF_MS || !this.#slots.cut(batch.slot, position)) return
    batch.last = ticket
    this.#events.returned(tickets.filter((other) => other !== ticket))
  }

  #tellProgress(): void {
    const running = [...this.#batches].flatMap((batch) => {
      if (!this.#slots.isRunning(batch.slot)) return []
      const { threadId, position, fuel } = this.#slots.where(batch.slot)
      const ticket = batch.tickets[position]
      if (ticket === undefined) return []
      const ranMs = position === batch.position ? this.#runMs - batch.beganMs : 0
      return [{ ticket, fuel, thread: this.#threads.number(threadId), ranMs }]
    })
    if (running.length === 0) return
    this.#toldMs = this.#runMs
    this.#events.progress(running)
  }
}

/** Whether a unit of a batch was not returned. */
function isHeld({ last }: Batch, ticket: number): boolean {
  return last === undefined || last === ticket
}
