import { type Answered, hasAnswer } from '../../../job/verdict/judgement.js'
import type { NodeId, PublicKey } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import type { OwnerEffect } from './messages.js'
import type { UnitRecord } from './unit-record.js'
import type { WorkerRecord } from './worker-record.js'

/**
 * Bytes asked of one worker at a time, or one output if it is larger. Workers send one after the other: on a slow link all
 * of these come within the time that each may take to come nearer. Unit: bytes.
 */
const WORKER_BYTES_MAX = 1024 * 1024
/**
 * Bytes of an accepted unit that come no nearer for so long are asked of somebody else, and computed once more when nobody
 * is left to ask.
 */
const BYTES_WAIT_MS = 20_000
/** Outputs that wait for room, looked at when some has become free; a sweep looks at all. */
const WAITING_LOOKED_AT = 64
/** A worker that comes back may be asked once more for an output, so often in all; then it is as if it had none. */
const RETURNS_MAX = 4

/** What {@link OutputFetches} needs of its owner. */
interface OutputFetchesContext {
  readonly workers: ReadonlyMap<PublicKey, WorkerRecord>
  readonly emit: (effect: OwnerEffect) => void
  /** Bytes of large outputs that may be received at a time; absent: any number. */
  readonly receivingBytesMax?: number | undefined
}

/**
 * Whom the bytes of accepted units are asked of: one agreeing worker after the other, each for as much as a slow link
 * carries in time, and all together for as much as may be received. A worker that brings nothing for
 * {@link BYTES_WAIT_MS} is given up, however much of an output it has brought; one that does bring some has all the time it
 * needs, as each time counts only with a chunk's worth of bytes (`OutputIntake`).
 */
export class OutputFetches {
  readonly #c: OutputFetchesContext
  readonly #byWorker = new Map<WorkerRecord, number>()
  #bytes = 0
  /** Outputs that an agreeing worker would be asked for if there was room. */
  readonly #waiting = new Set<UnitRecord>()
  #hasFreed = false

  constructor(context: OutputFetchesContext) {
    this.#c = context
  }

  /** Asks somebody for the bytes of a unit, if they are missing and nobody is bringing them. */
  ask(record: UnitRecord, now: Millis): void {
    const judgement = answerOf(record)
    if (record.bringing !== undefined || judgement === undefined) return
    if ((record.fetchTried?.size ?? 0) >= judgement.agreeing.length + RETURNS_MAX) return
    for (const { worker: key } of judgement.agreeing) {
      const worker = this.#c.workers.get(key)
      if (worker?.session === undefined || record.fetchTried?.has(worker.session) === true) continue
      if (!this.#hasRoom(worker, judgement.outputBytes)) {
        record.hopeAt = now
        this.#waiting.add(record)
        continue
      }
      this.#start(record, worker, worker.session, judgement, now)
      return
    }
  }

  #start(record: UnitRecord, worker: WorkerRecord, session: number, judgement: Answered, now: Millis): void {
    const bytes = judgement.outputBytes
    record.fetchTried ??= new Set()
    record.fetchTried.add(session)
    record.bringing = { worker, session, bytes, movedAt: now, hasMoved: false }
    record.hopeAt = now
    this.#waiting.delete(record)
    this.#byWorker.set(worker, (this.#byWorker.get(worker) ?? 0) + bytes)
    this.#bytes += bytes
    const { shard, unit } = record
    shard.history.note(record, 'fetching', now, worker.nodeId)
    const { digest } = judgement
    this.#c.emit({ type: 'fetchOutput', session, jobId: shard.jobId, shard: shard.shard, unit, digest })
  }

  #hasRoom(worker: WorkerRecord, bytes: number): boolean {
    const own = this.#byWorker.get(worker)
    if (own !== undefined && own + bytes > WORKER_BYTES_MAX) return false
    // Half is for what other owners pass on.
    const bytesMax = (this.#c.receivingBytesMax ?? Number.POSITIVE_INFINITY) / 2
    return this.#bytes === 0 || this.#bytes + bytes <= bytesMax
  }

  /** Nothing is being brought any more, or it is not wanted. */
  end(record: UnitRecord): void {
    this.#waiting.delete(record)
    const { bringing } = record
    if (bringing === undefined) return
    record.bringing = undefined
    const left = (this.#byWorker.get(bringing.worker) ?? 0) - bringing.bytes
    if (left > 0) this.#byWorker.set(bringing.worker, left)
    else this.#byWorker.delete(bringing.worker)
    this.#bytes -= bringing.bytes
    this.#hasFreed = true
  }

  /** Bytes of a unit have come nearer: from the worker that is asked for them, or to another owner, as that one says. */
  moved(record: UnitRecord, from: NodeId, now: Millis): void {
    record.hopeAt = now
    if (record.bringing?.worker.nodeId !== from) return
    record.bringing.movedAt = now
    record.bringing.hasMoved = true
  }

  /** Whether the bytes of a unit are being brought here, or will be when those of others that one worker brings are. */
  isComing(record: UnitRecord): boolean {
    return record.bringing?.hasMoved === true || this.#waiting.has(record)
  }

  /** What `from` brought was wrong, or not all: the next agreeing worker is asked. */
  failed(record: UnitRecord, from: NodeId, now: Millis): void {
    if (record.bringing?.worker.nodeId !== from) return
    this.end(record)
    this.ask(record, now)
  }

  /** A worker has computed the unit once more: it may be asked again, having lost the output before. */
  computedAgain(record: UnitRecord, worker: WorkerRecord): void {
    if (worker.session !== undefined) record.fetchTried?.delete(worker.session)
    if (record.bringing?.worker === worker && !record.bringing.hasMoved) this.end(record)
  }

  /** The end of an event: those that waited for room are asked for. */
  askWaiting(now: Millis): void {
    if (!this.#hasFreed) return
    this.#hasFreed = false
    let looked = 0
    for (const record of this.#waiting) {
      if (++looked > WAITING_LOOKED_AT) return
      this.#waiting.delete(record)
      this.ask(record, now)
    }
  }

  /** Time has passed. True: nobody brings the bytes, and nobody is left to ask. */
  sweep(record: UnitRecord, now: Millis): boolean {
    const { bringing } = record
    if (
      bringing !== undefined &&
      (bringing.worker.session !== bringing.session || now - bringing.movedAt > BYTES_WAIT_MS)
    )
      this.end(record)
    this.ask(record, now)
    return record.bringing === undefined && now - record.hopeAt > BYTES_WAIT_MS && record.held.length === 0
  }
}

function answerOf({ judgement }: UnitRecord): Answered | undefined {
  return hasAnswer(judgement) ? judgement : undefined
}
