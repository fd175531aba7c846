import type { Clock, Millis } from './clock.js'
import { GridError } from './errors.js'
import type { MessageStream } from './transport.js'

/** A caller that opens a stream says within this time what it wants. */
const REQUEST_MS: Millis = 10_000

/**
 * Serves a stream whose caller says one thing: `serve` gets it and sets `onClose`. A second message is refused, as it would
 * start a second answer on the stream; so is silence.
 */
export function takeRequest<Request, Reply>(
  clock: Clock,
  stream: MessageStream<Request, Reply>,
  serve: (request: Request) => void,
): void {
  let taken = false
  const patience = clock.setTimer(REQUEST_MS, () => {
    if (!taken) stream.cancel(new GridError('timeout', 'nothing was asked'))
  })
  stream.onClose(() => patience.cancel())
  stream.onEnd(() => {
    if (!taken) stream.cancel(new GridError('invalid', 'one request was expected'))
  })
  stream.onMessage((request) => {
    if (taken) return stream.cancel(new GridError('invalid', 'one request was expected'))
    taken = true
    patience.cancel()
    serve(request)
  })
}
