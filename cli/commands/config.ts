import { type SettingName, settingHelp, variableOf } from '../config.js'
import { EXIT } from '../exit-codes.js'
import { table } from '../output.js'
import type { CommandTable } from '../program.js'

/** `manyhands config`: what holds, and where it comes from. */
export function defineConfig(commands: CommandTable): void {
  commands
    .add('config', 'show the settings that hold, and where each comes from', async ({ output, config }) => {
      const names = Object.keys(settingHelp) as SettingName[]
      const shown = (name: SettingName): string => {
        const { value } = config.settings[name]
        if (value === undefined) return '-'
        return Array.isArray(value) ? value.join(',') || '-' : String(value)
      }
      const rows = names.map((name) => [name, shown(name), config.settings[name].origin, variableOf(name)])
      const place = `${config.file}${config.fileExists ? '' : ' (does not exist)'}`
      output.answer(`${table(['SETTING', 'VALUE', 'FROM', 'VARIABLE'], rows)}\n\nfile: ${place}`, {
        file: config.file,
        fileExists: config.fileExists,
        settings: Object.fromEntries(names.map((name) => [name, config.settings[name]])),
      })
      return EXIT.ok
    })
    .addHelpText(
      'after',
      [
        '',
        'A setting comes from its flag, else its variable, else the file, else its default.',
        '',
        'The file is TOML:',
        '  join = ["peer.example.org"]',
        '  cpus = "50%"',
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
