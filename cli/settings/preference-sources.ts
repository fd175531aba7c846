import { statSync } from 'node:fs'
import type { Command } from 'commander'
import type { PublicKey } from '../../proto/model.js'
import { containerLimits } from '../../runtime/container.js'
import { threadCount } from '../../runtime/platform.js'
import type { LocalTime, VolunteerDependencies } from '../../worker/dependencies.js'
import { type FilePreferences, PreferenceBook, type PreferenceSources } from '../../worker/preferences/book.js'
import { PREFERENCE_NAMES } from '../../worker/preferences/read.js'
import { sensorsOf } from '../../worker/preferences/sensors/index.js'
import type { CommandContext } from '../context.js'
import { LISTS, preferencesOfFile, variableOf } from './config.js'
import { camel, flagOption, suggest } from './flags.js'
import { machineShare } from './machine.js'
import { preferenceExamples, preferenceHelp } from './preference-help.js'

/** Preferences that are no settings of `work` alone: their flags stand in its own words. */
const OWN_WORDS: ReadonlySet<string> = new Set(['units', 'for'])

/** Adds the flags of all preferences to a command that computes. */
export function addPreferenceFlags(command: Command): Command {
  command
    .option('--cpus <n>', 'threads that compute: a number or a share such as 50% (all but one)')
    .option('--memory <size>', 'most memory a unit may ask for (256MiB)')
  for (const [name, help] of Object.entries(preferenceHelp)) {
    if (OWN_WORDS.has(name)) continue
    const flags = name === 'on-battery' ? '--on-battery [charge]' : `--${name} <value>`
    command.addOption(suggest(flagOption(flags, help, LISTS.has(name)), preferenceExamples[name] ?? []))
  }
  return command
}

/** What a worker is told of its volunteer, and how it looks at the machine. Throws GridError for a preference that is wrong. */
export function volunteerOf(
  { config, platform, clock, settings }: Pick<CommandContext, 'config' | 'platform' | 'clock' | 'settings'>,
  options: Readonly<Record<string, unknown>>,
): VolunteerDependencies {
  const flags = new Map<string, string>()
  const environment = new Map<string, string>()
  for (const name of PREFERENCE_NAMES) {
    const flag = options[camel(name)]
    if (typeof flag === 'string') flags.set(name, flag)
    // Alone it means what somebody who types it wants: compute on battery, too.
    else if (flag === true) flags.set(name, 'yes')
    const variable = platform.environment[variableOf(name)]
    if (variable !== undefined) environment.set(name, variable)
  }
  const sources: PreferenceSources = { flags, environment, readFile: fileReader(config.file) }
  const sensors = sensorsOf(platform.system, settings['system-root'].value ?? platform.root ?? '/', clock)
  const book = new PreferenceBook(sources, {
    share: (cpus) => machineShare(cpus, threadCount(), containerLimits(platform.root)),
    refusal: (name) => sensors.refusal(name),
  })
  return { book, sensors, localAt }
}

/** What a clock on the wall of this machine shows. */
function localAt(wallMs: number): LocalTime {
  const date = new Date(wallMs)
  return { day: date.getDay(), minute: date.getHours() * 60 + date.getMinutes() }
}

/** Reads the file when it has changed since it was last asked for. */
function fileReader(file: string): () => FilePreferences | undefined {
  let seen: string | undefined
  return () => {
    const now = markOf(file)
    if (now === seen) return undefined
    seen = now
    const { texts, names } = preferencesOfFile(file)
    return { texts, names: names as ReadonlyMap<string, PublicKey> }
  }
}

/** What changes with the file. */
function markOf(file: string): string {
  try {
    const { mtimeMs, size, ino } = statSync(file)
    return `${mtimeMs} ${size} ${ino}`
  } catch {
    return 'none'
  }
}
