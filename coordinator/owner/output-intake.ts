import { digestOutput } from '../../job/facts/digest.js'
import { concat } from '../../job/units/list.js'
import { unitOutputCodec } from '../../proto/codec/facts.js'
import type { OutputRequest } from '../../proto/job-messages.js'
import { CHUNK_BYTES } from '../../proto/limits.js'
import type { Digest, NodeId } from '../../proto/model.js'
import type { OutputChunk, PutOutputReply } from '../../proto/work-messages.js'
import type { Millis, Timer } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import type { MessageStream } from '../../runtime/transport.js'
import type { OwnerEvent } from './core/messages.js'
import type { Owner } from './core/owner.js'
import type { OwnerDriverContext } from './owner-context.js'

/**
 * An upload that brings less than so many bytes, or its rest, in so much time gives its room to others. That is 9 KB/s: what
 * is slower takes more than two hours for the largest output.
 */
const MOVES_BYTES = CHUNK_BYTES
const MOVES_MS: Millis = 30_000

interface OutputIntakeContext
  extends Pick<OwnerDriverContext, 'clock' | 'sha256' | 'book' | 'outputs' | 'commits' | 'exchange' | 'options'> {
  readonly core: Owner
  readonly handle: (event: OwnerEvent) => void
}

/**
 * Receives the large outputs that {@link Owner} asked for: only one that is wanted, no longer than its report says, and all
 * together within `receivingBytesMax`. An output counts once its digest is right and it is on disk.
 */
export class OutputIntake {
  readonly #c: OutputIntakeContext
  #receivingBytes = 0

  constructor(context: OutputIntakeContext) {
    this.#c = context
  }

  /** Serves one `PutOutput` stream. */
  onPutOutput(stream: MessageStream<OutputChunk, PutOutputReply>): void {
    const chunks: Uint8Array[] = []
    const from = stream.caller.nodeId
    let bytes = 0
    let movedBytes = 0
    let start: OutputRequest | undefined
    let limit = 0
    let patience: Timer | undefined
    let isAnswered = false
    const wait = () => {
      patience?.cancel()
      patience = this.#c.clock.setTimer(MOVES_MS, () => stream.cancel(new GridError('timeout', 'too little came')))
    }
    const answer = (stored: boolean) => {
      isAnswered = true
      stream.send({ stored })
      stream.end()
    }
    wait()
    stream.onMessage((chunk) => {
      if (isAnswered) return
      if (start === undefined) {
        const room = this.#roomFor(chunk.start)
        if (room instanceof GridError) return stream.cancel(room)
        start = chunk.start!
        limit = room
      }
      // Another brought it first: what is left of it need not travel.
      if (this.#isHere(start)) return answer(true)
      bytes += chunk.bytes.length
      this.#receivingBytes += chunk.bytes.length
      chunks.push(chunk.bytes)
      if (bytes > limit) return stream.cancel(new GridError('quota', 'the output is longer than its report says'))
      if (this.#receivingBytes > this.#c.options.receivingBytesMax) return stream.cancel(tooMany())
      if (bytes - movedBytes < Math.min(MOVES_BYTES, limit - movedBytes)) return
      movedBytes = bytes
      wait()
      const { jobId, shard, unit } = start
      this.#c.handle({ type: 'outputMoved', jobId, shard, unit, from })
    })
    stream.onEnd(() => {
      patience?.cancel()
      if (isAnswered) return
      if (start === undefined) return answer(false)
      this.keep(start, chunks.length === 1 ? chunks[0]! : concat(chunks), from).then(answer, (error: unknown) =>
        stream.cancel(toGridError(error)),
      )
    })
    stream.onClose((reason) => {
      patience?.cancel()
      this.#receivingBytes -= bytes
      if (reason === undefined || start === undefined || isAnswered) return
      const { jobId, shard, unit } = start
      this.#c.handle({ type: 'outputFetchFailed', jobId, shard, unit, from })
    })
  }

  /** How long the output that an upload begins with may be, or why it is not taken. */
  #roomFor(start: OutputChunk['start']): number | GridError {
    if (start === undefined) return new GridError('invalid', 'the first chunk says whose output it is')
    const judgement = this.#c.core.shard(start.jobId, start.shard)?.record(start.unit)?.judgement
    if (judgement === undefined || !('digest' in judgement) || judgement.digest !== start.digest)
      return new GridError('invalid', 'this output is not wanted here')
    const { outputBytes } = judgement
    // Known at once: nothing is sent in vain.
    return this.#receivingBytes + outputBytes > this.#c.options.receivingBytesMax ? tooMany() : outputBytes
  }

  #isHere({ jobId, shard, unit, digest }: OutputRequest): boolean {
    return this.#c.core.shard(jobId, shard)?.record(unit)?.kept.includes(digest) === true
  }

  /**
   * Puts an output that `from` had on disk if its digest is right. Resolves to whether it was.
   * @throws GridError of the disk
   */
  async keep({ jobId, shard, unit, digest }: OutputRequest, content: Uint8Array, from: NodeId): Promise<boolean> {
    const { sha256, book, outputs, commits, exchange, options, handle } = this.#c
    if (digestOfEncoded(sha256, content) !== digest) {
      handle({ type: 'outputFetchFailed', jobId, shard, unit, from })
      return false
    }
    const job = book.need(jobId)
    await outputs.keep(digest, content, {
      submitter: job.spec.submitter,
      keepUntilMs: job.expiresAtMs + options.deleteAfterMs,
    })
    await commits.commit([{ type: 'output', jobId, shard, unit, digest, size: content.length }])
    // First: what is told to workers once the unit is settled depends on it.
    exchange.outputKept(job, shard, unit, digest, from)
    handle({ type: 'outputKept', jobId, shard, unit, digest })
    return true
  }
}

/** Digest of an output as votes name it; undefined when the bytes are not an encoded output. */
export function digestOfEncoded(sha256: Sha256, bytes: Uint8Array): Digest | undefined {
  try {
    return digestOutput(sha256, unitOutputCodec.decode(bytes))
  } catch {
    return undefined
  }
}

function tooMany(): GridError {
  return new GridError('quota', 'too many outputs at once; try again')
}
