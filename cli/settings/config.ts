import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import type { z } from 'zod'
import { unreadable } from '../../client/content/opened-file.js'
import { GridError } from '../../runtime/errors.js'
import { readNamed } from '../../runtime/named-file.js'
import { type PlatformSurroundings, platformFolders } from '../../runtime/platform.js'
import { PREFERENCE_NAMES } from '../../worker/preferences/read.js'
import { preferenceHelp } from './preference-help.js'
import { lineOfKey, problemOf } from './toml.js'

/** It is written by hand: a larger one is a mistake. Unit: bytes. */
const FILE_BYTES_MAX = 1024 * 1024

/** Where a value of the configuration came from; later ones in this list win. */
export type Origin = 'default' | 'file' | 'environment' | 'flag'

/** A value as the rest of the program uses it, and where it came from. */
interface Setting<T> {
  readonly value: T
  readonly origin: Origin
}

/**
 * Packages that a file is read with, loaded when there is one: together they are some hundred modules, and most commands run
 * where nobody wrote a file.
 */
const require = createRequire(import.meta.url)

function fileSchema() {
  const { z } = require('zod') as typeof import('zod')
  const textOrNumber = z.union([z.string(), z.number()])
  const textOrList = z.union([z.string(), z.array(z.string())])

  /** Every setting that can stand in the configuration file, with the type it has there. Flags and environment give text. */
  return z.strictObject({
    join: z.union([z.string(), z.array(z.string())]),
    network: z.string(),
    'secret-file': z.string(),
    data: z.string(),
    listen: z.string(),
    advertise: z.string(),
    cpus: z.union([z.string(), z.number()]),
    memory: z.union([z.string(), z.number()]),
    tasks: z.union([z.string(), z.array(z.string())]),
    quorum: z.number().int().min(1).max(15),
    metrics: z.union([z.string(), z.number().int().min(1).max(65_535)]),
    'log-format': z.enum(['json', 'text']),
    'cpu-time': textOrNumber,
    hours: textOrList,
    days: textOrList,
    'when-idle': z.string(),
    'on-battery': z.union([z.string(), z.boolean()]),
    'max-temp': textOrNumber,
    'pause-for': textOrList,
    disk: textOrNumber,
    rate: textOrNumber,
    units: textOrNumber,
    for: z.string(),
    accept: textOrList,
    refuse: textOrList,
    'system-root': z.string(),
    names: z.record(
      z.string().regex(/^[^,\s]{1,64}$/, 'a name has no spaces and commas'),
      z.string().regex(/^[0-9a-fA-F]{64}$/, 'a key has 64 hex digits'),
    ),
    weight: z.record(z.string(), z.number()),
  })
}
type FileSchema = ReturnType<typeof fileSchema>
type FileSettings = z.infer<ReturnType<FileSchema['partial']>>

/** Names of settings, as they stand in the file and as flags. */
export type SettingName = Exclude<keyof z.infer<FileSchema>, 'names' | 'weight'>

/** One line a setting, for `manyhands config` and the manual. */
export const settingHelp: Readonly<Record<SettingName, string>> = {
  join: 'peers to join through: host, host:port or host:port#id; several with commas',
  network: 'name of the network',
  'secret-file': 'file with the secret of a private network',
  data: 'folder of the key and the state of this node',
  listen: 'where a node listens: host:port, port 0 for any',
  advertise: 'address under which others reach a node, when it differs from listen',
  cpus: 'threads that compute: a number or a share such as 50% (all but one)',
  memory: 'most memory a unit may ask for (256MiB)',
  tasks: "modules with tasks of this machine's own; they run with the rights of the worker",
  quorum: 'agreeing donors a unit needs, unless submit says otherwise',
  metrics: 'where to serve metrics for Prometheus: host:port, or a port of 127.0.0.1',
  'log-format': 'how node and work write their log: text, or json, a value a line',
  ...preferenceHelp,
  'system-root': 'where the /proc, /sys and /dev of the machine are, for containers that have them elsewhere',
}

