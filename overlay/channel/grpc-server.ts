import type {
  Http2Server,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
} from 'node:http2'
import { constants } from 'node:http2'
import type { Socket } from 'node:net'
import {
  type ConnectionInjector,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { ERROR_CODE_KEY, toStatus } from '../../proto/status.js'
import { type Clock, pause } from '../../runtime/clock.js'
import { consume } from '../../runtime/consume.js'
import { assert, type ErrorCode, GridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import {
  type Caller,
  type Codec,
  MESSAGE_BYTES_MAX,
  type StreamHandler,
  type StreamMethod,
  type UnaryHandler,
  type UnaryMethod,
} from '../../runtime/transport.js'
import { hostGroup } from '../address.js'
import { CallHolding } from './call-holding.js'
import { HeldBytes, type Holding } from './core/held-bytes.js'
import type { Describe } from './grpc-reflection.js'
import { GrpcStream, toBuffer } from './grpc-stream.js'
import { Turns } from './turns.js'

/** Calls under way on one connection; more wait at the caller. */
const STREAMS_PER_CONNECTION_MAX = 64
/**
 * HTTP/2 receive window of a connection and of each stream. The default of 64 KB holds an upload to 0.6 MB/s at 50 ms of
 * round trip; this allows 160 MB/s, and bounds what one stream can make us keep unread. Unit: bytes.
 */
export const RECEIVE_WINDOW_BYTES = 8 * 1024 * 1024
/**
 * What all connections together may make us hold: halves of messages, messages that wait for their turn, answers that are
 * not read, 4 KiB for each call. With more, the one that holds most is ended. Unit: bytes.
 */
const HELD_BYTES_MAX = 128 * 1024 * 1024
/**
 * A connection is tried so often; without an answer it is given up after 40 s in all. An answer stands in line
 * behind what the system has taken for a slow link already, which is up to a megabyte: ten seconds of 1 Mbit/s. Unit: ms.
 */
export const KEEPALIVE_MS = 20_000
/** Time without an answer after which a connection that was tried is given up. Unit: ms. */
export const KEEPALIVE_ANSWER_MS = 20_000
/** A connection without calls for so long is closed; whoever wants it dials again. Unit: ms. */
const CONNECTION_IDLE_MS = 10 * 60_000
/** Time for a reason to reach the other side of a torn stream before the stream is reset without one. Unit: ms. */
const ABORT_LINGER_MS = 1_000
/** Time for streams to say goodbye when the server closes. Unit: ms. */
const CLOSE_LINGER_MS = 300
/** Our own header on each incoming call, set by us alone, to find its HTTP/2 stream again behind grpc-js. */
const STREAM_KEY = 'manyhands-stream'

/** A call as the wire has it, with who it is from and what it makes us hold. */
interface Incoming {
  readonly stream: ServerHttp2Stream
  readonly caller: Caller
  readonly holding: CallHolding
}

/** A connection: who is at its other end, and what it makes us hold. */
interface Connection {
  readonly caller: Caller
  readonly holding: Holding<ServerHttp2Session>
}

/** Services that {@link GrpcServer.offerReflection} stands for, in both versions of the protocol. */
const REFLECTION_PATHS = ['v1', 'v1alpha'].map(
  (version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
)
/** A tool that asks nothing more for so long has gone. Unit: ms. */
const REFLECTION_IDLE_MS = 60_000

/** What whoever compresses is told, as gRPC has it for algorithms that a server does not know. */
const COMPRESSED_REFUSED: OutgoingHttpHeaders = {
  ':status': 200,
  'content-type': 'application/grpc',
  'grpc-accept-encoding': 'identity',
  'grpc-status': String(status.UNIMPLEMENTED),
  'grpc-message': 'messages are not compressed here',
}

const TOO_MANY_WAIT = 'more of your calls wait here than may; send them a few at a time'
const TOO_MANY_REFUSED: OutgoingHttpHeaders = {
  ':status': 200,
  'content-type': 'application/grpc',
  'grpc-status': String(status.RESOURCE_EXHAUSTED),
  'grpc-message': encodeURI(TOO_MANY_WAIT),
  [ERROR_CODE_KEY]: 'quota' satisfies ErrorCode,
}

const RAW: Codec<Uint8Array> = { encode: (bytes) => bytes, decode: (bytes) => bytes }
const passBytes = (bytes: Buffer): Buffer => bytes

/**
 * The accepting half of the transport: grpc-js fed with sockets that the listener has authenticated. The caller of a
 * connection is known before its first call and shared by all of them.
 */
export class GrpcServer {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #server: Server
  readonly #injector: ConnectionInjector
  readonly #turns: Turns
  readonly #held: HeldBytes<ServerHttp2Session>
  readonly #sessions = new Map<ServerHttp2Session, Connection>()
  readonly #incoming = new Map<string, Incoming>()
  readonly #streams = new Set<{ cancel(reason?: Error): void }>()
  #injecting: Caller | undefined
  #streamNumber = 0
  #offersReflection = false
  #describers: Promise<ReadonlyMap<string, Describe>> | undefined
  #closing: Promise<void> | undefined

  /** `heldBytesMax`: see {@link HELD_BYTES_MAX}. */
  constructor(clock: Clock, logger: Logger, heldBytesMax = HELD_BYTES_MAX) {
    this.#held = new HeldBytes(heldBytesMax)
    this.#clock = clock
    this.#logger = logger
    this.#turns = new Turns(clock, setImmediate)
    this.#server = new Server({
      'grpc.enable_channelz': 0,
      'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
      'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
      'grpc.max_concurrent_streams': STREAMS_PER_CONNECTION_MAX,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_ANSWER_MS,
      'grpc.max_connection_idle_ms': CONNECTION_IDLE_MS,
    })
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure())
    this.#guardHttp2(http2ServerOf(this.#server))
  }

  /** Describes our services to whoever asks; what that needs is loaded when somebody does. Further calls change nothing. */
  offerReflection(): void {
    if (this.#offersReflection) return
    this.#offersReflection = true
    for (const path of REFLECTION_PATHS)
      this.handleStream({ path, up: RAW, down: RAW }, (stream) => {
        const options = { clock: this.#clock, idleMs: REFLECTION_IDLE_MS, until: 'end' } as const
        consume(stream, options, async (request) => {
          this.#describers ??= import('./grpc-reflection.js').then(({ describers }) => describers())
          const describe = (await this.#describers).get(path)
          assert(describe !== undefined, `${path} is described`)
          if (!stream.send(describe(request))) await stream.drained()
        }).then(
          () => stream.end(),
          // The stream was cancelled with the reason.
          () => {},
        )
      })
  }

  /** Takes over a connection of which it is known who is at its other end. */
  inject(socket: Socket, caller: Caller): void {
    if (this.#closing !== undefined) {
      socket.destroy()
      return
    }
    this.#injecting = caller
    try {
      this.#injector.injectConnection(socket)
    } finally {
      this.#injecting = undefined
    }
  }

  handleUnary<Request, Response>(
    method: UnaryMethod<Request, Response>,
    handler: UnaryHandler<Request, Response>,
  ): void {
    const serve = (call: ServerUnaryCall<Buffer, Buffer>, respond: sendUnaryData<Buffer>) => {
      const refuse = (error: unknown) => {
        if (!(error instanceof GridError))
          this.#logger.error('handlerFailed', { path: method.path, reason: String(error) })
        respond(toStatus(error))
      }
      try {
        const incoming = this.#incomingOf(call.metadata)
        const { holding } = incoming
        const answer = () => {
          holding.served(call.request)
          // Reset while it waited: nobody is there to read an answer.
          if (incoming.stream.closed) return
          void this.#answer(incoming, call.request, method, handler).then((bytes) => {
            holding.sending(bytes.length)
            respond(null, bytes)
          }, refuse)
        }
        holding.wait(call.request)
        if (!this.#turns.run(incoming.caller, answer)) {
          holding.served(call.request)
          throw new GridError('quota', TOO_MANY_WAIT)
        }
      } catch (error) {
        refuse(error)
      }
    }
    const added = this.#server.register(method.path, serve, passBytes, passBytes, 'unary')
    assert(added, `${method.path} is handled twice`)
  }

  handleStream<Up, Down>(method: StreamMethod<Up, Down>, handler: StreamHandler<Up, Down>): void {
    const serve = (call: ServerDuplexStream<Buffer, Buffer>) => this.#accept(call, method, handler)
    const added = this.#server.register(method.path, serve, passBytes, passBytes, 'bidi')
    assert(added, `${method.path} is handled twice`)
  }

  /** Ends every call with a reason, then every connection. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    for (const stream of [...this.#streams]) stream.cancel(new GridError('closed', 'the node is shutting down'))
    const sessions = [...this.#sessions.keys()]
    const ended = sessions.map((session) => new Promise<void>((resolve) => session.once('close', resolve)))
    for (const session of sessions) session.close()
    // A session that was closed ends its socket politely even when destroyed, and waits for a peer that may have stopped: no
    // one waits for that here. The sockets are the listener's.
    const goodbyes = new AbortController()
    await Promise.race([Promise.all(ended), pause(this.#clock, CLOSE_LINGER_MS, goodbyes.signal)])
    goodbyes.abort()
    this.#server.forceShutdown()
  }

  /** Puts windows, identity and a safety net around what grpc-js does with each session and call. */
  #guardHttp2(server: Http2Server): void {
    server.on('session', (session) => {
      const caller = this.#injecting
      session.on('error', () => {})
      if (caller === undefined || this.#closing !== undefined) {
        session.destroy()
        return
      }
      const holding = this.#held.open(session, hostGroup(caller.host))
      this.#sessions.set(session, { caller, holding })
      session.once('close', () => {
        this.#held.close(holding)
        this.#sessions.delete(session)
      })
      session.settings({ initialWindowSize: RECEIVE_WINDOW_BYTES })
      session.setLocalWindowSize(RECEIVE_WINDOW_BYTES)
    })
    type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number) => void
    const handlers = server.listeners('stream') as OnStream[]
    assert(handlers.length === 1, 'grpc-js serves HTTP/2 streams with one listener')
    const [serve] = handlers as [OnStream]
    server.removeAllListeners('stream')
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number) => {
      stream.on('error', () => {})
      const connection =
        stream.session === undefined ? undefined : this.#sessions.get(stream.session as ServerHttp2Session)
      if (connection === undefined) {
        stream.close(constants.NGHTTP2_REFUSED_STREAM)
        return
      }
      const { caller } = connection
      // A byte of a compressed message costs far more than a byte of another, and before its turn; we never compress.
      if ((headers['grpc-encoding'] ?? 'identity') !== 'identity') {
        refuse(stream, COMPRESSED_REFUSED)
        return
      }
      const key = String(this.#streamNumber++)
      headers[STREAM_KEY] = key
      const holding = new CallHolding(stream, this.#held, connection.holding, (worst) => this.#end(worst))
      this.#incoming.set(key, { stream, caller, holding })
      stream.once('close', () => this.#incoming.delete(key))
      const takeUp = () => {
        // Reset while it waited.
        if (stream.closed || stream.destroyed) return
        try {
          serve(stream, headers, flags)
        } catch (error) {
          // Headers that grpc-js cannot read or answer would otherwise end the process.
          this.#logger.warn('callRefused', { peer: caller.nodeId, reason: String(error) })
          stream.close(constants.NGHTTP2_PROTOCOL_ERROR)
        }
      }
      // What grpc-js does for a call costs as much as many an answer, and is done for calls that no method is there for, too.
      if (!this.#turns.run(caller, takeUp)) refuse(stream, TOO_MANY_REFUSED)
    })
  }

  /** Hangs up on who makes us hold most, and says why. */
  #end({ connection: session }: Holding<ServerHttp2Session>): void {
    const known = this.#sessions.get(session)
    if (known === undefined) return
    const { caller, holding } = known
    this.#logger.debug('connectionEnded', { peer: caller.nodeId, host: caller.host, heldBytes: holding.bytes })
    this.#held.close(holding)
    // Not while it reads.
    setImmediate(() => session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM))
  }

  #incomingOf(metadata: Metadata): Incoming {
    const key = metadata.get(STREAM_KEY)[0]
    const incoming = typeof key === 'string' ? this.#incoming.get(key) : undefined
    if (incoming === undefined) throw new GridError('closed', 'the connection is gone')
    return incoming
  }

  async #answer<Request, Response>(
    { stream, caller }: Incoming,
    bytes: Buffer,
    method: UnaryMethod<Request, Response>,
    handler: UnaryHandler<Request, Response>,
  ): Promise<Buffer> {
    const request = decoded(method.request.decode, bytes)
    const abort = new AbortController()
    stream.once('close', () => abort.abort(new GridError('closed', 'the caller is gone')))
    const answer = toBuffer(method.response.encode(await handler(request, caller, abort.signal)))
    assert(answer.length <= MESSAGE_BYTES_MAX, `answer of ${method.path} has ${answer.length} bytes`)
    return answer
  }

  #accept<Up, Down>(
    call: ServerDuplexStream<Buffer, Buffer>,
    method: StreamMethod<Up, Down>,
    handler: StreamHandler<Up, Down>,
  ): void {
    call.on('error', () => {})
    let incoming: Incoming
    try {
      incoming = this.#incomingOf(call.metadata)
    } catch (error) {
      call.emit('error', toStatus(error))
      return
    }
    const http2Stream = incoming.stream
    const stream: GrpcStream<Up, Down> = new GrpcStream<Up, Down>({
      call,
      caller: incoming.caller,
      incoming: method.up,
      outgoing: method.down,
      logger: this.#logger,
      abort: (reason) => {
        call.emit('error', toStatus(reason))
        const timer = this.#clock.setTimer(ABORT_LINGER_MS, () => http2Stream.close(constants.NGHTTP2_CANCEL))
        if (http2Stream.closed) timer.cancel()
        else http2Stream.once('close', () => timer.cancel())
      },
      onClosed: () => this.#streams.delete(stream),
      turn: (bytes, action) => {
        const { caller, holding } = incoming
        holding.wait(bytes)
        const served = () => {
          holding.served(bytes)
          action()
        }
        const isTaken = this.#turns.run(caller, served)
        if (!isTaken) holding.served(bytes)
        return isTaken
      },
      sending: (bytes) => incoming.holding.sending(bytes),
    })
    this.#streams.add(stream)
    http2Stream.once('close', () => {
      // Trailers are the last thing said, so once they went out the call ended as we wanted it to.
      const clean = stream.endedHere && http2Stream.sentTrailers !== undefined
      stream.close(clean ? undefined : new GridError('closed', 'the other side closed the stream'))
    })
    // At once, so that the caller knows that the call has arrived.
    call.sendMetadata(new Metadata())
    try {
      handler(stream)
    } catch (error) {
      this.#logger.error('handlerFailed', { path: method.path, reason: String(error) })
      stream.cancel(
        error instanceof GridError ? error : new GridError('internal', 'the handler failed', { cause: error }),
      )
    }
  }
}

/** Ends a call before grpc-js has seen it. */
function refuse(stream: ServerHttp2Stream, headers: OutgoingHttpHeaders): void {
  stream.respond(headers, { endStream: true })
  stream.resume()
}

function decoded<T>(decode: (bytes: Uint8Array) => T, bytes: Uint8Array): T {
  try {
    return decode(bytes)
  } catch (error) {
    if (error instanceof GridError) throw error
    throw new GridError('invalid', 'the request could not be read', { cause: error })
  }
}

/**
 * The HTTP/2 server that grpc-js makes for an injector. It has no public way to it, and its windows can be raised nowhere
 * else; the version is pinned, and a change of this field stops the process at start rather than in use.
 */
function http2ServerOf(server: Server): Http2Server {
  const servers: unknown = Reflect.get(server, 'http2Servers')
  assert(servers instanceof Map && servers.size === 1, 'grpc-js keeps the HTTP/2 server of an injector in http2Servers')
  const [http2Server] = servers.keys()
  return http2Server as Http2Server
}
