import { printable } from '../../proto/printable.js'
import { type GridError, toGridError } from '../../runtime/errors.js'
import { foldLines } from './fill.js'
import { cutToWidth, textWidth } from './text-width.js'

/** Version of every value that `--json` prints. Fields are added under the same number; a change of meaning is a new one. */
const JSON_VERSION = 1

/** The part of a stream that output needs; the real ones are `process.stdout` and `process.stderr`. */
export interface Sink {
  write(chunk: string | Uint8Array, done?: () => void): boolean
  readonly isTTY?: boolean
  readonly columns?: number
  once?(event: 'drain', listener: () => void): unknown
}

interface OutputOptions {
  readonly stdout: Sink
  readonly stderr: Sink
  /** One JSON value (or one a line) instead of text. */
  readonly json: boolean
  /** Nothing on stderr but errors. */
  readonly quiet: boolean
  /** Stacks of internal errors. */
  readonly verbose: boolean
  /** The environment variable `NO_COLOR` is set (no-color.org). */
  readonly noColor: boolean
  /** A terminal that understands no control sequences (`TERM=dumb`): nothing is painted or drawn anew. */
  readonly dumb?: boolean
}

/** Fields of a JSON value; bigints are printed as decimal text, since JSON readers lose digits beyond 2^53. */
type JsonFields = Readonly<Record<string, unknown>>

/**
 * Where a command's words go. stdout carries the answer and nothing else, so that it can be piped; everything for people's
 * eyes alone goes to stderr. With `--json` stdout is JSON, errors included.
 */
export class Output {
  readonly json: boolean
  readonly quiet: boolean
  readonly verbose: boolean
  readonly #options: OutputOptions
  #log: ((level: 'info' | 'warn', text: string) => void) | undefined

  constructor(options: OutputOptions) {
    this.#options = options
    this.json = options.json
    this.quiet = options.quiet
    this.verbose = options.verbose
  }

  /** Whether somebody watches stderr: then bars may be drawn there. */
  get isInteractive(): boolean {
    const { stderr, dumb } = this.#options
    return stderr.isTTY === true && dumb !== true && !this.quiet && !this.json && this.#log === undefined
  }

  /** Columns of the terminal on stdout; undefined when it is none. */
  get width(): number | undefined {
    return this.#options.stdout.isTTY === true ? this.#options.stdout.columns : undefined
  }

  /** Whether stdout can show more than lines one below the other. */
  get canDraw(): boolean {
    return this.#options.stdout.isTTY === true && this.#options.dumb !== true && !this.json
  }

  /** For bars, which write control sequences. */
  get errorStream(): Sink {
    return this.#options.stderr
  }

  /**
   * The answer, as text and as JSON; only one of them is printed. `text` may hold several lines; on a terminal those that are
   * too long are broken between words.
   */
  answer(text: string, fields: JsonFields): void {
    if (this.json) this.value(fields)
    else this.line(this.width === undefined ? text : foldLines(text, this.width))
  }

  /** One JSON value on a line of stdout. */
  value(fields: JsonFields): void {
    this.#options.stdout.write(`${toJson({ v: JSON_VERSION, ...fields })}\n`)
  }

  /** A line of text on stdout; an empty text gives no line. */
  line(text: string): void {
    if (text !== '') this.#options.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
  }

