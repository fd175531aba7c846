import { DEFAULT_PORT, parseAddress } from '../../overlay/address.js'
import { bootPeers } from '../../process/boot-peers.js'
import type { ProcessSettings } from '../../process/settings.js'
import { GridError } from '../../runtime/errors.js'
import type { CommandContext } from '../context.js'
import { readKeys } from '../settings/keys.js'
import { beyondHere } from '../settings/machine.js'
import { volunteerOf } from '../settings/preference-sources.js'
import { createLogger, type LogLevel } from '../terminal/logger.js'
import { networkOf } from './network-of.js'

const LISTEN_HOST = '0.0.0.0'

/** Settings that `node` and `work` share. Throws GridError `invalid` for one that is wrong. */
export function processSettings(
  context: CommandContext,
  options: Readonly<Record<string, unknown>>,
  level: LogLevel,
): Omit<ProcessSettings, 'listen' | 'advertise' | 'onlyJob'> {
  const { settings, output, stderr } = context
  for (const address of settings.join.value) parseAddress(address)
  const volunteer = volunteerOf(context, options)
  const { threads, memoryBytes } = volunteer.book.preferences
  const quietLevel: LogLevel = output.quiet ? 'error' : level
  const json = isLogJson(context)
  const logger = createLogger({ stream: stderr, level: output.verbose ? 'debug' : quietLevel, json })
  if (json) {
    const spoken = createLogger({ stream: stderr, level: 'info', json })
    output.speakInto((said, text) => spoken[said](text))
  }
  for (const text of beyondHere(volunteer.book.preferences, context)) output.warn(text)
  return {
    dataFolder: settings.data.value,
    network: networkOf(context),
    join: [...settings.join.value, ...bootPeers(settings.data.value, settings.network.value)],
    threads,
    volunteer,
    lowPriority: true,
    memoryBytes,
    taskModules: settings.tasks.value,
    ephemeral: false,
    judgeFor: readKeys(options.judgeFor, '--judge-for'),
    logger,
  }
}

/** Where to listen; port 0 asks for any free one. */
export function listenAt({ settings }: CommandContext): { readonly host: string; readonly port: number } {
  const text = settings.listen.value
  if (text === undefined) return { host: LISTEN_HOST, port: DEFAULT_PORT }
  const { host, port } = parseAddress(text, { zeroPort: true })
  return { host, port }
}

/** Where a port alone is listened on for metrics: they are for this machine unless somebody says otherwise. */
const METRICS_HOST = '127.0.0.1'

/** Where to serve metrics; undefined: nowhere. Throws GridError `invalid`. */
export function metricsAt({
  settings,
}: Pick<CommandContext, 'settings'>): { readonly host: string; readonly port: number } | undefined {
  const text = settings.metrics.value
  if (text === undefined) return undefined
  const { host, port } = parseAddress(/^[0-9]+$/.test(text) ? `${METRICS_HOST}:${text}` : text, { zeroPort: true })
  if (!/(?:^|:)[0-9]+$/.test(text))
    throw new GridError('invalid', `metrics '${text.slice(0, 60)}' has no port`, {
      hint: 'write a port of 127.0.0.1 such as 9464, or HOST:PORT',
    })
  return { host, port }
}

/** Whether the log is JSON: as `log-format` says, else as the answers are. Throws GridError `invalid`. */
function isLogJson({ settings, output }: CommandContext): boolean {
  const { value, origin } = settings['log-format']
  if (value !== undefined && value !== 'json' && value !== 'text') {
    throw new GridError('invalid', `log-format must be text or json, not '${value.slice(0, 40)}'`, {
      hint: `it comes from the ${origin}`,
    })
  }
  return value === undefined ? output.json : value === 'json'
}
