import type { NodeId } from '../../../proto/model.js'
import { GridError, toGridError } from '../../../runtime/errors.js'
import type {
  Caller,
  Endpoint,
  MessageStream,
  StreamHandler,
  Transport,
  UnaryHandler,
} from '../../../runtime/transport.js'

type Wire = Uint8Array
type AnyUnary = (bytes: Wire, caller: Caller) => Promise<Wire>
type AnyStream = (stream: MessageStream<Wire, Wire>) => void

/** Peers that reach each other within the process; every message goes through its codec both ways. */
export class MemoryNetwork {
  readonly #peers = new Map<string, MemoryTransport>()
  /** Calls and streams by path, in the order made: `PATH host`. */
  readonly log: string[] = []

  add(caller: Caller, address: string): MemoryTransport {
    const transport = new MemoryTransport(this, caller)
    this.#peers.set(address, transport)
    return transport
  }

  /** Streams that peers serve now. */
  get openStreams(): number {
    return [...this.#peers.values()].reduce((sum, { serving }) => sum + serving, 0)
  }

  /** Nobody answers at the address from now on; open streams break. */
  kill(address: string): void {
    this.#peers.get(address)?.die()
    this.#peers.delete(address)
  }

  reach({ address, nodeId }: Endpoint, path: string): MemoryTransport {
    this.log.push(`${path} ${address}`)
    const peer = this.#peers.get(address)
    if (peer === undefined || peer.caller.nodeId !== nodeId)
      throw new GridError('unreachable', `nobody answers at ${address}`)
    return peer
  }
}

export class MemoryTransport implements Transport {
  readonly caller: Caller
  readonly unary = new Map<string, AnyUnary>()
  readonly streams = new Map<string, AnyStream>()
  readonly #network: MemoryNetwork
  readonly #open = new Set<Pipe>()

  constructor(network: MemoryNetwork, caller: Caller) {
    this.#network = network
    this.caller = caller
  }

  get serving(): number {
    return this.#open.size
  }

  async call<Request, Response>(...[to, method, request]: Parameters<Transport['call']>): Promise<Response> {
    const peer = this.#network.reach(to, method.path)
    const handler = peer.unary.get(method.path)
    if (handler === undefined) throw new GridError('unsupported', `no method ${method.path}`)
    return method.response.decode(await handler(method.request.encode(request as Request), this.caller)) as Response
  }

  open<Up, Down>(...[to, method, signal]: Parameters<Transport['open']>): MessageStream<Down, Up> {
    const pipe = new Pipe(this.caller, { nodeId: to.nodeId } as Caller)
    const onAbort = () => pipe.break(new GridError('closed', 'aborted'))
    signal?.addEventListener('abort', onAbort, { once: true })
    let accepting: Set<Pipe> | undefined
    pipe.onClosed = () => {
      signal?.removeEventListener('abort', onAbort)
      accepting?.delete(pipe)
    }
    queueMicrotask(() => {
      if (signal?.aborted) return pipe.break(new GridError('closed', 'aborted'))
      try {
        const peer = this.#network.reach(to, method.path)
        const handler = peer.streams.get(method.path)
        if (handler === undefined) throw new GridError('unsupported', `no method ${method.path}`)
        accepting = peer.#open
        accepting.add(pipe)
        handler(pipe.acceptor.stream)
      } catch (error) {
        pipe.break(toGridError(error))
      }
    })
    return coded(pipe.dialler.stream, method.up, method.down) as MessageStream<Down, Up>
  }

  handleUnary<Request, Response>(
    ...[method, handler]: [Parameters<Transport['handleUnary']>[0], UnaryHandler<Request, Response>]
  ): void {
    this.unary.set(method.path, async (bytes, caller) =>
      method.response.encode(
        await handler(method.request.decode(bytes) as Request, caller, new AbortController().signal),
      ),
    )
  }

  handleStream<Up, Down>(
    ...[method, handler]: [Parameters<Transport['handleStream']>[0], StreamHandler<Up, Down>]
  ): void {
    this.streams.set(method.path, (stream) => handler(coded(stream, method.down, method.up) as MessageStream<Up, Down>))
  }

  probe(): Promise<Endpoint> {
    return Promise.reject(new GridError('unsupported', 'no probes here'))
  }

