import { AdminClient } from '../../process/admin/admin-client.js'
import { findLocalProcess } from '../../process/local-process.js'
import type { ProcessState } from '../../proto/admin-messages.js'
import { GridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import type { CommandContext } from '../context.js'

/**
 * The process on the data directory of a command. Throws GridError `unreachable` with what to do when none runs, or one that
 * has no socket.
 */
export function openAdmin({ settings }: Pick<CommandContext, 'settings'>, logger?: Logger): AdminClient {
  const folder = settings.data.value
  const local = findLocalProcess(folder, settings.network.value)
  if (local?.admin === undefined) {
    throw new GridError(
      'unreachable',
      `no worker or node of the network '${settings.network.value}' runs on ${folder}`,
      {
        hint: [
          'donate CPU:             manyhands work --join HOST',
          'or name its directory:  --data DIR (and --network NAME, if it is in another)',
        ].join('\n'),
      },
    )
  }
  return new AdminClient(local.admin, logger)
}

/** What the process on the data directory of a command says of itself; undefined when none runs there that can be asked. */
export async function stateHere(context: Pick<CommandContext, 'settings'>): Promise<ProcessState | undefined> {
  const { data, network } = context.settings
  if (findLocalProcess(data.value, network.value)?.admin === undefined) return undefined
  const admin = openAdmin(context)
  try {
    return await admin.state()
  } catch (error) {
    // It is ending, or its file outlived it.
    if (error instanceof GridError && error.retryable) return undefined
    throw error
  } finally {
    admin.close()
  }
}
