import { constants } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import { GridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import type { Caller } from '../../runtime/transport.js'
import { formatAddress, hostGroup, isLoopback, plainHost } from '../address.js'
import { type CertifiedPeer, type ChannelCertificates, readPeer } from './certificate.js'

/** What strangers may cost us before and after they have shown a key. */
export interface ListenerLimits {
  /**
   * Open connections in all. With more, the address that has most loses its newest, but for the older half of all: strangers
   * from thousands of addresses do not push out who was there before them (as Bitcoin's peers choose whom to drop). Default: 4096,
   * about 200 MB when idle. Range: 1 to 100,000.
   */
  readonly connectionsMax: number
  /** Open connections of one address, IPv6 counted by /64. Default: 64, for the volunteers behind one NAT. Range: 1 to 100,000. */
  readonly connectionsPerAddressMax: number
  /** Handshakes under way in all; each costs about 2.5 ms of CPU. With more, the oldest is ended. Default: 128. Range: 1 to 10,000. */
  readonly handshakesMax: number
  /** Handshakes under way of one address. Default: 16. Range: 1 to 10,000. */
  readonly handshakesPerAddressMax: number
  /** Time for a handshake. Unit: ms. Default: 10 s. Range: 10 ms to 60 s. */
  readonly handshakeTimeoutMs: number
  /** Whether the per-address limits also bind this machine itself. Default: no, as many nodes of a test share it. */
  readonly limitLoopback: boolean
}

/** The limits of `docs/limits.md`. */
export const DEFAULT_LISTENER_LIMITS: ListenerLimits = Object.freeze({
  connectionsMax: 4096,
  connectionsPerAddressMax: 64,
  handshakesMax: 128,
  handshakesPerAddressMax: 16,
  handshakeTimeoutMs: 10_000,
  limitLoopback: false,
})

/**
 * Secrets that TLS makes for one connection: five in the handshake, two each time that the other side changes its keys, which
 * costs it 27 bytes and us 30 µs. Nobody needs that more than once in 2^24 records (RFC 8446, 5.5). There is no renegotiation in TLS 1.3.
 */
const SECRETS_MAX = 64

/** Files that a peer needs for itself: its store, blobs, the compute process, connections to others. */
const OWN_FILES = 96

/** Connections to take where the process may open `files`: strangers must not use up what its own files need. At least 8. */
export function connectionsWithin(files: number | undefined, limits = DEFAULT_LISTENER_LIMITS): number {
  if (files === undefined) return limits.connectionsMax
  return Math.max(8, Math.min(limits.connectionsMax, Math.floor((files - OWN_FILES) * (3 / 4))))
}

interface ListenerOptions {
  readonly certificates: ChannelCertificates
  readonly idWorkBits: number
  readonly limits: ListenerLimits
  readonly logger: Logger
  /** Takes over an authenticated connection. Who it belongs to was settled here, once. */
  readonly onConnection: (socket: TLSSocket, caller: Caller) => void
}

/** What one remote address has open, in the order of accept. */
interface Usage {
  readonly connections: Set<Accepted>
  handshakes: number
}

/** A connection from accept to close. */
interface Accepted {
  /** Counts all connections. */
  readonly number: number
  readonly socket: Socket
  readonly group: string
  readonly usage: Usage
}

/**
 * Accepts TCP connections within limits, does the TLS 1.3 handshake with a certificate from both sides, and refuses every
 * key or id that the network does not admit, all before a byte of HTTP/2 is read.
 */
export class Listener {
  readonly #options: ListenerOptions
  readonly #tcp: Server
  readonly #tls: TlsServer
  readonly #accepted = new Map<string, Accepted>()
  readonly #usage = new Map<string, Usage>()
  /** In the order of accept. */
  readonly #handshakes = new Set<Accepted>()
  readonly #secrets = new WeakMap<TLSSocket, number>()
  #count = 0
  #closed = false

  constructor(options: ListenerOptions) {
    this.#options = options
    const { certificates, limits } = options
    // Without pausing, bytes could come before the TLS side is attached.
    this.#tcp = createServer({ pauseOnConnect: false, noDelay: true }, (socket) => this.#onAccept(socket))
    this.#tls = createTlsServer({
      ca: certificates.caPem,
      cert: certificates.certificatePem,
      key: certificates.keyPem,
      minVersion: 'TLSv1.3',
      requestCert: true,
      rejectUnauthorized: true,
      ALPNProtocols: ['h2'],
      handshakeTimeout: limits.handshakeTimeoutMs,
      // Resumed sessions would skip the proof of possession that identity rests on.
      secureOptions: constants.SSL_OP_NO_TICKET,
    })
    this.#tls.on('secureConnection', (socket) => this.#onSecure(socket))
    this.#tls.on('keylog', (_, socket) => this.#onSecret(socket))
    this.#tls.on('tlsClientError', (error, socket) => {
      options.logger.debug('handshakeFailed', { host: socket.remoteAddress, reason: error.message })
      socket.destroy()
    })
  }

  /** Connections open, those in their handshake included. */
  get connections(): number {
    return this.#accepted.size
  }

  /**
   * Begins to listen; resolves to the port, which is the one asked for unless that was 0. Without a host: on all addresses.
   * Rejects with GridError `unavailable` and a hint when the port is taken, privileged or not an address of this machine.
   */
  listen(host: string | undefined, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException) => reject(listenError(error, host, port))
      this.#tcp.once('error', onError)
      this.#tcp.listen({ port, ...(host === undefined ? {} : { host }) }, () => {
        this.#tcp.removeListener('error', onError)
        this.#tcp.on('error', (error) => this.#options.logger.warn('acceptFailed', { reason: error.message }))
        const bound = this.#tcp.address()
        resolve(typeof bound === 'object' && bound !== null ? bound.port : port)
      })
    })
  }

  /** Stops listening and drops every connection. Safe to call twice. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#tcp.close()
    for (const { socket } of this.#accepted.values()) socket.destroy()
  }

  #onAccept(socket: Socket): void {
    socket.on('error', () => {})
    const host = plainHost(socket.remoteAddress ?? '')
    const refusal = host === '' || this.#closed ? 'gone' : this.#refusal(host)
    if (refusal !== undefined) {
      this.#options.logger.debug('connectionRefused', { host, limit: refusal })
      // A reset rather than a polite end: whoever floods must not leave us sockets in TIME_WAIT.
      socket.resetAndDestroy()
      return
    }
    const group = hostGroup(host)
    const usage = this.#usage.get(group) ?? { connections: new Set(), handshakes: 0 }
    this.#usage.set(group, usage)
    const accepted: Accepted = { number: this.#count++, socket, group, usage }
    usage.connections.add(accepted)
    usage.handshakes++
    this.#handshakes.add(accepted)
    const key = connectionKey(socket)
    this.#accepted.set(key, accepted)
    socket.once('close', () => this.#forget(key, accepted))
    this.#tls.emit('connection', socket)
  }

  /** Why a connection is not let in. Others may have to go for one that is: see {@link #leastFair} and handshakes. */
  #refusal(host: string): string | undefined {
    const { limits } = this.#options
    const usage = this.#usage.get(hostGroup(host))
    if (usage !== undefined && (!isLoopback(host) || limits.limitLoopback)) {
      if (usage.connections.size >= limits.connectionsPerAddressMax) return 'connectionsPerAddressMax'
      if (usage.handshakes >= limits.handshakesPerAddressMax) return 'handshakesPerAddressMax'
    }
    if (this.#accepted.size >= limits.connectionsMax) {
      const other = this.#leastFair(usage?.connections.size ?? 0)
      if (other === undefined) return 'connectionsMax'
      this.#end(other, 'connectionsMax')
    }
    if (this.#handshakes.size >= limits.handshakesMax) {
      // Whoever means it is done in a second; those that only hold places would hold them all.
      const [oldest] = this.#handshakes
      if (oldest !== undefined) this.#end(oldest, 'handshakesMax')
    }
    return undefined
  }

  /**
   * The newest connection of the address that has most, if that is more than one with `own` will have with its next; the older
   * half of all connections stays.
   */
  #leastFair(own: number): Accepted | undefined {
    const firstToGo = this.#firstOfYoungerHalf()
    let most = own + 1
    let least: Accepted | undefined
    for (const { connections } of this.#usage.values()) {
      if (connections.size <= most) continue
      const newest = [...connections].at(-1)
      if (newest === undefined || newest.number < firstToGo) continue
      most = connections.size
      least = newest
    }
    return least
  }

  #firstOfYoungerHalf(): number {
    let older = Math.floor(this.#accepted.size / 2)
    for (const { number } of this.#accepted.values()) if (older-- <= 0) return number
    return this.#count
  }

  /** Makes room at once: the socket takes a while to close. */
  #end(accepted: Accepted, limit: string): void {
    const { socket, group } = accepted
    this.#options.logger.debug('connectionEnded', { host: group, limit })
    this.#forget(connectionKey(socket), accepted)
    socket.destroy()
  }

  #forget(key: string, accepted: Accepted): void {
    this.#handshakeDone(accepted)
    if (this.#accepted.get(key) === accepted) this.#accepted.delete(key)
    const { usage, group } = accepted
    usage.connections.delete(accepted)
    if (usage.connections.size === 0 && this.#usage.get(group) === usage) this.#usage.delete(group)
  }

  #handshakeDone(accepted: Accepted): void {
    if (this.#handshakes.delete(accepted)) accepted.usage.handshakes--
  }

  /** The secret itself is looked at by nobody: there is no other sign of a change of keys. */
  #onSecret(socket: TLSSocket): void {
    const secrets = (this.#secrets.get(socket) ?? 0) + 1
    this.#secrets.set(socket, secrets)
    if (secrets !== SECRETS_MAX) return
    this.#options.logger.debug('connectionEnded', { host: socket.remoteAddress, limit: 'secretsMax' })
    // Not while it reads.
    setImmediate(() => socket.destroy())
  }

  #onSecure(socket: TLSSocket): void {
    socket.on('error', () => {})
    const accepted = this.#accepted.get(connectionKey(socket))
    if (accepted === undefined || this.#closed) {
      socket.destroy()
      return
    }
    this.#handshakeDone(accepted)
    const host = plainHost(socket.remoteAddress ?? '')
    let peer: CertifiedPeer
    try {
      if (socket.alpnProtocol !== 'h2') throw new GridError('unsupported', 'the peer does not speak HTTP/2')
      peer = readPeer(socket.getPeerCertificate().raw, this.#options.idWorkBits)
    } catch (error) {
      this.#options.logger.debug('peerRefused', { host, reason: error instanceof Error ? error.message : 'unknown' })
      socket.destroy()
      return
    }
    this.#options.onConnection(socket, Object.freeze({ ...peer, host }))
  }
}

