import { type Parsed, parseArguments, parseInteger, shown } from '../arguments.js'
import { type TaskOutput, textOutput, type UnitInput, usageError } from '../task.js'
import { isPrime, lucasLehmer } from './lucas-lehmer.js'

/** Largest exponent: beyond it one test takes months, and twice its bits would not fit a number of the engine for long. */
const EXPONENT_MAX = 100_000_000
/** Numbers that one `A..B` may span, so that a slip of the keyboard is a message rather than an endless unit. */
const SPAN_MAX = 1_000_000
/** Exponents of one unit. */
const EXPONENTS_MAX = 1_000_000

/** What one argument asks for: single exponents say so when they are not prime, a span tests the primes in it. */
interface Wanted {
  readonly from: number
  /** Exclusive. */
  readonly to: number
  readonly span: boolean
}

/** Reads arguments that are each an exponent `P` or a half-open span `A..B` of them; without any, the same from stdin. */
export function readExponents(args: readonly string[], stdin: Uint8Array): Parsed<Wanted[]> {
  const parsed = parseArguments(args, [])
  if (!parsed.ok) return parsed
  const text = parsed.positional.length > 0 ? parsed.positional.join(' ') : new TextDecoder().decode(stdin)
  const words = text.split(/\s+/).filter((word) => word !== '')
  if (words.length === 0)
    return { ok: false, message: 'mersenne needs exponents: arguments P or A..B, or lines on stdin' }
  if (words.length > EXPONENTS_MAX)
    return { ok: false, message: `a unit may test ${EXPONENTS_MAX} exponents, not ${words.length}` }
  const wanted: Wanted[] = []
  for (const word of words) {
    const dots = word.indexOf('..')
    const from = parseInteger('an exponent', dots < 0 ? word : word.slice(0, dots), 0, EXPONENT_MAX)
    if (!from.ok) return from
    const to =
      dots < 0
        ? { ok: true as const, value: from.value + 1 }
        : parseInteger('the end of a span', word.slice(dots + 2), 0, EXPONENT_MAX)
    if (!to.ok) return to
    if (to.value < from.value) return { ok: false, message: `the span ${shown(word)} ends before it starts` }
    if (to.value - from.value > SPAN_MAX)
      return { ok: false, message: `a span may hold ${SPAN_MAX} numbers; cut ${shown(word)} into units` }
    wanted.push({ from: from.value, to: to.value, span: dots >= 0 })
  }
  return { ok: true, value: wanted }
}

/** Tests the unit's exponents in the order given, one line each. */
export function execute(input: UnitInput): TaskOutput {
  const exponents = readExponents(input.args, input.stdin)
  if (!exponents.ok) return usageError(exponents.message)
  let text = ''
  for (const { from, to, span } of exponents.value) {
    for (let p = from; p < to; p++) {
      input.burn(1)
      if (isPrime(p)) {
        const { prime, residue } = lucasLehmer(p, input.burn)
        text += `${p} ${prime ? 'PRIME' : 'COMPOSITE'} 0x${residue.toString(16).padStart(16, '0')}\n`
      } else if (!span) {
        text += `${p} SKIPPED not a prime exponent\n`
      }
    }
  }
  return textOutput(text)
}
