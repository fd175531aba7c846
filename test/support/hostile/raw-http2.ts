import { once } from 'node:events'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { parseAddress } from '../../../overlay/address.js'
import { type ChannelCertificates, createCertificates } from '../../../overlay/channel/certificate.js'
import type { Identity } from '../../../overlay/identity/identity.js'
import type { Address } from '../../../runtime/transport.js'
import { testNetwork } from '../transport/grpc-nodes.js'

/** Frame types and flags of RFC 9113. */
export const DATA = 0
export const HEADERS = 1
const RST_STREAM = 3
const SETTINGS = 4
export const PING = 6
export const CONTINUATION = 9
export const END_STREAM = 1
const ACK = 1
const GOAWAY = 7
export const END_HEADERS = 4
export const INITIAL_WINDOW_SIZE = 4
/** Most bytes that a frame may carry unless the other side allows more. */
export const FRAME_BYTES_MAX = 16_384
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const CANCEL = 8

const certificates = new WeakMap<Identity, ChannelCertificates>()

/**
 * A socket on its way to being let in as `identity`, with nothing of HTTP/2 on it yet. `localAddress`: one of this machine's
 * from which to dial.
 */
export function dialTls(address: Address, identity: Identity, localAddress?: string): TLSSocket {
  const { host, port } = parseAddress(address)
  const own = certificates.get(identity) ?? createCertificates(identity, testNetwork)
  certificates.set(identity, own)
  const { caPem, certificatePem, keyPem } = own
  return connectTls({
    host,
    port,
    ...(localAddress === undefined ? {} : { localAddress }),
    ca: caPem,
    cert: certificatePem,
    key: keyPem,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['h2'],
    checkServerIdentity: () => undefined,
  })
}

/** One frame, with whatever is said to be in it. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = NOTHING): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

export function settings(...pairs: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(6 * pairs.length)
  for (const [i, [name, value]] of pairs.entries()) {
    payload.writeUInt16BE(name, 6 * i)
    payload.writeUInt32BE(value, 6 * i + 2)
  }
  return frame(SETTINGS, 0, 0, payload)
}

export function reset(stream: number): Buffer {
  const code = Buffer.alloc(4)
  code.writeUInt32BE(CANCEL)
  return frame(RST_STREAM, 0, stream, code)
}

/** Headers of a gRPC call, in literals without indexing (RFC 7541, 6.2.2). */
export function callHeaders(path: string, more: Readonly<Record<string, string>> = {}): Buffer {
  const block: Buffer[] = [Buffer.from([0x83, 0x87, 0x01]), text('peer'), Buffer.from([0x04]), text(path)]
  for (const [name, value] of Object.entries({ 'content-type': 'application/grpc', te: 'trailers', ...more }))
    block.push(Buffer.from([0]), text(name), text(value))
  return Buffer.concat(block)
}

/** A gRPC message: compressed or not, its length, its bytes. */
export function grpcMessage(body: Uint8Array, length = body.length, compressed = 0): Buffer {
  const head = Buffer.alloc(5)
  head[0] = compressed
  head.writeUInt32BE(length, 1)
  return Buffer.concat([head, body])
}

/** A string of HPACK, without Huffman coding. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([integer(bytes.length, 7), bytes])
}

/** An integer of HPACK with a prefix of so many bits, all bits before it 0. */
export function integer(value: number, prefix: number): Buffer {
  const most = 2 ** prefix - 1
  if (value < most) return Buffer.from([value])
  const bytes = [most]
  for (let left = value - most; ; left = Math.floor(left / 128)) {
    if (left < 128) {
      bytes.push(left)
      return Buffer.from(bytes)
    }
    bytes.push((left % 128) + 128)
  }
}

/** A connection with a valid certificate on which frames are written by hand. */
export class RawHttp2 {
  readonly socket: TLSSocket
  /** Settings of the peer that came, each of which was acknowledged. */
  settingsSeen = 0
  /** Code with which the peer said that it ends the connection; undefined: it did not. */
  goAway: number | undefined
  #nextStream = 1
  #unread: Buffer = Buffer.alloc(0)

  private constructor(socket: TLSSocket) {
    this.socket = socket
  }

  /** Connects and says hello. Undefined: the peer does not let us in. */
  static async open(
    address: Address,
    identity: Identity,
    hello: readonly (readonly [number, number])[] = [],
    localAddress?: string,
  ): Promise<RawHttp2 | undefined> {
    const socket = dialTls(address, identity, localAddress)
    socket.on('error', () => {})
    const isOpen = await Promise.race([
      once(socket, 'secureConnect').then(
        () => true,
        () => false,
      ),
      once(socket, 'close').then(() => false),
    ])
    if (!isOpen) return undefined
    const raw = new RawHttp2(socket)
    // What comes back is dropped but for settings, until a reader that is slow on purpose pauses.
    socket.on('data', (bytes: Buffer) => raw.#receive(bytes))
    raw.write(Buffer.from(PREFACE), settings(...hello))
    return raw
  }

  get closed(): boolean {
    return this.socket.destroyed || !this.socket.writable
  }

  #receive(bytes: Buffer): void {
    let rest = Buffer.concat([this.#unread, bytes])
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const length = rest.readUIntBE(0, 3)
      if (rest[3] === SETTINGS && (rest[4]! & ACK) === 0) {
        this.settingsSeen++
        this.write(frame(SETTINGS, ACK, 0))
      }
      if (rest[3] === GOAWAY && length >= 8) this.goAway ??= rest.readUInt32BE(13)
      rest = rest.subarray(9 + length)
    }
    this.#unread = rest
  }

  nextStream(): number {
    const stream = this.#nextStream
    this.#nextStream += 2
    return stream
  }

  write(...frames: readonly Buffer[]): void {
    if (!this.closed) this.socket.write(Buffer.concat(frames))
  }

  /** Resolves when all that was written went out, the peer hung up, or `signal` came. */
  drained(signal: AbortSignal): Promise<void> {
    const { socket } = this
    if (this.closed || !socket.writableNeedDrain || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        socket.off('drain', done).off('close', done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      socket.once('drain', done).once('close', done)
      signal.addEventListener('abort', done)
    })
  }

  close(): void {
    this.socket.destroy()
  }

  /** How the peer ended it, in words. */
  get end(): string {
    if (this.goAway !== undefined) return `GOAWAY ${ERROR_NAMES[this.goAway] ?? this.goAway}`
    return this.socket.errored === null ? 'closed' : `closed (${(this.socket.errored as NodeJS.ErrnoException).code})`
  }
}

/** Error codes of RFC 9113, 7. */
const ERROR_NAMES: Readonly<Record<number, string>> = {
  0: 'NO_ERROR',
  1: 'PROTOCOL_ERROR',
  2: 'INTERNAL_ERROR',
  3: 'FLOW_CONTROL_ERROR',
  5: 'STREAM_CLOSED',
  6: 'FRAME_SIZE_ERROR',
  9: 'COMPRESSION_ERROR',
  11: 'ENHANCE_YOUR_CALM',
}

const NOTHING = new Uint8Array(0)