  /** Bytes of a result on stdout, as they are. Resolves when there is room for more. */
  async bytes(bytes: Uint8Array): Promise<void> {
    if (bytes.length === 0) return
    if (this.#options.stdout.write(bytes)) return
    await new Promise<void>((resolve) => {
      if (this.#options.stdout.once === undefined) resolve()
      else this.#options.stdout.once('drain', resolve)
    })
  }

  /** Something worth knowing, for people: a line on stderr, silent with `--quiet` and `--json`. */
  note(text: string): void {
    if (this.quiet || this.json) return
    if (this.#log !== undefined) this.#log('info', text)
    else this.#options.stderr.write(`${text}\n`)
  }

  /** Something that should be looked at though the command goes on. Printed with `--json`, too, as it is on stderr. */
  warn(text: string): void {
    if (this.quiet) return
    if (this.#log !== undefined) this.#log('warn', text)
    else this.#options.stderr.write(`${this.#paint('33', 'warning:')} ${text}\n`)
  }

  /** From now on notes and warnings go to a log: where stderr is to be JSON lines and nothing else. */
  speakInto(log: (level: 'info' | 'warn', text: string) => void): void {
    this.#log = log
  }

  /**
   * Why the command ends: one message and what to do. With `--json` on stdout as `{"v":1,"error":{code,message,hint}}`.
   * Never a stack, except of an internal error with `--verbose`.
   */
  error(thrown: unknown): GridError {
    const error = toGridError(thrown)
    const message = clean(error.message)
    const hint = error.hint === undefined ? undefined : clean(error.hint)
    if (this.json) {
      this.value({ error: { code: error.code, message, ...(hint === undefined ? {} : { hint }) } })
    } else {
      const advice = hint === undefined ? '' : `\n${hint.replace(/^/gm, '  ')}`
      this.#options.stderr.write(`${this.#paint('31', 'error:')} ${message}${advice}\n`)
    }
    if (this.verbose && error.code === 'internal') {
      const cause = error.cause instanceof Error ? error.cause : error
      this.#options.stderr.write(`${cause.stack ?? String(cause)}\n`)
    }
    return error
  }

  #paint(code: string, text: string): string {
    const { noColor, dumb, stderr } = this.#options
    if (noColor || dumb === true || stderr.isTTY !== true) return text
    return `\u001b[${code}m${text}\u001b[0m`
  }
}

/** Lines that {@link clean} keeps, and of how much text. Unit: UTF-16 code units. */
const CLEAN_LINES_MAX = 50
const CLEAN_CHARS_MAX = 65_536

/**
 * Text that a stranger may have had a hand in, fit for a terminal: each line cleaned as {@link printable} does. Our own
 * line breaks survive, as a hint may be a command below a sentence.
 */
export function clean(text: string): string {
  return text
    .slice(0, CLEAN_CHARS_MAX)
    .split('\n', CLEAN_LINES_MAX)
    .map((line) => printable(line))
    .join('\n')
}

/** `value` as one line of JSON, with bigints as decimal text. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, field: unknown) => (typeof field === 'bigint' ? String(field) : field))
}

/** Between two columns of a table. */
const GAP = '  '
/** Columns that cells of text keep where a table is brought to the width of a terminal. */
const CELL_COLUMNS_MIN = 10

/**
 * Rows under headings, columns as wide as their widest cell, numbers to the right. Cells are cleaned of control characters.
 * The last column is not padded. With `width`, that of a terminal, text is cut to it: first cells of several words and those of
 * the last column, then all, the widest first, a space between them; where that is not enough, each row is a list of its cells.
 */
export function table(
  headings: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  width: number = Number.POSITIVE_INFINITY,
): string {
  const cells = [headings, ...rows].map((row) => row.map((cell) => printable(String(cell))))
  const natural = headings.map((_, column) => Math.max(...cells.map((row) => textWidth(row[column] ?? ''))))
  const isNumeric = headings.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === 'number'))
  const isText = isNumeric.map((is) => !is)
  // What is one word is an id or an address: less use when it is cut.
  const isProse = isText.map(
    (is, column) => is && (column === headings.length - 1 || rows.some((row) => /\s/.test(String(row[column])))),
  )
  const gaps = headings.length - 1
  const prose = shrunk(natural, isProse, width - GAP.length * gaps)
  const between = GAP.slice(0, prose.reduce(sum, GAP.length * gaps) > width ? 1 : undefined)
  const widths = shrunk(prose, isText, width - between.length * gaps)
  if (widths.reduce(sum, between.length * gaps) > width)
    return rows.map((row) => facts(headings.map((heading, column) => [heading, row[column] ?? '']))).join('\n\n')
  return cells
    .map((row) =>
      row
        .map((whole, column) => {
          const cell = cutToWidth(whole, widths[column]!)
          const gap = ' '.repeat(widths[column]! - textWidth(cell))
          if (isNumeric[column]) return gap + cell
          return column === row.length - 1 ? cell : cell + gap
        })
        .join(between)
        .trimEnd(),
    )
    .join('\n')
}

const sum = (a: number, b: number): number => a + b

/** `widths` with the widest of those that `may` be made narrower until they come to `room`, as far as that goes. */
function shrunk(widths: readonly number[], may: readonly boolean[], room: number): readonly number[] {
  const fitted = [...widths]
  for (let over = fitted.reduce(sum, 0) - room; over > 0; over--) {
    const most = Math.max(...fitted.filter((_, column) => may[column]))
    if (most <= CELL_COLUMNS_MIN) break
    fitted[fitted.findIndex((one, column) => may[column] && one === most)]!--
  }
  return fitted
}

/** Names and values in two columns; empty values are left out. */
export function facts(pairs: readonly (readonly [string, string | number])[]): string {
  const kept = pairs.filter(([, value]) => value !== '')
  const width = Math.max(0, ...kept.map(([name]) => name.length))
  return kept.map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value))}`).join('\n')
}

/** `count` and the noun, in the plural where that is due. */
export function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
