import { createSecureContext, type PeerCertificate } from 'node:tls'
import { type ChannelCredentials, Client, credentials } from '@grpc/grpc-js'
import type { NodeId } from '../../proto/model.js'
import type { Clock, Millis, Timer } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'
import { type Endpoint, MESSAGE_BYTES_MAX } from '../../runtime/transport.js'
import { parseAddress } from '../address.js'
import { type CertifiedPeer, type ChannelCertificates, readPeer } from './certificate.js'
import { KEEPALIVE_ANSWER_MS, KEEPALIVE_MS, RECEIVE_WINDOW_BYTES } from './grpc-server.js'

/** Peers remembered beyond their channels, for the key behind a node id. */
const PEERS_MAX = 4096

/** One connection to one peer, shared by all calls to it. */
export interface Channel {
  readonly client: Client
  /** Why the last handshake was refused by us; the status of the call says only that it failed. */
  refusal: GridError | undefined
  calls: number
  lastUsedMs: Millis
  /** No longer handed out; closed when its last call ends. */
  retired: boolean
}

interface ChannelOptions {
  readonly certificates: ChannelCertificates
  readonly idWorkBits: number
  readonly clock: Clock
  /** A channel without calls for so long is closed. Unit: ms. */
  readonly idleMs: Millis
  /** Channels open at a time. */
  readonly channelsMax: number
}

/**
 * Channels to peers, by node id and address. They are dialled when first used, kept while in use and a while after, and
 * dropped at the first failure: when to try again is the caller's decision, not that of a hidden back-off.
 */
export class ChannelCache {
  readonly #options: ChannelOptions
  readonly #credentials: ChannelCredentials
  readonly #channels = new Map<string, Channel>()
  readonly #byNode = new Map<NodeId, Channel>()
  readonly #peers = new Map<NodeId, CertifiedPeer>()
  #sweep: Timer | undefined
  #closed = false

  constructor(options: ChannelOptions) {
    this.#options = options
    const { certificates } = options
    const context = createSecureContext({
      ca: certificates.caPem,
      cert: certificates.certificatePem,
      key: certificates.keyPem,
      minVersion: 'TLSv1.3',
    })
    // One object for all channels: grpc-js compares credentials by identity.
    this.#credentials = credentials.createFromSecureContext(context, {
      checkServerIdentity: (host, certificate) => this.#check(host as NodeId, certificate),
    })
  }

  get size(): number {
    return this.#channels.size
  }

  /**
   * The channel to `to`, counted as in use until {@link release}. Throws GridError `invalid` for an address that cannot be
   * dialled, `quota` when all channels are in use, `closed` after {@link close}.
   */
  acquire(to: Endpoint): Channel {
    if (this.#closed) throw new GridError('closed', 'the node is shutting down')
    const key = `${to.nodeId}@${to.address}`
    let channel = this.#channels.get(key)
    if (channel === undefined) {
      this.#makeRoom()
      channel = this.#dial(to)
      this.#channels.set(key, channel)
      this.#byNode.set(to.nodeId, channel)
      this.#armSweep()
    }
    channel.calls++
    return channel
  }

  /** A call on the channel has ended; `failed` when the connection, not the peer, ended it. */
  release(channel: Channel, failed: boolean): void {
    channel.calls--
    channel.lastUsedMs = this.#options.clock.now()
    if (failed) this.retire(channel)
    if (channel.retired && channel.calls === 0) channel.client.close()
  }

  /** Key and nonce behind a node id that answered before; undefined if none did yet, or too long ago. */
  peer(nodeId: NodeId): CertifiedPeer | undefined {
    return this.#peers.get(nodeId)
  }

  /** Closes every channel; calls on them fail. Safe to call twice. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#sweep?.cancel()
    for (const channel of this.#channels.values()) {
      channel.retired = true
      channel.client.close()
    }
    this.#channels.clear()
    this.#byNode.clear()
  }

  #dial(to: Endpoint): Channel {
    // Parsed again here, so that no stranger's address can name another scheme of grpc-js, such as a local socket.
    const { address } = parseAddress(to.address)
    const client = new Client(`dns:${address}`, this.#credentials, {
      'grpc.ssl_target_name_override': to.nodeId,
      'grpc.default_authority': to.nodeId,
      'grpc.enable_channelz': 0,
      'grpc.enable_retries': 0,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.use_local_subchannel_pool': 1,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_ANSWER_MS,
      'grpc.keepalive_permit_without_calls': 1,
      'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
      'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
      'grpc-node.flow_control_window': RECEIVE_WINDOW_BYTES,
    })
    return { client, refusal: undefined, calls: 0, lastUsedMs: this.#options.clock.now(), retired: false }
  }

  /** Called by TLS once the chain has held: `dialled` is the id we want, the certificate what answered. */
  #check(dialled: NodeId, certificate: PeerCertificate): Error | undefined {
    const channel = this.#byNode.get(dialled)
    try {
      const peer = readPeer(certificate.raw, this.#options.idWorkBits)
      if (peer.nodeId !== dialled) {
        throw new GridError('unreachable', `node ${peer.nodeId} answers where ${dialled} was dialled`)
      }
      this.#remember(peer)
      if (channel !== undefined) channel.refusal = undefined
      return undefined
    } catch (error) {
      const refusal =
        error instanceof GridError ? error : new GridError('unauthenticated', 'the peer has no usable identity')
      if (channel !== undefined) channel.refusal = refusal
      return refusal
    }
  }

  #remember(peer: CertifiedPeer): void {
    this.#peers.delete(peer.nodeId)
    if (this.#peers.size >= PEERS_MAX) {
      const [oldest] = this.#peers.keys()
      if (oldest !== undefined) this.#peers.delete(oldest)
    }
    this.#peers.set(peer.nodeId, peer)
  }

  /** Hands the channel out no more; it is closed when its last call ends. */
  retire(channel: Channel): void {
    if (channel.retired) return
    channel.retired = true
    for (const [key, known] of this.#channels) {
      if (known === channel) this.#channels.delete(key)
    }
    for (const [nodeId, known] of this.#byNode) {
      if (known === channel) this.#byNode.delete(nodeId)
    }
  }

  #makeRoom(): void {
    if (this.#channels.size < this.#options.channelsMax) return
    let idle: Channel | undefined
    for (const channel of this.#channels.values()) {
      if (channel.calls === 0 && (idle === undefined || channel.lastUsedMs < idle.lastUsedMs)) idle = channel
    }
    if (idle === undefined)
      throw new GridError('quota', `all ${this.#options.channelsMax} connections to peers are in use`)
    this.retire(idle)
    idle.client.close()
  }

  #armSweep(): void {
    if (this.#sweep !== undefined || this.#closed) return
    this.#sweep = this.#options.clock.setTimer(this.#options.idleMs / 2, () => {
      this.#sweep = undefined
      const before = this.#options.clock.now() - this.#options.idleMs
      for (const channel of [...this.#channels.values()]) {
        if (channel.calls > 0 || channel.lastUsedMs > before) continue
        this.retire(channel)
        channel.client.close()
      }
      if (this.#channels.size > 0) this.#armSweep()
    })
  }
}
