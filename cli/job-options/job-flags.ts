import { type Command, Option } from 'commander'
import { camel, repeatable, suggest } from '../settings/flags.js'
import {
  type GivenOption,
  type GivenOptions,
  JOB_OPTIONS,
  type JobOptionDefinition,
  type JobOptionName,
} from './job-option-table.js'

/** Options whose values may follow one another without repeating the flag. */
const VARIADIC: ReadonlySet<string> = new Set(['files'])

/** Adds the options of a job to a command, under their headings; `only` limits them to some. */
export function addJobFlags(command: Command, only?: readonly JobOptionName[]): Command {
  for (const option of JOB_OPTIONS as readonly (JobOptionDefinition & { readonly name: JobOptionName })[]) {
    if (only !== undefined && !only.includes(option.name)) continue
    command.addOption(flagOf(option).helpGroup(`${option.group}:`))
  }
  return command
}

function flagOf({ name, kind, value, help, suggested = [] }: JobOptionDefinition): Option {
  if (kind === 'switch') return new Option(`--${name}`, help)
  const flags = `--${name} <${value}>`
  const isRepeatable = kind === 'list' && !VARIADIC.has(name)
  return suggest(isRepeatable ? repeatable(flags, help) : new Option(flags, help), suggested)
}

/** The job options among parsed flags. */
export function givenFlags(options: Readonly<Record<string, unknown>>): GivenOptions {
  const given = new Map<JobOptionName, GivenOption>()
  for (const { name } of JOB_OPTIONS) {
    const value = options[camel(name)]
    if (value === undefined || value === false) continue
    given.set(name, { texts: (Array.isArray(value) ? value : [value]).map(String), where: `--${name}` })
  }
  return given
}

/** A job as flags and the file of `--from` together describe it. */
export interface DescribedJob {
  readonly task: string | undefined
  readonly args: readonly string[] | undefined
  readonly given: GivenOptions
}

/** Flags over the job file, where there is one. Throws GridError `invalid` as `readJobFile` does. */
export async function describeJob(
  task: string | undefined,
  passed: readonly string[] | undefined,
  options: Readonly<Record<string, unknown>>,
): Promise<DescribedJob> {
  const flags = givenFlags(options)
  if (typeof options.from !== 'string') return { task, args: passed, given: flags }
  const { mergeOptions, readJobFile } = await import('./job-file.js')
  const file = readJobFile(options.from)
  return { task: task ?? file.task, args: passed ?? file.args, given: mergeOptions(file.options, flags) }
}
