import { type ClientDuplexStream, Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js'
import type { PublicKey } from '../../proto/model.js'
import { fromStatus, spokenCode } from '../../proto/status.js'
import { type Clock, type Millis, systemClock } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { type Logger, silentLogger } from '../../runtime/logger.js'
import type {
  Address,
  Caller,
  CallOptions,
  Endpoint,
  MessageStream,
  StreamHandler,
  StreamMethod,
  Transport,
  UnaryHandler,
  UnaryMethod,
} from '../../runtime/transport.js'
import { MESSAGE_BYTES_MAX } from '../../runtime/transport.js'
import { parseAddress } from '../address.js'
import type { Identity } from '../identity/identity.js'
import type { Network } from '../identity/network.js'
import { type ChannelCertificates, createCertificates } from './certificate.js'
import { type Channel, ChannelCache } from './grpc-channels.js'
import { GrpcServer } from './grpc-server.js'
import { GrpcStream, toBuffer } from './grpc-stream.js'
import { handleHealth } from './health.js'
import { DEFAULT_LISTENER_LIMITS, Listener, type ListenerLimits } from './listener.js'
import { probePeer } from './probe.js'

/** Who this node is and in which network, and what it lets others use. */
export interface GrpcTransportOptions {
  readonly identity: Identity
  readonly network: Network
  readonly clock?: Clock
  readonly logger?: Logger
  readonly limits?: Partial<ListenerLimits>
  /** Time for an opened stream to reach its handler. Unit: ms. Default: 10 s. */
  readonly connectTimeoutMs?: Millis
  /** A connection that we dialled and no call uses is closed after this. Unit: ms. Default: 60 s. */
  readonly channelIdleMs?: Millis
  /** Peers dialled at a time. Default: 1024. */
  readonly channelsMax?: number
  /** What callers may make us hold. Unit: bytes. Default: 128 MiB, {@link HELD_BYTES_MAX}. */
  readonly heldBytesMax?: number
}

const CONNECT_TIMEOUT_MS = 10_000
const CHANNEL_IDLE_MS = 60_000
const CHANNELS_MAX = 1024
const NO_NONCE = new Uint8Array(0)

const passBytes = (bytes: Buffer): Buffer => bytes

/**
 * {@link Transport} over gRPC and TLS 1.3 with Ed25519 keys on both sides. A leaf is the same without {@link listen}.
 * Handlers may be offered before or after `listen`; calls made meanwhile get `unsupported`.
 */
export class GrpcTransport implements Transport {
  readonly identity: Identity
  readonly network: Network
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #limits: ListenerLimits
  readonly #connectTimeoutMs: Millis
  readonly #certificates: ChannelCertificates
  readonly #channels: ChannelCache
  readonly #server: GrpcServer
  readonly #streams = new Set<{ cancel(reason?: Error): void }>()
  readonly #calls = new Set<{ cancel(): void }>()
  readonly #listeners: Listener[] = []
  #closing: Promise<void> | undefined

  constructor(options: GrpcTransportOptions) {
    this.identity = options.identity
    this.network = options.network
    this.#clock = options.clock ?? systemClock
    this.#logger = options.logger ?? silentLogger
    this.#limits = { ...DEFAULT_LISTENER_LIMITS, ...options.limits }
    this.#connectTimeoutMs = options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS
    this.#certificates = createCertificates(options.identity, options.network)
    this.#channels = new ChannelCache({
      certificates: this.#certificates,
      idWorkBits: options.network.idWorkBits,
      clock: this.#clock,
      idleMs: options.channelIdleMs ?? CHANNEL_IDLE_MS,
      channelsMax: options.channelsMax ?? CHANNELS_MAX,
    })
    this.#server = new GrpcServer(this.#clock, this.#logger, options.heldBytesMax)
    handleHealth(this)
  }

  /** Peers dialled and still connected or connecting. */
  get channels(): number {
    return this.#channels.size
  }

  /** Connections accepted and still open. */
  get connections(): number {
    return this.#listeners.reduce((sum, listener) => sum + listener.connections, 0)
  }

  /**
   * Begins to accept connections; resolves to the port. Without a host: on all addresses. May be called for several
   * addresses. Rejects with GridError `unavailable` and a hint when it cannot.
   */
  async listen(at: { host?: string; port: number }): Promise<number> {
    this.#server.offerReflection()
    if (this.#closing !== undefined) throw new GridError('closed', 'the node is shutting down')
    const listener = new Listener({
      certificates: this.#certificates,
      idWorkBits: this.network.idWorkBits,
      limits: this.#limits,
      logger: this.#logger,
      onConnection: (socket, caller) => this.#server.inject(socket, caller),
    })
    const port = await listener.listen(at.host, at.port)
    this.#listeners.push(listener)
    return port
  }

  handleUnary<Request, Response>(
    method: UnaryMethod<Request, Response>,
    handler: UnaryHandler<Request, Response>,
  ): void {
    this.#server.handleUnary(method, handler)
  }

  handleStream<Up, Down>(method: StreamMethod<Up, Down>, handler: StreamHandler<Up, Down>): void {
    this.#server.handleStream(method, handler)
  }

  async call<Request, Response>(
    to: Endpoint,
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<Response> {
    if (options.signal?.aborted) throw cancelled()
    const bytes = toBuffer(method.request.encode(request))
    if (bytes.length > MESSAGE_BYTES_MAX)
      throw new GridError('invalid', `a request of ${bytes.length} bytes is over the limit`)
    const channel = this.#channels.acquire(to)
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const call = channel.client.makeUnaryRequest(
        method.path,
        passBytes,
        passBytes,
        bytes,
        new Metadata(),
        { deadline: Date.now() + options.deadlineMs },
        (error, value) => {
          options.signal?.removeEventListener('abort', onAbort)
          this.#calls.delete(call)
          this.#channels.release(channel, error !== null && isBroken(error))
          if (options.signal?.aborted || (error !== null && this.#closing !== undefined)) reject(cancelled())
          else if (error !== null) reject(this.#failure(error, to, channel, false))
          else if (value === undefined) reject(new GridError('internal', 'an answer without a message'))
          else resolve(value)
        },
      )
      this.#calls.add(call)
      const onAbort = () => call.cancel()
      options.signal?.addEventListener('abort', onAbort, { once: true })
    })
    return method.response.decode(answer)
  }

  open<Up, Down>(to: Endpoint, method: StreamMethod<Up, Down>, signal?: AbortSignal): MessageStream<Down, Up> {
    let channel: Channel
    try {
      if (signal?.aborted) throw cancelled()
      channel = this.#channels.acquire(to)
    } catch (error) {
      return new FailedStream<Down, Up>(this.#callerOf(to), toGridError(error))
    }
    const call = channel.client.makeBidiStreamRequest(method.path, passBytes, passBytes, new Metadata())
    const stream: GrpcStream<Down, Up> = new GrpcStream<Down, Up>({
      call,
      caller: this.#callerOf(to),
      incoming: method.down,
      outgoing: method.up,
      logger: this.#logger,
      abort: () => call.cancel(),
      onClosed: () => {
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        this.#streams.delete(stream)
      },
    })
    const onAbort = () => stream.cancel(cancelled())
    const timer = this.#clock.setTimer(this.#connectTimeoutMs, () => {
      stream.cancel(new GridError('unreachable', `no answer from ${to.address} within ${this.#connectTimeoutMs} ms`))
      this.#channels.retire(channel)
    })
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#streams.add(stream)
    this.#followCall(call, stream, to, channel, () => timer.cancel())
    return stream
  }

  /** See {@link probePeer}. */
  async probe(address: Address, options: CallOptions): Promise<Endpoint> {
    return probePeer(address, {
      ...options,
      certificates: this.#certificates,
      network: this.network,
      clock: this.#clock,
    })
  }

  /** Ends every call and stream, here with `closed`, at the peers with a reason, and stops listening. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    for (const stream of [...this.#streams]) stream.cancel(new GridError('closed', 'the node is shutting down'))
    for (const call of [...this.#calls]) call.cancel()
    this.#channels.close()
    await this.#server.close()
    for (const listener of this.#listeners) listener.close()
  }

  /** The dialled peer; key and nonce appear once it has shown them. */
  #callerOf(to: Endpoint): Caller {
    const channels = this.#channels
    return {
      nodeId: to.nodeId,
      get publicKey() {
        return channels.peer(to.nodeId)?.publicKey ?? ('' as PublicKey)
      },
      get idNonce() {
        return channels.peer(to.nodeId)?.idNonce ?? NO_NONCE
      },
      host: hostOf(to.address),
    }
  }

  #followCall<Up, Down>(
    call: ClientDuplexStream<Buffer, Buffer>,
    stream: GrpcStream<Down, Up>,
    to: Endpoint,
    channel: Channel,
    onConnected: () => void,
  ): void {
    let connected = false
    // The status tells all; without a listener the error that comes with it would end the process.
    call.on('error', () => {})
    call.once('metadata', () => {
      connected = true
      onConnected()
    })
    call.once('status', (final: StatusObject) => {
      this.#channels.release(channel, isBroken(final))
      if (final.code !== status.OK) stream.close(this.#failure(final, to, channel, connected))
      else if (stream.endedThere) stream.close(undefined)
      else call.once('end', () => stream.close(undefined))
    })
  }

  /** What the end of a call means: the peer's own words, or what became of the connection. */
  #failure(
    final: Pick<ServiceError, 'code' | 'details' | 'metadata'>,
    to: Endpoint,
    channel: Channel,
    connected: boolean,
  ): GridError {
    const failure = fromStatus(final)
    if (spokenCode(final.metadata) !== undefined || failure.code !== 'unreachable') return failure
    if (connected) return new GridError('closed', `the connection to ${to.address} was lost`)
    const why = channel.refusal?.message ?? shortReason(failure.message)
    return new GridError('unreachable', `cannot reach ${to.address} (${why})`, {
      fields: { address: to.address, nodeId: to.nodeId },
    })
  }
}

