import { digestOutput } from '../job/digest.js'
import { unitOutputCodec } from '../proto/codec/facts.js'
import type { OutputChunk, OutputRequest, PutOutputReply } from '../proto/messages.js'
import type { Digest, NodeId } from '../proto/model.js'
import type { Timer } from '../runtime/clock.js'
import { GridError, toGridError } from '../runtime/errors.js'
import type { Sha256 } from '../runtime/hash.js'
import type { MessageStream } from '../runtime/transport.js'
import type { OwnerEvent } from './core/messages.js'
import type { Owner } from './core/owner.js'
import type { OwnerDriverContext } from './owner-driver.js'

/** An upload of an output that brings nothing for so long gives its room to others. Unit: ms. */
const CHUNK_MS = 30_000

export interface OutputIntakeContext
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
    let bytes = 0
    let start: OutputChunk['start']
    let limit = 0
    let isHere = false
    let patience: Timer | undefined
    const wait = () => {
      patience?.cancel()
      patience = this.#c.clock.setTimer(CHUNK_MS, () => stream.cancel(new GridError('timeout', 'no chunk came')))
    }
    wait()
    stream.onMessage((chunk) => {
      wait()
      if (start === undefined) {
        start = chunk.start
        if (start === undefined)
          return stream.cancel(new GridError('invalid', 'the first chunk says whose output it is'))
        const record = this.#c.core.shard(start.jobId, start.shard)?.record(start.unit)
        const wanted = record?.judgement !== undefined && 'digest' in record.judgement ? record.judgement : undefined
        if (wanted?.digest !== start.digest)
          return stream.cancel(new GridError('invalid', 'this output is not wanted here'))
        limit = wanted.outputBytes
        isHere = record?.kept.includes(start.digest) === true
      }
      if (isHere) return
      bytes += chunk.bytes.length
      this.#receivingBytes += chunk.bytes.length
      chunks.push(chunk.bytes)
      if (bytes > limit) stream.cancel(new GridError('quota', 'the output is longer than its report says'))
      else if (this.#receivingBytes > this.#c.options.receivingBytesMax)
        stream.cancel(new GridError('quota', 'too many outputs at once; try again'))
    })
    stream.onEnd(() => {
      patience?.cancel()
      void this.#take(start, chunks, isHere, stream.caller.nodeId).then(
        (stored) => {
          stream.send({ stored })
          stream.end()
        },
        (error: unknown) => stream.cancel(toGridError(error)),
      )
    })
    stream.onClose(() => {
      patience?.cancel()
      this.#receivingBytes -= bytes
    })
  }

  async #take(
    start: OutputChunk['start'],
    chunks: readonly Uint8Array[],
    isHere: boolean,
    from: NodeId,
  ): Promise<boolean> {
    if (start === undefined) return false
    const content = chunks.length === 1 ? chunks[0]! : concat(chunks)
    return isHere || this.keep(start, content, from)
  }

  /**
   * Puts an output that `from` had on disk if its digest is right. Resolves to whether it was.
   * @throws GridError of the disk
   */
  async keep({ jobId, shard, unit, digest }: OutputRequest, content: Uint8Array, from: NodeId): Promise<boolean> {
    const { sha256, book, outputs, commits, exchange, options, handle } = this.#c
    if (digestOfEncoded(sha256, content) !== digest) {
      handle({ type: 'outputFetchFailed', jobId, unit })
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

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}
