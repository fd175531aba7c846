import { basename, resolve } from 'node:path'
import type { JobRequest } from '../../client/submit/job-builder.js'
import {
  formatBytes,
  formatDuration,
  parseArray,
  parseBytes,
  parseCount,
  parseDuration,
  parseInteger,
  parseRange,
} from '../../job/quantity.js'
import { JOB_LIFE_MS } from '../../job/spec/spec.js'
import { parseSelection } from '../../job/units/selection.js'
import { fileNameProblem } from '../../proto/file-name.js'
import {
  CONFIDENCE_ERROR_PPM_MAX,
  DURATION_MS_MAX,
  ITEMS_MAX,
  MEMORY_BYTES_MAX,
  OUTPUT_BYTES_MAX,
  PRIORITY_MAX,
  UNITS_MAX,
} from '../../proto/limits.js'
import type { Limits, Policy, UnitRange } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { whole } from '../settings/flags.js'
import { readKeys } from '../settings/keys.js'
import { type GivenOption, type GivenOptions, type JobOptionName, SOURCE_OPTIONS } from './job-option-table.js'

/** What the units are made from, files still to be opened. `-` is standard input. */
export type SourceOption =
  | { readonly type: 'count'; readonly count: string }
  | { readonly type: 'array'; readonly array: string }
  | { readonly type: 'range'; readonly range: string }
  | { readonly type: 'lines' | 'csv'; readonly path: string }
  | { readonly type: 'records'; readonly path: string; readonly sep: string }
  | { readonly type: 'files'; readonly paths: readonly string[] }

/** A file that every unit sees under `name`. */
export interface InputOption {
  readonly path: string
  readonly name: string
}

/** The options of a job, understood and checked one by one; whether they fit together is for the builder to say. */
export interface JobOptions {
  readonly source: SourceOption | undefined
  readonly inputs: readonly InputOption[]
  /** Fields of the request that need no file. */
  readonly request: Omit<JobRequest, 'task' | 'source' | 'inputs' | 'args'>
  /** The source as it was written, for lists of jobs: `--range 0..10^9:10^7`. */
  readonly sourceText: string
}

const INSTANCES_MAX = 1_000
const ERRORS_MAX = 100
const QUORUM_MAX = 15
const EXIT_CODE_MAX = 2 ** 31 - 1
/** The page in which a program has its memory: no program starts with less. */
const MEMORY_BYTES_MIN = 65_536
const SEED_LIMIT = 1n << 64n

/**
 * Understands what was given. Throws GridError `invalid` that names the place, what is wrong with it, and what is possible.
 */
export function readJobOptions(given: GivenOptions): JobOptions {
  const read = <T>(name: JobOptionName, parse: (text: string) => T): T | undefined => {
    const option = given.get(name)
    return option === undefined ? undefined : placed(option, () => parse(option.texts.at(-1) ?? ''))
  }
  const readAll = <T>(name: JobOptionName, parse: (text: string) => T): T[] | undefined => {
    const option = given.get(name)
    return option?.texts.map((text) => placed(option, () => parse(text)))
  }
  const limits = present({
    memoryBytes: read('memory', readMemory),
    wallMs: read('wall', (text) => within(parseDuration(text), 1, DURATION_MS_MAX, formatDuration)),
    fuel: read('fuel', (text) => within64(parseInteger(text))),
    outputBytes: read('output-limit', (text) => within(parseBytes(text), 0, OUTPUT_BYTES_MAX, formatBytes)),
  }) satisfies Partial<Limits>
  return {
    source: readSource(given),
    sourceText: sourceText(given),
    inputs: readAll('in', readInput) ?? [],
    request: present({
      perUnit: read('per-unit', (text) => whole(text, 1, ITEMS_MAX)),
      repeat: read('repeat', (text) => whole(text, 1, UNITS_MAX)),
      units: read('units', (text): readonly UnitRange[] => parseSelection(text)),
      environment: readAll('env', (text) => readPair(text, 'HOME=/tmp')),
      seed: read('seed', (text) => within64(parseInteger(text))),
      policy: readPolicy(given),
      limits: Object.keys(limits).length === 0 ? undefined : limits,
      okExit: readAll('ok-exit', (text) =>
        text.split(',').map((code) => whole(code, -EXIT_CODE_MAX - 1, EXIT_CODE_MAX)),
      )?.flat(),
      maxFails: read('max-fails', readMaxFails),
      maxErrors: read('max-errors', (text) => whole(text, 1, ERRORS_MAX)),
      maxInstances: read('max-instances', (text) => whole(text, 1, INSTANCES_MAX)),
      name: read('name', (text) => text),
      labels: readAll('label', (text) => readPair(text, 'project=geng')),
      priority: read('priority', (text) => whole(text, -PRIORITY_MAX, PRIORITY_MAX)),
      expiresInMs: read('expires', (text) => within(parseDuration(text), 1_000, JOB_LIFE_MS, formatDuration)),
      isPublic: given.has('public') ? true : undefined,
      judges: readAll('judge', (text) => readKeys(text))?.flat(),
      owners: readAll('owners', (text) => readKeys(text))?.flat(),
      workers: readAll('workers', (text) => readKeys(text))?.flat(),
    }),
  }
}

