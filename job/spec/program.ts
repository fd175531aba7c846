import { fileNameProblem } from '../../proto/file-name.js'
import { UNIT_ARGS_BYTES_MAX, UNIT_ITEMS_MAX } from '../../proto/limits.js'
import type { JobSpec } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { utf8 } from '../../runtime/hex.js'
import { concat, decodeText, type ListSource, parseCsvRow, readFileItem } from '../units/list.js'
import { type ItemRange, itemValue, unitItems } from '../units/unit-source.js'
import { compileTemplate, type ItemValues, type Template } from './template.js'

/** A file that a unit sees below `/in`, besides the shared inputs of the job. */
interface InputFile {
  readonly name: string
  readonly bytes: Uint8Array
}

/** All that a program gets for one unit. */
export interface UnitInvocation {
  /** Arguments, without the program's own name. */
  readonly args: readonly string[]
  readonly stdin: Uint8Array
  readonly environment: readonly (readonly [string, string])[]
  /** What the program's random bytes are made from; 64 bits. */
  readonly seed: bigint
  /** Files of a `--files` job whose path the arguments show. */
  readonly files: readonly InputFile[]
}

type ProgramSpec = Pick<JobSpec, 'source' | 'perUnit' | 'repeat' | 'args' | 'environment' | 'seed'>

/** Folder of input files as arguments name it: relative to the root, which is the program's working directory. */
const INPUT_FOLDER = 'in/'
const EMPTY = new Uint8Array(0)

const templates = new WeakMap<ProgramSpec, Template>()

function templateOf(spec: ProgramSpec): Template {
  let template = templates.get(spec)
  if (template === undefined) {
    template = compileTemplate(spec.args, spec.source)
    templates.set(spec, template)
  }
  return template
}

/** The items of the list that `unit` needs ({@link unitInvocation}), undefined for sources that are no list. */
export function neededItems(spec: ProgramSpec, unit: number): ItemRange | undefined {
  return spec.source.type === 'list' ? unitItems(spec, unit).items : undefined
}

/**
 * What the program gets for `unit` of a checked spec: computed alike by the submitter, by `run-local` and by every worker.
 * `items`: the bytes of {@link neededItems}, one each; none for sources that are no list.
 *
 * Lines, rows and records that no placeholder shows go to standard input, joined as they stood. Files do, too, unless
 * `{}` or `{path}` shows where they are. Throws GridError `invalid` when an item cannot be an argument (no UTF-8, a NUL
 * character, over 1 MiB together): that fails the unit, on every machine alike.
 */
export function unitInvocation(spec: ProgramSpec, unit: number, items: readonly Uint8Array[]): UnitInvocation {
  const template = templateOf(spec)
  const made = unitItems(spec, unit)
  const { source, environment } = spec
  const files = source.type === 'list' && source.kind === 'files' ? items.map(readInputFile) : []
  const values = template.usesItems ? itemValues(source, made.items, items, files) : []
  const args = template.expand({
    i: made.group,
    n: made.groups,
    rep: made.repetition,
    start: made.start,
    end: made.end,
    items: values,
  })
  if (template.usesItems) checkArgs(args)
  const isFiles = source.type === 'list' && source.kind === 'files'
  const content = isFiles ? files.map((file) => file.bytes) : items
  return {
    args,
    stdin: template.usesContent ? EMPTY : content.length === 1 ? content[0]! : concat(content),
    environment,
    seed: unitSeed(spec.seed, unit),
    files: template.usesContent ? files : [],
  }
}

function readInputFile(item: Uint8Array): InputFile {
  const file = readFileItem(item)
  const problem = fileNameProblem(file.name)
  if (problem !== undefined) throw new GridError('invalid', `an input file has a name that ${problem}`)
  return file
}

function itemValues(
  source: JobSpec['source'],
  range: ItemRange,
  items: readonly Uint8Array[],
  files: readonly InputFile[],
): ItemValues[] {
  if (source.type !== 'list') {
    if (range.count > UNIT_ITEMS_MAX) {
      throw new GridError(
        'invalid',
        `a unit has ${range.count} items to show as arguments, at most ${UNIT_ITEMS_MAX} are allowed`,
        {
          hint: 'Use {start} and {end}, or fewer items a unit.',
        },
      )
    }
    return Array.from({ length: range.count }, (_, k) => ({
      ...PLAIN,
      item: String(itemValue(source, range.first + BigInt(k))),
    }))
  }
  return source.kind === 'files' ? files.map(fileValues) : items.map((item) => textValues(source, item))
}

const PLAIN: ItemValues = { item: '', columns: [], name: '', stem: '' }

function textValues(source: ListSource, bytes: Uint8Array): ItemValues {
  const text = decodeText(bytes)
  if (source.kind === 'csv') {
    const row = text.replace(/^[\r\n]+/, '').replace(/\r?\n$/, '')
    return { ...PLAIN, item: row, columns: parseCsvRow(row) }
  }
  const separator = source.separator.startsWith(':') ? source.separator.slice(1) : ''
  if (source.kind === 'records' && separator !== '') {
    return { ...PLAIN, item: text.endsWith(separator) ? text.slice(0, text.length - separator.length) : text }
  }
  return { ...PLAIN, item: text.replace(/\r?\n$/, '') }
}

function fileValues({ name }: InputFile): ItemValues {
  const base = name.slice(name.lastIndexOf('/') + 1)
  const dot = base.lastIndexOf('.')
  return { ...PLAIN, item: INPUT_FOLDER + name, name: base, stem: dot > 0 ? base.slice(0, dot) : base }
}

function checkArgs(args: readonly string[]): void {
  let bytes = 0
  for (const arg of args) {
    bytes += arg.length > UNIT_ARGS_BYTES_MAX ? arg.length : utf8(arg).length
    if (arg.includes('\0')) throw new GridError('invalid', 'an argument made from an item has a NUL character')
  }
  if (bytes > UNIT_ARGS_BYTES_MAX) {
    throw new GridError('invalid', `the arguments of one unit have more than ${UNIT_ARGS_BYTES_MAX} bytes`, {
      hint: 'Use fewer items a unit, or no placeholder for the item: then its bytes go to standard input.',
    })
  }
}

const MASK = (1n << 64n) - 1n
const GOLDEN = 0x9e3779b97f4a7c15n

/**
 * Seed of a unit: different units of a job and the same unit of jobs with other seeds get unrelated ones. SplitMix64 at
 * step `unit` + 1 of a stream that starts at the mixed job seed (Steele, Lea and Flood 2014, "Fast splittable
 * pseudorandom number generators").
 */
export function unitSeed(jobSeed: bigint, unit: number): bigint {
  return mix64((mix64(jobSeed & MASK) + (BigInt(unit) + 1n) * GOLDEN) & MASK)
}

function mix64(value: bigint): bigint {
  let z = value
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK
  return z ^ (z >> 31n)
}
