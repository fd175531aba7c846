import { unreadable } from '../../client/content/opened-file.js'
import { type Network, resolveNetwork } from '../../overlay/identity/network.js'
import { GridError } from '../../runtime/errors.js'
import { readNamed } from '../../runtime/named-file.js'
import type { CommandContext } from '../context.js'

/** Secrets are generated, and shorter by far. Unit: bytes. */
const SECRET_BYTES_MAX = 64 * 1024

/** The network that the settings name. Throws GridError `invalid` for a bad name or secret, or no such secret file. */
export function networkOf({ settings }: Pick<CommandContext, 'settings'>): Network {
  const file = settings['secret-file'].value
  if (file === undefined) return resolveNetwork(settings.network.value)
  let secret: string
  try {
    secret = readNamed(file, SECRET_BYTES_MAX).toString('utf8').trim()
  } catch (cause) {
    throw unreadable('secret file', file, cause, "make a secret with 'manyhands network new'")
  }
  if (secret === '') throw new GridError('invalid', `the secret file ${file} is empty`)
  return resolveNetwork(settings.network.value, secret)
}