function readSource(given: GivenOptions): SourceOption | undefined {
  const named = SOURCE_OPTIONS.filter((name) => given.has(name))
  if (named.length > 1) {
    throw new GridError(
      'invalid',
      `${named.map((name) => `--${name}`).join(' and ')} are both a source: give one of them`,
    )
  }
  const sep = given.get('sep')
  const [name] = named
  if (sep !== undefined && name !== 'records') {
    throw new GridError('invalid', `${sep.where} goes with --records alone`)
  }
  if (name === undefined) return undefined
  const option = given.get(name)!
  const text = option.texts.at(-1) ?? ''
  if (option.texts.some((entry) => entry.trim() === '')) throw new GridError('invalid', `${option.where} is empty`)
  switch (name) {
    case 'count':
      placed(option, () => parseCount(text))
      return { type: 'count', count: text }
    case 'array':
      placed(option, () => parseArray(text))
      return { type: 'array', array: text }
    case 'range':
      placed(option, () => parseRange(text))
      return { type: 'range', range: text }
    case 'lines':
    case 'csv':
      return { type: name, path: text }
    case 'files':
      if (option.texts.length === 0) throw new GridError('invalid', `${option.where} names no file`)
      return { type: 'files', paths: option.texts }
    case 'records':
      if (sep === undefined || sep.texts.at(-1) === '') {
        throw new GridError('invalid', '--records needs --sep', {
          hint: 'fasta, fastq, sdf, or the text that ends each record: --sep fasta',
        })
      }
      return { type: 'records', path: text, sep: withLineBreaks(sep.texts.at(-1)!) }
  }
}

/** What a shell passes as `\n` between single quotes is meant as a line break. */
function withLineBreaks(text: string): string {
  return text.replace(/\\([nrt\\])/g, (_, char: string) => ({ n: '\n', r: '\r', t: '\t' })[char] ?? char)
}

function sourceText(given: GivenOptions): string {
  const name = SOURCE_OPTIONS.find((source) => given.has(source))
  if (name === undefined) return ''
  const { texts } = given.get(name)!
  const shown = texts.length > 1 ? `${texts[0]} ... (${texts.length})` : (texts[0] ?? '')
  return `--${name} ${shown}`
}

function readInput(text: string): InputOption {
  const equals = text.lastIndexOf('=')
  const path = equals < 0 ? text : text.slice(0, equals)
  const name = equals < 0 ? lastName(path) : text.slice(equals + 1)
  if (path === '') throw new GridError('invalid', `'${text}' names no file`, { hint: 'write FILE or FILE=NAME' })
  const problem = fileNameProblem(name)
  if (problem !== undefined) throw new GridError('invalid', `the name '${name}' ${problem}`)
  return { path, name }
}

/** The last name of a path, with or without a slash behind it; of `.` and `..` what they stand for. */
function lastName(path: string): string {
  const last = path.split(/[/\\]/).findLast((part) => part !== '') ?? ''
  return last === '.' || last === '..' ? basename(resolve(path)) : last
}