/** Both ends of a TCP connection: no other open connection shares them. */
function connectionKey(socket: Socket): string {
  return `${socket.localAddress} ${socket.localPort} ${socket.remoteAddress} ${socket.remotePort}`
}

function listenError(error: NodeJS.ErrnoException, host: string | undefined, port: number): GridError {
  const where = host === undefined ? `port ${port}` : formatAddress(host, port)
  switch (error.code) {
    case 'EADDRINUSE':
      return new GridError('unavailable', `${where} is in use on this machine`, {
        cause: error,
        hint: 'stop the process that listens there, or choose another port with --listen HOST:PORT',
      })
    case 'EACCES':
      return new GridError('unavailable', `this user may not listen on ${where}`, {
        cause: error,
        hint: 'choose a port above 1023 with --listen HOST:PORT',
      })
    // A name that nobody knows was said wrong; all others may pass: the address may only not be up yet.
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
    case 'EADDRNOTAVAIL':
      return new GridError(
        error.code === 'EADDRNOTAVAIL' ? 'unavailable' : 'invalid',
        `${where} is not an address of this machine`,
        {
          cause: error,
          hint: 'leave the host out to listen on all addresses; --advertise names the one others should dial',
        },
      )
    default:
      return new GridError('unavailable', `cannot listen on ${where} (${error.code ?? error.message})`, {
        cause: error,
      })
  }
}
