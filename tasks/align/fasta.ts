import { type Parsed, shown } from '../arguments.js'
import { LETTER_OF_CODE } from './blosum62.js'

/** A protein sequence. */
export interface Sequence {
  /** First word of the header line; control characters shown as `?`. */
  readonly name: string
  /** Indices into `LETTERS`. */
  readonly residues: Uint8Array
}

/** Longest name that is kept, in characters. */
const NAME_LENGTH_MAX = 200
/** Longest sequence: the longest known protein has 45,000 residues. */
const RESIDUES_MAX = 1_000_000

const GREATER = 0x3e
const SEMICOLON = 0x3b
const NEWLINE = 0x0a
const RETURN = 0x0d
const SKIPPED: ReadonlySet<number> = new Set([0x20, 0x09, 0x0b, 0x0c, RETURN, 0x2d, 0x2e])

/**
 * Reads FASTA records: `>name description`, then the sequence on any number of lines that end in LF, CRLF or CR. Blanks and the gap signs `-`
 * and `.` in sequences are dropped, lines that start with `;` are comments. `what` is what messages call the input.
 */
export function parseFasta(bytes: Uint8Array, what: string): Parsed<Sequence[]> {
  const sequences: Sequence[] = []
  const decoder = new TextDecoder()
  const letters = new Uint8Array(Math.min(bytes.length, RESIDUES_MAX))
  let name: string | undefined
  let length = 0
  let lineNumber = 0
  const finish = () => {
    if (name !== undefined) sequences.push({ name, residues: letters.slice(0, length) })
    length = 0
  }
  for (let start = 0; start < bytes.length; ) {
    lineNumber++
    const end = endOfLine(bytes, start)
    const kind = bytes[start]
    if (kind === GREATER) {
      finish()
      const header = decoder.decode(bytes.subarray(start + 1, Math.min(end, start + 4 * NAME_LENGTH_MAX))).trimStart()
      name = cleanName(header.split(/[ \t]/, 1)[0]!) || `unnamed-${sequences.length + 1}`
    } else if (kind !== SEMICOLON) {
      for (let at = start; at < end; at++) {
        const code = bytes[at]!
        const letter = LETTER_OF_CODE[code]!
        if (letter === 255) {
          if (SKIPPED.has(code)) continue
          return {
            ok: false,
            message: `${what}, line ${lineNumber}: '${shown(String.fromCharCode(code))}' is no amino acid`,
          }
        }
        if (name === undefined)
          return { ok: false, message: `${what}, line ${lineNumber}: FASTA starts with a line '>name'` }
        if (length === RESIDUES_MAX)
          return { ok: false, message: `${what}: ${name} is longer than ${RESIDUES_MAX} residues` }
        letters[length++] = letter
      }
    }
    start = end + (bytes[end] === RETURN && bytes[end + 1] === NEWLINE ? 2 : 1)
  }
  finish()
  if (sequences.length === 0)
    return { ok: false, message: `${what} holds no FASTA record; one starts with a line '>name'` }
  return { ok: true, value: sequences }
}

function endOfLine(bytes: Uint8Array, start: number): number {
  let end = start
  while (end < bytes.length && bytes[end] !== NEWLINE && bytes[end] !== RETURN) end++
  return end
}

function cleanName(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f\ufffd]/g, '?').slice(0, NAME_LENGTH_MAX)
}
