import type { Clock, Millis } from './clock.js'
import { GridError } from './errors.js'
import type { MessageStream } from './transport.js'

/** How long the other side of a transfer may stand still. However slow it is beyond that, it gets the time it needs. */
export interface Patience {
  readonly clock: Pick<Clock, 'setTimer'>
  /** Longest wait for room for one more message, or for an answer once all is said. Unit: ms. */
  readonly idleMs: Millis
}

/**
 * Sends messages as fast as the other side takes them. One that takes nothing for `idleMs` has its stream cancelled with
 * GridError `timeout`, and gets no more; what a stream that was closed is sent is lost, so `messages` had better end then.
 * Rejects with what `messages` throws.
 */
export async function sendAll<Out>(
  stream: MessageStream<unknown, Out>,
  messages: Iterable<Out> | AsyncIterable<Out>,
  patience: Patience,
): Promise<void> {
  for await (const message of messages) {
    if (stream.send(message)) continue
    const isDrained = await within(stream, stream.drained(), patience).then(
      () => true,
      () => false,
    )
    if (!isDrained) return
  }
}

/** `wait`, or a cancelled stream and GridError `timeout`. */
export function within<T>(
  stream: MessageStream<unknown, never>,
  wait: Promise<T>,
  { clock, idleMs }: Patience,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(idleMs, () => {
      const error = new GridError('timeout', `the other side did nothing for ${idleMs} ms`)
      stream.cancel(error)
      reject(error)
    })
    wait.finally(() => timer.cancel()).then(resolve, reject)
  })
}

/** Hands what comes on a stream to `take`; resolves when it has closed well, rejects with the reason when not. */
export function collect<In>(stream: MessageStream<In, never>, take: (message: In) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.onMessage(take)
    stream.onClose((reason) => (reason ? reject(reason) : resolve()))
  })
}

/** A piece of what is sent in several. */
interface Piece {
  readonly isFirst: boolean
  readonly bytes: Uint8Array
}

/** `bytes` in pieces, one at least, until `isOver` says that nobody wants them any more. */
export function* piecesOf(
  bytes: Uint8Array,
  pieceBytes: number,
  isOver: () => boolean = () => false,
): Generator<Piece> {
  for (let at = 0; (at === 0 || at < bytes.length) && !isOver(); at += pieceBytes)
    yield { isFirst: at === 0, bytes: bytes.subarray(at, at + pieceBytes) }
}

/**
 * The same of what `read` gives, each piece read when the one before is sent: what slow readers wait for is not in memory.
 * Rejects with GridError `notFound` where it gives nothing.
 */
export async function* piecesRead(
  read: (start: number, length: number) => Promise<Uint8Array | undefined>,
  pieceBytes: number,
  isOver: () => boolean = () => false,
): AsyncGenerator<Piece> {
  for (let at = 0; !isOver(); at += pieceBytes) {
    const bytes = await read(at, pieceBytes)
    if (bytes === undefined) throw new GridError('notFound', 'the content is not here any more')
    if (at === 0 || bytes.length > 0) yield { isFirst: at === 0, bytes }
    if (bytes.length < pieceBytes) return
  }
}
