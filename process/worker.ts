import { readAnnouncementHeader } from '../coordinator/home/announcement-header.js'
import { homeKey, shardKey } from '../job/units/shard.js'
import { keyOfDigest } from '../overlay/index.js'
import type { ShowReply } from '../proto/job-messages.js'
import { methods } from '../proto/methods.js'
import type { JobId, Key, NodeId } from '../proto/model.js'
import { systemClock } from '../runtime/clock.js'
import { nodeDisk } from '../runtime/disk.js'
import { sha256 } from '../runtime/hash.js'
import { systemRandom } from '../runtime/random.js'
import type { Endpoint, Transport } from '../runtime/transport.js'
import { VERSION } from '../runtime/version.js'
import { TaskRegistry } from '../tasks/registry.js'
import { startCompute } from '../worker/compute/supervise.js'
import { Worker } from '../worker/driver.js'
import { openInputFiles } from '../worker/input-files.js'
import { Inputs } from '../worker/inputs.js'
import { Journal } from '../worker/journal.js'
import { Ledger } from '../worker/ledger.js'
import { resolveWorkerOptions } from '../worker/options.js'
import { inputsFolder, workerFolder } from './data-folders.js'
import type { Parts, ProcessSettings } from './settings.js'

/** Peers that keep a blob. */
const BLOB_HOLDERS = 3

/** Puts the worker of a process together and starts it. Rejects with GridError for a task module that cannot be loaded. */
export async function startWorker(settings: ProcessSettings, parts: Parts): Promise<Worker> {
  const { transport, overlay, identity, factVerifier, bootId, closers } = parts
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
  const files = await openInputFiles(inputsFolder(dataFolder), options.inputBytesMax)
  const disk = nodeDisk(workerFolder(dataFolder))
  const ledger = await Ledger.open({ disk, clock: systemClock, random: systemRandom, logger })
  const journal = await Journal.open({
    disk,
    logger,
    schedule: setImmediate,
    bytesMax: options.journalBytesMax,
  })
  const compute = startCompute({
    threads,
    memoryBytes,
    taskModules,
    lowPriority,
    contentFolder: inputsFolder(dataFolder),
    clock: systemClock,
    logger,
  })
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
    ownersOfJob: (jobId) => ownersOfJob(transport, jobId, () => endpointsOf(homeKey(jobId), 3)),
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
  transport: Transport,
  jobId: JobId,
  homes: () => Promise<readonly Endpoint[]>,
): Promise<readonly Endpoint[]> {
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