function readPair(text: string, example: string): readonly [string, string] {
  const equals = text.indexOf('=')
  if (equals < 1)
    throw new GridError('invalid', `'${text}' is not of the form NAME=VALUE`, { hint: `such as ${example}` })
  return [text.slice(0, equals), text.slice(equals + 1)]
}

const POLICY_HINT = `--quorum K asks for K agreeing donors, 1 to ${QUORUM_MAX}; --verify confidence:P asks until an answer is right with probability P; --verify none takes the first result`
const MILLION = 1_000_000

function readPolicy(given: GivenOptions): Policy | undefined {
  const quorum = given.get('quorum')
  const verify = given.get('verify')
  if (quorum !== undefined && verify !== undefined) {
    throw new GridError('invalid', `${quorum.where} and ${verify.where} say the same thing: give one`, {
      hint: POLICY_HINT,
    })
  }
  if (quorum !== undefined) {
    return placed(quorum, () => ({ type: 'quorum', quorum: whole(quorum.texts.at(-1) ?? '', 1, QUORUM_MAX) }))
  }
  if (verify === undefined) return undefined
  return placed(verify, (): Policy => {
    const text = verify.texts.at(-1) ?? ''
    if (text === 'none') return { type: 'none' }
    const confidence = /^confidence:(.*)$/.exec(text)
    if (confidence !== null) return { type: 'confidence', errorPpm: readErrorPpm(confidence[1]!) }
    const match = /^quorum:(.*)$/.exec(text)
    if (match === null) throw new GridError('invalid', `'${text}' is no way to verify`, { hint: POLICY_HINT })
    return { type: 'quorum', quorum: whole(match[1]!, 1, QUORUM_MAX) }
  })
}

/** The millionths that P leaves, exactly. */
function readErrorPpm(text: string): number {
  const digits = /^0?\.([0-9]{1,6})$/.exec(text.trim())?.[1]
  const errorPpm = MILLION - Number((digits ?? '').padEnd(6, '0'))
  if (digits === undefined || errorPpm > CONFIDENCE_ERROR_PPM_MAX) {
    throw new GridError('invalid', `'${text}' is no confidence from 0.950001 to 0.999999`, {
      hint: 'such as --verify confidence:0.999: at most one answer in a thousand may be wrong',
    })
  }
  return errorPpm
}

function readMaxFails(text: string): NonNullable<JobRequest['maxFails']> {
  const percent = /^([0-9]+)%$/.exec(text.trim())
  if (percent !== null) return { type: 'percent', value: whole(percent[1]!, 1, 100) }
  return { type: 'count', value: whole(text, 1, UNITS_MAX) }
}

function within(value: number, min: number, max: number, show: (value: number) => string): number {
  if (value < min || value > max)
    throw new GridError('invalid', `${show(value)} is outside ${show(min)} to ${show(max)}`)
  return value
}

/** A number alone is one of bytes, and hardly meant so. */
function readMemory(text: string): number {
  const bytes = parseBytes(text)
  if (bytes < MEMORY_BYTES_MIN) {
    const isPlain = /^\d+$/.test(text.trim())
    throw new GridError('invalid', `${formatBytes(bytes)} is less than any program starts with`, {
      hint: isPlain
        ? `write a unit: ${text.trim()}MiB`
        : `write ${formatBytes(MEMORY_BYTES_MIN)} or more, such as 256MiB`,
    })
  }
  return within(bytes, MEMORY_BYTES_MIN, MEMORY_BYTES_MAX, formatBytes)
}

function within64(value: bigint): bigint {
  if (value < 0n || value >= SEED_LIMIT) throw new GridError('invalid', `${value} is outside 0 to 2^64-1`)
  return value
}

/** Says where a value came from when it cannot be understood. */
function placed<T>(option: GivenOption, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof GridError)) throw error
    throw new GridError(error.code, `${option.where}: ${error.message}`, {
      cause: error,
      fields: error.fields,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    })
  }
}

type Present<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> }

/** The fields that are set. */
function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>
}
