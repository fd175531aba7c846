import { GridClient } from '../../../client/session/session.js'
import { Coordinator, type CoordinatorDependencies, type CoordinatorOptions } from '../../../coordinator/index.js'
import { blobOutputFiles } from '../../../coordinator/output-files.js'
import { MemoryStore } from '../../../coordinator/store/memory-store.js'
import type { SignatureVerifier } from '../../../job/facts/signature.js'
import { shardKey } from '../../../job/units/shard.js'
import { nodeIdOf, type Verifier } from '../../../overlay/identity/identity.js'
import type { BootId, PublicKey, Signed } from '../../../proto/model.js'
import type { Disk } from '../../../runtime/disk.js'
import { sha256 } from '../../../runtime/hash.js'
import type { Transport } from '../../../runtime/transport.js'
import { diskBlobFiles } from '../../../storage/blob-files.js'
import { BlobStore } from '../../../storage/blob-store.js'
import type { Compute } from '../../../worker/compute/compute.js'
import { Worker } from '../../../worker/driver.js'
import { Inputs } from '../../../worker/inputs.js'
import { Journal } from '../../../worker/journal.js'
import { Ledger } from '../../../worker/ledger.js'
import { resolveWorkerOptions } from '../../../worker/options.js'
import type { ProcessContext } from '../world/host.js'
import type { GridDirectory } from './directory.js'
import type { GridKeys } from './keys.js'
import { gridTasks } from './task.js'

/** Name of the network of every simulated grid. */
export const GRID_NETWORK = 'sim'
/** Files of the roles on their disks. */
export const STORE_FILE = 'store.log'
export const JOURNAL_FILE = 'journal.log'

const BLOBS_BYTES = 2 ** 30
const MEMORY_BYTES = 256 * 2 ** 20

/** What every simulated process is made from, as `cli/` makes real ones; some of it may be wrapped by whoever watches. */
export interface ProcessParts {
  readonly context: ProcessContext
  readonly keys: GridKeys
  readonly directory: GridDirectory
  readonly transport: Transport
  readonly disk: Disk
  readonly verifier: Verifier
}

/** Checks of keys as facts want them. */
function factVerifier(verifier: Verifier): SignatureVerifier & {
  verify(tag: string, publicKey: PublicKey, signed: Signed): boolean
} {
  return {
    verify: (tag: string, publicKey: PublicKey, { bytes, signature }: Signed) =>
      verifier.verify(publicKey, tag, bytes, signature),
    nodeIdOf,
  }
}

/** A coordinator of a simulated process, not started. `verifier` is that of `keys` unless somebody watches it. */
export function simulatedCoordinator(
  context: ProcessContext,
  keys: GridKeys,
  parts: Pick<CoordinatorDependencies, 'store' | 'outputs' | 'directory' | 'options'> &
    Partial<Pick<ProcessParts, 'transport' | 'verifier'>>,
): Coordinator {
  const { clock, random, logger, identity } = context
  const { transport = context.transport, verifier = keys.verifier } = parts
  const signer = keys.signer(identity.publicKey)
  return new Coordinator({
    clock,
    random,
    logger,
    sha256,
    transport,
    signer: { ...identity, sign: (tag, bytes) => signer.sign(tag, bytes) },
    verifier: factVerifier(verifier),
    network: GRID_NETWORK,
    version: 'sim',
    bootId: bootIdOf(context),
    store: parts.store,
    outputs: parts.outputs,
    directory: parts.directory,
    schedule: (run) => void clock.setTimer(0, run),
    ...(parts.options && { options: parts.options }),
  })
}

/** Starts the owner's side of a peer; `watch` sees it before it has read anything back. */
export async function startPeer(
  parts: ProcessParts,
  options: Partial<CoordinatorOptions>,
  { watch }: { readonly watch: (coordinator: Coordinator) => void },
): Promise<Coordinator> {
  const { context, keys, directory, transport, disk, verifier } = parts
  const { clock, identity, address } = context
  const store = await MemoryStore.open(disk, STORE_FILE)
  const blobs = await BlobStore.open(diskBlobFiles(disk, 'blobs'), clock, {
    totalBytes: BLOBS_BYTES,
    submitterBytes: BLOBS_BYTES,
  })
  const coordinator = simulatedCoordinator(context, keys, {
    transport,
    verifier,
    store,
    outputs: blobOutputFiles(blobs),
    directory: directory.asOwner({ nodeId: identity.nodeId, address }),
    options,
  })
  watch(coordinator)
  await coordinator.start()
  return coordinator
}

/** Starts a worker on the compute side it is given. */
export async function startWorker(
  parts: ProcessParts,
  compute: Compute,
  { shardOwners }: { readonly shardOwners: number },
): Promise<Worker> {
  const { context, keys, directory, transport, disk, verifier } = parts
  const { clock, random, logger, identity } = context
  const options = resolveWorkerOptions({ threads: compute.threads, memoryBytes: MEMORY_BYTES, shardOwners })
  const journal = await Journal.open({
    disk,
    logger,
    schedule: (run) => void clock.setTimer(0, run),
    bytesMax: options.journalBytesMax,
    file: JOURNAL_FILE,
  })
  const ledger = await Ledger.open({ disk, clock, random, logger })
  const signer = keys.signer(identity.publicKey)
  const worker = new Worker({
    clock,
    random,
    logger,
    sha256,
    transport,
    signer,
    verify: (tag, publicKey, signed) => verifier.verify(publicKey, tag, signed.bytes, signed.signature),
    network: GRID_NETWORK,
    bootId: bootIdOf(context),
    tasks: gridTasks()
      .list()
      .map(({ name, version }) => ({ name, version })),
    compute,
    inputs: new Inputs({ clock, transport, files: noInputFiles, holders: async () => [] }),
    journal,
    ledger,
    options,
    owners: (jobId, shard) => directory.owners(shardKey(sha256, jobId, shard), shardOwners),
    ownersOfJob: async () => [],
    watchBoard: (handler) => directory.watchBoard(handler),
  })
  worker.start()
  return worker
}

/** A client of the grid. */
export function makeClient({ context, keys, directory, transport, verifier }: ProcessParts): GridClient {
  const { clock, random, logger, identity } = context
  return new GridClient({
    transport,
    overlay: directory.client,
    signer: keys.signer(identity.publicKey),
    verifier,
    clock,
    random,
    logger,
    sha256,
    network: { name: GRID_NETWORK, idWorkBits: 0 },
  })
}

function bootIdOf({ random }: ProcessContext): BootId {
  return Buffer.from(random.bytes(8)).toString('hex') as BootId
}

/** Simulated jobs have no shared inputs. */
const noInputFiles = {
  hold: async () => undefined,
  create: () => Promise.reject(new Error('simulated jobs have no inputs')),
  release: () => {},
}
