import type { AdminClient } from '../../process/admin/admin-client.js'
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
      const shown = (name: SettingName): string => {
        const { value } = config.settings[name]
        if (value === undefined) return '-'
        return Array.isArray(value) ? value.join(',') || '-' : String(value)
      }
      const rows = names.map((name) => {
        const said = atRunTime.get(name)
        const [value, origin] = said === undefined ? [shown(name), config.settings[name].origin] : [said, 'prefs']
        return [name, value, origin, variableOf(name)]
      })
      const place = `${config.file}${config.fileExists ? '' : ' (does not exist)'}`
      output.answer(`${table(['SETTING', 'VALUE', 'FROM', 'VARIABLE'], rows)}\n\nfile: ${place}`, {
        file: config.file,
        fileExists: config.fileExists,
        settings: Object.fromEntries(
          names.map((name) => {
            const said = atRunTime.get(name)
            return [name, said === undefined ? config.settings[name] : { value: said, origin: 'prefs' }]
          }),
        ),
      })
      // What a worker would refuse is refused here too, below what it stands in.
      volunteerOf(context, {})
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
