import type { Millis } from '../../../runtime/clock.js'
import { assert, type ErrorCode, GridError } from '../../../runtime/errors.js'
import {
  type Address,
  type Caller,
  type CallOptions,
  type Codec,
  type Endpoint,
  MESSAGE_BYTES_MAX,
  type MessageStream,
  type StreamHandler,
  type StreamMethod,
  type Transport,
  type UnaryHandler,
  type UnaryMethod,
} from '../../../runtime/transport.js'
import type { Station } from './link.js'
import { messageStream } from './message-stream.js'
import type { Network } from './network.js'
import type { SimProcess } from './process.js'
import { StreamPair } from './stream.js'
import type { StreamEnd } from './stream-end.js'

/** The bytes themselves: for hosts that send what no codec would write. */
export const rawCodec: Codec<Uint8Array> = { encode: (bytes) => bytes, decode: (bytes) => bytes }

/** Answers with the node id of whoever listens; what a TLS handshake tells. */
const PROBE_PATH = '/handshake'

interface ServeUnary {
  readonly takesSignal: boolean
  answer(bytes: Uint8Array, caller: Caller, signal: AbortSignal): Promise<Uint8Array>
}

/** Stands in where nobody looks at the signal. */
const neverAborted = new AbortController().signal

type ServeStream = (end: StreamEnd) => void

type Outcome = { readonly bytes: Uint8Array } | { readonly error: GridError }

/** A call as its caller keeps it. */
interface Outgoing {
  readonly process: SimProcess
  readonly to: Station
  settle(outcome: Outcome): void
  settled: boolean
}

/** A call as its server keeps it. */
interface Incoming {
  readonly from: Station
  readonly call: Outgoing
  /** Undefined for a handler that takes no signal: making one costs more than the rest of a call. */
  readonly abort: AbortController | undefined
}

/**
 * The network as one process uses it. A unary request or reply may be lost (the caller sees `timeout`), come twice or
 * overtake others; streams stay in order. Whatever is sent is encoded here and decoded by the receiver.
 */
export class SimTransport implements Transport {
  /** Streams with an end here. */
  readonly streams = new Set<StreamEnd>()
  readonly #network: Network
  readonly #station: Station
  readonly #process: SimProcess
  readonly #unary = new Map<string, ServeUnary>()
  readonly #stream = new Map<string, ServeStream>()
  readonly #incoming = new Set<Incoming>()
  readonly #outgoing = new Set<Outgoing>()

  constructor(network: Network, station: Station, process: SimProcess) {
    this.#network = network
    this.#station = station
    this.#process = process
    const nodeId = new TextEncoder().encode(station.caller.nodeId)
    this.#unary.set(PROBE_PATH, { takesSignal: false, answer: async () => nodeId })
  }

  async call<Request, Response>(
    to: Endpoint,
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<Response> {
    const bytes = method.request.encode(request)
    if (bytes.length > MESSAGE_BYTES_MAX)
      throw new GridError('invalid', `a request of ${bytes.length} bytes is over the limit`)
    const reply = await this.#exchange(to.address, to.nodeId, method.path, bytes, options)
    return method.response.decode(reply)
  }

  open<Up, Down>(to: Endpoint, method: StreamMethod<Up, Down>, signal?: AbortSignal): MessageStream<Down, Up> {
    const pair = new StreamPair(this.#network, method.path, this.#station, this.#process, this.streams, to)
    const end = pair.dialler
    const stream = messageStream(end, method.down, method.up)
    if (signal?.aborted) end.cancel()
    else if (signal) {
      const onAbort = () => end.cancel()
      signal.addEventListener('abort', onAbort, { once: true })
      end.onFinished = () => signal.removeEventListener('abort', onAbort)
    }
    return stream
  }

  handleUnary<Request, Response>(
    method: UnaryMethod<Request, Response>,
    handler: UnaryHandler<Request, Response>,
  ): void {
    this.#unary.set(method.path, {
      takesSignal: handler.length > 2,
      answer: async (bytes, caller, signal) => {
        const response = await handler(method.request.decode(bytes), caller, signal)
        const reply = method.response.encode(response)
        assert(reply.length <= MESSAGE_BYTES_MAX, `answer of ${method.path} has ${reply.length} bytes`)
        return reply
      },
    })
  }

