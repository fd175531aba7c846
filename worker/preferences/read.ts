import { formatBytes, parseBytes, parseDuration, parseInteger } from '../../job/quantity.js'
import type { PublicKey } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { PREFERENCE_NAMES, type PreferenceName, type Preferences } from './core/preferences.js'

export { PREFERENCE_NAMES, type PreferenceName } from './core/preferences.js'

import type { DayPart } from './core/schedule.js'

/** Preferences as typed, by name: those of {@link PREFERENCE_NAMES}, and `weight.NAME`. */
export type PreferenceTexts = ReadonlyMap<string, string>

/** What {@link readPreferences} needs to know of machine and people. */
export interface PreferenceSurroundings {
  /** Threads for `cpus` as typed, and memory of a unit where nobody says more: what machine and container leave. Throws GridError. */
  readonly share: (cpus: string | undefined) => { readonly threads: number; readonly memoryBytes: number }
  /** Keys by the names that the configuration gives them. */
  readonly names: ReadonlyMap<string, PublicKey>
  /** Why the machine cannot honour a preference; undefined: it can. */
  readonly refusal: (name: PreferenceName) => string | undefined
}

/** Less could compute no unit. Unit: bytes. */
const MEMORY_BYTES_MIN = 16 * 2 ** 20
/** No machine has more: a slip. Also the bound of the worker's own options. Unit: bytes. */
const BYTES_MAX = 2 ** 40
/** Modules and inputs kept unless the volunteer says otherwise, and the least: one module and its inputs. Unit: bytes. */
export const DISK_BYTES = 8 * 2 ** 30
const DISK_BYTES_MIN = 64 * 2 ** 20
/** Least rate: a chunk of 256 KiB in four seconds, so that nobody takes the other side for dead. Unit: bytes a second. */
const RATE_BYTES_MIN = 64 * 1_024
const TEMPERATURE = { min: 30, max: 120 } as const
const SHARE_MIN = 0.01
/** Keys of one list, and programs. */
const LIST_MAX = 64
const WEIGHT = { min: 0.01, max: 100 } as const
/** Longest name of a program. */
const PROGRAM_CHARS_MAX = 256
const DAY_NAMES = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const WEIGHT_PREFIX = 'weight.'

/** Whether there is a preference of that name. */
export function isPreference(name: string): boolean {
  return (PREFERENCE_NAMES as readonly string[]).includes(name) || isWeight(name)
}

function isWeight(name: string): boolean {
  return name.startsWith(WEIGHT_PREFIX) && name.length > WEIGHT_PREFIX.length
}

/**
 * What the texts ask for, defaults where they say nothing. An empty text says nothing. Throws GridError `invalid` naming the
 * preference, what is wrong, and how it is written; `unsupported` for what this machine cannot honour.
 */
export function readPreferences(texts: PreferenceTexts, from: PreferenceSurroundings): Preferences {
  for (const name of texts.keys())
    if (!isPreference(name))
      throw new GridError('invalid', `there is no preference '${name.slice(0, 40)}'`, {
        hint: `known: ${PREFERENCE_NAMES.join(' ')} weight.NAME`,
      })
  const { threads, memoryBytes } = from.share(texts.get('cpus')?.trim() || undefined)
  const read = <T>(name: PreferenceName, parse: (text: string) => T): T | undefined => {
    const text = texts.get(name)?.trim() ?? ''
    if (text === '') return undefined
    const refusal = from.refusal(name)
    // Always, whatever happens: that can be honoured anywhere. So can anything by who computes nothing.
    if (refusal !== undefined && threads > 0 && !(name === 'on-battery' && isYes(text)))
      throw new GridError('unsupported', `${name}: ${refusal}`, { hint: `take ${name} away` })
    return parse(text)
  }
  const keys = (name: 'accept' | 'refuse') =>
    new Set(read(name, (text) => listOf(name, text).map((one) => keyOf(name, one, from.names))) ?? [])
  return {
    threads,
    share: read('cpu-time', readShare) ?? 1,
    schedule: {
      hours: read('hours', (text) => listOf('hours', text).map(readDayPart)) ?? [],
      days: new Set(read('days', readDays) ?? []),
    },
    whenIdleMs: read('when-idle', (text) => positive('when-idle', text, parseDuration(text))),
    batteryMin: read('on-battery', readBattery),
    temperatureMax: read('max-temp', readTemperature),
    pauseFor: read('pause-for', (text) => listOf('pause-for', text)) ?? [],
    memoryBytes: read('memory', (text) => space('memory', text, MEMORY_BYTES_MIN)) ?? memoryBytes,
    diskBytes: read('disk', (text) => space('disk', text, DISK_BYTES_MIN)) ?? DISK_BYTES,
    rateBytes: read('rate', (text) =>
      atLeast('rate', text, parseBytes(text.replace(/\/s$/, '')), RATE_BYTES_MIN, '64 KiB a second'),
    ),
    unitsMax: read('units', readUnits),
    forMs: read('for', (text) => positive('for', text, parseDuration(text))),
    accept: keys('accept'),
    refuse: keys('refuse'),
    weights: readWeights(texts, from.names),
  }
}

