import { networkInterfaces } from 'node:os'
import { overlayFace } from '../client/session/overlay-face.js'
import { GridClient } from '../client/session/session.js'
import { jobListKinds } from '../client/submit/job-records.js'
import type { Coordinator } from '../coordinator/index.js'
import { formatAddress, parseAddress, resolveAddresses } from '../overlay/address.js'
import { GrpcTransport } from '../overlay/channel/grpc-transport.js'
import { connectionsWithin, DEFAULT_LISTENER_LIMITS } from '../overlay/channel/listener.js'
import { type DataDirectory, openDataDirectory } from '../overlay/identity/data-directory.js'
import { createVerifier, type Identity } from '../overlay/identity/identity.js'
import { Overlay, resolveOptions, type Seed } from '../overlay/index.js'
import type { PeerMemory } from '../overlay/routing/remembered-peers.js'
import type { BootId } from '../proto/model.js'
import { systemClock } from '../runtime/clock.js'
import { nodeDisk } from '../runtime/disk.js'
import { sha256 } from '../runtime/hash.js'
import { openFilesMax } from '../runtime/platform.js'
import { systemRandom } from '../runtime/random.js'
import type { Endpoint } from '../runtime/transport.js'
import type { Worker } from '../worker/driver.js'
import type { StoreSizes } from './coordinator.js'
import { PEERS_FILE, stateFolder } from './data-folders.js'
import { MeasuredTransport } from './metrics/measured-transport.js'
import { readIdentity, signatureVerifier } from './own-key.js'
import type { Parts, ProcessSettings } from './settings.js'

/** A running process of the grid. */
export interface GridProcess {
  readonly identity: Identity
  /** Where others reach this peer; undefined for a leaf. */
  readonly endpoint: Endpoint | undefined
  readonly overlay: Overlay
  readonly coordinator: Coordinator | undefined
  readonly worker: Worker | undefined
  /** Threads that compute. */
  readonly threads: number
  /** Connections open now. */
  connectionsNow(): { readonly accepted: number; readonly dialled: number }
  storeSizes(): Promise<StoreSizes>
  /** Bytes kept for the shards and blobs of others. */
  storedBytes(): Promise<number>
  client(): GridClient
  /** Finishes what is in hand. The first Ctrl-C. */
  drain(): Promise<void>
  /** Ends everything. The second Ctrl-C. Safe to call twice. */
  close(): Promise<void>
}

/** Starts a process as settled. @throws GridError with what to do about it */
export async function startProcess(settings: ProcessSettings): Promise<GridProcess> {
  const { network, logger } = settings
  const opened = settings.ephemeral ? undefined : openDataDirectory(settings.dataFolder)
  const closers: (() => Promise<void> | void)[] = [() => opened?.close()]
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const identity = opened?.identity(network.idWorkBits) ?? readIdentity(settings.dataFolder, network)
    return await assemble(settings, opened, identity, closers, close)
  } catch (error) {
    await close()
    throw error
  } finally {
    logger.debug('process assembled', { network: network.name })
  }
}

