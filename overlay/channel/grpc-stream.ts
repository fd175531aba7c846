import { GridError, toGridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import {
  type Caller,
  type Codec,
  MESSAGE_BYTES_MAX,
  type MessageStream,
  STREAM_BUFFER_BYTES_MAX,
  STREAM_HIGH_WATER_BYTES,
} from '../../runtime/transport.js'

/** What is used of the duplex streams of grpc-js, whose two types share no other. */
interface CallStream {
  write(message: Framable, sent: () => void): boolean
  end(): unknown
  pause(): unknown
  resume(): unknown
  on(event: 'data', listener: (bytes: Buffer) => void): unknown
  on(event: 'end', listener: () => void): unknown
}

/** All that grpc-js does with a message: it makes a frame of that length and has it copied there. */
type Framable = Pick<Buffer, 'length' | 'byteLength'> & { copy(frame: Uint8Array, at: number): unknown }

/** A message in pieces, which are joined in the frame and not before. */
class Pieces implements Framable {
  readonly #pieces: readonly Uint8Array[]
  readonly length: number

  constructor(pieces: readonly Uint8Array[]) {
    this.#pieces = pieces
    this.length = pieces.reduce((sum, { length }) => sum + length, 0)
  }

  get byteLength(): number {
    return this.length
  }

  copy(frame: Uint8Array, at: number): void {
    let next = at
    for (const piece of this.#pieces) {
      frame.set(piece, next)
      next += piece.length
    }
  }
}

/** What differs between the two ends of a gRPC call. */
interface StreamSide<In, Out> {
  /** Object-mode duplex of grpc-js; chunks are serialized messages. */
  readonly call: CallStream
  readonly caller: Caller
  readonly incoming: Codec<In>
  readonly outgoing: Codec<Out>
  readonly logger: Logger
  /** Ends the call underneath with `reason`; the stream is closed already. */
  readonly abort: (reason: GridError) => void
  /** Called once when the stream has closed, for bookkeeping. */
  readonly onClosed: () => void
  /** Runs what a message sets off, now or in its turn; false: too much of the sender's waits. Undefined: always at once. */
  readonly turn?: (message: Uint8Array, action: () => void) => boolean
  /** So many bytes more, or less, are on their way out. */
  readonly sending?: (bytes: number) => void
}

/** What a message on its way out takes beside its bytes, however few these are. Unit: bytes. */
const MESSAGE_MEMORY_BYTES = 512

/** A buffer of grpc-js around `bytes`, without a copy. */
export function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function framableOf<Out>(codec: Codec<Out>, message: Out): Framable {
  return codec.encodeParts === undefined ? toBuffer(codec.encode(message)) : new Pieces(codec.encodeParts(message))
}

/**
 * {@link MessageStream} over either end of a gRPC bidi call. Nothing is read from the call before a message handler is set,
 * nor while paused, so HTTP/2 flow control holds the sender back; grpc-js itself reads at most 16 messages ahead.
 *
 * States: open -> (ended here | ended there) -> closed; any -> closed on failure or cancel.
 */
export class GrpcStream<In, Out> implements MessageStream<In, Out> {
  readonly caller: Caller
  readonly #side: StreamSide<In, Out>
  readonly #call: CallStream
  #onMessage: ((message: In) => void) | undefined
  #onClose: ((reason?: Error) => void) | undefined
  #onEnd: (() => void) | undefined
  #paused = false
  /** Messages taken off the call that wait for their turn; meanwhile nothing more is read. */
  #waitingTurns = 0
  #endedHere = false
  #endedThere = false
  #endTold = false
  #closed = false
  #closeReason: GridError | undefined
  #closeTold = false
  #unsentBytes = 0
  #unsentMessages = 0
  #waiting: (() => void)[] = []

  constructor(side: StreamSide<In, Out>) {
    this.#side = side
    this.#call = side.call
    this.caller = side.caller
    this.#call.on('end', () => {
      this.#endedThere = true
      this.#tellEnd()
    })
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Our last message was said. */
  get endedHere(): boolean {
    return this.#endedHere
  }

  /** The other side said its last message, and all before it were delivered. */
  get endedThere(): boolean {
    return this.#endedThere
  }

  send(message: Out): boolean {
    if (this.#closed || this.#endedHere) return true
    const framable = framableOf(this.#side.outgoing, message)
    const size = framable.length
    if (size > MESSAGE_BYTES_MAX)
      throw new GridError('invalid', `a message of ${size} bytes is over the limit of ${MESSAGE_BYTES_MAX}`)
    this.#unsentBytes += size
    this.#unsentMessages++
    if (this.#unsentBytes + MESSAGE_MEMORY_BYTES * this.#unsentMessages > STREAM_BUFFER_BYTES_MAX) {
      this.cancel(new GridError('quota', 'more unsent bytes on this stream than may wait'))
      return true
    }
    this.#side.sending?.(size + MESSAGE_MEMORY_BYTES)
    this.#call.write(framable, () => {
      this.#unsentBytes -= size
      this.#unsentMessages--
      this.#side.sending?.(-size - MESSAGE_MEMORY_BYTES)
      if (this.#unsentBytes < STREAM_HIGH_WATER_BYTES / 2) this.#releaseWaiting()
    })
    return this.#unsentBytes < STREAM_HIGH_WATER_BYTES
  }

  drained(): Promise<void> {
    if (this.#closed || this.#unsentBytes < STREAM_HIGH_WATER_BYTES) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  pause(paused: boolean): void {
    this.#paused = paused
    this.#flow()
  }

  onMessage(handler: (message: In) => void): void {
    const first = this.#onMessage === undefined
    this.#onMessage = handler
    if (!first || this.#closed) return
    this.#call.on('data', (bytes) => this.#receive(bytes))
    if (this.#paused) this.#call.pause()
  }

  onClose(handler: (reason?: Error) => void): void {
    this.#onClose = handler
    if (this.#closed) queueMicrotask(() => this.#tellClose())
  }

  onEnd(handler: () => void): void {
    this.#onEnd = handler
    if (this.#endedThere) queueMicrotask(() => this.#tellEnd())
  }

  end(): void {
    if (this.#closed || this.#endedHere) return
    this.#endedHere = true
    this.#call.end()
  }

  cancel(reason?: Error): void {
    if (this.#closed) return
    const failure = reason === undefined ? new GridError('closed', 'the stream was cancelled') : toGridError(reason)
    this.close(failure)
    this.#side.abort(failure)
  }

  /** The call underneath has ended, for `reason` or well. For the transport, not for users of the stream. */
  close(reason: GridError | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#closeReason = reason
    this.#releaseWaiting()
    this.#side.onClosed()
    // Messages that were not taken yet are dropped, or the call could never finish.
    this.#call.resume()
    if (this.#onClose !== undefined) queueMicrotask(() => this.#tellClose())
  }

  /** Reads on or holds the other side back. */
  #flow(): void {
    if (this.#closed || this.#onMessage === undefined) return
    if (this.#paused || this.#waitingTurns > 0) this.#call.pause()
    else this.#call.resume()
  }

  #receive(bytes: Uint8Array): void {
    // What came before the other side heard that it is over: up to a window full of messages of five bytes.
    if (this.#closed) return
    const { turn } = this.#side
    if (turn === undefined) {
      this.#deliver(bytes)
      return
    }
    let isDone = false
    const isTaken = turn(bytes, () => {
      isDone = true
      this.#deliver(bytes)
      if (this.#waitingTurns === 0 || --this.#waitingTurns > 0) return
      this.#flow()
      if (this.#endedThere) this.#tellEnd()
    })
    if (!isTaken) {
      this.cancel(new GridError('quota', 'more of your messages wait here than may'))
    } else if (!isDone) {
      this.#waitingTurns++
      this.#flow()
    }
  }

  #deliver(bytes: Uint8Array): void {
    if (this.#closed) return
    let message: In
    try {
      message = this.#side.incoming.decode(bytes)
    } catch (error) {
      this.cancel(
        error instanceof GridError ? error : new GridError('invalid', 'a message could not be read', { cause: error }),
      )
      return
    }
    this.#guard(() => this.#onMessage?.(message))
  }

  #tellEnd(): void {
    if (this.#endTold || this.#closeTold || this.#onEnd === undefined || this.#waitingTurns > 0) return
    if (this.#closed && this.#closeReason !== undefined) return
    this.#endTold = true
    this.#guard(this.#onEnd)
  }

  #tellClose(): void {
    if (this.#closeTold || this.#onClose === undefined) return
    this.#closeTold = true
    const handler = this.#onClose
    const reason = this.#closeReason
    this.#guard(() => (reason === undefined ? handler() : handler(reason)))
  }

  /** A handler that throws costs its stream, never the process. */
  #guard(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.#side.logger.error('streamHandlerThrew', { peer: this.caller.nodeId, reason: String(error) })
      this.cancel(toGridError(error))
    }
  }

  #releaseWaiting(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }
}
