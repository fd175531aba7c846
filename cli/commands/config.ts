import type { AdminClient } from '../../process/admin/admin-client.js'
import { type GridError, toGridError } from '../../runtime/errors.js'
import type { CommandTable } from '../command-table.js'
import type { CommandContext } from '../context.js'
import { openAdmin } from '../grid/local-admin.js'
import { type SettingName, settingHelp, variableOf } from '../settings/config.js'
import { volunteerOf } from '../settings/preference-sources.js'
import { EXIT } from '../terminal/exit-codes.js'
import { table } from '../terminal/output.js'

/** `manyhands config`: what holds, and where it comes from. */
export function defineConfig(commands: CommandTable): void {
  commands
    .add('config', 'show the settings that hold, and where each comes from', async (context) => {
      const { output, config } = context
      const names = Object.keys(settingHelp) as SettingName[]
      const atRunTime = await saidAtRunTime(context)
      const { unsaid, refusal } = unsaidHere(context)
      const holds = (name: SettingName): { readonly value: unknown; readonly origin: string } => {
        const said = atRunTime.get(name)
        if (said !== undefined) return { value: said, origin: 'prefs' }
        const { value, origin } = config.settings[name]
        return { value: value ?? unsaid.get(name), origin }
      }
      const rows = names.map((name) => {
        const { value = '', origin } = holds(name)
        return [name, origin, variableOf(name), String(value) || '-']
      })
      const place = `${config.file}${config.fileExists ? '' : ' (does not exist)'}`
      output.answer(`${table(['SETTING', 'FROM', 'VARIABLE', 'VALUE'], rows)}\n\nfile: ${place}`, {
        file: config.file,
        fileExists: config.fileExists,
        settings: Object.fromEntries(names.map((name) => [name, holds(name)])),
      })
      // What a worker would refuse is refused here too, below what it stands in.
      if (refusal !== undefined) throw refusal
      return EXIT.ok
    })
    .addHelpText(
      'after',
      [
        '',
        'A setting comes from its flag, else its variable, else the file, else its default. What was said to the worker that runs',
        "here ('manyhands prefs') comes before them, until it ends.",
        '',
        'The file is TOML:',
        '  join = ["peer.example.org"]',
        '  cpus = "50%"',
        '  hours = "22:00-07:00"',
        '  [names]',
        '  alice = "0123..."          her key, 64 hex digits; accept, refuse and weight take the name',
        '  [weight]',
        '  alice = 2                  twice the time of others, when both have work',
        '',
        'Settings:',
        ...Object.entries(settingHelp).map(([name, help]) => `  ${name.padEnd(12)}  ${help}`),
        '',
        'Examples:',
        '  manyhands config',
        '  MANYHANDS_JOIN=peer.example.org manyhands config --json',
      ].join('\n'),
    )
}

/** What a worker would hold to where nobody says anything, by preference; else why it would not start. */
function unsaidHere(context: CommandContext): {
  readonly unsaid: ReadonlyMap<string, string>
  readonly refusal?: GridError
} {
  try {
    const values = volunteerOf(context, {}).book.values()
    return {
      unsaid: new Map(values.filter(({ value }) => value !== '').map(({ name, value }) => [name, value])),
    }
  } catch (error) {
    return { unsaid: new Map(), refusal: toGridError(error) }
  }
}

/** Preferences that were set at run time in the worker on this data directory; none when it does not answer. */
async function saidAtRunTime(context: CommandContext): Promise<ReadonlyMap<string, string>> {
  let admin: AdminClient | undefined
  try {
    admin = openAdmin(context)
    const { worker } = await admin.state()
    const said = worker?.preferences.filter(({ origin }) => origin === 'prefs') ?? []
    return new Map(said.map(({ name, value }) => [name, value]))
  } catch {
    return new Map()
  } finally {
    admin?.close()
  }
}
