import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { HeldBytes, Holding } from './core/held-bytes.js'

/** What a call costs beside its bytes: streams of HTTP/2 and of gRPC with their handlers. Unit: bytes. */
const CALL_BYTES = 4 * 1024
/** What a piece of a message costs beside its bytes. Unit: bytes. */
const PIECE_BYTES = 128
/** Pieces that are less than one part in so many of what they came in are copied; of others the whole is counted. */
const SMALL_SHARE = 8
/** Before each message of gRPC: whether it is compressed, and its length. */
const MESSAGE_HEAD_BYTES = 5

/** What one call makes us hold: requests that have come in part or wait for their turn, and answers that nobody reads. */
export class CallHolding {
  readonly #change: (bytes: number) => void
  /** Bytes that came and were not served, and what their pieces cost beside them. */
  #content = 0
  #pieces = 0
  /** The call itself, and answers on their way out. */
  #other = 0
  /** Messages that wait for their turn: they are there even if the stream is not. */
  #waiting = 0
  #isClosed = false
  /** What the last piece came in, counted once for all pieces in it. */
  #lastBuffer: ArrayBufferLike | undefined

  /** Counts what comes on `stream` from now on, until it closes. `onTooMuch` is told which connection is to be ended. */
  constructor(
    stream: ServerHttp2Stream,
    all: HeldBytes<ServerHttp2Session>,
    connection: Holding<ServerHttp2Session>,
    onTooMuch: (worst: Holding<ServerHttp2Session>) => void,
  ) {
    this.#change = (bytes) => {
      const worst = all.change(connection, bytes)
      if (worst !== undefined) onTooMuch(worst)
    }
    const push = stream.push.bind(stream)
    stream.push = (piece: Uint8Array | null) => {
      if (piece === null || this.#isClosed) return push(piece)
      // A piece of one byte would else keep the whole record of TLS that it came in.
      const isSmall = SMALL_SHARE * piece.length < piece.buffer.byteLength
      const besides = isSmall || piece.buffer === this.#lastBuffer ? 0 : piece.buffer.byteLength - piece.length
      if (!isSmall) this.#lastBuffer = piece.buffer
      this.#content += piece.length
      this.#pieces += PIECE_BYTES + besides
      this.#change(piece.length + PIECE_BYTES + besides)
      return push(isSmall ? Buffer.from(Uint8Array.prototype.slice.call(piece)) : piece)
    }
    stream.once('close', () => {
      this.#isClosed = true
      this.#change(this.#waiting - this.#content - this.#pieces - this.#other)
    })
    this.sending(CALL_BYTES)
  }

  /** So many bytes more, or less, are on their way out. What is left goes with the call. */
  sending(bytes: number): void {
    if (this.#isClosed) return
    this.#other += bytes
    this.#change(bytes)
  }

  /** A message is complete. It is held until it is {@link served}, also after the call; or from then on, if it was read late. */
  wait(message: Uint8Array): void {
    this.#waiting += message.length
    if (this.#isClosed) this.#change(message.length)
  }

  /** A message that was complete is served, or dropped. */
  served(message: Uint8Array): void {
    this.#waiting -= message.length
    if (this.#isClosed) {
      this.#change(-message.length)
      return
    }
    const content = Math.min(this.#content, message.length + MESSAGE_HEAD_BYTES)
    const pieces = Math.ceil((this.#pieces * content) / Math.max(1, this.#content))
    this.#content -= content
    this.#pieces -= pieces
    // Not to keep for the life of a stream what is not counted any more.
    if (this.#content === 0) this.#lastBuffer = undefined
    this.#change(-content - pieces)
  }
}
