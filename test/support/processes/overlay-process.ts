import { join } from 'node:path'
import { parseAddress } from '../../../overlay/address.js'
import { GrpcTransport } from '../../../overlay/channel/grpc-transport.js'
import { openDataDirectory } from '../../../overlay/identity/data-directory.js'
import { createVerifier } from '../../../overlay/identity/identity.js'
import { Overlay, resolveOptions } from '../../../overlay/index.js'
import { findNodeMethod } from '../../../proto/codec/overlay.js'
import type { Key, NodeId } from '../../../proto/model.js'
import { systemClock } from '../../../runtime/clock.js'
import { silentLogger } from '../../../runtime/logger.js'
import { systemRandom } from '../../../runtime/random.js'
import type { CallOptions, Endpoint, UnaryMethod } from '../../../runtime/transport.js'
import { testNetwork } from '../transport/grpc-nodes.js'
import { answerParent } from './processes.js'

/** One peer as the test sees it. */
export interface StartedPeer {
  readonly nodeId: NodeId
  readonly address: string
}

export interface LookupAnswer {
  readonly owners: readonly NodeId[]
  readonly ms: number
}

/** Counts the requests of lookups. */
class CountingTransport extends GrpcTransport {
  findNodes = 0

  override call<Request, Response>(
    to: Endpoint,
    method: UnaryMethod<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<Response> {
    if (method.path === findNodeMethod.path) this.findNodes++
    return super.call(to, method, request, options)
  }
}

const peers: { readonly overlay: Overlay; readonly transport: CountingTransport }[] = []
const [folder = ''] = process.argv.slice(2)

async function startPeer(name: string, seeds: readonly string[]): Promise<StartedPeer> {
  const directory = openDataDirectory(join(folder, name))
  const identity = directory.identity(testNetwork.idWorkBits)
  const transport = new CountingTransport({ identity, network: testNetwork, clock: systemClock })
  const port = await transport.listen({ host: '127.0.0.1', port: 0 })
  const address = `127.0.0.1:${port}`
  const overlay = new Overlay({
    clock: systemClock,
    random: systemRandom,
    transport,
    identity,
    verifier: createVerifier(),
    idWorkBits: testNetwork.idWorkBits,
    logger: silentLogger,
    options: resolveOptions('lan'),
    listen: { addresses: [address], features: [] },
  })
  await overlay.start(seeds.map((seed) => ({ address: parseAddress(seed).address })))
  peers.push({ overlay, transport })
  return { nodeId: identity.nodeId, address }
}

answerParent({
  /** Starts peers, each with its own data directory and identity. */
  start: ({ names, seeds }: { names: readonly string[]; seeds: readonly string[] }) =>
    Promise.all(names.map((name) => startPeer(name, seeds))),
  /** Resolves once every peer here has joined and may own. */
  joined: async (ms: number) => {
    const end = performance.now() + ms
    await Promise.all(peers.map(({ overlay }) => overlay.whenJoined(ms)))
    while (!peers.every(({ overlay }) => overlay.eligible)) {
      if (performance.now() > end) throw new Error('some peer is not eligible')
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  },
  /** The three owners of a key as the peer with this index sees them. */
  lookup: async ({ peer, key }: { peer: number; key: Key }): Promise<LookupAnswer> => {
    const began = performance.now()
    const owners = await peers[peer % peers.length]!.overlay.owners(key, 3)
    return { owners: owners.map(({ nodeId }) => nodeId), ms: performance.now() - began }
  },
  requests: () => peers.reduce((sum, { transport }) => sum + transport.findNodes, 0),
})
