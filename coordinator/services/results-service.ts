import type {
  Chunk,
  OutputRequest,
  ResultsReply,
  ResultsRequest,
  UnitStatus,
  UnitsReply,
  UnitsRequest,
} from '../../proto/job-messages.js'
import { CHUNK_BYTES, UNITS_PAGE_MAX } from '../../proto/limits.js'
import type { PublicKey } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { piecesOf, piecesRead, sendAll } from '../../runtime/transfer.js'
import type { Caller, MessageStream } from '../../runtime/transport.js'
import type { BookedJob } from '../jobs/booked-job.js'
import { isNamed, type ResultsContext, ResultsStream, readSmall, settledResult } from './results-stream.js'
import { unitStatuses } from './unit-statuses.js'

/** Streams of results served to one reader at a time. */
const STREAMS_PER_READER_MAX = 64
/** A reader that takes nothing of an output for so long is cut off. Unit: ms. */
const OUTPUT_IDLE_MS: Millis = 30_000

/**
 * Serves what is settled to who may read it: the facts behind it, so that the reader judges for itself, and the bytes. One
 * report speaks of many units, so facts of a public job go to strangers once its shard is finished: a worker among them could
 * copy what others said of open units.
 */
export class ResultsService {
  readonly #c: ResultsContext
  readonly #streams = new Map<PublicKey, number>()

  constructor(context: ResultsContext) {
    this.#c = context
  }

  /** Serves one `Results` stream. */
  results(stream: MessageStream<unknown, ResultsReply>, request: ResultsRequest): void {
    this.#serve(stream, async (signal) => {
      const job = this.#c.book.need(request.jobId)
      mustRead(job, stream.caller)
      const shard = await this.#c.shard(job, request.shard)
      await new ResultsStream(this.#c, job, shard, request, stream, signal).run()
    })
  }

  /** Serves one `ListUnits` stream. */
  listUnits(stream: MessageStream<unknown, UnitsReply>, request: UnitsRequest): void {
    this.#serve(stream, async () => {
      const job = this.#c.book.need(request.jobId)
      const shard = await this.#c.shard(job, request.shard)
      let page: UnitStatus[] = []
      for (const status of unitStatuses(shard, request)) {
        page.push(status)
        if (page.length < UNITS_PAGE_MAX) continue
        if (!stream.send({ units: page })) await stream.drained()
        page = []
      }
      if (page.length > 0) stream.send({ units: page })
      stream.end()
    })
  }

  /** Serves one `Output` stream. */
  output(stream: MessageStream<unknown, Chunk>, { jobId, shard: number, unit, digest }: OutputRequest): void {
    this.#serve(stream, async (signal) => {
      const job = this.#c.book.need(jobId)
      mustRead(job, stream.caller)
      const shard = await this.#c.shard(job, number)
      const result = settledResult(shard.record(unit))
      if (result?.digest !== digest)
        throw new GridError('notFound', `unit ${unit} has no settled result with this digest`)
      const small = await readSmall(this.#c, shard, [{ unit, result }])
      const bytes = small.get(unit)
      const isOver = () => signal.aborted
      const read = (start: number, length: number) => this.#c.outputs.read(digest, start, length)
      const pieces = bytes ? piecesOf(bytes, CHUNK_BYTES, isOver) : piecesRead(read, CHUNK_BYTES, isOver)
      await sendAll(stream, pieces, { clock: this.#c.clock, idleMs: OUTPUT_IDLE_MS })
      stream.end()
    })
  }

  #serve(
    stream:
      | MessageStream<unknown, never>
      | MessageStream<unknown, ResultsReply>
      | MessageStream<unknown, UnitsReply>
      | MessageStream<unknown, Chunk>,
    run: (signal: AbortSignal) => Promise<void>,
  ): void {
    const reader = stream.caller.publicKey
    const open = this.#streams.get(reader) ?? 0
    if (open >= STREAMS_PER_READER_MAX) {
      stream.cancel(new GridError('quota', `at most ${STREAMS_PER_READER_MAX} streams of results a reader`))
      return
    }
    this.#streams.set(reader, open + 1)
    const abort = new AbortController()
    stream.onClose(() => {
      abort.abort()
      const left = (this.#streams.get(reader) ?? 1) - 1
      if (left === 0) this.#streams.delete(reader)
      else this.#streams.set(reader, left)
    })
    run(abort.signal).catch((error: unknown) => stream.cancel(toGridError(error)))
  }
}

function mustRead(job: BookedJob, caller: Caller): void {
  if (job.spec.isPublic || isNamed(job, caller)) return
  throw new GridError('forbidden', 'results go to the submitter and the readers it named', {
    hint: 'submit with --public to let everyone read them',
  })
}
