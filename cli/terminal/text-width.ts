/** Columns that text takes on a terminal, and text brought to a number of columns. Pure; for text that `printable` has cleaned. */

const PLAIN = /^[\x20-\x7e]*$/
const MARK = /\p{M}/u
const EMOJI = /\p{Emoji_Presentation}/u

/** Ranges that Unicode calls wide or fullwidth (UAX 11), besides emoji. Ascending. */
const WIDE: readonly (readonly [from: number, to: number])[] = [
  [0x1100, 0x115f],
  [0x2329, 0x232a],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18dff],
  [0x1aff0, 0x1b2ff],
  [0x1d300, 0x1d376],
  [0x1f200, 0x1f265],
  [0x20000, 0x3fffd],
]

function charWidth(char: string): 0 | 1 | 2 {
  const code = char.codePointAt(0)!
  if (code < 0x300) return 1
  if (MARK.test(char)) return 0
  if (code < 0x1100) return 1
  return WIDE.some(([from, to]) => code >= from && code <= to) || EMOJI.test(char) ? 2 : 1
}

/** Columns of `text`: 2 for wide characters and emoji, 0 for marks upon a letter, else 1. */
export function textWidth(text: string): number {
  if (PLAIN.test(text)) return text.length
  let width = 0
  for (const char of text) width += charWidth(char)
  return width
}

/** `text` in at most `columns` (0 or more), with an ellipsis at its end where something is missing. */
export function cutToWidth(text: string, columns: number): string {
  if (textWidth(text) <= columns) return text
  if (columns < 1) return ''
  let cut = ''
  let width = 0
  for (const char of text) {
    width += charWidth(char)
    if (width > columns - 1) break
    cut += char
  }
  return `${cut}…`
}

/** `text` in exactly `columns`: cut, or filled with spaces at its end or, to the right, before it. */
export function fitToWidth(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const cut = cutToWidth(text, columns)
  const gap = ' '.repeat(Math.max(0, columns - textWidth(cut)))
  return align === 'left' ? cut + gap : gap + cut
}
