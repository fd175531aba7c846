import { Pins } from '../client/session/pins.js'
import { JobList } from '../client/submit/job-list.js'
import { MAIN_NETWORK, resolveNetwork } from '../overlay/identity/network.js'
import { clientDisk, JOIN_MS, knownSeeds, rememberPeers, startClient } from '../process/join.js'
import type { Millis } from '../runtime/clock.js'
import { GridError } from '../runtime/errors.js'
import { type Logger, silentLogger } from '../runtime/logger.js'
import { platformFolders, thisPlatform } from '../runtime/platform.js'
import { Grid } from './grid.js'
import { linkedSignal } from './signals.js'

/** How to get into a network. All of it has a default; a first connection of a machine needs `join`. */
export interface ConnectOptions {
  /** Peers to join through, as `host`, `host:port` or `host:port#id`. Default: the node on this machine, then peers met before. */
  readonly join?: string | readonly string[]
  /** Name of the network. Default `main`. */
  readonly network?: string
  /** Secret of a private network, 22 to 256 characters. */
  readonly secret?: string
  /**
   * Folder of the key that signs jobs, of the list of jobs and of what was verified. Default: the one that the command
   * `manyhands` uses, so that jobs of either are known to both.
   */
  readonly data?: string
  /** How long to look for a first peer. Unit: ms. Default 8,000. */
  readonly joinMs?: Millis
  /** Gives up joining. */
  readonly signal?: AbortSignal
  /** Where the log goes. Default: nowhere. */
  readonly logger?: Logger
}

/**
 * Joins a network as a short-lived leaf: it dials out and never listens. To be closed by {@link Grid.close}. Rejects with GridError:
 * `invalid` for a wrong option, `unreachable` when no peer is known or answers, `closed` when aborted.
 */
export async function connect(options: ConnectOptions = {}): Promise<Grid> {
  const { network: name = MAIN_NETWORK, secret, joinMs = JOIN_MS, logger = silentLogger, signal } = options
  const network = resolveNetwork(name, secret)
  const dataFolder = options.data ?? platformFolders(thisPlatform(process.env)).data
  const named = typeof options.join === 'string' ? options.join.split(',') : (options.join ?? [])
  if (!Array.isArray(named) || named.some((peer) => typeof peer !== 'string'))
    throw new GridError('invalid', "join is a peer or a list of peers, such as 'host:4747'")
  const join = await knownSeeds(dataFolder, name, named)
  if (join === undefined) {
    throw new GridError('unreachable', `no peer of the network '${name}' is known here`, {
      hint: "name one: connect({ join: 'host:4747' })",
    })
  }
  const gridProcess = await startClient({ dataFolder, network, join, logger })
  const joining = linkedSignal(signal)
  try {
    await Promise.race([gridProcess.overlay.whenJoined(joinMs), joining.aborted])
  } catch (error) {
    await gridProcess.close()
    throw error
  } finally {
    joining.release()
  }
  const problem = await rememberPeers(dataFolder, name, gridProcess)
  if (problem !== undefined) logger.warn('peers not remembered', { reason: problem })
  const disk = clientDisk(dataFolder)
  return new Grid({ process: gridProcess, network, list: new JobList(disk), pins: new Pins(disk) })
}
