import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { Client, credentials, Metadata, type StatusObject, status } from '@grpc/grpc-js'
import type { NodeId, PublicKey } from '../../proto/model.js'
import { fromStatus, spokenCode } from '../../proto/status.js'
import type { Clock } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import {
  type Caller,
  type CallOptions,
  MESSAGE_BYTES_MAX,
  type MessageStream,
  type StreamMethod,
  type UnaryMethod,
} from '../../runtime/transport.js'
import { GrpcServer } from './grpc-server.js'
import { GrpcStream, toBuffer } from './grpc-stream.js'

/** Connections to a socket at a time; its owner has a few. */
const CONNECTIONS_MAX = 64

/** Whoever may open the socket: who that is, the operating system has checked. */
const LOCAL: Caller = {
  nodeId: '' as NodeId,
  publicKey: '' as PublicKey,
  idNonce: new Uint8Array(0),
  host: '',
}

const passBytes = (bytes: Buffer): Buffer => bytes
const isPipe = (path: string): boolean => path.startsWith('\\\\')

/**
 * gRPC over a Unix domain socket (a named pipe on Windows), for programs of the same person on the same machine: no keys and
 * no TLS, as the file's mode says who may open it. Methods are offered before {@link listen}.
 */
export class LocalServer {
  readonly #grpc: GrpcServer
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #path: string | undefined

  constructor(clock: Clock, logger: Logger) {
    this.#grpc = new GrpcServer(clock, logger)
    this.#server = createServer((socket) => {
      socket.on('error', () => socket.destroy())
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      this.#grpc.inject(socket, LOCAL)
    })
    this.#server.maxConnections = CONNECTIONS_MAX
  }

  get handleUnary(): GrpcServer['handleUnary'] {
    return this.#grpc.handleUnary.bind(this.#grpc)
  }

  get handleStream(): GrpcServer['handleStream'] {
    return this.#grpc.handleStream.bind(this.#grpc)
  }

  /**
   * Accepts connections at `path`, with mode 0600, in the place of a socket that was left there. The folder must be closed to
   * others already. Rejects with GridError `unavailable`.
   */
  async listen(path: string): Promise<void> {
    if (!isPipe(path)) rmSync(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', (cause) =>
        reject(new GridError('unavailable', `the admin socket ${path} cannot be opened`, { cause })),
      )
      this.#server.listen(path, resolve)
    })
    this.#server.on('error', () => {})
    this.#path = path
    if (!isPipe(path)) chmodSync(path, 0o600)
  }

  /** Ends every call with a reason and removes the socket. Safe to call twice. */
  async close(): Promise<void> {
    this.#server.close()
    await this.#grpc.close()
    for (const socket of this.#sockets) socket.destroy()
    if (this.#path !== undefined && !isPipe(this.#path)) rmSync(this.#path, { force: true })
  }
}

/** Calls the process behind a socket. One connection, made at the first call. */
export class LocalClient {
  readonly #client: Client
  readonly #logger: Logger

  constructor(path: string, logger: Logger) {
    this.#logger = logger
    this.#client = new Client(`unix:${path}`, credentials.createInsecure(), {
      'grpc.enable_channelz': 0,
      'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
      'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
      // Nobody else shares it, and nothing is to be resolved.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.service_config_disable_resolution': 1,
    })
  }

  /** One request. Rejects with GridError: the process's own code, or `unreachable`, `timeout`, `closed`. */
  async call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    { deadlineMs, signal }: CallOptions,
  ): Promise<Response> {
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const onAbort = () => call.cancel()
      const call = this.#client.makeUnaryRequest(
        method.path,
        passBytes,
        passBytes,
        toBuffer(method.request.encode(request)),
        new Metadata(),
        { deadline: Date.now() + deadlineMs },
        (error, value) => {
          signal?.removeEventListener('abort', onAbort)
          if (error !== null) reject(failureOf(error))
          else if (value === undefined) reject(new GridError('internal', 'an answer without a message'))
          else resolve(value)
        },
      )
      signal?.addEventListener('abort', onAbort, { once: true })
    })
    return method.response.decode(answer)
  }

  /** Opens a stream at once; failure to connect arrives as `onClose` with GridError `unreachable`. */
  open<Up, Down>(method: StreamMethod<Up, Down>): MessageStream<Down, Up> {
    const call = this.#client.makeBidiStreamRequest(method.path, passBytes, passBytes, new Metadata())
    const stream: GrpcStream<Down, Up> = new GrpcStream<Down, Up>({
      call,
      caller: LOCAL,
      incoming: method.down,
      outgoing: method.up,
      logger: this.#logger,
      abort: () => call.cancel(),
      onClosed: () => {},
    })
    // The status tells all; without a listener the error that comes with it would end the process.
    call.on('error', () => {})
    call.once('status', (final: StatusObject) => {
      if (final.code !== status.OK) stream.close(failureOf(final))
      else if (stream.endedThere) stream.close(undefined)
      else call.once('end', () => stream.close(undefined))
    })
    return stream
  }

  /** Ends every call. Safe to call twice. */
  close(): void {
    this.#client.close()
  }
}

function failureOf(final: Pick<StatusObject, 'code' | 'details' | 'metadata'>): GridError {
  const failure = fromStatus(final)
  if (spokenCode(final.metadata) !== undefined || failure.code !== 'unreachable') return failure
  return new GridError('unreachable', 'the process on this data directory does not answer on its admin socket')
}
