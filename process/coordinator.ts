import { Coordinator, type OwnerDirectory } from '../coordinator/index.js'
import { blobOutputFiles } from '../coordinator/output-files.js'
import { serveBlobs } from '../coordinator/services/blob-service.js'
import { SqliteStore } from '../coordinator/store/sqlite-store.js'
import type { Overlay } from '../overlay/index.js'
import { BLOB_BYTES_MAX } from '../proto/limits.js'
import { systemClock } from '../runtime/clock.js'
import { makeFolders } from '../runtime/folders.js'
import { sha256 } from '../runtime/hash.js'
import { systemRandom } from '../runtime/random.js'
import type { Endpoint } from '../runtime/transport.js'
import { VERSION } from '../runtime/version.js'
import { folderBlobFiles } from '../storage/blob-files.js'
import { BlobStore } from '../storage/blob-store.js'
import { blobsFolder, factsFile } from './data-folders.js'
import type { Parts, ProcessSettings } from './settings.js'

/** Blobs kept by a peer, and those of one submitter. Unit: bytes. */
const BLOBS_TOTAL_BYTES = 64 * 2 ** 30
const BLOBS_SUBMITTER_BYTES = 16 * 2 ** 30
const BLOB_SWEEP_MS = 5 * 60_000

/** Bytes kept for others: in the database of facts, and as blobs. */
export interface StoreSizes {
  readonly factBytes: number
  readonly blobBytes: number
}

/** What a peer keeps for others, and what answers for it. */
interface Owning {
  readonly coordinator: Coordinator
  readonly storeSizes: () => Promise<StoreSizes>
}

/** Opens what a peer keeps for others and starts the owner's side of a process. Rejects with GridError when it cannot be opened. */
export async function startCoordinator(settings: ProcessSettings, endpoint: Endpoint, parts: Parts): Promise<Owning> {
  const { dataFolder, network, logger } = settings
  const { transport, overlay, identity, factVerifier, bootId, closers } = parts
  makeFolders(dataFolder)
  const store = SqliteStore.open(factsFile(dataFolder))
  closers.push(() => store.close())
  const blobs = await BlobStore.open(folderBlobFiles(blobsFolder(dataFolder)), systemClock, {
    totalBytes: BLOBS_TOTAL_BYTES,
    submitterBytes: BLOBS_SUBMITTER_BYTES,
  })
  closers.push(() => blobs.close())
  const sweep = setInterval(
    () => void blobs.sweep().catch((error: unknown) => logger.warn('blobs not swept', { error })),
    BLOB_SWEEP_MS,
  )
  sweep.unref()
  closers.push(() => clearInterval(sweep))
  serveBlobs(transport, blobs, { nodeId: identity.nodeId, clock: systemClock, blobBytesMax: BLOB_BYTES_MAX })
  const coordinator = new Coordinator({
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
  closers.push(() => coordinator.close())
  return {
    coordinator,
    storeSizes: async () => ({ factBytes: await store.bytesUsed(), blobBytes: blobs.bytesUsed }),
  }
}

function directoryOf(overlay: Overlay, self: Endpoint): OwnerDirectory {
  return {
    self,
    owners: async (key, count) => (await overlay.owners(key, count)).map((contact) => overlay.endpoint(contact)),
    ownersSeen: (key, count) => overlay.ownersSeen(key, count).map((contact) => overlay.endpoint(contact)),
    keepers: (key, count) => overlay.keepers(key, count),
    guards: (key, nodeId) => overlay.guards(key, nodeId),
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
