import { GridError } from '../../runtime/errors.js'

/** Digits of a number that is added, sign and point not counted; sums may have more. */
const DIGITS_MAX = 1_000
const NUMBER = /^([+-]?)([0-9]+)(?:\.([0-9]+))?$/

/** A number as an integer and its decimal places: exact, of any size. */
interface Decimal {
  readonly value: bigint
  readonly places: number
}

/**
 * The sum of what units print, exact: outputs that read alike, line by line and word by word, where numbers differ. Numbers
 * in one place are added; words that are no numbers must be the same everywhere and stay. `found 3 in 1.50 s` and
 * `found 4 in 0.25 s` give `found 7 in 1.75 s`.
 */
export class OutputSum {
  /** Words and numbers of the first output, with what lies between them: `['found ', number, ' in ', number, ' s']`. */
  #pieces: (string | Decimal)[] | undefined
  #first = 0

  /** Throws GridError `invalid` for an output that has another form than the first. */
  add(unit: number, stdout: Uint8Array): void {
    const pieces = piecesOf(unit, stdout)
    if (this.#pieces === undefined) {
      if (!pieces.some((piece) => typeof piece === 'object'))
        throw new GridError('invalid', `unit ${unit} printed no number to add up`)
      this.#pieces = pieces
      this.#first = unit
      return
    }
    const sum = this.#pieces
    if (pieces.length !== sum.length) throw this.#unlike(unit)
    this.#pieces = sum.map((piece, i) => {
      const other = pieces[i]!
      if (typeof piece === 'object' && typeof other === 'object') return plus(piece, other)
      if (piece !== other) throw this.#unlike(unit)
      return piece
    })
  }

  /** The sum as the units print it; empty when nothing was added. */
  text(): string {
    return (this.#pieces ?? []).map((piece) => (typeof piece === 'string' ? piece : textOf(piece))).join('')
  }

  #unlike(unit: number): GridError {
    return new GridError('invalid', `the output of unit ${unit} does not read like that of unit ${this.#first}`, {
      hint: '--sum adds numbers in outputs that are the same but for them; fetch the outputs without it',
    })
  }
}

function piecesOf(unit: number, stdout: Uint8Array): (string | Decimal)[] {
  const text = new TextDecoder().decode(stdout).trim()
  const pieces: (string | Decimal)[] = []
  for (const [i, word] of text.split(/(\s+)/).entries()) {
    if (i % 2 === 1) {
      // How wide a column is depends on the numbers in it.
      pieces.push(word.includes('\n') ? '\n' : ' ')
      continue
    }
    const match = NUMBER.exec(word)
    if (match === null) {
      pieces.push(word)
      continue
    }
    const [, sign, whole = '', fraction = ''] = match
    if (whole.length + fraction.length > DIGITS_MAX)
      throw new GridError('invalid', `unit ${unit} printed a number of more than ${DIGITS_MAX} digits`)
    const value = BigInt(whole + fraction)
    pieces.push({ value: sign === '-' ? -value : value, places: fraction.length })
  }
  return pieces
}

function plus(a: Decimal, b: Decimal): Decimal {
  const places = Math.max(a.places, b.places)
  const at = ({ value, places: own }: Decimal) => value * 10n ** BigInt(places - own)
  return { value: at(a) + at(b), places }
}

function textOf({ value, places }: Decimal): string {
  if (places === 0) return String(value)
  const digits = String(value < 0n ? -value : value).padStart(places + 1, '0')
  return `${value < 0n ? '-' : ''}${digits.slice(0, -places)}.${digits.slice(-places)}`
}
