import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { JobList } from '../client/job-list.js'
import { Pins } from '../client/pins.js'
import type { GridClient } from '../client/session.js'
import { parseAddress } from '../overlay/address.js'
import { type Network, resolveNetwork } from '../overlay/network.js'
import { formatPeers, parsePeers } from '../overlay/remembered-peers.js'
import { type GridProcess, startProcess } from '../process/compose.js'
import { findLocalProcess } from '../process/local-process.js'
import { type Disk, nodeDisk } from '../runtime/disk.js'
import { GridError, toGridError } from '../runtime/errors.js'
import { type CommandContext, commandAgain } from './context.js'
import { commandLogger } from './logger.js'

/** How long a command looks for a first peer. Unit: ms. */
const JOIN_MS = 8_000
/** Peers that commands remember for the next time. */
const REMEMBERED_MAX = 8
/** Memory that a command's own process would give to units: it computes none. Unit: bytes. */
const MEMORY_BYTES = 256 * 2 ** 20

/** A command's way into the network. */
export interface Connection {
  readonly process: GridProcess
  readonly client: GridClient
  readonly network: Network
  readonly list: JobList
  readonly pins: Pins
  close(): Promise<void>
}

/** The network that the settings name. Throws GridError `invalid` for a bad name or secret, or no such secret file. */
export function networkOf({ settings }: Pick<CommandContext, 'settings'>): Network {
  const file = settings['secret-file'].value
  if (file === undefined) return resolveNetwork(settings.network.value)
  let secret: string
  try {
    secret = readFileSync(file, 'utf8').trim()
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown'
    throw new GridError('invalid', `the secret file ${file} cannot be read (${code})`, {
      cause,
      hint: "make a secret with 'manyhands network new'",
    })
  }
  if (secret === '') throw new GridError('invalid', `the secret file ${file} is empty`)
  return resolveNetwork(settings.network.value, secret)
}

/** What this machine keeps for its commands: the list of its jobs, and what it has verified. */
export function clientDisk({ settings }: Pick<CommandContext, 'settings'>): Disk {
  return nodeDisk(join(settings.data.value, 'client'))
}

/**
 * Where to join: the process that runs on this data directory and what was named, else the peers remembered from former
 * commands (those of former nodes, the overlay reads itself). Throws GridError `invalid` for an address that is none,
 * `unreachable` when nothing is known.
 */
export async function seedsFor(context: CommandContext): Promise<readonly string[]> {
  const { settings } = context
  const named = settings.join.value
  for (const address of named) parseAddress(address)
  const local = findLocalProcess(settings.data.value, settings.network.value)
  const around = local === undefined ? [] : local.address === undefined ? local.join : [local.address]
  const seeds = [...new Set([...around, ...named])]
  if (seeds.length > 0) return seeds
  const remembered = await readRemembered(context)
  if (remembered.length === 0 && !existsSync(join(settings.data.value, 'state', 'peers.json'))) {
    throw new GridError('unreachable', `no peer of the network '${settings.network.value}' is known here`, {
      hint: `name one:              ${commandAgain(context, '--join HOST')}\nor start one on this machine: manyhands node`,
    })
  }
  return remembered
}

function rememberedFile({ settings }: Pick<CommandContext, 'settings'>): string {
  return `peers-${settings.network.value}.json`
}

async function readRemembered(context: CommandContext): Promise<readonly string[]> {
  const bytes = await clientDisk(context).read(rememberedFile(context))
  if (bytes === undefined) return []
  return parsePeers(new TextDecoder().decode(bytes)).map(({ address, nodeId }) => `${address}#${nodeId}`)
}

/** So that the next command needs no `--join`. A convenience: a full disk must not keep this one from its work. */
async function remember(context: CommandContext, { overlay, identity }: GridProcess): Promise<void> {
  const peers = overlay
    .contacts()
    .map((contact) => overlay.endpoint(contact))
    .filter(({ nodeId }) => nodeId !== identity.nodeId)
    .slice(0, REMEMBERED_MAX)
  if (peers.length === 0) return
  const text = new TextEncoder().encode(formatPeers(peers))
  await clientDisk(context)
    .write(rememberedFile(context), text)
    .catch((error: unknown) => context.output.note(`peers not remembered: ${toGridError(error).message}`))
}

/** Joins as a short-lived leaf. Throws GridError `unreachable` with the command to run when no peer answers. */
export async function connect(context: CommandContext): Promise<Connection> {
  const { settings, output, stderr } = context
  const network = networkOf(context)
  const seeds = await seedsFor(context)
  const gridProcess = await startProcess({
    dataFolder: settings.data.value,
    network,
    join: seeds,
    listen: undefined,
    advertise: undefined,
    threads: 0,
    onlyJob: undefined,
    lowPriority: false,
    memoryBytes: MEMORY_BYTES,
    taskModules: [],
    ephemeral: true,
    logger: commandLogger(stderr, output.verbose),
  })
  try {
    await Promise.race([gridProcess.overlay.whenJoined(JOIN_MS), interrupted(context)])
  } catch (error) {
    await gridProcess.close()
    if (!(error instanceof GridError) || error.code !== 'unreachable') throw error
    const where = seeds.length === 0 ? 'the peers remembered here' : seeds.map((seed) => seed.split('#')[0]).join(', ')
    throw new GridError('unreachable', `no peer of the network '${network.name}' answered at ${where}`, {
      cause: error,
      hint: [
        'a private network needs the same --network and --secret-file everywhere;',
        `name another peer:            ${commandAgain(context, '--join HOST')}`,
        'or start one on this machine: manyhands node',
      ].join('\n'),
    })
  }
  await remember(context, gridProcess)
  const disk = clientDisk(context)
  return {
    process: gridProcess,
    client: gridProcess.client(),
    network,
    list: new JobList(disk),
    pins: new Pins(disk),
    close: () => gridProcess.close(),
  }
}

/** Runs `action` with a connection that is closed whatever happens. */
export async function withConnection<T>(
  context: CommandContext,
  action: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await connect(context)
  try {
    return await action(connection)
  } finally {
    await connection.close()
  }
}

/** Rejects with `closed` at the first Ctrl-C; while joining there is nothing to detach from. */
function interrupted({ interrupts }: CommandContext): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => reject(new InterruptedError())
    if (interrupts.first.aborted) stop()
    else interrupts.first.addEventListener('abort', stop, { once: true })
  })
}

/** The person at the keyboard ended the command. */
export class InterruptedError extends Error {
  constructor() {
    super('interrupted')
    this.name = 'InterruptedError'
  }
}
