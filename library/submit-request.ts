import type { JobRequest } from '../client/submit/job-builder.js'
import { formatBytes, formatDuration } from '../job/quantity.js'
import { JOB_LIFE_MS } from '../job/spec/spec.js'
import { fileNameProblem } from '../proto/file-name.js'
import {
  CONFIDENCE_ERROR_PPM_MAX,
  DURATION_MS_MAX,
  ITEMS_MAX,
  JUDGES_MAX,
  MEMORY_BYTES_MAX,
  OUTPUT_BYTES_MAX,
  PRIORITY_MAX,
  SHARD_UNITS_MAX,
  SHARD_UNITS_MIN,
  STDERR_BYTES_MAX,
  UNITS_MAX,
} from '../proto/limits.js'
import type { Limits } from '../proto/model.js'
import { GridError } from '../runtime/errors.js'

/** Bytes: in memory, or a file that is read where it stands and must not change meanwhile. */
export type InputBytes = Uint8Array | { readonly file: string }

/**
 * What cuts a job into units, exactly one. Texts of `array` and `range` are those of the command line: `1-100:3`, `0..10^9:10^7`.
 * `lines` may be texts, one a line. `sep` is fasta, fastq, sdf, or the text that ends a record. `files` are paths, or names
 * with bytes.
 */
export type SourceChoice =
  | { readonly count: number | string }
  | { readonly array: string }
  | { readonly range: string }
  | { readonly lines: readonly string[] | InputBytes }
  | { readonly csv: InputBytes }
  | { readonly records: InputBytes; readonly sep: string }
  | { readonly files: readonly string[] | Readonly<Record<string, InputBytes>> }

/** A job as a program describes it. What is absent has the default of `manyhands submit`. */
export interface SubmitRequest
  extends Omit<JobRequest, 'task' | 'source' | 'inputs' | 'environment' | 'labels' | 'parent' | 'profile'> {
  /** A built-in task (`primes`, `primes@1`), the path of a WebAssembly module (`./prog.wasm`), or its bytes. */
  readonly task: string | Uint8Array
  readonly source: SourceChoice
  /** Arguments of each unit, with placeholders such as `{i}`; default: those of the task. */
  readonly args?: readonly string[]
  /** Files that all units see below `/in`, by name there. */
  readonly inputs?: Readonly<Record<string, InputBytes>>
  readonly environment?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
}

const QUORUM_MAX = 15
const INSTANCES_MAX = 1_000
const ERRORS_MAX = 100
const EXIT_CODE_MAX = 2 ** 31 - 1
const U64_MAX = 2n ** 64n - 1n

/** What is wrong with a value, to be read after the name of its field; undefined: nothing. */
type Check = (value: unknown) => string | undefined
type Checks<Of> = { readonly [Name in keyof Of]-?: Check }

const must =
  (isRight: (value: unknown) => boolean, words: string): Check =>
  (value) =>
    isRight(value) ? undefined : `must be ${words}`

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
const isText = (value: unknown): value is string => typeof value === 'string'
const isListOf = (value: unknown, isRight: (one: unknown) => boolean): value is readonly unknown[] =>
  Array.isArray(value) && value.every(isRight)
const isTexts = (value: unknown): boolean => isListOf(value, isText)
const isWithin = (value: unknown, min: number, max: number): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
const isBytes = (value: unknown): boolean => value instanceof Uint8Array || (isObject(value) && isText(value.file))
const isNamed = (value: unknown): boolean => isObject(value) && Object.values(value).every(isBytes)
const isKeys = (value: unknown): value is readonly string[] =>
  isListOf(value, (one) => isText(one) && /^[0-9a-f]{64}$/.test(one))

/** A whole number; `show` writes the bounds for people. */
const whole = (min: number, max: number, unit = '', show: (value: number) => string = String): Check =>
  must((value) => isWithin(value, min, max), `a whole number${unit} from ${show(min)} to ${show(max)}`)
const bytes = (min: number, max: number): Check => whole(min, max, ' of bytes', formatBytes)
const millis = (min: number, max: number): Check => whole(min, max, ' of milliseconds', formatDuration)
const u64 = must(
  (value) => typeof value === 'bigint' && value >= 0n && value <= U64_MAX,
  'a bigint from 0n to 2n ** 64n - 1n, such as 5n',
)

const BYTES = "a Uint8Array or { file: 'path' }"
const TEXT = must(isText, 'a text')
const PAIRS = must(
  (value) => isObject(value) && Object.values(value).every(isText),
  "an object of texts, such as { NAME: 'value' }",
)
const KEYS = must(isKeys, 'a list of public keys of 64 hex digits')

function isPolicy(value: unknown): boolean {
  if (!isObject(value)) return false
  const { type, quorum, errorPpm } = value
  if (type === 'quorum') return isWithin(quorum, 1, QUORUM_MAX)
  return type === 'none' || (type === 'confidence' && isWithin(errorPpm, 1, CONFIDENCE_ERROR_PPM_MAX))
}

function isMaxFails(value: unknown): boolean {
  if (!isObject(value)) return false
  if (value.type === 'count') return isWithin(value.value, 0, UNITS_MAX)
  return value.type === 'percent' && isWithin(value.value, 1, 100)
}

const isRange = (value: unknown): boolean =>
  isObject(value) && Number.isInteger(value.first) && Number.isInteger(value.count)

