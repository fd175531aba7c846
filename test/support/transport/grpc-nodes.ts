import { GrpcTransport, type GrpcTransportOptions } from '../../../overlay/channel/grpc-transport.js'
import { createIdentity, type Identity } from '../../../overlay/identity/identity.js'
import { type Network, resolveNetwork } from '../../../overlay/identity/network.js'
import type { Transport } from '../../../runtime/transport.js'
import type { TransportPair } from './pair.js'

/** The network that tests share, so that its CA is computed once a process. */
export const testNetwork: Network = resolveNetwork('test')

/** A transport on loopback, closed with {@link closeAll}. */
export class GrpcNodes {
  readonly #open: GrpcTransport[] = []

  /** A node that only dials. */
  leaf(options: Partial<GrpcTransportOptions> = {}): GrpcTransport {
    const identity: Identity = options.identity ?? createIdentity()
    const transport = new GrpcTransport({ network: testNetwork, ...options, identity })
    this.#open.push(transport)
    return transport
  }

  /** A node that listens on a free port of loopback, and where. */
  async peer(setUp: (transport: Transport) => void = () => {}, options: Partial<GrpcTransportOptions> = {}) {
    const transport = this.leaf(options)
    setUp(transport)
    const port = await transport.listen({ host: '127.0.0.1', port: 0 })
    return { transport, port, endpoint: { nodeId: transport.identity.nodeId, address: `127.0.0.1:${port}` } }
  }

  async closeAll(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((transport) => transport.close()))
  }
}

/** A pair for the conformance suite, over real sockets. */
export async function grpcPair(setUp: (acceptor: Transport) => void): Promise<TransportPair> {
  const nodes = new GrpcNodes()
  const dialler = nodes.leaf()
  const { transport, endpoint } = await nodes.peer(setUp)
  return {
    dialler,
    diallerId: dialler.identity.nodeId,
    acceptor: transport,
    endpoint,
    // The discard port: nothing listens there on loopback.
    nowhere: { ...endpoint, address: '127.0.0.1:9' },
    impostor: { ...endpoint, nodeId: createIdentity().nodeId },
    close: () => nodes.closeAll(),
  }
}