function wrong(name: string, text: string, how: string): GridError {
  return new GridError('invalid', `${name} '${text.slice(0, 60)}' is not understood`, { hint: how })
}

function listOf(name: string, text: string): string[] {
  const list = text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')
  if (list.length > LIST_MAX || list.some((one) => one.length > PROGRAM_CHARS_MAX))
    throw new GridError('invalid', `${name} has more than ${LIST_MAX} entries, or one that is too long`)
  return list
}

function positive(name: string, text: string, value: number): number {
  if (value <= 0) throw wrong(name, text, 'it must be more than nothing')
  return value
}

function atLeast(name: string, text: string, value: number, least: number, words: string): number {
  if (value < least) throw new GridError('invalid', `${name} ${text} is less than ${words}`)
  return value
}

function space(name: 'memory' | 'disk', text: string, least: number): number {
  const bytes = atLeast(name, text, parseBytes(text), least, formatBytes(least))
  if (bytes > BYTES_MAX) throw new GridError('invalid', `${name} ${text} is more than ${formatBytes(BYTES_MAX)}`)
  return bytes
}

function readShare(text: string): number {
  const match = /^([0-9]{1,3}(?:\.[0-9]{1,3})?)%?$/.exec(text)
  const share = Number(match?.[1]) / 100
  if (match === null || share < SHARE_MIN || share > 1)
    throw wrong('cpu-time', text, 'write a share of the time from 1% to 100%, such as 50%')
  return share
}

const HOURS_HINT = 'write hours such as 22:00-07:00, several with commas; 24:00 is the end of a day'

function readDayPart(text: string): DayPart {
  const match = /^([0-9]{1,2})(?::([0-9]{2}))?\s*-\s*([0-9]{1,2})(?::([0-9]{2}))?$/.exec(text)
  const [from, to] = [minutes(match?.[1], match?.[2]), minutes(match?.[3], match?.[4])]
  if (from === undefined || to === undefined || from === 1_440 || from === to) throw wrong('hours', text, HOURS_HINT)
  return { from, to }
}

function minutes(hours: string | undefined, rest = '00'): number | undefined {
  const value = Number(hours) * 60 + Number(rest)
  return Number(rest) > 59 || !(value >= 0 && value <= 1_440) ? undefined : value
}

function readDays(text: string): number[] {
  return listOf('days', text.toLowerCase()).flatMap((part) => {
    const ends = part.split('-').map((name) => DAY_NAMES.indexOf(name.trim().slice(0, 3)))
    const [first = -1, last = first] = ends
    if (ends.length > 2 || first < 0 || last < 0) throw wrong('days', part, 'write days such as mon-fri or sat,sun')
    return Array.from({ length: ((last - first + 7) % 7) + 1 }, (_, i) => (first + i) % 7)
  })
}

const isYes = (text: string): boolean => /^(?:yes|on|true)$/i.test(text)

function readBattery(text: string): number | undefined {
  if (isYes(text)) return 0
  if (/^(?:no|off|false)$/i.test(text)) return undefined
  const percent = /^([0-9]{1,3})%$/.exec(text)?.[1]
  if (percent === undefined || Number(percent) > 100)
    throw wrong('on-battery', text, 'write yes, no, or the least charge with which to compute on battery, such as 80%')
  return Number(percent)
}

function readTemperature(text: string): number {
  const degrees = Number(/^([0-9]{1,3})\s*(?:°?C)?$/i.exec(text)?.[1])
  if (!(degrees >= TEMPERATURE.min && degrees <= TEMPERATURE.max))
    throw wrong('max-temp', text, `write degrees Celsius from ${TEMPERATURE.min} to ${TEMPERATURE.max}, such as 75`)
  return degrees
}

function readUnits(text: string): number {
  const units = parseInteger(text)
  if (units < 1n || units > BigInt(Number.MAX_SAFE_INTEGER)) throw wrong('units', text, 'write a number from 1 on')
  return Number(units)
}

function readWeights(texts: PreferenceTexts, names: PreferenceSurroundings['names']): Map<PublicKey, number> {
  const weights = new Map<PublicKey, number>()
  for (const [name, text] of texts) {
    if (!isWeight(name) || text.trim() === '') continue
    const weight = Number(text)
    if (!(weight >= WEIGHT.min && weight <= WEIGHT.max))
      throw wrong(name, text, `write a number from ${WEIGHT.min} to ${WEIGHT.max}; who is not named has 1`)
    weights.set(keyOf(name, name.slice(WEIGHT_PREFIX.length), names), weight)
  }
  if (weights.size > LIST_MAX) throw new GridError('invalid', `more than ${LIST_MAX} weights`)
  return weights
}

/** A key by its name or its 64 hex digits. Throws GridError `invalid` saying where names come from. */
function keyOf(preference: string, text: string, names: ReadonlyMap<string, PublicKey>): PublicKey {
  const named = names.get(text)
  if (named !== undefined) return named
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase() as PublicKey
  throw new GridError('invalid', `${preference}: '${text.slice(0, 60)}' is neither a key nor a name`, {
    hint: "a key has 64 hex digits ('manyhands id' shows yours); names stand in [names] of the configuration file",
  })
}
