import { toGridError } from '../../../runtime/errors.js'
import type { Codec, MessageStream } from '../../../runtime/transport.js'
import type { StreamEnd } from './stream-end.js'

/** `end` as a stream of messages: what a driver sees. A message that cannot be read ends the stream. */
export function messageStream<In, Out>(
  end: StreamEnd,
  incoming: Codec<In>,
  outgoing: Codec<Out>,
): MessageStream<In, Out> {
  return {
    get caller() {
      return end.caller
    },
    send: (message) => end.closed || end.send(outgoing.encode(message)),
    drained: () => end.drained(),
    pause: (paused) => end.pause(paused),
    onMessage: (handler) =>
      end.onMessage((bytes) => {
        let message: In
        try {
          message = incoming.decode(bytes)
        } catch (error) {
          end.cancel(toGridError(error))
          return
        }
        handler(message)
      }),
    onClose: (handler) => end.onClose(handler),
    onEnd: (handler) => end.onEnd(handler),
    end: () => end.end(),
    cancel: (reason) => end.cancel(reason),
  }
}
