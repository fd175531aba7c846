import { mkdirSync, readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { jobListKinds } from '../client/job-records.js'
import { overlayFace } from '../client/overlay-face.js'
import { GridClient } from '../client/session.js'
import { readAnnouncementHeader } from '../coordinator/announcement-header.js'
import { serveBlobs } from '../coordinator/blob-service.js'
import { Coordinator, type OwnerDirectory } from '../coordinator/index.js'
import { blobOutputFiles } from '../coordinator/output-files.js'
import { SqliteStore } from '../coordinator/sqlite-store.js'
import type { SignatureVerifier } from '../job/facts.js'
import { homeKey, shardKey } from '../job/shard.js'
import { formatAddress, parseAddress, resolveAddresses } from '../overlay/address.js'
import { type DataDirectory, openDataDirectory } from '../overlay/data-directory.js'
import { GrpcTransport } from '../overlay/grpc-transport.js'
import {
  createVerifier,
  findIdNonce,
  type Identity,
  idWorkOf,
  nodeIdOf,
  restoreIdentity,
  type StoredKey,
  type Verifier,
  withIdNonce,
} from '../overlay/identity.js'
import { keyOfDigest, Overlay, resolveOptions, type Seed } from '../overlay/index.js'
import type { Network } from '../overlay/network.js'
import { BLOB_BYTES_MAX } from '../proto/limits.js'
import type { ShowReply } from '../proto/messages.js'
import { methods } from '../proto/methods.js'
import type { BootId, JobId, Key, NodeId, PublicKey, Signed } from '../proto/model.js'
import { systemClock } from '../runtime/clock.js'
import { nodeDisk } from '../runtime/disk.js'
import { GridError } from '../runtime/errors.js'
import { sha256 } from '../runtime/hash.js'
import type { Logger } from '../runtime/logger.js'
import { systemRandom } from '../runtime/random.js'
import type { Endpoint, Transport } from '../runtime/transport.js'
import { VERSION } from '../runtime/version.js'
import { folderBlobFiles } from '../storage/blob-files.js'
import { BlobStore } from '../storage/blob-store.js'
import { TaskRegistry } from '../tasks/registry.js'
import { startCompute } from '../worker/compute/supervise.js'
import { type VolunteerDependencies, Worker } from '../worker/driver.js'
import { openInputFiles } from '../worker/input-files.js'
import { Inputs } from '../worker/inputs.js'
import { Journal } from '../worker/journal.js'
import { Ledger } from '../worker/ledger.js'
import { resolveWorkerOptions } from '../worker/options.js'
import { startJudge } from './judge.js'
import { MeasuredTransport, type TransportMeter } from './metrics/measured-transport.js'

/** Everything that decides what a process is: a peer, a worker, a client, or several at once. */
export interface ProcessSettings {
  readonly dataFolder: string
  readonly network: Network
  /** Where to join, as typed: `host`, `host:port` or `host:port#id`. */
  readonly join: readonly string[]
  /** Undefined: a leaf. */
  readonly listen: { readonly host: string; readonly port: number } | undefined
  /** Where others reach this peer, if not where it listens. */
  readonly advertise: string | undefined
  /** Threads that compute; 0: no worker. */
  readonly threads: number
  readonly onlyJob: JobId | undefined
  readonly lowPriority: boolean
  /** What the volunteer wants; undefined: what stands here, and nothing can be said at run time. */
  readonly volunteer?: VolunteerDependencies
  /** Most memory a unit may ask for. Unit: bytes. */
  readonly memoryBytes: number
  /** Local modules with tasks of the volunteer's own. */
  readonly taskModules: readonly string[]
  /** Submitters whose jobs this process judges, where they name its key. */
  readonly judgeFor?: readonly PublicKey[]
  /** A short-lived client: uses the key of the data directory without holding its lock. */
  readonly ephemeral: boolean
  readonly logger: Logger
  /** Told of every call, stream and message. Absent: nobody counts them. */
  readonly meter?: TransportMeter
  /** Jobs of one submitter that a peer keeps; undefined: the default. */
  readonly jobsPerSubmitterMax?: number
}

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
  /** Bytes kept for others: in the database of facts, and as blobs. */
  storeSizes(): Promise<{ readonly factBytes: number; readonly blobBytes: number }>
  /** Bytes kept for the shards and blobs of others. */
  storedBytes(): Promise<number>
  client(): GridClient
  /** Finishes what is in hand. The first Ctrl-C. */
  drain(): Promise<void>
  /** Ends everything. The second Ctrl-C. Safe to call twice. */
  close(): Promise<void>
}

/** The folder of a data directory in which its worker keeps journal and ledger. */
export const WORKER_FOLDER = 'worker'

