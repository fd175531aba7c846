import type { Clock, Millis } from '../../runtime/clock.js'
import { type ErrorCode, toGridError } from '../../runtime/errors.js'
import type {
  Address,
  CallOptions,
  Codec,
  Endpoint,
  MessageStream,
  StreamHandler,
  StreamMethod,
  Transport,
  UnaryHandler,
  UnaryMethod,
} from '../../runtime/transport.js'

/** Which end of a call this process is. */
export type Side = 'client' | 'server'

/** How a call or a stream ended. */
export type Ending = 'ok' | ErrorCode

/** Where a transport says what passes through it. `path` is that of a method, hence one of a few dozen. */
export interface TransportMeter {
  unaryEnded(path: string, side: Side, ending: Ending, durationMs: Millis): void
  streamOpened(path: string, side: Side): void
  streamEnded(path: string, side: Side, ending: Ending): void
  /** One message of a stream; `message` is as the codec has it. */
  streamMessage(path: string, side: Side, direction: 'sent' | 'received', message: unknown): void
  /** Bytes of messages, encoded, without what gRPC, TLS and TCP add. */
  bytes(path: string, direction: 'sent' | 'received', count: number): void
}

/** A transport that tells a meter of everything, and changes nothing. */
export class MeasuredTransport implements Transport {
  readonly #inner: Transport
  readonly #meter: TransportMeter
  readonly #clock: Pick<Clock, 'now'>
  /** Methods are constants of the program: one entry each. */
  readonly #unary = new Map<string, unknown>()
  readonly #streams = new Map<string, unknown>()

  constructor(inner: Transport, meter: TransportMeter, clock: Pick<Clock, 'now'>) {
    this.#inner = inner
    this.#meter = meter
    this.#clock = clock
  }

  async call<Request, Response>(
    to: Endpoint,
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<Response> {
    return this.#timed(method.path, 'client', async () =>
      this.#inner.call(to, this.#measuredUnary(method), request, options),
    )
  }

  open<Up, Down>(to: Endpoint, method: StreamMethod<Up, Down>, signal?: AbortSignal): MessageStream<Down, Up> {
    const stream = this.#inner.open(to, this.#measuredStream(method), signal)
    return new MeasuredStream(stream, method.path, 'client', this.#meter)
  }

  handleUnary<Request, Response>(
    method: UnaryMethod<Request, Response>,
    handler: UnaryHandler<Request, Response>,
  ): void {
    this.#inner.handleUnary(this.#measuredUnary(method), (request, caller, signal) =>
      this.#timed(method.path, 'server', async () => handler(request, caller, signal)),
    )
  }

  handleStream<Up, Down>(method: StreamMethod<Up, Down>, handler: StreamHandler<Up, Down>): void {
    this.#inner.handleStream(this.#measuredStream(method), (stream) =>
      handler(new MeasuredStream(stream, method.path, 'server', this.#meter)),
    )
  }

  probe(address: Address, options: CallOptions): Promise<Endpoint> {
    return this.#inner.probe(address, options)
  }

  async #timed<T>(path: string, side: Side, action: () => Promise<T>): Promise<T> {
    const startedAt = this.#clock.now()
    let ending: Ending = 'ok'
    try {
      return await action()
    } catch (error) {
      ending = toGridError(error).code
      throw error
    } finally {
      this.#meter.unaryEnded(path, side, ending, this.#clock.now() - startedAt)
    }
  }

  #measuredUnary<Request, Response>(method: UnaryMethod<Request, Response>): UnaryMethod<Request, Response> {
    let measured = this.#unary.get(method.path) as UnaryMethod<Request, Response> | undefined
    if (measured === undefined) {
      const { path } = method
      measured = { path, request: this.#counted(path, method.request), response: this.#counted(path, method.response) }
      this.#unary.set(path, measured)
    }
    return measured
  }

  #measuredStream<Up, Down>(method: StreamMethod<Up, Down>): StreamMethod<Up, Down> {
    let measured = this.#streams.get(method.path) as StreamMethod<Up, Down> | undefined
    if (measured === undefined) {
      const { path } = method
      measured = { path, up: this.#counted(path, method.up), down: this.#counted(path, method.down) }
      this.#streams.set(path, measured)
    }
    return measured
  }

  #counted<T>(path: string, codec: Codec<T>): Codec<T> {
    return {
      encode: (value) => {
        const bytes = codec.encode(value)
        this.#meter.bytes(path, 'sent', bytes.length)
        return bytes
      },
      decode: (bytes) => {
        this.#meter.bytes(path, 'received', bytes.length)
        return codec.decode(bytes)
      },
    }
  }
}

class MeasuredStream<In, Out> implements MessageStream<In, Out> {
  readonly #inner: MessageStream<In, Out>
  readonly #path: string
  readonly #side: Side
  readonly #meter: TransportMeter
  #onClose: ((reason?: Error) => void) | undefined
  #closed: { readonly reason: Error | undefined } | undefined

  constructor(inner: MessageStream<In, Out>, path: string, side: Side, meter: TransportMeter) {
    this.#inner = inner
    this.#path = path
    this.#side = side
    this.#meter = meter
    meter.streamOpened(path, side)
    // Whether anybody else wants to know or not.
    inner.onClose((reason) => {
      meter.streamEnded(path, side, reason === undefined ? 'ok' : toGridError(reason).code)
      this.#closed = { reason }
      this.#onClose?.(reason)
    })
  }

  get caller() {
    return this.#inner.caller
  }

  send(message: Out): boolean {
    this.#meter.streamMessage(this.#path, this.#side, 'sent', message)
    return this.#inner.send(message)
  }

  drained(): Promise<void> {
    return this.#inner.drained()
  }

  pause(paused: boolean): void {
    this.#inner.pause(paused)
  }

  onMessage(handler: (message: In) => void): void {
    this.#inner.onMessage((message) => {
      this.#meter.streamMessage(this.#path, this.#side, 'received', message)
      handler(message)
    })
  }

  onClose(handler: (reason?: Error) => void): void {
    this.#onClose = handler
    // The stream may have ended before anybody wanted to know; nobody is called from within his own call.
    const closed = this.#closed
    if (closed !== undefined) queueMicrotask(() => handler(closed.reason))
  }

  onEnd(handler: () => void): void {
    this.#inner.onEnd(handler)
  }

  end(): void {
    this.#inner.end()
  }

  cancel(reason?: Error): void {
    this.#inner.cancel(reason)
  }
}
