import { UNIT_ARGS_BYTES_MAX } from '../../proto/limits.js'
import type { UnitSource } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'

/** What the placeholders of one unit stand for. */
export interface UnitValues {
  /** Item group from 0, `{i}`; groups of the whole job, `{n}`; repetition, `{rep}`. */
  readonly i: number
  readonly n: number
  readonly rep: number
  readonly start: bigint
  readonly end: bigint
  /** One for each item of the unit; read only by templates that use them ({@link Template.usesItems}). */
  readonly items: readonly ItemValues[]
}

/** What the placeholders of one item stand for. */
export interface ItemValues {
  /** `{}`: index, value, line, row, record, or path of a file. Also `{line}`. */
  readonly item: string
  /** Fields of a row, by column of the source. */
  readonly columns: readonly string[]
  /** Of a file: name without folder, and that without its last extension. */
  readonly name: string
  readonly stem: string
}

/** Compiled argument template. */
export interface Template {
  /** Whether expanding needs the items of the unit, not just numbers. */
  readonly usesItems: boolean
  /** Whether a placeholder shows an item's content (its path, for files): then it is not sent to standard input. */
  readonly usesContent: boolean
  /**
   * The arguments of one unit. A placeholder that is a whole argument gives one argument for each item of the unit;
   * inside other text the items are joined by spaces. Throws GridError `invalid` for more than 1 MiB of text in all.
   */
  expand(values: UnitValues): string[]
}

/** Text of one placeholder; item placeholders give one text for each item. */
type Piece =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'unit'; readonly width: number; value(values: UnitValues): string }
  | { readonly type: 'item'; readonly width: number; value(item: ItemValues): string }

const UNIT_VALUES: Readonly<Record<string, (values: UnitValues) => string>> = {
  i: (values) => String(values.i),
  n: (values) => String(values.n),
  rep: (values) => String(values.rep),
  start: (values) => String(values.start),
  end: (values) => String(values.end),
}
const WIDTH_MAX = 64
const WIDTH = /^(.*):0?([0-9]{1,3})$/s

/** Names that may stand in braces for units of `source`, in the order in which help lists them; '' is `{}`. */
function placeholderNames(source: UnitSource): string[] {
  const names = ['', ...Object.keys(UNIT_VALUES)]
  if (source.type !== 'list') return names
  switch (source.kind) {
    case 'lines':
      return [...names, 'line']
    case 'csv':
      return [...names, 'line', ...source.columns]
    case 'records':
      return names
    case 'files':
      return [...names, 'path', 'name', 'stem']
  }
}

/**
 * Reads `args` once, for {@link Template.expand} to be fast. `{name}` is a placeholder, `{name:06}` pads with zeros to
 * that width (numbers keep their sign in front), `{{` and `}}` are braces. A column name that equals a general
 * placeholder is shadowed by it. Throws GridError `invalid` for unknown placeholders, listing the known, and for lone braces.
 */
export function compileTemplate(args: readonly string[], source: UnitSource): Template {
  const compiled = args.map((arg) => compileArg(arg, source))
  const pieces = compiled.flat()
  const isFiles = source.type === 'list' && source.kind === 'files'
  const usesItems = pieces.some((piece) => piece.type === 'item')
  return {
    usesItems,
    usesContent: isFiles ? compiled.flat().some(showsPath) : usesItems,
    expand(values) {
      const expanded: string[] = []
      let chars = 0
      const add = (arg: string) => {
        // An empty argument takes room, too: many of them are as bad as long ones.
        chars += arg.length + 1
        if (chars > UNIT_ARGS_BYTES_MAX) throw tooLong()
        expanded.push(arg)
      }
      for (const arg of compiled) {
        const only = arg.length === 1 ? arg[0]! : undefined
        if (only?.type === 'item') for (const item of values.items) add(pad(only.value(item), only.width))
        else add(joinPieces(arg, values))
      }
      return expanded
    },
  }
}

function joinPieces(arg: readonly Piece[], values: UnitValues): string {
  let text = ''
  for (const piece of arg) {
    if (piece.type === 'text') text += piece.text
    else if (piece.type === 'unit') text += pad(piece.value(values), piece.width)
    else text += values.items.map((item) => pad(piece.value(item), piece.width)).join(' ')
    if (text.length > UNIT_ARGS_BYTES_MAX) throw tooLong()
  }
  return text
}

function tooLong(): GridError {
  return new GridError('invalid', `the arguments of one unit have more than ${UNIT_ARGS_BYTES_MAX} bytes`, {
    hint: 'Use fewer items a unit, or no placeholder for the item: then its bytes go to standard input.',
  })
}

function pad(text: string, width: number): string {
  if (text.length >= width) return text
  return text.startsWith('-') ? `-${text.slice(1).padStart(width - 1, '0')}` : text.padStart(width, '0')
}

const itemText = (item: ItemValues) => item.item

function showsPath(piece: Piece): boolean {
  return piece.type === 'item' && piece.value === itemText
}

function compileArg(arg: string, source: UnitSource): Piece[] {
  const pieces: Piece[] = []
  let text = ''
  let at = 0
  while (at < arg.length) {
    const char = arg[at]!
    if ((char === '{' || char === '}') && arg[at + 1] === char) {
      text += char
      at += 2
    } else if (char === '{') {
      const close = arg.indexOf('}', at)
      if (close < 0) throw loneBrace(arg, char)
      if (text !== '') pieces.push({ type: 'text', text })
      text = ''
      pieces.push(placeholder(arg.slice(at + 1, close), source))
      at = close + 1
    } else if (char === '}') {
      throw loneBrace(arg, char)
    } else {
      text += char
      at++
    }
  }
  if (text !== '' || pieces.length === 0) pieces.push({ type: 'text', text })
  return pieces
}

function loneBrace(arg: string, brace: string): GridError {
  return new GridError('invalid', `argument '${arg.slice(0, 60)}' has a single '${brace}'`, {
    hint: `Write '${brace}${brace}' for a brace that is meant as such.`,
  })
}

function placeholder(body: string, source: UnitSource): Piece {
  const plain = lookUp(body, 0, source)
  if (plain) return plain
  const match = WIDTH.exec(body)
  const width = Number(match?.[2] ?? 0)
  const padded = match && width <= WIDTH_MAX ? lookUp(match[1]!, width, source) : undefined
  if (padded) return padded
  const known = placeholderNames(source).slice(0, 40)
  throw new GridError('invalid', `unknown placeholder '{${body.slice(0, 60)}}'`, {
    hint: `Known here: ${known.map((name) => `{${name}}`).join(' ')}; '{{' is a brace; '{i:06}' pads to 6 digits (at most ${WIDTH_MAX}).`,
  })
}

function lookUp(name: string, width: number, source: UnitSource): Piece | undefined {
  if (!placeholderNames(source).includes(name)) return undefined
  if (Object.hasOwn(UNIT_VALUES, name)) return { type: 'unit', width, value: UNIT_VALUES[name]! }
  if (name === '') return { type: 'item', width, value: itemText }
  if (source.type === 'list' && source.kind === 'files') {
    if (name === 'name') return { type: 'item', width, value: (item) => item.name }
    if (name === 'stem') return { type: 'item', width, value: (item) => item.stem }
    return { type: 'item', width, value: itemText }
  }
  if (name === 'line') return { type: 'item', width, value: itemText }
  const column = source.type === 'list' ? source.columns.indexOf(name) : -1
  return { type: 'item', width, value: (item) => item.columns[column] ?? '' }
}