const checkInputs: Check = (value) => {
  if (!isNamed(value)) return `must be an object from name to content, each ${BYTES}`
  const name = Object.keys(value as object).find((one) => fileNameProblem(one) !== undefined)
  return name === undefined ? undefined : `has the name '${name}', which ${fileNameProblem(name)}`
}

const SOURCE: Readonly<Record<string, Check>> = {
  count: must((value) => typeof value === 'number' || isText(value), 'a number or a text'),
  array: TEXT,
  range: TEXT,
  lines: must((value) => isTexts(value) || isBytes(value), `a list of texts, or ${BYTES}`),
  csv: must(isBytes, BYTES),
  records: must(isBytes, BYTES),
  sep: must((value) => isText(value) && value !== '', "'fasta', 'fastq', 'sdf', or the text that ends each record"),
  files: must((value) => isTexts(value) || isNamed(value), 'a list of paths, or an object from name to content'),
}

const LIMITS: Checks<Limits> = {
  memoryBytes: bytes(1, MEMORY_BYTES_MAX),
  outputBytes: bytes(0, OUTPUT_BYTES_MAX),
  stderrBytes: bytes(0, STDERR_BYTES_MAX),
  wallMs: millis(1, DURATION_MS_MAX),
  fuel: u64,
}

const ESTIMATE: Checks<NonNullable<SubmitRequest['estimate']>> = {
  unitMs: must((value) => typeof value === 'number' && value >= 0, 'a number of milliseconds from 0 on'),
  outputBytes: bytes(0, OUTPUT_BYTES_MAX),
}

const FIELDS: Checks<Omit<SubmitRequest, 'task' | 'source' | 'limits' | 'estimate'>> = {
  args: must(isTexts, 'a list of texts'),
  inputs: checkInputs,
  environment: PAIRS,
  labels: PAIRS,
  perUnit: whole(1, ITEMS_MAX),
  repeat: whole(1, UNITS_MAX),
  units: must(
    (value) => isText(value) || isListOf(value, isRange),
    "a text such as '0-9,20', or a list of { first, count }",
  ),
  seed: u64,
  policy: must(
    isPolicy,
    `{ type: 'quorum', quorum: 1 to ${QUORUM_MAX} }, { type: 'none' } or { type: 'confidence', errorPpm: 1 to ${CONFIDENCE_ERROR_PPM_MAX} }`,
  ),
  okExit: must(
    (value) => isListOf(value, (one) => isWithin(one, -EXIT_CODE_MAX - 1, EXIT_CODE_MAX)),
    'a list of exit codes',
  ),
  maxFails: must(isMaxFails, "{ type: 'count', value } or { type: 'percent', value: 1 to 100 }"),
  maxErrors: whole(1, ERRORS_MAX),
  maxInstances: whole(1, INSTANCES_MAX),
  delayBoundMs: millis(0, DURATION_MS_MAX),
  name: TEXT,
  expiresInMs: millis(1_000, JOB_LIFE_MS),
  priority: whole(-PRIORITY_MAX, PRIORITY_MAX),
  isPublic: must((value) => typeof value === 'boolean', 'true or false'),
  readers: KEYS,
  owners: KEYS,
  workers: KEYS,
  judges: must(
    (value) => isKeys(value) && value.length <= JUDGES_MAX,
    `a list of at most ${JUDGES_MAX} public keys of 64 hex digits`,
  ),
  shardUnits: must(
    (value) => isWithin(value, SHARD_UNITS_MIN, SHARD_UNITS_MAX) && Number.isInteger(Math.log2(value as number)),
    `a power of two from ${SHARD_UNITS_MIN} to ${SHARD_UNITS_MAX}`,
  ),
}

/**
 * What the types promise, and the range of each value: for programs without types, and in the words of the request. Throws
 * GridError `invalid` naming the field.
 */
export function checkShape(given: Partial<SubmitRequest> | undefined): void {
  const { task, source, limits, estimate, ...rest } = given ?? {}
  if (!isText(task) && !((task as unknown) instanceof Uint8Array)) {
    throw new GridError(
      'invalid',
      'a request has a task: the name of a built-in one, the path of a module, or its bytes',
    )
  }
  if (!isObject(source))
    throw new GridError('invalid', "a request has a source, such as { count: 10 } or { range: '0..10^9:10^7' }")
  checkFields('source', source, SOURCE)
  if ('records' in source && source.sep === undefined) {
    throw new GridError('invalid', `a source of records needs sep: ${SOURCE.sep?.('')?.replace(/^must be /, '')}`)
  }
  checkFields('limits', limits, LIMITS)
  checkFields('estimate', estimate, ESTIMATE)
  checkFields('', rest, FIELDS)
}

function checkFields(of: string, values: unknown, checks: Readonly<Record<string, Check>>): void {
  if (values === undefined) return
  if (!isObject(values)) throw new GridError('invalid', `${of} must be an object`)
  for (const [name, value] of Object.entries(values)) {
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined
    if (check === undefined) {
      const known = of === '' ? ['task', 'source', 'limits', 'estimate', ...Object.keys(checks)] : Object.keys(checks)
      throw new GridError('invalid', `${of === '' ? 'a request' : of} has no field '${name}'`, {
        hint: `known: ${known.join(' ')}`,
      })
    }
    const problem = value === undefined ? undefined : check(value)
    if (problem !== undefined) throw new GridError('invalid', `${of === '' ? name : `${of}.${name}`} ${problem}`)
  }
}