/** Blobs kept by a peer, and those of one submitter. Unit: bytes. */
const BLOBS_TOTAL_BYTES = 64 * 2 ** 30
const BLOBS_SUBMITTER_BYTES = 16 * 2 ** 30
const BLOB_SWEEP_MS = 5 * 60_000
/** Peers that keep a blob. */
const BLOB_HOLDERS = 3

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
  const { network, logger, dataFolder } = settings
  const verifier = createVerifier()
  const factVerifier = signatureVerifier(verifier, network)
  const grpc = new GrpcTransport({ identity, network, clock: systemClock, logger })
  closers.push(() => grpc.close())
  const transport = settings.meter === undefined ? grpc : new MeasuredTransport(grpc, settings.meter, systemClock)
  const endpoint = await listen(settings, grpc, identity)
  const disk = nodeDisk(join(dataFolder, 'state'))
  const overlay = new Overlay({
    clock: systemClock,
    random: systemRandom,
    transport,
    identity,
    verifier,
    idWorkBits: network.idWorkBits,
    logger,
    options: resolveOptions(network.name === 'main' ? 'wan' : 'lan'),
    recordKinds: jobListKinds,
    memory: {
      load: async () => {
        const bytes = await disk.read('peers.json')
        return bytes && new TextDecoder().decode(bytes)
      },
      save: async (text) => {
        if (opened !== undefined) await disk.write('peers.json', new TextEncoder().encode(text))
      },
    },
    ...(endpoint && { listen: { addresses: [endpoint.address], features: [] } }),
  })
  closers.push(() => overlay.close())
  const bootId = identity.bootId.toString(16).padStart(16, '0') as BootId

  let coordinator: Coordinator | undefined
  let storeSizes: GridProcess['storeSizes'] = async () => ({ factBytes: 0, blobBytes: 0 })
  if (endpoint !== undefined) {
    mkdirSync(dataFolder, { recursive: true, mode: 0o700 })
    const store = SqliteStore.open(join(dataFolder, 'owner.sqlite'))
    closers.push(() => store.close())
    const blobs = await BlobStore.open(folderBlobFiles(join(dataFolder, 'blobs')), systemClock, {
      totalBytes: BLOBS_TOTAL_BYTES,
      submitterBytes: BLOBS_SUBMITTER_BYTES,
    })
    closers.push(() => blobs.close())
    storeSizes = async () => ({ factBytes: await store.bytesUsed(), blobBytes: blobs.bytesUsed })
    const sweep = setInterval(
      () => void blobs.sweep().catch((error: unknown) => logger.warn('blobs not swept', { error })),
      BLOB_SWEEP_MS,
    )
    sweep.unref()
    closers.push(() => clearInterval(sweep))
    serveBlobs(transport, blobs, { nodeId: identity.nodeId, clock: systemClock, blobBytesMax: BLOB_BYTES_MAX })
    coordinator = new Coordinator({
      clock: systemClock,
      random: systemRandom,
      logger,
      sha256,
      transport,
      signer: { ...identity, sign: (tag, bytes) => identity.signer.sign(tag, bytes) },
      verifier: factVerifier,
      network: network.name,
      version: VERSION,
      bootId,
      store,
      outputs: blobOutputFiles(blobs),
      directory: directoryOf(overlay, endpoint),
      schedule: setImmediate,
      ...(settings.jobsPerSubmitterMax === undefined
        ? {}
        : { options: { jobsPerSubmitterMax: settings.jobsPerSubmitterMax } }),
    })
    await coordinator.start()
    closers.push(() => coordinator?.close())
  }

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
  const worker =
    settings.threads > 0
      ? await startWorker(settings, { transport, overlay, identity, factVerifier, bootId, client, closers })
      : undefined

  const { judgeFor = [], taskModules, lowPriority } = settings
  if (judgeFor.length > 0) {
    const threads = Math.max(1, settings.threads)
    closers.push(
      startJudge(client(), {
        dataFolder,
        submitters: judgeFor,
        threads,
        taskModules,
        lowPriority,
        logger: logger.child('judge'),
      }),
    )
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

async function startWorker(
  settings: ProcessSettings,
  parts: {
    transport: Transport
    overlay: Overlay
    identity: Identity
    factVerifier: VerifierOfFacts
    bootId: BootId
    client: () => GridClient
    closers: (() => Promise<void> | void)[]
  },
): Promise<Worker> {
  const { transport, overlay, identity, factVerifier, bootId, client, closers } = parts
  const { dataFolder, threads, memoryBytes, onlyJob, taskModules, lowPriority, network, volunteer } = settings
  const logger = settings.logger.child('worker')
  const registry = new TaskRegistry()
  await registry.loadModules(taskModules)
  const options = resolveWorkerOptions({
    threads,
    memoryBytes,
    onlyJob,
    ...(volunteer && { inputBytesMax: volunteer.book.preferences.diskBytes }),
  })
  const files = await openInputFiles(join(dataFolder, 'inputs'), options.inputBytesMax)
  const disk = nodeDisk(join(dataFolder, WORKER_FOLDER))
  const ledger = await Ledger.open({ disk, clock: systemClock, random: systemRandom, logger })
  const journal = await Journal.open({
    disk,
    logger,
    schedule: setImmediate,
    bytesMax: options.journalBytesMax,
  })
  const compute = startCompute({ threads, memoryBytes, taskModules, lowPriority, clock: systemClock, logger })
  const endpointsOf = async (key: Key, count: number) =>
    (await overlay.owners(key, count)).map((contact) => overlay.endpoint(contact))
  const counted = { version: VERSION, threads }
  const worker = new Worker({
    clock: systemClock,
    random: systemRandom,
    logger,
    sha256,
    transport,
    signer: { publicKey: identity.publicKey, sign: (tag, bytes) => identity.signer.sign(tag, bytes) },
    verify: (tag, publicKey, signed) => factVerifier.verify(tag, publicKey, signed),
    network: network.name,
    bootId,
    tasks: registry.list().map(({ name, version }) => ({ name, version })),
    compute,
    inputs: new Inputs({
      clock: systemClock,
      transport,
      files,
      holders: (digest) => endpointsOf(keyOfDigest(digest), BLOB_HOLDERS),
    }),
    journal,
    ledger,
    options,
    ...(volunteer && { volunteer }),
    owners: (jobId, shard) => endpointsOf(shardKey(sha256, jobId, shard), options.shardOwners),
    ownersOfJob: (jobId) => ownersOfJob(client(), transport, jobId, () => endpointsOf(homeKey(jobId), 3)),
    watchBoard: (handler) =>
      overlay.watchBoard((news) => {
        if (news.type === 'withdrawn') return
        const { entry } = news
        const header = readAnnouncementHeader(entry.announcement.header)
        const task = header.task.replace(/^builtin /, '')
        // Whoever has the sandbox can run any module; of which profile, the signed spec says.
        const known =
          task.startsWith('module ') || registry.list().some(({ name, version }) => `${name}@${version}` === task)
        handler({
          owner: overlay.endpoint(entry.owner),
          jobId: entry.announcement.jobId,
          ready: entry.announcement.ready,
          submitter: entry.announcement.submitter,
          memoryBytes: header.memoryBytes,
          hasTask: known,
        })
      }, counted),
  })
  worker.start()
  // It looks for its one job by itself, and watches to be counted.
  if (onlyJob !== undefined) closers.push(overlay.watchBoard(() => {}, counted))
  closers.push(() => worker.close())
  return worker
}

/** Owners of the active shards of a job, as its home names them. */
async function ownersOfJob(
  client: GridClient,
  transport: Transport,
  jobId: JobId,
  homes: () => Promise<readonly Endpoint[]>,
): Promise<readonly Endpoint[]> {
  void client
  for (const home of await homes()) {
    const reply: ShowReply | undefined = await transport
      .call(home, methods.show, { jobId, withShards: true }, { deadlineMs: 5_000 })
      .catch(() => undefined)
    if (reply === undefined) continue
    const owners = new Map<NodeId, Endpoint>()
    for (const { owner, ownerAddress, summary } of reply.shards) {
      if (summary.settled + summary.failed < summary.units && ownerAddress !== '')
        owners.set(owner, { nodeId: owner, address: ownerAddress })
    }
    return [...owners.values()]
  }
  return []
}

function directoryOf(overlay: Overlay, self: Endpoint): OwnerDirectory {
  return {
    self,
    owners: async (key, count) => (await overlay.owners(key, count)).map((contact) => overlay.endpoint(contact)),
    ownersSeen: (key, count) => overlay.ownersSeen(key, count).map((contact) => overlay.endpoint(contact)),
    announce: ({ jobId, submitter, ready, header }) => {
      if (ready === 0) overlay.withdraw(jobId)
      else overlay.announce({ jobId, submitter, ready, header, expiresInMs: 60_000 })
    },
    onNeighboursChanged: (handler) => {
      overlay.onNeighboursChanged(handler)
    },
    workersWatching: () => overlay.workersWatching(),
    get peerCount() {
      return overlay.contacts().length
    },
    get eligible() {
      return overlay.eligible
    },
  }
}

interface VerifierOfFacts extends SignatureVerifier {
  verify(tag: string, publicKey: PublicKey, signed: Signed): boolean
}

function signatureVerifier(verifier: Verifier, { idWorkBits }: Network): VerifierOfFacts {
  return {
    verify: (tag: string, publicKey: PublicKey, { bytes, signature }: Signed) =>
      verifier.verify(publicKey, tag, bytes, signature),
    nodeIdOf,
    meetsIdWork: (publicKey, idNonce) => idWorkBits === 0 || idWorkOf(publicKey, idNonce) >= idWorkBits,
  }
}

/** The key of a data directory that another process may hold; made when there is none. */
function readIdentity(folder: string, network: Network): Identity {
  try {
    const stored = JSON.parse(readFileSync(join(folder, 'identity.json'), 'utf8')) as StoredKey
    return visitorOf(restoreIdentity(stored), network)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new GridError('unavailable', `the key in ${folder} cannot be read`, { cause: error })
  }
  const directory = openDataDirectory(folder)
  try {
    return visitorOf(directory.identity(network.idWorkBits), network)
  } finally {
    directory.close()
  }
}

/** The same key under another node id: a node would not see the node of its own data directory, taking it for itself. */
function visitorOf(identity: Identity, { idWorkBits }: Network): Identity {
  return withIdNonce(identity, findIdNonce(identity.publicKey, idWorkBits))
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
