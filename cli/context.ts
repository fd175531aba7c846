import type { Clock } from '../runtime/clock.js'
import { GridError } from '../runtime/errors.js'
import type { PlatformSurroundings } from '../runtime/platform.js'
import type { ByteStream } from './job-options/file-content.js'
import type { ResolvedSettings, Settings } from './settings/config.js'
import type { Interrupts } from './terminal/interrupts.js'
import type { Output, Sink } from './terminal/output.js'

/** What a process hands to the command line: the real one in `main.ts`, doubles in tests. */
export interface Surroundings {
  readonly stdin: ByteStream
  readonly stdout: Sink
  readonly stderr: Sink
  readonly platform: PlatformSurroundings
  readonly clock: Clock
  readonly interrupts: Interrupts
}

/** What every command gets. */
export interface CommandContext extends Surroundings {
  readonly output: Output
  readonly config: ResolvedSettings
  readonly settings: Settings
  /** The words after `--`; undefined when there was none. */
  readonly passed: readonly string[] | undefined
  /** The command line as it was typed, without the program. */
  readonly typed: readonly string[]
}

/** Loads the modules that the setting `tasks` names. Throws GridError `invalid` for one that cannot be loaded. */
export async function loadOwnTasks({ settings }: CommandContext): Promise<void> {
  const { loadTaskModules } = await import('../tasks/registry.js')
  try {
    await loadTaskModules(settings.tasks.value)
  } catch (error) {
    if (!(error instanceof GridError)) throw error
    throw new GridError('invalid', error.message, {
      cause: error,
      hint: error.hint ?? "see 'tasks' in 'manyhands config'",
    })
  }
}

/** A word of a command line as a shell wants it. */
export function shellWord(word: string): string {
  // A # within a word begins no comment.
  return /^[A-Za-z0-9_./:,=@%^+-][A-Za-z0-9_./:,=@%^+#-]*$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

/** The command as it was typed, with `more` put before a `--`: for messages that say exactly what to run. */
export function commandAgain({ typed, passed }: Pick<CommandContext, 'typed' | 'passed'>, more: string): string {
  const rest = passed === undefined ? [] : ['--', ...passed]
  return ['manyhands', ...typed.map(shellWord), more, ...rest.map(shellWord)].join(' ')
}

/** Flags that a follow-up command needs to reach the same network: `--data X --join Y`, with a space in front. */
export function sameNetworkFlags({ settings }: Pick<CommandContext, 'settings'>): string {
  return flagsAgain(settings, ['data', 'network', 'secret-file', 'join'])
}

/** The same for a first peer on this machine, which has nobody to join. */
export function firstPeerFlags({ settings }: Pick<CommandContext, 'settings'>): string {
  return flagsAgain(settings, ['data', 'network', 'secret-file'])
}

/** The same for a worker on any machine, which has a data directory of its own. Some peer is always named. */
export function workerFlags({ settings }: Pick<CommandContext, 'settings'>): string {
  const flags = flagsAgain(settings, ['network', 'secret-file', 'join'])
  return flags.includes('--join') ? flags : `${flags} --join HOST`
}

function flagsAgain(settings: Settings, names: readonly ('data' | 'network' | 'secret-file' | 'join')[]): string {
  const words: string[] = []
  for (const name of names) {
    const { value, origin } = settings[name]
    if (origin === 'flag' && value !== undefined) words.push(`--${name}`, shellWord(String(value)))
  }
  return words.length === 0 ? '' : ` ${words.join(' ')}`
}
