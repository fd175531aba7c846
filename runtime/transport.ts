import type { NodeId, PublicKey } from '../proto/model.js'
import type { Millis } from './clock.js'

/** Largest message of any kind. Unit: bytes. Larger things travel in pieces. */
export const MESSAGE_BYTES_MAX = 1024 * 1024
/**
 * Unsent bytes of a stream at which `send` says false. Less than a piece of a blob: Node reads nothing from an HTTP/2
 * connection while it is writing, so on a slow link all that waits here holds up every answer, and with it calls and keepalive.
 * The buffers of the system keep a fast link busy meanwhile.
 */
export const STREAM_HIGH_WATER_BYTES = 128 * 1024
/** Unsent bytes of a stream at which it is cancelled: its sender does not wait for {@link MessageStream.drained}. */
export const STREAM_BUFFER_BYTES_MAX = 16 * 1024 * 1024

/** Where a peer listens: `host:port`, IPv6 hosts in brackets. */
export type Address = string

/** Whom to dial: the id is checked against the key that answers. */
export interface Endpoint {
  readonly nodeId: NodeId
  readonly address: Address
}

/** Who is at the other end of an authenticated connection. */
export interface Caller {
  readonly nodeId: NodeId
  readonly publicKey: PublicKey
  /** Nonce that makes the id of the key, 8 bytes (see `overlay/identity/identity.ts`). */
  readonly idNonce: Uint8Array
  /** Remote host without port, as the socket saw it. */
  readonly host: string
}

/** How one message is written and read. `decode` throws GridError `invalid` for anything outside its limits. */
export interface Codec<T> {
  encode(value: T): Uint8Array
  /** The same bytes in pieces, where content of the value is one of them: whoever frames them copies it once. */
  encodeParts?(value: T): readonly Uint8Array[]
  decode(bytes: Uint8Array): T
}

/** One request, one response. */
export interface UnaryMethod<Request, Response> {
  /** gRPC path, `/manyhands.v1.Overlay/FindNode`. */
  readonly path: string
  readonly request: Codec<Request>
  readonly response: Codec<Response>
}

/** Messages both ways until either side ends. Server-streaming and client-streaming methods are used as this, too. */
export interface StreamMethod<Up, Down> {
  readonly path: string
  readonly up: Codec<Up>
  readonly down: Codec<Down>
}

/**
 * One end of an open stream. Handlers are set synchronously by whoever receives the stream; messages that come before
 * are kept. After `onClose` nothing else is called. Bytes in flight are bounded by flow control, never by hope:
 * a sender that ignores `send() === false` beyond `STREAM_BUFFER_BYTES_MAX` gets its stream cancelled.
 */
export interface MessageStream<In, Out> {
  /** On the opening side, key and nonce are empty until the connection stands: at the latest when the first message comes. */
  readonly caller: Caller
  /** Queues one message in order; bytes in it must not change any more. False: above the high-water mark, wait for {@link drained}. Ignored once closed. */
  send(message: Out): boolean
  /** Resolves when the buffer has drained or the stream closed. Never rejects. */
  drained(): Promise<void>
  /** Stops (true) or continues (false) delivery of messages; the other side is held back by flow control. */
  pause(paused: boolean): void
  onMessage(handler: (message: In) => void): void
  /**
   * Called once, also after our own `cancel`: without a reason after a clean end, else with a GridError. Never called from
   * within `end`, `cancel` or `onClose` itself.
   */
  onClose(handler: (reason?: Error) => void): void
  /** The other side has said its last message (half-close); we may still send. */
  onEnd(handler: () => void): void
  /**
   * Says our last message. Safe to call twice. The opening side may go on receiving; the end of the accepting side ends
   * the stream for both, as in gRPC, so it ends once it has what it wants.
   */
  end(): void
  /**
   * Tears the stream down at once. The opening side learns code and message of `reason`; the accepting side learns only
   * that it was `closed`, as gRPC has no room for more. Safe to call twice.
   */
  cancel(reason?: Error): void
}

/** What bounds a call. */
export interface CallOptions {
  /** Hard limit for the whole call. Every call has one. */
  readonly deadlineMs: Millis
  readonly signal?: AbortSignal
}

/** Serves one unary method. What it throws reaches the caller as a status, never as a crash. */
export type UnaryHandler<Request, Response> = (
  request: Request,
  caller: Caller,
  signal: AbortSignal,
) => Promise<Response> | Response

/** Serves one stream: sets the handlers on it before it returns. */
export type StreamHandler<Up, Down> = (stream: MessageStream<Up, Down>) => void

/**
 * Everything a role may do with the network. Versions: gRPC (`overlay/channel/grpc-transport.ts`) and the simulator; both pass
 * the conformance suite in `test/support/transport/transport-conformance.ts`.
 */
export interface Transport {
  /** Sends one request. Rejects with GridError: the peer's own code, or `unreachable`, `timeout`, `closed`. */
  call<Request, Response>(
    to: Endpoint,
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<Response>
  /** Opens a stream at once; failure to connect arrives as `onClose` with GridError `unreachable`. */
  open<Up, Down>(to: Endpoint, method: StreamMethod<Up, Down>, signal?: AbortSignal): MessageStream<Down, Up>
  /** Offers a method to callers. To be called before the first connection is accepted. */
  handleUnary<Request, Response>(method: UnaryMethod<Request, Response>, handler: UnaryHandler<Request, Response>): void
  handleStream<Up, Down>(method: StreamMethod<Up, Down>, handler: StreamHandler<Up, Down>): void
  /**
   * Finds out which node answers at `address` (trust on first use). Rejects like {@link call}.
   * The result is what to dial from then on.
   */
  probe(address: Address, options: CallOptions): Promise<Endpoint>
}