/** All settings by name. Lists hold one text an entry. Undefined: not set, the command decides. */
export interface Settings {
  readonly join: Setting<readonly string[]>
  readonly network: Setting<string>
  readonly 'secret-file': Setting<string | undefined>
  readonly data: Setting<string>
  readonly listen: Setting<string | undefined>
  readonly advertise: Setting<string | undefined>
  readonly cpus: Setting<string | undefined>
  readonly memory: Setting<string | undefined>
  readonly tasks: Setting<readonly string[]>
  readonly quorum: Setting<number | undefined>
  readonly metrics: Setting<string | undefined>
  readonly 'log-format': Setting<string | undefined>
  readonly 'cpu-time': Setting<string | undefined>
  readonly hours: Setting<string | undefined>
  readonly days: Setting<string | undefined>
  readonly 'when-idle': Setting<string | undefined>
  readonly 'on-battery': Setting<string | undefined>
  readonly 'max-temp': Setting<string | undefined>
  readonly 'pause-for': Setting<string | undefined>
  readonly disk: Setting<string | undefined>
  readonly rate: Setting<string | undefined>
  readonly units: Setting<string | undefined>
  readonly for: Setting<string | undefined>
  readonly accept: Setting<string | undefined>
  readonly refuse: Setting<string | undefined>
  readonly 'system-root': Setting<string | undefined>
}

/** What {@link resolveSettings} found. */
export interface ResolvedSettings {
  readonly settings: Settings
  /** The file that was read, or would have been. */
  readonly file: string
  readonly fileExists: boolean
}

/** Values of flags, by name of the setting; absent ones were not given. */
export type FlagValues = Readonly<Partial<Record<SettingName, string | readonly string[]>>>

/** Where settings come from, the first that names one before the others: flags, the environment, the file. */
export interface ConfigSources {
  readonly flags: FlagValues
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly platform: PlatformSurroundings
  /** `--config FILE`; else MANYHANDS_CONFIG, else `config.toml` in the platform's folder. */
  readonly file?: string | undefined
}

const ENVIRONMENT_PREFIX = 'MANYHANDS_'
/** Settings that are lists, written with commas or, as flags, repeated. */
export const LISTS: ReadonlySet<string> = new Set(['join', 'tasks', 'hours', 'days', 'pause-for', 'accept', 'refuse'])
const CONFIG_FILE = 'config.toml'
const DEFAULT_NETWORK = 'main'

/** The environment variable of a setting: `secret-file` is `MANYHANDS_SECRET_FILE`. */
export function variableOf(name: SettingName): string {
  return ENVIRONMENT_PREFIX + name.toUpperCase().replaceAll('-', '_')
}

/**
 * Merges flags, environment, file and defaults, in this order of precedence; an empty text counts as not given. Paths in the file are
 * relative to its folder. Throws GridError `invalid` for a file that was named and is not there, or one that is wrong,
 * naming line and key, and for a wrong variable.
 */
export function resolveSettings(sources: ConfigSources): ResolvedSettings {
  const folders = platformFolders(sources.platform)
  const named = sources.file ?? (sources.environment.MANYHANDS_CONFIG || undefined)
  const file = resolve(named ?? join(folders.config, CONFIG_FILE))
  const text = readConfigFile(file, named !== undefined)
  const fromFile = text === undefined ? {} : parseConfigFile(text, file)
  const pick = (name: SettingName): Setting<readonly string[] | undefined> => {
    const flag = textsOf(sources.flags[name], LISTS.has(name))
    if (flag !== undefined) return { value: flag, origin: 'flag' }
    const variable = textsOf(sources.environment[variableOf(name)], LISTS.has(name))
    if (variable !== undefined) return { value: variable, origin: 'environment' }
    const set = textsOf(fromFile[name], LISTS.has(name))
    if (set !== undefined) return { value: relativeTo(file, name, set), origin: 'file' }
    return { value: undefined, origin: 'default' }
  }
  const one = (name: SettingName): Setting<string | undefined> => {
    const { value, origin } = pick(name)
    return { value: value?.[0], origin }
  }
  const list = (name: SettingName): Setting<readonly string[]> => {
    const { value, origin } = pick(name)
    return { value: value ?? [], origin }
  }
  const joined = (name: SettingName): Setting<string | undefined> => {
    const { value, origin } = pick(name)
    return { value: value?.join(','), origin }
  }
  const data = one('data')
  const network = one('network')
  const settings: Settings = {
    join: list('join'),
    network: { ...network, value: network.value ?? DEFAULT_NETWORK },
    'secret-file': one('secret-file'),
    data: { ...data, value: data.value ?? folders.data },
    listen: one('listen'),
    advertise: one('advertise'),
    cpus: one('cpus'),
    memory: one('memory'),
    tasks: list('tasks'),
    quorum: readQuorum(one('quorum')),
    metrics: one('metrics'),
    'log-format': one('log-format'),
    'cpu-time': joined('cpu-time'),
    hours: joined('hours'),
    days: joined('days'),
    'when-idle': joined('when-idle'),
    'on-battery': joined('on-battery'),
    'max-temp': joined('max-temp'),
    'pause-for': joined('pause-for'),
    disk: joined('disk'),
    rate: joined('rate'),
    units: joined('units'),
    for: joined('for'),
    accept: joined('accept'),
    refuse: joined('refuse'),
    'system-root': one('system-root'),
  }
  return { settings, file, fileExists: text !== undefined }
}

