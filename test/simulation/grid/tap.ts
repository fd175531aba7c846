import type {
  CallOptions,
  Endpoint,
  MessageStream,
  StreamHandler,
  StreamMethod,
  Transport,
  UnaryMethod,
} from '../../../runtime/transport.js'

/** What listens in on one stream. */
export interface Tap<In, Out> {
  /** Sees what comes, before its receiver does; what it gives is delivered instead. */
  readonly received?: (message: In) => readonly In[]
  /** Sees what is sent. */
  readonly sent?: (message: Out) => void
  /** What goes out after a message, unseen by {@link sent}. */
  readonly more?: (message: Out) => readonly Out[]
}

/** `stream` with somebody listening in. */
function tapStream<In, Out>(stream: MessageStream<In, Out>, tap: Tap<In, Out>): MessageStream<In, Out> {
  return {
    get caller() {
      return stream.caller
    },
    send: (message) => {
      tap.sent?.(message)
      let isRoom = stream.send(message)
      for (const each of tap.more?.(message) ?? []) isRoom = stream.send(each)
      return isRoom
    },
    drained: () => stream.drained(),
    pause: (paused) => stream.pause(paused),
    onMessage: (handler) =>
      stream.onMessage((message) => {
        for (const each of tap.received?.(message) ?? [message]) handler(each)
      }),
    onClose: (handler) => stream.onClose(handler),
    onEnd: (handler) => stream.onEnd(handler),
    end: () => stream.end(),
    cancel: (reason) => stream.cancel(reason),
  }
}

/** `transport` with somebody listening in on the streams of one method: those it opens and those it serves. */
export function tapTransport<Up, Down>(
  transport: Transport,
  method: StreamMethod<Up, Down>,
  taps: {
    readonly opened?: (to: Endpoint) => Tap<Down, Up>
    readonly served?: (stream: MessageStream<Up, Down>) => Tap<Up, Down>
  },
): Transport {
  const isTapped = (other: { readonly path: string }) => other.path === method.path
  return {
    call: (to, other, request, options) => transport.call(to, other, request, options),
    probe: (address, options) => transport.probe(address, options),
    handleUnary: (other, handler) => transport.handleUnary(other, handler),
    open: <U, D>(to: Endpoint, other: StreamMethod<U, D>, signal?: AbortSignal) => {
      const stream = transport.open(to, other, signal)
      if (!isTapped(other) || taps.opened === undefined) return stream
      // The path names the types: it is the very method that the taps are for.
      const tapped = tapStream(stream as unknown as MessageStream<Down, Up>, taps.opened(to))
      return tapped as unknown as MessageStream<D, U>
    },
    handleStream: <U, D>(other: StreamMethod<U, D>, handler: StreamHandler<U, D>) => {
      if (!isTapped(other) || taps.served === undefined) return transport.handleStream(other, handler)
      const served = taps.served
      const tapped: StreamHandler<Up, Down> = (stream) =>
        (handler as unknown as StreamHandler<Up, Down>)(tapStream(stream, served(stream)))
      transport.handleStream(method, tapped)
    },
  }
}

/** `transport` with somebody who sees each answered call of one method, and who answered, before the caller does. */
export function tapCalls<Request, Response>(
  transport: Transport,
  method: UnaryMethod<Request, Response>,
  answered: (to: Endpoint, request: Request, response: Response) => void,
): Transport {
  return {
    call: async <Q, R>(to: Endpoint, other: UnaryMethod<Q, R>, request: Q, options: CallOptions) => {
      const response = await transport.call(to, other, request, options)
      // The path names the types: it is the very method that is listened to.
      if (other.path === method.path) answered(to, request as unknown as Request, response as unknown as Response)
      return response
    },
    probe: (address, options) => transport.probe(address, options),
    open: (to, other, signal) => transport.open(to, other, signal),
    handleUnary: (other, handler) => transport.handleUnary(other, handler),
    handleStream: (other, handler) => transport.handleStream(other, handler),
  }
}
