/** The file that each Piscina thread loads. */
import { deserialize } from 'node:v8'
import { threadId, workerData } from 'node:worker_threads'
import { move, transferableSymbol, valueSymbol } from 'piscina'
import type { JobSpec } from '../../proto/model.js'
import type { Module } from '../../sandbox/engine.js'
import { findTask, loadTaskModules } from '../../tasks/registry.js'
import { executeUnit, hostEnd, type PreparedJob, prepareJob } from './execute.js'
import type { PreparedModuleJob } from './execute-module.js'
import { collectGarbage } from './garbage.js'
import { AnswerWriter, type PlacedContent, type UnitEnd, unpackItems } from './messages.js'
import type { PreparedModule } from './modules.js'
import { ContentReader, readWhole } from './placed-content.js'
import { processMs } from './run-clock.js'
import { Slots } from './slots.js'

/** What the pool hands to each thread when it starts. */
export interface ThreadData {
  readonly slots: SharedArrayBuffer
  /** One word: jobs closed so far. */
  readonly closings: SharedArrayBuffer
  readonly taskModules: readonly string[]
  /** Descriptor of the file with modules and inputs. */
  readonly content: number
}

/** What a thread is asked to do. `ready`: to say that it runs. */
export type ThreadCall = { readonly type: 'ready' } | ThreadPreparation | ThreadBatch

/** A module to be admitted and compiled. */
interface ThreadPreparation {
  readonly type: 'prepare'
  readonly slot: number
  readonly module: PlacedContent
  readonly spec: Pick<JobSpec, 'limits' | 'task'>
}

/** Units for one call, all of one job. */
export interface ThreadBatch {
  readonly type: 'run'
  readonly slot: number
  readonly job: number
  /** The serialized spec, shared by all threads; so is what follows. */
  readonly opened: SharedArrayBuffer
  readonly files: readonly {
    readonly name: string
    readonly content: PlacedContent
    /** All of it, for a built-in task. */
    readonly bytes?: Uint8Array<SharedArrayBuffer>
  }[]
  /** Undefined for a built-in task. */
  readonly module: Module | undefined
  readonly tickets: Uint32Array
  readonly units: Uint32Array
  /** Packed items of all units, one after another, and where each begins; the last offset is the end. */
  readonly items: Uint8Array | undefined
  readonly offsets: Uint32Array | undefined
}

/** What one call gave. */
export interface ThreadAnswer {
  /** Units answered, from the first on; less than all after {@link BATCH_STOP_MS}, or when the pool has cut the batch. */
  readonly done: number
  /** Body of a `results` frame. */
  readonly parts: readonly Uint8Array[]
  /** Monotonic instants of the whole process. Unit: ms. */
  readonly fromMs: number
  readonly toMs: number
  /** Why units of the call ended in `host`, for the log. */
  readonly trouble: string | undefined
}

/** A call ends after this time even if units are left, so that answers are not held back by one that was guessed too large. */
const BATCH_STOP_MS = 100
/** A call ends once its answers are this large. */
const BATCH_STOP_BYTES = 4 * 1024 * 1024
/** Time between two reports of progress. */
const PROGRESS_MS = 100
/** Jobs kept ready. */
const JOBS_MAX = 32

type ReadyJob = PreparedJob | PreparedModuleJob

const { slots: slotMemory, closings: closingsMemory, taskModules, content: descriptor } = workerData as ThreadData
const slots = new Slots(slotMemory)
const closings = new Int32Array(closingsMemory)
const reader = new ContentReader(descriptor)
const jobs = new Map<number, ReadyJob>()
let closingsSeen = 0
let modulesLoaded: Promise<void> | undefined
/** The sandbox, loaded for the first module job: a thread for built-in tasks starts faster without it. */
let sandbox: typeof import('./sandbox.js') | undefined
/** Calls run one after another, also when a task waits, each in a turn of the event loop of its own. */
let last: Promise<unknown> = Promise.resolve()

/** Lets go of everything kept ready once a job was closed: its module and inputs are large, and making one ready is not. */
function forgetClosed(): void {
  const closed = Atomics.load(closings, 0)
  if (closed === closingsSeen) return
  closingsSeen = closed
  if (jobs.size === 0) return
  jobs.clear()
  collectGarbage()
}