  handleStream<Up, Down>(method: StreamMethod<Up, Down>, handler: StreamHandler<Up, Down>): void {
    this.#stream.set(method.path, (end) => handler(messageStream(end, method.up, method.down)))
  }

  async probe(address: Address, options: CallOptions): Promise<Endpoint> {
    const [plain = '', wanted] = address.split('#')
    const reply = await this.#exchange(plain, undefined, PROBE_PATH, new Uint8Array(), options)
    const nodeId = new TextDecoder().decode(reply) as Endpoint['nodeId']
    if (wanted !== undefined && wanted !== nodeId)
      throw new GridError('unauthenticated', `the node at ${plain} is ${nodeId}, not ${wanted}`)
    return { nodeId, address: plain }
  }

  /** Who serves streams of this path; for {@link StreamPair}. */
  streamHandler(path: string): ServeStream | undefined {
    return this.#stream.get(path)
  }

  /** Tells the peers, or nobody, that the process is gone. */
  processDied(ending: 'heard' | 'silently'): void {
    for (const end of [...this.streams]) end.processDied(ending)
    if (ending === 'heard') {
      const reset = new GridError('closed', 'the connection was reset')
      for (const { from, call } of this.#incoming) this.#answer(from, call, { error: reset })
      // Servers drop what a caller that hung up still waits for.
      for (const call of this.#outgoing) this.#cancelAt(call)
    }
    this.#incoming.clear()
    this.#outgoing.clear()
  }

  #exchange(
    address: Address,
    nodeId: Endpoint['nodeId'] | undefined,
    path: string,
    bytes: Uint8Array,
    options: CallOptions,
  ): Promise<Uint8Array> {
    const { scheduler, random, counters } = this.#network
    return new Promise((resolve, reject) => {
      if (!this.#process.alive) return
      const { signal } = options
      if (signal?.aborted) return reject(new GridError('closed', `${path}: cancelled before it was sent`))
      counters.calls++
      const to = this.#network.stationAt(address)
      const giveUp = (error: GridError) => {
        if (call.settled) return
        call.settle({ error })
        if (to) this.#cancelAt(call)
      }
      const onAbort = () => giveUp(new GridError('closed', `${path}: cancelled`))
      const timer = this.#process.after(options.deadlineMs, () => {
        giveUp(new GridError('timeout', `${path}: no answer from ${address} within ${options.deadlineMs} ms`))
      })
      const call: Outgoing = {
        process: this.#process,
        to: to ?? this.#station,
        settled: false,
        settle: (outcome) => {
          if (call.settled) {
            counters.lateReplies++
            return
          }
          call.settled = true
          timer.cancel()
          signal?.removeEventListener('abort', onAbort)
          this.#outgoing.delete(call)
          if ('bytes' in outcome) resolve(outcome.bytes)
          else reject(outcome.error)
        },
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#outgoing.add(call)
      if (!to?.reachable) {
        counters.refusedDials++
        const refusal = new GridError('unreachable', `nobody answers at ${address}`)
        this.#process.after(this.#network.profile.baseMs, () => call.settle({ error: refusal }))
        return
      }
      const copies = random.chance(this.#network.link(this.#station, to).duplicate) ? 2 : 1
      if (copies === 2) counters.duplicatedRequests++
      for (let copy = 0; copy < copies; copy++) {
        if (this.#network.isForbidden(this.#station, to)) {
          counters.cutMessages++
          continue
        }
        if (this.#isLost(to)) continue
        const travelMs = this.#network.travelMs(this.#station, to, bytes.length)
        scheduler.at(scheduler.nowMs + travelMs, to.name, () => this.#arrive(call, to, nodeId, path, bytes))
      }
    })
  }

  /** The request is at the other host. */
  #arrive(call: Outgoing, to: Station, nodeId: Endpoint['nodeId'] | undefined, path: string, bytes: Uint8Array): void {
    const { scheduler, trace, counters } = this.#network
    if (this.#network.isCut(this.#station, to)) {
      counters.cutMessages++
      return
    }
    if (!to.poweredOn) return
    trace.record(scheduler.nowMs, to.name, 'request', path, bytes)
    const server = to.process && this.#network.transportOf(to.process)
    const refuse = (code: ErrorCode, message: string) => {
      counters.refusedDials++
      this.#travel(to, this.#station, 0, () => {
        this.#process.deliver(() => call.settle({ error: new GridError(code, message) }))
      })
    }
    if (!server || !to.process) {
      refuse('unreachable', `nobody listens at ${to.address}`)
      return
    }
    if (nodeId !== undefined && nodeId !== to.caller.nodeId) {
      refuse('unreachable', `another key answers at ${to.address}`)
      return
    }
    const caller = this.#station.caller
    to.process.deliver(() => server.#serve(this.#station, call, path, bytes, caller))
  }

  #serve(from: Station, call: Outgoing, path: string, bytes: Uint8Array, caller: Caller): void {
    const handler = this.#unary.get(path)
    if (!handler) {
      this.#answer(from, call, { error: new GridError('unsupported', `no method ${path}`) })
      return
    }
    const incoming: Incoming = { from, call, abort: handler.takesSignal ? new AbortController() : undefined }
    this.#incoming.add(incoming)
    handler
      .answer(bytes.slice(), caller, incoming.abort?.signal ?? neverAborted)
      .then(
        (reply) => () => ({ bytes: reply }),
        (error: unknown) => () => ({ error: this.#network.refusal(this.#station.name, error) }),
      )
      .then((outcome) => {
        // Not there any more: the process died meanwhile, and with it whatever the handler came to.
        if (this.#incoming.delete(incoming)) this.#answer(incoming.from, incoming.call, outcome())
      })
  }

  /** Sends the reply to a call that `from` made. */
  #answer(from: Station, call: Outgoing, outcome: Outcome): void {
    if (this.#isLost(from)) return
    const { scheduler, trace } = this.#network
    const bytes = 'bytes' in outcome ? outcome.bytes.slice() : undefined
    this.#travel(this.#station, from, bytes?.length ?? 0, () => {
      if (!call.process.alive) return
      trace.record(scheduler.nowMs, from.name, 'reply', 'error' in outcome ? outcome.error.code : 'ok', bytes)
      call.process.deliver(() => call.settle(bytes ? { bytes } : outcome))
    })
  }

  /** Tells the server of `call` that its caller no longer waits. */
  #cancelAt(call: Outgoing): void {
    this.#travel(this.#station, call.to, 0, () => {
      const { process } = call.to
      const server = process && this.#network.transportOf(process)
      if (!server) return
      for (const incoming of [...server.#incoming]) {
        if (incoming.call === call) process.deliver(() => incoming.abort?.abort())
      }
    })
  }

  #travel(from: Station, to: Station, byteCount: number, arrive: () => void): void {
    const { scheduler, counters } = this.#network
    const travelMs: Millis = this.#network.travelMs(from, to, byteCount)
    scheduler.at(scheduler.nowMs + travelMs, to.name, () => {
      if (this.#network.isCut(from, to)) counters.cutMessages++
      else arrive()
    })
  }

  #isLost(to: Station): boolean {
    if (!this.#network.random.chance(this.#network.link(this.#station, to).loss)) return false
    this.#network.counters.lostMessages++
    return true
  }
}
