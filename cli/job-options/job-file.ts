import { dirname, resolve } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { z } from 'zod'
import { unreadable } from '../../client/content/opened-file.js'
import { isPath } from '../../client/content/wasm-file.js'
import { GridError } from '../../runtime/errors.js'
import { readNamed } from '../../runtime/named-file.js'
import { lineOfKey, problemOf } from '../settings/toml.js'
import {
  type GivenOption,
  type GivenOptions,
  isJobOption,
  JOB_OPTIONS,
  type JobOptionName,
  SOURCE_OPTIONS,
} from './job-option-table.js'

/** What a job file says. */
interface JobFile {
  readonly task: string | undefined
  readonly args: readonly string[] | undefined
  readonly options: GivenOptions
}

/** A job file is written by hand: a larger one is a mistake. Unit: bytes. */
const FILE_BYTES_MAX = 1024 * 1024

const scalar = z.union([z.string(), z.number(), z.bigint()], { error: 'must be a text or a number' })
const listOf = z.union([scalar, z.array(scalar)], { error: 'must be a text or a list of texts' })
/** `env` and `label` may be tables, `in` a table from name to file. */
const pairsOf = z.union([z.array(z.string()), z.record(z.string(), scalar)], {
  error: 'must be a table such as { NAME = "value" }',
})
const PAIRED: ReadonlySet<string> = new Set(['env', 'label', 'in'])
/** Keys whose values are paths, relative to the job file. */
const PATHS: ReadonlySet<string> = new Set(['lines', 'csv', 'files', 'records', 'in'])

/** The keys of a job file and the types of their values. */
export const jobFileSchema = z.strictObject({
  task: z.string({ error: 'must be a text, the name of a task or the file of a program' }).optional(),
  args: z.array(scalar, { error: 'must be a list of texts' }).optional(),
  ...Object.fromEntries(
    JOB_OPTIONS.map(({ name, kind }) => {
      if (kind === 'switch') return [name, z.boolean({ error: 'must be true or false' }).optional()]
      if (PAIRED.has(name)) return [name, pairsOf.optional()]
      return [name, (kind === 'list' ? listOf : scalar).optional()]
    }),
  ),
})

/**
 * Reads a job file. Throws GridError `invalid` for one that cannot be read, is no TOML, or has a key or type of value that
 * is not known, naming file, line and key. What the values say is checked along with the flags (`readJobOptions`).
 */
export function readJobFile(path: string): JobFile {
  const file = resolve(path)
  let text: string
  try {
    text = readNamed(file, FILE_BYTES_MAX).toString('utf8')
  } catch (cause) {
    throw unreadable('job file', path, cause)
  }
  return parseJobFile(text, path, dirname(file))
}

/** {@link readJobFile} for text at hand. `path` is what messages call it, `folder` what paths in it are relative to. */
export function parseJobFile(text: string, path: string, folder: string): JobFile {
  let value: unknown
  try {
    value = parse(text, { integersAsBigInt: 'asNeeded' })
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause
    throw new GridError('invalid', `${path}, line ${cause.line}: ${problemOf(cause)}`, {
      cause,
      hint: 'a job file is TOML: task = "primes", range = "0..10^9:10^7"',
    })
  }
  const placeOf = (keys: readonly string[]) => {
    const line = lineOfKey(text, keys)
    return `${path}${line === undefined ? '' : `, line ${line}`}`
  }
  const parsed = jobFileSchema.safeParse(value)
  if (!parsed.success) throw refusal(parsed.error.issues[0]!, placeOf)
  const options = new Map<JobOptionName, GivenOption>()
  for (const [name, entry] of Object.entries(parsed.data as Readonly<Record<string, unknown>>)) {
    if (!isJobOption(name) || entry === undefined || entry === false) continue
    options.set(name, { texts: textsOf(name, entry, folder), where: `${placeOf([name])}: '${name}'` })
  }
  const { task, args } = parsed.data as { readonly task?: string; readonly args?: readonly unknown[] }
  // Elsewhere a relative path of the file would name another program.
  const program = task !== undefined && isPath(task) ? resolve(folder, task) : task
  return { task: program, args: args?.map(String), options }
}

function refusal(issue: z.core.$ZodIssue, placeOf: (keys: readonly string[]) => string): GridError {
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!
    const known = ['task', 'args', ...JOB_OPTIONS.map(({ name }) => name)]
    const near = known.find((name) => name.replaceAll('-', '') === key.toLowerCase().replaceAll(/[-_]/g, ''))
    return new GridError('invalid', `${placeOf([key])}: unknown key '${key}'`, {
      hint: near === undefined ? `known: ${known.join(' ')}` : `did you mean '${near}'?`,
    })
  }
  const path = issue.path.map(String)
  return new GridError('invalid', `${placeOf(path)}: '${path.join('.')}' ${issue.message}`)
}

function textsOf(name: string, entry: unknown, folder: string): readonly string[] {
  const place = (path: string) => (PATHS.has(name) && path !== '-' ? resolve(folder, path) : path)
  if (entry === true) return ['true']
  if (Array.isArray(entry)) return entry.map((item) => place(String(item)))
  if (typeof entry === 'object' && entry !== null) {
    const pairs = Object.entries(entry as Readonly<Record<string, unknown>>)
    return pairs.map(([key, item]) => (name === 'in' ? `${place(String(item))}=${key}` : `${key}=${String(item)}`))
  }
  return [place(String(entry))]
}

/**
 * Flags over the file: an option given as a flag replaces the one of the file, a source any source, a way to verify any
 * other.
 */
export function mergeOptions(file: GivenOptions, flags: GivenOptions): GivenOptions {
  const merged = new Map(file)
  const groups: readonly (readonly JobOptionName[])[] = [
    [...SOURCE_OPTIONS, 'sep'],
    ['quorum', 'verify'],
  ]
  for (const group of groups) {
    // `--sep` alone changes how the file's records are cut, not where they come from.
    const replaces = group.some((name) => name !== 'sep' && flags.has(name))
    if (replaces) for (const name of group) merged.delete(name)
  }
  for (const [name, option] of flags) merged.set(name, option)
  return merged
}
