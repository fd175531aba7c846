import { readFileSync } from 'node:fs'
import { JobList } from '../client/job-list.js'
import { Pins } from '../client/pins.js'
import type { GridClient } from '../client/session.js'
import { type Network, resolveNetwork } from '../overlay/network.js'
import type { GridProcess } from '../process/compose.js'
import { clientDisk as diskOf, JOIN_MS, knownSeeds, rememberPeers, startClient } from '../process/join.js'
import type { Disk } from '../runtime/disk.js'
import { GridError } from '../runtime/errors.js'
import { type CommandContext, commandAgain } from './context.js'
import { commandLogger } from './logger.js'

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
  return diskOf(settings.data.value)
}

/**
 * Where to join ({@link knownSeeds}). Throws GridError `invalid` for an address that is none, `unreachable` when nothing is
 * known.
 */
export async function seedsFor(context: CommandContext): Promise<readonly string[]> {
  const { data, network, join } = context.settings
  const seeds = await knownSeeds(data.value, network.value, join.value)
  if (seeds !== undefined) return seeds
  throw new GridError('unreachable', `no peer of the network '${network.value}' is known here`, {
    hint: `name one:              ${commandAgain(context, '--join HOST')}\nor start one on this machine: manyhands node`,
  })
}

/** Joins as a short-lived leaf. Throws GridError `unreachable` with the command to run when no peer answers. */
export async function connect(context: CommandContext): Promise<Connection> {
  const { settings, output, stderr } = context
  const network = networkOf(context)
  const seeds = await seedsFor(context)
  const dataFolder = settings.data.value
  const logger = commandLogger(stderr, output.verbose)
  const gridProcess = await startClient({ dataFolder, network, join: seeds, logger })
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
  const problem = await rememberPeers(dataFolder, network.name, gridProcess)
  if (problem !== undefined) output.note(`peers not remembered: ${problem}`)
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
