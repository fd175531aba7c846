import type { MessageStream } from '../../../runtime/transport.js'

/** A stream whose messages and close are recorded. */
export interface Watched extends MessageStream<string, string> {
  readonly messages: readonly string[]
  readonly closed: Promise<Error | undefined>
  ended(): boolean
}

/** Records what a stream brings from now on. */
export function watch(stream: MessageStream<string, string>): Watched {
  const messages: string[] = []
  let ended = false
  let isClosed = false
  stream.onMessage((message) => {
    if (isClosed) throw new Error('a message after the close')
    messages.push(message)
  })
  stream.onEnd(() => {
    ended = true
  })
  const closed = new Promise<Error | undefined>((resolve) => {
    stream.onClose((reason) => {
      isClosed = true
      resolve(reason)
    })
  })
  return {
    messages,
    closed,
    ended: () => ended,
    caller: stream.caller,
    send: (message) => stream.send(message),
    drained: () => stream.drained(),
    pause: (paused) => stream.pause(paused),
    onMessage: (handler) => stream.onMessage(handler),
    onClose: (handler) => stream.onClose(handler),
    onEnd: (handler) => stream.onEnd(handler),
    end: () => stream.end(),
    cancel: (reason) => stream.cancel(reason),
  }
}

/** Resolves once `progress` has stood still for 250 ms: of a real network nothing else says that no bytes move any more. */
export async function standsStill(progress: () => number): Promise<void> {
  for (let last = -1, still = 0; still < 10; still = progress() === last ? still + 1 : 0) {
    last = progress()
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}
