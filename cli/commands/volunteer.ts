import { parseDuration } from '../../job/quantity.js'
import type { AdminClient } from '../../process/admin/admin-client.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { isPreference, PREFERENCE_NAMES } from '../../worker/preferences/read.js'
import type { CommandTable } from '../command-table.js'
import type { CommandContext } from '../context.js'
import { openAdmin } from '../grid/local-admin.js'
import { settingHelp } from '../settings/config.js'
import { suggest } from '../settings/flags.js'
import { preferenceExamples } from '../settings/preference-help.js'
import { EXIT, type ExitCode } from '../terminal/exit-codes.js'
import { table } from '../terminal/output.js'

/** `manyhands pause|resume|drain|prefs`: the worker on this machine. */
export function defineVolunteer(commands: CommandTable): void {
  commands
    .add('pause', 'stop computing on this machine, for a while or until resumed', (context, args) =>
      withAdmin(context, async (admin) => {
        const forMs = args[0] === undefined ? 0 : parseDuration(args[0])
        if (args[0] !== undefined && forMs === 0) throw new GridError('invalid', 'a pause of no time is none')
        await admin.pause(forMs)
        context.output.answer(
          args[0] === undefined ? "paused until 'manyhands resume'" : `paused for ${args[0]}`,
          args[0] === undefined ? { paused: true } : { paused: true, forMs },
        )
      }),
    )
    .argument('[time]', 'how long: 30m, 8h (until resumed)')
    .addHelpText(
      'after',
      [
        '',
        'Computing stands still at once, and goes on where it was. What is in hand is given back to its owners after a minute,',
        'so that a job does not wait for this machine.',
        '',
        'Examples:',
        '  manyhands pause',
        '  manyhands pause 2h',
      ].join('\n'),
    )
  commands
    .add('resume', 'undo pause', (context) =>
      withAdmin(context, async (admin) => {
        await admin.resume()
        const { worker } = await admin.state()
        const rest = worker?.restraints.map(({ reason }) => reason) ?? []
        context.output.answer(rest.length === 0 ? 'resumed' : `resumed, but: ${rest.join('; ')}`, { restraints: rest })
      }),
    )
    .addHelpText('after', '\nOther reasons to compute nothing stand; they are named.\n\nExample:\n  manyhands resume')
  const prefs = commands
    .add('prefs', 'show or change what the worker on this machine may do', (context, args) =>
      withAdmin(context, async (admin) => {
        const asked = args.filter(isPreference)
        const values = args.filter((word) => !isPreference(word)).map(readAssignment)
        const help: Readonly<Record<string, string>> = { ...settingHelp }
        const all = await admin.prefer(values).catch((error: unknown) => {
          throw withHint(toGridError(error), values, help)
        })
        const preferences = asked.length === 0 ? all : all.filter(({ name }) => asked.includes(name))
        context.output.answer(
          table(
            ['PREFERENCE', 'VALUE', 'FROM', ''],
            preferences.map(({ name, value, origin }) => [name, value === '' ? '-' : value, origin, help[name] ?? '']),
          ),
          { preferences },
        )
      }),
    )
    .argument('[name=value...]', 'what to change, until the process ends; a name alone: what to show')
    .addHelpText(
      'after',
      [
        '',
        'Without words it shows what holds, and where it was said: at run time (prefs), by a flag, by a variable, in the',
        'configuration file, which is read again when it changes. What is said here holds until the process ends.',
        '',
        'Examples:',
        '  manyhands prefs',
        '  manyhands prefs hours',
        '  manyhands prefs cpu-time=50% hours=22:00-07:00',
        '  manyhands prefs hours=            what the flag or the file says holds again',
      ].join('\n'),
    )
  const assignments = Object.entries(preferenceExamples).flatMap(([name, values = []]) =>
    values.map((value) => `${name}=${value}`),
  )
  suggest(prefs.registeredArguments[0]!, [...PREFERENCE_NAMES, ...assignments])
  commands
    .add('drain', 'finish or give back what is in hand, then end the process', (context) =>
      withAdmin(context, async (admin) => {
        await admin.drain()
        context.output.answer('finishing what is in hand; it ends by itself', { draining: true })
      }),
    )
    .addHelpText('after', '\nThe same as one Ctrl-C where it runs.\n\nExample:\n  manyhands drain')
}

/** `hours=22:00-07:00`. Throws GridError `invalid`. */
function readAssignment(text: string): { name: string; value: string } {
  const at = text.indexOf('=')
  if (at < 1)
    throw new GridError('invalid', `'${text}' sets nothing`, {
      hint: 'write NAME=VALUE, such as hours=22:00-07:00; NAME= takes away what was set at run time',
    })
  return { name: text.slice(0, at), value: text.slice(at + 1) }
}

/** A refusal of the process, which says what is wrong, with how it is written. */
function withHint(
  error: GridError,
  values: readonly { readonly name: string }[],
  help: Readonly<Record<string, string>>,
): GridError {
  if (error.code !== 'invalid' || error.hint !== undefined) return error
  const known = values.map(({ name }) => name).filter((name) => isPreference(name) && help[name] !== undefined)
  // The message begins with the name of the one that is wrong; what was right beside it need not be explained.
  const wrong = known.filter((name) => error.message.startsWith(name))
  const meant = wrong.length > 0 ? wrong : known
  const hint =
    known.length < values.length && wrong.length === 0
      ? `known: ${PREFERENCE_NAMES.join(' ')} weight.NAME`
      : meant.map((name) => `${name}: ${help[name]}`).join('\n')
  return new GridError('invalid', error.message, { hint, cause: error })
}

/** Runs `action` with the process on the data directory of the command. */
async function withAdmin(context: CommandContext, action: (admin: AdminClient) => Promise<void>): Promise<ExitCode> {
  const admin = openAdmin(context)
  try {
    await action(admin)
    return EXIT.ok
  } finally {
    admin.close()
  }
}
