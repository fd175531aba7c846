import { type Parsed, parseArguments, parseNatural } from '../arguments.js'
import { type TaskOutput, textOutput, type UnitInput, usageError } from '../task.js'
import { countPrimes } from './count.js'
import { SIEVE_MAX } from './sieve.js'

/** Numbers one unit may span: more would run for hours without an answer to compare. */
const SPAN_MAX = 10n ** 13n

/** Reads `START END`, a half-open range of exact integers. */
export function readRange(args: readonly string[]): Parsed<{ start: bigint; end: bigint }> {
  const parsed = parseArguments(args, [])
  if (!parsed.ok) return parsed
  const [first, second] = parsed.positional
  if (first === undefined || second === undefined || parsed.positional.length > 2) {
    return {
      ok: false,
      message: `primes takes two arguments, START and END, not ${args.length}; with --range they are filled in`,
    }
  }
  const start = parseNatural('START', first, SIEVE_MAX)
  if (!start.ok) return start
  const end = parseNatural('END', second, SIEVE_MAX)
  if (!end.ok) return end
  if (end.value < start.value)
    return { ok: false, message: `END (${end.value}) must not be below START (${start.value})` }
  if (end.value - start.value > SPAN_MAX) {
    return {
      ok: false,
      message: `a unit may span ${SPAN_MAX} numbers, not ${end.value - start.value}; give --range a smaller step`,
    }
  }
  return { ok: true, value: { start: start.value, end: end.value } }
}

/** Counts the primes of the unit's range: the count in decimal and a newline. */
export function execute(input: UnitInput): TaskOutput {
  const range = readRange(input.args)
  if (!range.ok) return usageError(range.message)
  return textOutput(`${countPrimes(range.value.start, range.value.end, input.burn)}\n`)
}
