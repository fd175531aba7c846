import { AdminClient } from '../process/admin/admin-client.js'
import { findLocalProcess } from '../process/local-process.js'
import { GridError } from '../runtime/errors.js'
import type { Logger } from '../runtime/logger.js'
import type { CommandContext } from './context.js'

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
