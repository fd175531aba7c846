import { Pins } from '../../client/session/pins.js'
import type { GridClient } from '../../client/session/session.js'
import { JobList } from '../../client/submit/job-list.js'
import type { Network } from '../../overlay/identity/network.js'
import type { GridProcess } from '../../process/compose.js'
import { clientDisk as diskOf, JOIN_MS, knownSeeds, rememberPeers, startClient } from '../../process/join.js'
import { GridError } from '../../runtime/errors.js'
import { silentLogger } from '../../runtime/logger.js'
import { type CommandContext, commandAgain, firstPeerFlags } from '../context.js'
import { InterruptedError } from '../terminal/interrupts.js'
import { networkOf } from './network-of.js'

/** How long a person waits for a first peer before being told what is wrong. Unit: ms. */
const PATIENCE_MS = 2_000

/** A command's way into the network. */
export interface Connection {
  readonly process: GridProcess
  readonly client: GridClient
  readonly network: Network
  readonly list: JobList
  readonly pins: Pins
  close(): Promise<void>
}

/** What this machine keeps for its commands: the list of its jobs, and what it has verified. */
export function clientDisk({ settings }: Pick<CommandContext, 'settings'>): ReturnType<typeof diskOf> {
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
    hint: `name one:              ${commandAgain(context, '--join HOST')}\nor start one on this machine: manyhands node${firstPeerFlags(context)}`,
  })
}

/** Joins as a short-lived leaf. Throws GridError `unreachable` with the command to run when no peer answers. */
export async function connect(context: CommandContext): Promise<Connection> {
  const { settings, output, stderr } = context
  const network = networkOf(context)
  const seeds = await seedsFor(context)
  const dataFolder = settings.data.value
  // Commands are over in a moment: what they log is for whoever asks for it.
  const { createLogger } = output.verbose ? await import('../terminal/logger.js') : {}
  const logger = createLogger?.({ stream: stderr, level: 'debug', json: false }) ?? silentLogger
  const gridProcess = await startClient({ dataFolder, network, join: seeds, logger })
  const told = sayWhatIsMissing(context, gridProcess.overlay)
  try {
    await Promise.race([gridProcess.overlay.whenJoined(JOIN_MS), interrupted(context)])
  } catch (error) {
    await gridProcess.close()
    if (!(error instanceof GridError) || error.code === 'closed') throw error
    const where = seeds.length === 0 ? 'the peers remembered here' : seeds.map((seed) => seed.split('#')[0]).join(', ')
    const why = gridProcess.overlay.unreached
    const typed = { ...context, typed: withoutJoin(context.typed) }
    throw new GridError(
      'unreachable',
      `no peer of the network '${network.name}' answered${why === '' ? ` at ${where}` : `: ${why}`}`,
      {
        cause: error,
        hint: [
          ...(error.code === 'unreachable' || error.hint === undefined ? [] : [error.hint]),
          `name another peer:            ${commandAgain(typed, '--join HOST')}`,
          `or start one on this machine: manyhands node${firstPeerFlags(context)}`,
        ].join('\n'),
      },
    )
  } finally {
    told.cancel()
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

/** A person who waits is told why once nobody has answered for a while: often a word is misspelt. */
function sayWhatIsMissing({ clock, output }: CommandContext, overlay: GridProcess['overlay']): { cancel(): void } {
  return clock.setTimer(PATIENCE_MS, () => {
    if (!overlay.joined && overlay.unreached !== '') output.note(`${overlay.unreached}; trying for a while`)
  })
}

/** What was typed without the peers to join, for a line that names others. */
function withoutJoin(typed: readonly string[]): readonly string[] {
  return typed.filter((word, i) => word !== '--join' && typed[i - 1] !== '--join' && !word.startsWith('--join='))
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
