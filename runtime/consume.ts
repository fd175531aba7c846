import type { Clock, Millis } from './clock.js'
import { GridError } from './errors.js'
import type { MessageStream } from './transport.js'

/** Messages taken from a stream and not yet handled, above which the other side is held back. */
const QUEUED_MAX = 4

interface ConsumeOptions {
  readonly clock: Clock
  /** Longest wait for the next message. Unit: ms. */
  readonly idleMs: Millis
  /** When all is said: at the other side's half-close (for one that still answers), or when the stream has closed. */
  readonly until: 'end' | 'close'
}

/**
 * Hands the messages of a stream to `handle` one after the other, holding the other side back meanwhile. Resolves after the
 * last one; rejects with what `handle` threw, the reason of the close, or GridError `timeout`. A stream whose messages
 * cannot be handled is cancelled. To be called synchronously by whoever receives the stream.
 */
export function consume<In, Out>(
  stream: MessageStream<In, Out>,
  { clock, idleMs, until }: ConsumeOptions,
  handle: (message: In) => Promise<void> | void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let queued = 0
    let over = false
    let tail: Promise<void> = Promise.resolve()
    const fail = (error: Error) => {
      over = true
      timer.cancel()
      stream.cancel(error)
      reject(error)
    }
    const watch = () => clock.setTimer(idleMs, () => fail(new GridError('timeout', `nothing came for ${idleMs} ms`)))
    let timer = watch()
    const finish = (reason?: Error) => {
      over = true
      timer.cancel()
      if (reason) reject(reason)
      else tail.then(resolve, () => {})
    }
    stream.onMessage((message) => {
      if (over) return
      timer.cancel()
      if (++queued === QUEUED_MAX) stream.pause(true)
      tail = tail.then(() => handle(message))
      tail.then(() => {
        if (--queued === QUEUED_MAX - 1) stream.pause(false)
        if (queued === 0 && !over) {
          timer.cancel()
          timer = watch()
        }
      }, fail)
    })
    if (until === 'end') stream.onEnd(() => finish())
    stream.onClose(finish)
  })
}
