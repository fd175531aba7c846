import { concat } from '../../job/units/list.js'
import { hasAnswer } from '../../job/verdict/judgement.js'
import type { OutputRequest } from '../../proto/job-messages.js'
import { CHUNK_BYTES } from '../../proto/limits.js'
import { methods } from '../../proto/methods.js'
import type { Digest, JobId, NodeId } from '../../proto/model.js'
import type { Clock, Millis, Timer } from '../../runtime/clock.js'
import { consume } from '../../runtime/consume.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import { collect, piecesRead, sendAll, within } from '../../runtime/transfer.js'
import type { Endpoint, Transport } from '../../runtime/transport.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { OutputFiles } from '../output-files.js'
import type { UnitRecord } from '../owner/core/unit-record.js'
import type { OwnerDriver } from '../owner/owner-driver.js'

/** Outputs on their way at a time, and waiting to be passed on; what does not fit is passed on after the next sync. */
const COPYING_MAX = 4
const WAITING_MAX = 256
/** Longest time in which nothing of an output travels. */
const IDLE_MS: Millis = 30_000
/** A co-owner that does not know yet that the unit is accepted is tried once more after this. */
const RETRY_MS: Millis = 1_500
/** Bytes are asked of co-owners once they have been missing this long, and again after as long as the second. */
const MISSING_MS: Millis = 3_000
const ASK_AGAIN_MS: Millis = 5_000

interface OutputCopiesContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly transport: Transport
  readonly outputs: OutputFiles
  readonly owner: () => OwnerDriver
  readonly othersOf: (jobId: JobId, shard: number) => readonly Endpoint[]
  /** A co-owner has the bytes of a unit on disk. */
  readonly onCopied: (jobId: JobId, shard: number, unit: number, holder: NodeId) => void
}

interface Push extends OutputRequest {
  readonly to: Endpoint
  readonly isRetry: boolean
}

/**
 * Large outputs between co-owners: whoever got one from a worker passes it on to the others as the worker would, and who
 * knows that bytes are missing asks the others for them.
 */
export class OutputCopies {
  readonly #c: OutputCopiesContext
  readonly #waiting: Push[] = []
  readonly #pushing = new Set<string>()
  readonly #askedAt = new WeakMap<UnitRecord, Millis>()
  readonly #retries = new Set<Timer>()
  #running = 0
  #pulling = 0
  #closed = false

  constructor(context: OutputCopiesContext) {
    this.#c = context
  }

  /** Passes one output on to all co-owners. */
  pushOne(job: BookedJob, shard: number, unit: number, digest: Digest): void {
    const { jobId } = job
    for (const to of this.#c.othersOf(jobId, shard)) this.#push({ jobId, shard, unit, digest, to, isRetry: false })
  }

  /** Passes the accepted outputs of these units on. */
  push(job: BookedJob, shard: number, units: Iterable<number>): void {
    const open = this.#c.owner().core.shard(job.jobId, shard)
    for (const unit of units) {
      const judgement = open?.record(unit)?.judgement
      if (judgement !== undefined && 'digest' in judgement) this.pushOne(job, shard, unit, judgement.digest)
    }
  }

  /** Asks co-owners for bytes that are missing here. */
  pull(): void {
    const { clock, owner } = this.#c
    const now = clock.now()
    for (const record of owner().core.missingBytes(MISSING_MS, now)) {
      if (this.#pulling >= COPYING_MAX || this.#closed) return
      if (now - (this.#askedAt.get(record) ?? Number.NEGATIVE_INFINITY) < ASK_AGAIN_MS) continue
      this.#askedAt.set(record, now)
      this.#pulling++
      void this.#pull(record).finally(() => this.#pulling--)
    }
  }

  close(): void {
    this.#closed = true
    this.#waiting.length = 0
    for (const timer of this.#retries) timer.cancel()
  }

  #push(push: Push): void {
    const name = nameOf(push)
    if (this.#closed || this.#pushing.has(name) || this.#waiting.length >= WAITING_MAX) return
    this.#pushing.add(name)
    this.#waiting.push(push)
    this.#pump()
  }

  #pump(): void {
    while (this.#running < COPYING_MAX) {
      const push = this.#waiting.shift()
      if (push === undefined) return
      this.#running++
      void this.#send(push).finally(() => {
        this.#running--
        this.#pump()
      })
    }
  }

  async #send(push: Push): Promise<void> {
    const { clock, outputs, transport, logger, onCopied } = this.#c
    const { jobId, shard, unit, digest, to } = push
    try {
      const read = (start: number, length: number) => outputs.read(digest, start, length)
      if ((await read(0, 0)) === undefined || this.#closed) return
      const stream = transport.open(to, methods.putOutput)
      const patience = { clock, idleMs: IDLE_MS }
      let stored = false
      let isOver = false
      const answered = collect(stream, (reply) => {
        stored ||= reply.stored
      }).finally(() => {
        isOver = true
      })
      answered.catch(() => {})
      async function* pieces() {
        for await (const piece of piecesRead(read, CHUNK_BYTES, () => isOver))
          yield { start: piece.isFirst ? { jobId, shard, unit, digest } : undefined, bytes: piece.bytes }
      }
      await sendAll(stream, pieces(), patience)
      stream.end()
      await within(stream, answered, patience)
      if (stored && !this.#closed) onCopied(jobId, shard, unit, to.nodeId)
    } catch (error) {
      const { code, message } = toGridError(error)
      logger.debug('output not passed on', { peer: to.nodeId, unit, code, message })
      if (code !== 'unreachable' && !push.isRetry) this.#retryLater(push)
    } finally {
      this.#pushing.delete(nameOf(push))
    }
  }

  #retryLater(push: Push): void {
    if (this.#closed || this.#retries.size >= WAITING_MAX) return
    const timer = this.#c.clock.setTimer(RETRY_MS, () => {
      this.#retries.delete(timer)
      this.#push({ ...push, isRetry: true })
    })
    this.#retries.add(timer)
  }

  async #pull({ shard: { jobId, shard }, unit, judgement }: UnitRecord): Promise<void> {
    const { logger, owner } = this.#c
    if (!hasAnswer(judgement)) return
    const { digest, outputBytes } = judgement
    for (const from of this.#c.othersOf(jobId, shard)) {
      try {
        const content = await this.#fetch(from, { jobId, shard, unit, digest }, outputBytes)
        if (this.#closed || (await owner().keepOutput({ jobId, shard, unit, digest }, content, from.nodeId))) return
      } catch (error) {
        const { code, message } = toGridError(error)
        // A worker is bringing it there: nobody need compute it again.
        if (code === 'unavailable') owner().handle({ type: 'outputMoved', jobId, shard, unit, from: from.nodeId })
        logger.debug('output not had from a co-owner', { peer: from.nodeId, unit, code, message })
      }
    }
  }

  async #fetch(from: Endpoint, request: OutputRequest, bytesMax: number): Promise<Uint8Array> {
    const { clock, transport } = this.#c
    const stream = transport.open(from, methods.copyOutput)
    const chunks: Uint8Array[] = []
    let length = 0
    const received = consume(stream, { clock, idleMs: IDLE_MS, until: 'close' }, ({ bytes }) => {
      length += bytes.length
      if (length > bytesMax) throw new GridError('quota', 'the output is longer than its report says')
      chunks.push(bytes)
    })
    stream.send(request)
    stream.end()
    await received
    return concat(chunks)
  }
}

function nameOf({ to, jobId, unit, digest }: Push): string {
  return `${to.nodeId} ${jobId} ${unit} ${digest}`
}
