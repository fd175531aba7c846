/** Columns of help where nobody says how wide the terminal is. */
export const HELP_COLUMNS = 80
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
    if (line.length <= columns || COMMAND.test(line)) lines.push(line)
    else lines.push(...wrap(line, columns, lastColumn(line, columns)))
  }
  flush()
  return lines.join('\n')
}

/** Where the text of the last column begins, if there is room to go on below it; else where the line itself begins. */
function lastColumn(line: string, columns: number): number {
  const start = line.search(/\S/)
  const gap = /^(.*\S {2,})\S/.exec(line)?.[1]?.length ?? start
  return gap <= columns / 2 + 2 ? gap : start
}

function wrap(text: string, columns: number, indent: number): string[] {
  const lines: string[] = []
  let line = text.slice(0, indent)
  let isEmpty = true
  for (const word of text.slice(indent).split(' ')) {
    if (!isEmpty && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = ' '.repeat(indent)
      isEmpty = true
    }
    line += isEmpty ? word : ` ${word}`
    isEmpty = false
  }
  return [...lines, line]
}