async function assemble(
  settings: ProcessSettings,
  opened: DataDirectory | undefined,
  identity: Identity,
  closers: (() => Promise<void> | void)[],
  close: () => Promise<void>,
): Promise<GridProcess> {
  const { network, logger } = settings
  const verifier = createVerifier()
  const factVerifier = signatureVerifier(verifier, network)
  const limits = { connectionsMax: connectionsAllowed(settings) }
  const grpc = new GrpcTransport({ identity, network, clock: systemClock, logger, limits })
  closers.push(() => grpc.close())
  const transport = settings.meter === undefined ? grpc : new MeasuredTransport(grpc, settings.meter, systemClock)
  // A client needs neither role: it starts in half the time without their code. Loaded before anybody can call.
  const owner = settings.listen && (await import('./coordinator.js'))
  const endpoint = await listen(settings, grpc, identity)
  const overlay = new Overlay({
    clock: systemClock,
    random: systemRandom,
    transport,
    identity,
    verifier,
    idWorkBits: network.idWorkBits,
    logger,
    options: resolveOptions(network.isPublic ? 'wan' : 'lan'),
    recordKinds: jobListKinds,
    memory: peersMemory(settings.dataFolder, opened !== undefined),
    ...(endpoint && { listen: { addresses: [endpoint.address], features: [] } }),
  })
  closers.push(() => overlay.close())
  const bootId = identity.bootId.toString(16).padStart(16, '0') as BootId

  const parts: Parts = { transport, overlay, identity, factVerifier, bootId, closers }
  const owning = endpoint && (await owner!.startCoordinator(settings, endpoint, parts))
  const coordinator = owning?.coordinator
  const storeSizes = owning?.storeSizes ?? (async () => ({ factBytes: 0, blobBytes: 0 }))

  await overlay.start(await seedsOf(settings.join))
  const client = () =>
    new GridClient({
      transport,
      overlay: overlayFace(overlay),
      signer: identity.signer,
      verifier,
      clock: systemClock,
      random: systemRandom,
      logger,
      sha256,
      network,
    })
  const worker = settings.threads > 0 ? await (await import('./worker.js')).startWorker(settings, parts) : undefined

  const { judgeFor: submitters = [] } = settings
  if (submitters.length > 0) {
    const { startJudge } = await import('./judge.js')
    const threads = Math.max(1, settings.threads)
    closers.push(startJudge(client(), { ...settings, submitters, threads, logger: logger.child('judge') }))
  }

  return {
    identity,
    endpoint,
    overlay,
    coordinator,
    worker,
    threads: settings.threads,
    connectionsNow: () => ({ accepted: grpc.connections, dialled: grpc.channels }),
    storeSizes,
    storedBytes: async () => {
      const { factBytes, blobBytes } = await storeSizes()
      return factBytes + blobBytes
    },
    client,
    async drain() {
      await worker?.drain()
      await coordinator?.handOver()
      await close()
    },
    close,
  }
}

/** Connections that a peer takes: as many as the files that it may open allow, and it says so where these are few. */
function connectionsAllowed({ listen, logger }: ProcessSettings): number {
  const files = openFilesMax()
  const connectionsMax = connectionsWithin(files)
  if (listen !== undefined && connectionsMax < DEFAULT_LISTENER_LIMITS.connectionsMax)
    logger.warn('this process may open few files, hence few connections: raise it with ulimit -n', {
      files,
      connectionsMax,
    })
  return connectionsMax
}

/** Peers remembered from former processes of this data directory; written by whoever holds its lock alone. */
function peersMemory(dataFolder: string, isHeld: boolean): PeerMemory {
  const disk = nodeDisk(stateFolder(dataFolder))
  return {
    load: async () => {
      const bytes = await disk.read(PEERS_FILE)
      return bytes && new TextDecoder().decode(bytes)
    },
    save: async (text) => {
      if (isHeld) await disk.write(PEERS_FILE, new TextEncoder().encode(text))
    },
  }
}

async function listen(
  settings: ProcessSettings,
  transport: GrpcTransport,
  identity: Identity,
): Promise<Endpoint | undefined> {
  const { listen: at, advertise } = settings
  if (at === undefined) return undefined
  const port = await transport.listen(at)
  const address =
    advertise === undefined ? formatAddress(reachableHost(at.host), port) : parseAddress(advertise).address
  return { nodeId: identity.nodeId, address }
}

/** The host to advertise for a listening address: itself, or this machine's first outward address for a wildcard. */
export function reachableHost(host: string): string {
  if (host !== '0.0.0.0' && host !== '::' && host !== '') return host
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
}

/** A name with several addresses is several seeds. */
async function seedsOf(join: readonly string[]): Promise<Seed[]> {
  const seeds: Seed[] = []
  for (const text of join) {
    const { address, nodeId } = parseAddress(text)
    const addresses = await resolveAddresses(address).catch(() => [address])
    for (const one of addresses) seeds.push({ address: one, ...(nodeId && { nodeId }) })
  }
  return seeds
}
