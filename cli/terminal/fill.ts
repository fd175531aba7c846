import { textWidth } from './text-width.js'

/** Columns of help where nobody says how wide the terminal is. */
export const HELP_COLUMNS = 80
/** Room for a last column below which text may go on. */
const LAST_COLUMNS_MIN = 24
/** Indented lines that are commands are to be copied: they stay whole. */
const COMMAND = /^\s+([A-Z_]+=\S+ )?(manyhands|seq|generate)\b/

/**
 * Text with lines of at most `columns`: paragraphs that start at the margin are filled anew when a line of theirs is longer, indented
 * lines go on below the start of their last column. Words are never cut, nor examples, which begin with a command. Pure.
 */
export function fillText(text: string, columns: number): string {
  const lines: string[] = []
  let paragraph: string[] = []
  const flush = () => {
    const isWide = paragraph.some((line) => line.length > columns)
    lines.push(...(isWide ? wrap(paragraph.join(' '), columns, 0) : paragraph))
    paragraph = []
  }
  for (const line of text.split('\n')) {
    if (/^\S/.test(line)) {
      paragraph.push(line)
      continue
    }
    flush()
    lines.push(...foldLine(line, columns, lastColumn(line, columns / 2 + 2)))
  }
  flush()
  return lines.join('\n')
}

/** Text whose lines go on below the start of their last column where they are longer than `columns`; else as {@link fillText}. Pure. */
export function foldLines(text: string, columns: number): string {
  return text
    .split('\n')
    .flatMap((line) => foldLine(line, columns, lastColumn(line, columns - LAST_COLUMNS_MIN)))
    .join('\n')
}

function foldLine(line: string, columns: number, indent: number): string[] {
  return textWidth(line) <= columns || COMMAND.test(line) ? [line] : wrap(line, columns, indent)
}

/** Where the text of the last column begins, if that is at `most`: else where the line itself begins. */
function lastColumn(line: string, most: number): number {
  const start = line.search(/\S/)
  const gap = /^(.*\S {2,})\S/.exec(line)?.[1]?.length ?? start
  return gap <= most ? gap : start
}

function wrap(text: string, columns: number, indent: number): string[] {
  const lines: string[] = []
  let line = text.slice(0, indent)
  let isEmpty = true
  for (const word of text.slice(indent).split(' ')) {
    if (!isEmpty && textWidth(line) + 1 + textWidth(word) > columns) {
      lines.push(line)
      line = ' '.repeat(indent)
      isEmpty = true
    }
    line += isEmpty ? word : ` ${word}`
    isEmpty = false
  }
  return [...lines, line]
}
