/** The file that each Piscina thread loads. */
import { readFileSync } from 'node:fs'
import { deserialize } from 'node:v8'
import { threadId, workerData } from 'node:worker_threads'
import { move, transferableSymbol, valueSymbol } from 'piscina'
import { findTask, loadTaskModules } from '../../tasks/registry.js'
import { executeUnit, hostEnd, type PreparedJob, prepareJob } from './execute.js'
import { AnswerWriter, type OpenedJob, type UnitEnd, unpackItems } from './messages.js'
import { processMs } from './run-clock.js'
import { Slots } from './slots.js'

/** What the pool hands to each thread when it starts. */
export interface ThreadData {
  readonly slots: SharedArrayBuffer
  readonly taskModules: readonly string[]
}

/** Units for one call, all of one job. */
export interface ThreadBatch {
  readonly slot: number
  readonly job: number
  /** The serialized {@link OpenedJob}, shared by all threads. */
  readonly opened: SharedArrayBuffer
  readonly tickets: Uint32Array
  readonly units: Uint32Array
  /** Packed items of all units, one after another, and where each begins; the last offset is the end. */
  readonly items: Uint8Array | undefined
  readonly offsets: Uint32Array | undefined
}

/** What one call gave. */
export interface ThreadAnswer {
  /** Units answered, from the first on; less than all after {@link BATCH_STOP_MS}. */
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

const { slots: slotMemory, taskModules } = workerData as ThreadData
const slots = new Slots(slotMemory)
const jobs = new Map<number, PreparedJob>()
let modulesLoaded: Promise<void> | undefined
/** Calls run one after another, also when a task waits. */
let last: Promise<unknown> = Promise.resolve()

function prepare(batch: ThreadBatch): PreparedJob {
  const known = jobs.get(batch.job)
  if (known !== undefined) return known
  const opened = deserialize(Buffer.from(new Uint8Array(batch.opened))) as OpenedJob
  const { spec } = opened
  const task = spec.task.type === 'builtin' ? findTask(spec.task.name, spec.task.version) : undefined
  if (task === undefined) throw new Error('no such task here')
  const files = new Map(opened.inputs.map(({ name, path }) => [name, new Uint8Array(readFileSync(path))]))
  const job = prepareJob(spec, task, files)
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
  let job: PreparedJob | undefined
  try {
    modulesLoaded ??= loadTaskModules(taskModules)
    await modulesLoaded
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
  let beganMs = fromMs
  while (done < batch.units.length) {
    slots.begin(batch.slot, done)
    const items = batch.items?.subarray(batch.offsets![done]!, batch.offsets![done + 1]!)
    let end: UnitEnd | Promise<UnitEnd> =
      job === undefined ? hostEnd() : executeUnit(job, batch.units[done]!, unpackItems(items), onBurn)
    if (end instanceof Promise) end = await end
    const nowMs = processMs()
    writer.add({ ...end, ticket: batch.tickets[done]!, wallMs: nowMs - beganMs })
    beganMs = nowMs
    done++
    if (nowMs - fromMs > BATCH_STOP_MS || writer.length > BATCH_STOP_BYTES) break
  }
  slots.begin(batch.slot, done)
  return { done, parts: writer.finish(), fromMs, toMs: beganMs, trouble }
}

/** Runs a batch. What it answers is transferred, not copied. */
export function runBatch(batch: ThreadBatch): Promise<unknown> {
  const answer = last.then(() => compute(batch))
  last = answer.catch(() => {})
  return answer.then((value) =>
    move({
      get [transferableSymbol]() {
        return value.parts.map((part) => part.buffer)
      },
      get [valueSymbol]() {
        return value
      },
    } as never),
  )
}
