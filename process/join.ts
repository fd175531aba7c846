import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { ListStorage } from '../client/submit/job-list.js'
import { parseAddress } from '../overlay/address.js'
import type { Network } from '../overlay/identity/network.js'
import { formatPeers, parsePeers } from '../overlay/routing/remembered-peers.js'
import type { Millis } from '../runtime/clock.js'
import { type Disk, nodeDisk } from '../runtime/disk.js'
import { toGridError } from '../runtime/errors.js'
import type { Logger } from '../runtime/logger.js'
import { oneAtATime } from '../runtime/one-at-a-time.js'
import type { Endpoint } from '../runtime/transport.js'
import { bootPeers } from './boot-peers.js'
import { type GridProcess, startProcess } from './compose.js'
import { clientFolder, PEERS_FILE, stateFolder } from './data-folders.js'
import { findLocalProcess } from './local-process.js'

/** How long a client looks for a first peer. Unit: ms. */
export const JOIN_MS: Millis = 8_000
/** Peers that clients remember for the next time. */
const REMEMBERED_MAX = 8
/** Memory that a client's own process would give to units: it computes none. Unit: bytes. */
const MEMORY_BYTES = 256 * 2 ** 20

/** What a short-lived leaf is started with. */
interface ClientSettings {
  readonly dataFolder: string
  readonly network: Network
  /** Where to join; empty: the peers that an earlier node of the data directory remembered. */
  readonly join: readonly string[]
  readonly logger: Logger
}

/** What this machine keeps for its clients: the list of its jobs, and what it has verified. */
export function clientDisk(dataFolder: string): Disk & ListStorage {
  const folder = clientFolder(dataFolder)
  return { ...nodeDisk(folder), alone: (file, change) => oneAtATime(join(folder, `${file}.lock`), change) }
}

/**
 * Where a client may join: the process that runs on this data directory, what was `named` and the boot peers, else the peers
 * remembered from former clients. Empty: a former node has remembered some, which the overlay reads itself. Undefined: nothing is known. Throws
 * GridError `invalid` for an address that is none.
 */
export async function knownSeeds(
  dataFolder: string,
  network: string,
  named: readonly string[],
): Promise<readonly string[] | undefined> {
  for (const address of named) parseAddress(address)
  const local = findLocalProcess(dataFolder, network)
  const around = local === undefined ? [] : local.address === undefined ? local.join : [local.address]
  const seeds = [...new Set([...around, ...named, ...bootPeers(dataFolder, network)])]
  if (seeds.length > 0) return seeds
  const remembered = await readRemembered(dataFolder, network)
  return remembered.length > 0 || existsSync(join(stateFolder(dataFolder), PEERS_FILE)) ? remembered : undefined
}

/** Starts a leaf that computes nothing. It joins on its own; `overlay.whenJoined` waits for it. */
export function startClient({ dataFolder, network, join, logger }: ClientSettings): Promise<GridProcess> {
  return startProcess({
    dataFolder,
    network,
    join,
    listen: undefined,
    advertise: undefined,
    threads: 0,
    onlyJob: undefined,
    lowPriority: false,
    memoryBytes: MEMORY_BYTES,
    taskModules: [],
    ephemeral: true,
    logger,
  })
}

/** So that the next client needs to be told no peer. A convenience: resolves to what went wrong, if anything did. */
export async function rememberPeers(
  dataFolder: string,
  network: string,
  { overlay, identity }: Pick<GridProcess, 'overlay' | 'identity'>,
): Promise<string | undefined> {
  const peers = overlay
    .contacts()
    .map((contact) => overlay.endpoint(contact))
    .filter(({ nodeId }) => nodeId !== identity.nodeId)
    .slice(0, REMEMBERED_MAX)
  if (peers.length === 0) return undefined
  return clientDisk(dataFolder)
    .write(rememberedFile(network), new TextEncoder().encode(formatPeers(peers)))
    .then(
      () => undefined,
      (error: unknown) => toGridError(error).message,
    )
}

/** Forgets remembered peers that `isMeant`; resolves to how many there were. */
export async function forgetPeers(
  dataFolder: string,
  network: string,
  isMeant: (peer: Endpoint) => boolean,
): Promise<number> {
  const files = [
    { disk: clientDisk(dataFolder), name: rememberedFile(network) },
    { disk: nodeDisk(stateFolder(dataFolder)), name: PEERS_FILE },
  ]
  let forgotten = 0
  for (const { disk, name } of files) {
    const bytes = await disk.read(name)
    if (bytes === undefined) continue
    const peers = parsePeers(new TextDecoder().decode(bytes))
    const kept = peers.filter((peer) => !isMeant(peer))
    if (kept.length === peers.length) continue
    forgotten += peers.length - kept.length
    await disk.write(name, new TextEncoder().encode(formatPeers(kept)))
  }
  return forgotten
}

function rememberedFile(network: string): string {
  return `peers-${network}.json`
}

async function readRemembered(dataFolder: string, network: string): Promise<readonly string[]> {
  const bytes = await clientDisk(dataFolder).read(rememberedFile(network))
  if (bytes === undefined) return []
  return parsePeers(new TextDecoder().decode(bytes)).map(({ address, nodeId }) => `${address}#${nodeId}`)
}
