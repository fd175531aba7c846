import { parseBytes, parseDuration, parseInteger } from '../job/quantity.js'
import { DEFAULT_PORT, parseAddress } from '../overlay/address.js'
import type { ProcessSettings } from '../process/compose.js'
import { UNITS_MAX } from '../proto/limits.js'
import { GridError } from '../runtime/errors.js'
import { threadCount } from '../runtime/platform.js'
import { networkOf } from './connect.js'
import type { CommandContext } from './context.js'
import { parseCpus } from './cpus.js'
import { createLogger, type LogLevel } from './logger.js'

/** Memory a unit may ask for unless the donor says otherwise: the default limit of a job. Unit: bytes. */
const MEMORY_BYTES = 256 * 2 ** 20
const MEMORY_BYTES_MIN = 16 * 2 ** 20
const LISTEN_HOST = '0.0.0.0'

/** Settings that `node` and `work` share. Throws GridError `invalid` for one that is wrong. */
export function processSettings(
  context: CommandContext,
  options: Readonly<Record<string, unknown>>,
  level: LogLevel,
): Omit<ProcessSettings, 'listen' | 'advertise' | 'onlyJob'> {
  const { settings, output, stderr } = context
  for (const address of settings.join.value) parseAddress(address)
  const memory = (options.memory as string | undefined) ?? settings.memory.value
  const memoryBytes = memory === undefined ? MEMORY_BYTES : parseBytes(memory)
  if (memoryBytes < MEMORY_BYTES_MIN) {
    throw new GridError('invalid', `memory ${memory} is less than 16 MiB`, {
      hint: 'no unit could be computed with so little',
    })
  }
  const quietLevel: LogLevel = output.quiet ? 'error' : level
  return {
    dataFolder: settings.data.value,
    network: networkOf(context),
    join: settings.join.value,
    threads: parseCpus(settings.cpus.value, threadCount()),
    lowPriority: true,
    memoryBytes,
    taskModules: settings.tasks.value,
    ephemeral: false,
    logger: createLogger({ stream: stderr, level: output.verbose ? 'debug' : quietLevel, json: output.json }),
  }
}

/** Where to listen; port 0 asks for any free one. */
export function listenAt({ settings }: CommandContext): { readonly host: string; readonly port: number } {
  const text = settings.listen.value
  if (text === undefined) return { host: LISTEN_HOST, port: DEFAULT_PORT }
  const { host, port } = parseAddress(text, { zeroPort: true })
  return { host, port }
}

/** `--for` and `--units` of a worker. */
export function readBounds(options: Readonly<Record<string, unknown>>): { forMs?: number; unitsMax?: number } {
  const forMs = options.for === undefined ? undefined : parseDuration(String(options.for))
  const units = options.units === undefined ? undefined : parseInteger(String(options.units))
  if (units !== undefined && (units < 1n || units > BigInt(Number.MAX_SAFE_INTEGER))) {
    throw new GridError('invalid', `--units must be 1 or more (a job has at most ${UNITS_MAX})`)
  }
  return { ...(forMs === undefined ? {} : { forMs }), ...(units === undefined ? {} : { unitsMax: Number(units) }) }
}
