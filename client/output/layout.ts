import { unitItems } from '../../job/units/unit-source.js'
import { fileNameProblem } from '../../proto/file-name.js'
import type { JobSpec, UnitOutput } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'

/** One file of an answer, under the name it gets in the folder. */
export interface LaidOut {
  readonly name: string
  readonly bytes: Uint8Array
}

type Piece = string | { readonly name: string; readonly width: number }

const KNOWN = ['i', 'unit', 'n', 'rep', 'start', 'end', 'name']
const WIDTH_MAX = 64
/** Name of standard output where `{name}` asks for one. */
const STDOUT_NAME = 'stdout'

/**
 * Names of output files: `f_{i:06}.png`. Placeholders: `{i}` item group from 0, `{unit}`, `{n}`, `{rep}`, `{start}`, `{end}`,
 * and `{name}`, the name of the file inside `/out` (`stdout` for standard output). Without a pattern: `000007.out` for a unit
 * that only printed, else a folder `000007` with its files.
 */
export class Layout {
  readonly #pieces: readonly Piece[] | undefined
  readonly #spec: JobSpec

  /** Throws GridError `invalid` for a pattern that is wrong or gives two units one name. */
  constructor(spec: JobSpec, pattern?: string) {
    this.#spec = spec
    this.#pieces = pattern === undefined ? undefined : parse(pattern)
    if (this.#pieces === undefined) return
    const uses = (name: string) => this.#pieces!.some((piece) => typeof piece === 'object' && piece.name === name)
    const tellsGroups = uses('i') || uses('start') || uses('end')
    if (!uses('unit') && !(tellsGroups && (spec.repeat === 1 || uses('rep')))) {
      throw invalid(
        pattern!,
        'gives several units the same name',
        `add {unit}${spec.repeat > 1 ? ', or {i} and {rep}' : ' or {i}'}`,
      )
    }
  }

  /** Whether names come from the program as well: two of them may then be one name. */
  get usesNames(): boolean {
    return (
      this.#pieces === undefined || this.#pieces.some((piece) => typeof piece === 'object' && piece.name === 'name')
    )
  }

  /**
   * The files of a unit's output. Throws GridError `invalid` for a name that would leave the folder or is none everywhere,
   * and for a unit with several files when the pattern has room for one.
   */
  files(unit: number, { stdout, files }: UnitOutput): LaidOut[] {
    const hasStdout = stdout.length > 0 || files.length === 0
    const parts = [...(hasStdout ? [{ name: STDOUT_NAME, bytes: stdout }] : []), ...files]
    if (this.#pieces === undefined) {
      const base = padded(String(unit), 6)
      if (files.length === 0) return [{ name: `${base}.out`, bytes: stdout }]
      return parts.map(({ name, bytes }) => ({ name: checked(`${base}/${name}`), bytes }))
    }
    if (parts.length > 1 && !this.usesNames) {
      throw new GridError('invalid', `unit ${unit} has ${parts.length} outputs, and --layout has room for one`, {
        hint: 'add {name} to --layout',
      })
    }
    return parts.map(({ name, bytes }) => ({ name: checked(this.#expand(unit, name)), bytes }))
  }

  /** Name for what is kept of a failed unit, or beside its output: `failed/000007.stderr`. */
  static beside(folder: string, unit: number, ending: string): string {
    return `${folder}${padded(String(unit), 6)}.${ending}`
  }

  #expand(unit: number, fileName: string): string {
    const { group, groups, repetition, start, end } = unitItems(this.#spec, unit)
    const values: Readonly<Record<string, string>> = {
      i: String(group),
      unit: String(unit),
      n: String(groups),
      rep: String(repetition),
      start: String(start),
      end: String(end),
      name: fileName,
    }
    return this.#pieces!.map((piece) =>
      typeof piece === 'string' ? piece : padded(values[piece.name]!, piece.width),
    ).join('')
  }
}

function parse(pattern: string): Piece[] {
  const pieces: Piece[] = []
  for (const part of pattern.split(/(\{[^{}]*\})/)) {
    const match = /^\{([a-z]+)(?::0?([0-9]{1,3}))?\}$/.exec(part)
    if (!match) {
      if (/[{}]/.test(part)) throw invalid(pattern, `has '${part.slice(0, 40)}', which is no placeholder`)
      pieces.push(part)
      continue
    }
    const width = Number(match[2] ?? 0)
    if (!KNOWN.includes(match[1]!) || width > WIDTH_MAX) throw invalid(pattern, `has the unknown placeholder '${part}'`)
    pieces.push({ name: match[1]!, width })
  }
  const sample = pieces.map((piece) => (typeof piece === 'string' ? piece : 'x')).join('')
  const problem = fileNameProblem(sample)
  if (problem !== undefined) throw invalid(pattern, problem)
  return pieces
}

function invalid(
  pattern: string,
  problem: string,
  hint = `known here: ${KNOWN.map((name) => `{${name}}`).join(' ')}`,
): GridError {
  return new GridError('invalid', `layout '${pattern.slice(0, 80)}' ${problem}`, { hint })
}

function checked(name: string): string {
  const problem = fileNameProblem(name)
  if (problem !== undefined)
    throw new GridError('invalid', `the output name ${JSON.stringify(name.slice(0, 80))} ${problem}`)
  return name
}

function padded(text: string, width: number): string {
  return text.startsWith('-') ? `-${text.slice(1).padStart(width - 1, '0')}` : text.padStart(width, '0')
}