/** A stream that never came to be: the reason arrives as its close. */
class FailedStream<In, Out> implements MessageStream<In, Out> {
  readonly caller: Caller
  readonly #reason: GridError

  constructor(caller: Caller, reason: GridError) {
    this.caller = caller
    this.#reason = reason
  }

  send(): boolean {
    return true
  }
  drained(): Promise<void> {
    return Promise.resolve()
  }
  pause(): void {}
  onMessage(): void {}
  onClose(handler: (reason?: Error) => void): void {
    queueMicrotask(() => handler(this.#reason))
  }
  onEnd(): void {}
  end(): void {}
  cancel(): void {}
}

/** Whether the connection, not the peer, ended the call. */
function isBroken(final: Pick<ServiceError, 'code' | 'metadata'>): boolean {
  if (spokenCode(final.metadata) !== undefined) return false
  return final.code === status.UNAVAILABLE || final.code === status.INTERNAL
}

/** grpc-js wraps what the socket said in its own words and a date. */
function shortReason(details: string): string {
  const last = /Last error: (?:Error: )?(.*)$/.exec(details)?.[1] ?? details
  // What OpenSSL says of a chain that does not end in the CA of this network.
  if (/self-signed certificate|unable to verify|certificate signature failure/.test(last))
    return 'it is not in this network: --network and --secret-file must be the same on both sides'
  return last.replace(/ \(\d{4}-[^)]*\)/g, '').replace(/\. Resolution note:.*$/, '')
}

function hostOf(address: Address): string {
  try {
    return parseAddress(address).host
  } catch {
    return ''
  }
}

function cancelled(): GridError {
  return new GridError('closed', 'the call was cancelled')
}