/** What the file says of preferences, as texts, and the names it gives to keys. Throws as {@link resolveSettings}. */
export function preferencesOfFile(file: string): {
  readonly texts: ReadonlyMap<string, string>
  readonly names: ReadonlyMap<string, string>
} {
  const text = readConfigFile(file, false)
  const { names = {}, weight = {}, ...rest } = text === undefined ? {} : parseConfigFile(text, file)
  const texts = new Map<string, string>()
  for (const name of PREFERENCE_NAMES) {
    const value = textsOf(rest[name], LISTS.has(name))
    if (value !== undefined) texts.set(name, value.join(','))
  }
  for (const [name, value] of Object.entries(weight)) texts.set(`weight.${name}`, String(value))
  return { texts, names: new Map(Object.entries(names).map(([name, key]) => [name, key.toLowerCase()])) }
}

function readConfigFile(file: string, isNamed: boolean): string | undefined {
  try {
    return readNamed(file, FILE_BYTES_MAX).toString('utf8')
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (!isNamed && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined
    const hint = isNamed ? 'check --config or MANYHANDS_CONFIG' : 'check its permissions'
    throw unreadable('configuration file', file, cause, hint)
  }
}

function parseConfigFile(text: string, file: string): FileSettings {
  const { parse, TomlError } = require('smol-toml') as typeof import('smol-toml')
  let value: unknown
  try {
    value = parse(text)
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    throw new GridError('invalid', `${file}, line ${cause.line}: ${problemOf(cause)}`, { cause })
  }
  const parsed = fileSchema().partial().safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]!
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined
  const path = unknown === undefined ? issue.path.map(String) : [unknown]
  const line = lineOfKey(text, path)
  const place = `${file}${line === undefined ? '' : `, line ${line}`}`
  if (unknown !== undefined) {
    throw new GridError('invalid', `${place}: unknown setting '${unknown}'`, {
      hint: `known: ${Object.keys(settingHelp).join(' ')} [names] [weight]`,
    })
  }
  throw new GridError('invalid', `${place}: '${path.join('.')}' ${issue.message.toLowerCase()}`)
}

/** Texts of a value as given anywhere; undefined when nothing was given. Lists may be written with commas. */
function textsOf(value: unknown, isList: boolean): readonly string[] | undefined {
  if (value === undefined || value === '') return undefined
  const given = (Array.isArray(value) ? value : [value]).map(String)
  const texts = isList ? given.flatMap((text) => text.split(',')).map((text) => text.trim()) : given
  const kept = texts.filter((text) => text !== '')
  return kept.length > 0 || (isList && Array.isArray(value)) ? kept : undefined
}

const PATHS: ReadonlySet<SettingName> = new Set(['data', 'secret-file', 'tasks', 'system-root'])

function relativeTo(file: string, name: SettingName, texts: readonly string[]): readonly string[] {
  return PATHS.has(name) ? texts.map((text) => resolve(join(file, '..'), text)) : texts
}

function readQuorum({ value, origin }: Setting<string | undefined>): Setting<number | undefined> {
  if (value === undefined) return { value: undefined, origin }
  if (!/^[0-9]{1,2}$/.test(value) || Number(value) < 1 || Number(value) > 15) {
    throw new GridError('invalid', `quorum must be a number from 1 to 15, not '${value}'`, {
      hint: `it comes from the ${origin}`,
    })
  }
  return { value: Number(value), origin }
}