function prepare(batch: ThreadBatch): ReadyJob {
  const known = jobs.get(batch.job)
  if (known !== undefined) return known
  const spec = deserialize(Buffer.from(new Uint8Array(batch.opened))) as JobSpec
  let job: ReadyJob
  if (batch.module !== undefined) {
    const files = new Map(batch.files.map(({ name, content }) => [name, reader.bytesOf(content)]))
    job = sandbox!.prepareModuleJob(spec, batch.module, files)
  } else {
    const task = spec.task.type === 'builtin' ? findTask(spec.task.name, spec.task.version) : undefined
    if (task === undefined) throw new Error('no such task here')
    job = prepareJob(spec, task, new Map(batch.files.map(({ name, bytes }) => [name, bytes!])))
  }
  if (jobs.size >= JOBS_MAX) jobs.delete(jobs.keys().next().value!)
  jobs.set(batch.job, job)
  return job
}

async function compute(batch: ThreadBatch): Promise<ThreadAnswer> {
  const fromMs = processMs()
  const writer = new AnswerWriter()
  let done = 0
  let trouble: string | undefined
  if (!slots.claim(batch.slot, threadId)) return { done, parts: [], fromMs, toMs: fromMs, trouble }
  let job: ReadyJob | undefined
  try {
    if (batch.module === undefined) {
      modulesLoaded ??= loadTaskModules(taskModules)
      await modulesLoaded
    } else sandbox ??= await import('./sandbox.js')
    forgetClosed()
    job = prepare(batch)
  } catch (error) {
    trouble = error instanceof Error ? error.message : String(error)
  }
  let reportedMs = fromMs
  const onBurn = (used: () => bigint) => {
    const nowMs = processMs()
    if (nowMs - reportedMs < PROGRESS_MS) return
    reportedMs = nowMs
    slots.progress(batch.slot, used())
  }
  const onFuel = (used: bigint) => slots.progress(batch.slot, used)
  const onTrouble = (reason: string) => {
    trouble = reason
  }
  const run = (unit: number, items: Uint8Array[]): UnitEnd | Promise<UnitEnd> => {
    if (job === undefined) return hostEnd()
    return 'task' in job
      ? executeUnit(job, unit, items, onBurn)
      : sandbox!.executeModuleUnit(job, unit, items, onFuel, onTrouble)
  }
  let beganMs = fromMs
  while (done < batch.units.length && slots.begin(batch.slot, done)) {
    const items = batch.items?.subarray(batch.offsets![done]!, batch.offsets![done + 1]!)
    let end = run(batch.units[done]!, unpackItems(items))
    if (end instanceof Promise) end = await end
    const nowMs = processMs()
    writer.add({ ...end, ticket: batch.tickets[done]!, wallMs: nowMs - beganMs })
    beganMs = nowMs
    done++
    if (nowMs - fromMs > BATCH_STOP_MS || writer.length > BATCH_STOP_BYTES) break
  }
  slots.end(batch.slot, done)
  if (batch.module !== undefined) collectGarbage()
  return { done, parts: writer.finish(), fromMs, toMs: beganMs, trouble }
}

async function prepareOne({ slot, module, spec }: ThreadPreparation): Promise<PreparedModule> {
  sandbox ??= await import('./sandbox.js')
  slots.claim(slot, threadId)
  const bytes = readWhole(descriptor, module, new Uint8Array(module.bytes))
  const prepared = sandbox.prepareModule(bytes, spec)
  collectGarbage()
  return prepared
}

/** Does what the pool asks for, one call after the other. What it answers is transferred, not copied. */
export function runCall(call: ThreadCall): Promise<unknown> {
  const answer: Promise<unknown> = last.then((): unknown => {
    if (call.type === 'ready') return undefined
    return call.type === 'prepare' ? prepareOne(call) : compute(call)
  })
  // An answer is told at the end of the turn: behind a call that computes for ever, begun in the same one, it never would be.
  last = answer.then(nextTurn, nextTurn)
  return call.type === 'run' ? answer.then((value) => moved(value as ThreadAnswer)) : answer
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

function moved(value: ThreadAnswer): unknown {
  return move({
    get [transferableSymbol]() {
      return value.parts.map((part) => part.buffer)
    },
    get [valueSymbol]() {
      return value
    },
  } as never)
}