  die(): void {
    for (const pipe of [...this.#open]) pipe.break(new GridError('closed', 'the connection was reset'))
  }
}

interface Coder {
  encode(value: unknown): Wire
  decode(bytes: Wire): unknown
}

function coded(stream: MessageStream<Wire, Wire>, out: Coder, into: Coder): MessageStream<unknown, unknown> {
  return {
    get caller() {
      return stream.caller
    },
    send: (message) => stream.send(out.encode(message)),
    drained: () => stream.drained(),
    pause: (paused) => stream.pause(paused),
    onMessage: (handler) => stream.onMessage((bytes) => handler(into.decode(bytes))),
    onClose: (handler) => stream.onClose(handler),
    onEnd: (handler) => stream.onEnd(handler),
    end: () => stream.end(),
    cancel: (reason) => stream.cancel(reason),
  }
}

class Pipe {
  onClosed: () => void = () => {}
  readonly dialler: End
  readonly acceptor: End

  constructor(caller: Caller, called: Caller) {
    this.dialler = new End(called, () => this.acceptor, this)
    this.acceptor = new End(caller, () => this.dialler, this)
  }

  break(reason: Error): void {
    this.onClosed()
    this.dialler.close(reason)
    this.acceptor.close(new GridError('closed', 'the stream was cancelled'))
  }
}

/** Messages above which a sender is told to wait. */
const HIGH_WATER = 8

class End {
  readonly stream: MessageStream<Wire, Wire>
  readonly #queue: Wire[] = []
  #waiters: (() => void)[] = []
  #message: ((bytes: Wire) => void) | undefined
  #closeHandler: ((reason?: Error) => void) | undefined
  #endHandler: (() => void) | undefined
  #ended = false
  #paused = false
  #closed = false
  #pendingClose: { reason: Error | undefined } | undefined
  #running = false

  constructor(caller: Caller, other: () => End, pipe: Pipe) {
    this.stream = {
      caller,
      send: (bytes) => other().#take(bytes),
      drained: () => new Promise((resolve) => other().#onRoom(resolve)),
      pause: (paused) => {
        this.#paused = paused
        this.#pump()
      },
      onMessage: (handler) => {
        this.#message = handler
        this.#pump()
      },
      onClose: (handler) => {
        this.#closeHandler = handler
        this.#pump()
      },
      onEnd: (handler) => {
        this.#endHandler = handler
        this.#pump()
      },
      end: () => {
        other().#endFrom()
        if (this === pipe.acceptor) {
          pipe.dialler.close(undefined)
          pipe.acceptor.close(undefined)
          pipe.onClosed()
        }
      },
      cancel: (reason) => pipe.break(reason ?? new GridError('closed', 'cancelled')),
    }
  }

  close(reason: Error | undefined): void {
    if (this.#pendingClose || this.#closed) return
    if (reason) this.#queue.length = 0
    this.#pendingClose = { reason }
    for (const wake of this.#waiters.splice(0)) wake()
    this.#pump()
  }

  #take(bytes: Wire): boolean {
    if (this.#pendingClose) return true
    this.#queue.push(bytes)
    this.#pump()
    return this.#queue.length < HIGH_WATER
  }

  #onRoom(resolve: () => void): void {
    if (this.#queue.length < HIGH_WATER || this.#pendingClose) resolve()
    else this.#waiters.push(resolve)
  }

  #endFrom(): void {
    this.#ended = true
    this.#pump()
  }

  #pump(): void {
    if (this.#running) return
    this.#running = true
    setImmediate(() => {
      this.#running = false
      while (this.#message && !this.#paused && this.#queue.length > 0) {
        this.#message(this.#queue.shift()!)
        if (this.#queue.length < HIGH_WATER) for (const wake of this.#waiters.splice(0)) wake()
      }
      if (this.#queue.length > 0) return
      if (this.#ended && this.#endHandler) {
        this.#endHandler()
        this.#endHandler = undefined
      }
      if (this.#pendingClose && this.#closeHandler && !this.#closed) {
        this.#closed = true
        this.#closeHandler(this.#pendingClose.reason)
      }
    })
  }
}

export const endpointOf = (nodeId: NodeId, address: string): Endpoint => ({ nodeId, address })
