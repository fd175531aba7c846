import { GridError } from '../runtime/errors.js'

/** Longest text read as an integer, and the digits its value may have: what a spec can carry. */
const TEXT_CHARS_MAX = 200
const DIGITS_MAX = 40
const VALUE_LIMIT = 10n ** BigInt(DIGITS_MAX)
const INTEGER_HINT = 'Write an integer such as 1000000, 1_000_000, 10^6, 1e6, 2^31-1 or 10^16+10^8.'

function invalid(what: string, text: string, problem: string, hint: string): GridError {
  const shown = text.length > 60 ? `${text.slice(0, 60)}...` : text
  return new GridError('invalid', `${what} '${shown}' ${problem}`, { hint, fields: { text: shown } })
}

/**
 * The exact integer that `text` stands for: digits with optional `_` between them, powers (`10^9`), scientific notation
 * whose value is whole (`1e9`, `2.5e3`), and sums and differences of these (`10^16+10^8`, `2^31-1`, `-5`).
 * Throws GridError `invalid` that names the text; also beyond 40 digits.
 */
export function parseInteger(text: string): bigint {
  const compact = text.replace(/\s+/g, '')
  if (compact === '') throw invalid('number', text, 'is empty', INTEGER_HINT)
  if (compact.length > TEXT_CHARS_MAX) throw invalid('number', text, 'is too long', INTEGER_HINT)
  let sum = 0n
  let at = 0
  while (at < compact.length) {
    const sign = compact[at] === '-' ? -1n : 1n
    if (compact[at] === '+' || compact[at] === '-') at++
    else if (at > 0) throw invalid('number', text, 'is not an integer', INTEGER_HINT)
    const term = /^[0-9._^]+(?:[eE]\+?[0-9]+)?/.exec(compact.slice(at))?.[0]
    if (term === undefined) throw invalid('number', text, 'is not an integer', INTEGER_HINT)
    sum += sign * parseTerm(term, text)
    at += term.length
  }
  if (sum >= VALUE_LIMIT || sum <= -VALUE_LIMIT) throw tooLarge(text)
  return sum
}

function tooLarge(text: string): GridError {
  return invalid('number', text, `has more than ${DIGITS_MAX} digits`, INTEGER_HINT)
}

function parseTerm(term: string, text: string): bigint {
  const power = /^([0-9_]+)\^([0-9_]+)$/.exec(term)
  if (power) return raise(digits(power[1]!, text), digits(power[2]!, text), text)
  const scientific = /^([0-9_]+)(?:\.([0-9]+))?(?:[eE]\+?([0-9]+))?$/.exec(term)
  if (!scientific) throw invalid('number', text, 'is not an integer', INTEGER_HINT)
  const [, whole, fraction = '', exponentText = '0'] = scientific
  const exponent = Number(exponentText) - fraction.length
  const mantissa = digits(whole!, text) * 10n ** BigInt(fraction.length) + BigInt(fraction || 0)
  if (exponent >= 0) return mantissa * raise(10n, BigInt(exponent), text)
  const scale = 10n ** BigInt(-exponent)
  if (mantissa % scale !== 0n) throw invalid('number', text, 'is not a whole number', INTEGER_HINT)
  return mantissa / scale
}

function digits(term: string, text: string): bigint {
  if (!/^[0-9]+(_[0-9]+)*$/.test(term)) throw invalid('number', text, 'is not an integer', INTEGER_HINT)
  return BigInt(term.replaceAll('_', ''))
}

function raise(base: bigint, exponent: bigint, text: string): bigint {
  if (base <= 1n) return exponent === 0n ? 1n : base
  // 2^133 has 41 digits: beyond that no base gives a value within bounds, and the power need not be computed.
  if (exponent > 133n) throw tooLarge(text)
  return base ** exponent
}

const COUNT_HINT = 'Write a whole number from 1 to 9007199254740991; --array and --range take larger numbers.'

/** Reads the number of items of `--count`, 1 to 2^53 - 1. Throws GridError `invalid`. */
export function parseCount(text: string): number {
  const count = parseInteger(text)
  if (count < 1n || count > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new GridError('invalid', `a count of ${count} is not possible`, { hint: COUNT_HINT })
  }
  return Number(count)
}

/** Bounds of `--range`: half-open, cut every `step`. */
interface ParsedRange {
  readonly start: bigint
  readonly end: bigint
  readonly step: bigint
}

const RANGE_HINT = 'Write A..B or A..B:STEP with A below B, for example 0..10^9:10^7; B itself is not included.'

/** Reads `A..B[:STEP]`, half-open; the step is 1 unless given. Throws GridError `invalid`, also for an empty range. */
export function parseRange(text: string): ParsedRange {
  const match = /^([^:]+?)\.\.([^:]+)(?::([^:]+))?$/.exec(text.trim())
  if (!match) throw invalid('range', text, 'is not of the form A..B[:STEP]', RANGE_HINT)
  const start = parseInteger(match[1]!)
  const end = parseInteger(match[2]!)
  const step = match[3] === undefined ? 1n : parseInteger(match[3])
  if (end <= start) throw invalid('range', text, 'is empty', RANGE_HINT)
  if (step < 1n) throw invalid('range', text, 'has a step below 1', RANGE_HINT)
  return { start, end, step }
}

/** Bounds of `--array`: both included. */
interface ParsedArray {
  readonly from: bigint
  readonly to: bigint
  readonly step: bigint
}

const ARRAY_HINT = 'Write A-B or A-B:STEP with A at most B, for example 1-100 or 0-90:10; B is included.'

/** Reads `A-B[:S]` or a single `A`, inclusive as Slurm's job arrays. Throws GridError `invalid`. */
export function parseArray(text: string): ParsedArray {
  const match = /^([0-9_^eE]+)(?:-([0-9_^eE]+))?(?::([^:]*))?$/.exec(text.trim())
  if (!match) throw invalid('array', text, 'is not of the form A-B[:STEP]', ARRAY_HINT)
  const from = parseInteger(match[1]!)
  const to = match[2] === undefined ? from : parseInteger(match[2])
  const step = match[3] === undefined ? 1n : parseInteger(match[3])
  if (to < from) throw invalid('array', text, 'is empty', ARRAY_HINT)
  if (step < 1n) throw invalid('array', text, 'has a step below 1', ARRAY_HINT)
  return { from, to, step }
}

const BYTE_UNITS: ReadonlyMap<string, bigint> = new Map(
  ['k', 'm', 'g', 't'].flatMap((letter, i) => [
    [letter, 1024n ** BigInt(i + 1)],
    [`${letter}ib`, 1024n ** BigInt(i + 1)],
    [`${letter}b`, 1000n ** BigInt(i + 1)],
  ]),
)
const BYTES_HINT = 'Write a number of bytes such as 65536, 256MiB, 1G (= GiB) or 500MB (= 500,000,000).'

/**
 * Reads a number of bytes: `K M G T` and `KiB MiB GiB TiB` count 1,024, `kB MB GB TB` count 1,000, fractions allowed
 * (`1.5G`), case does not matter. The result is at most 2^53 - 1. Throws GridError `invalid`.
 */
export function parseBytes(text: string): number {
  const match = /^([0-9][0-9_]*)(?:\.([0-9]{1,9}))?\s*([a-zA-Z]*)$/.exec(text.trim())
  const unit = match?.[3]?.toLowerCase()
  const factor = unit === '' || unit === 'b' ? 1n : BYTE_UNITS.get(unit ?? '?')
  if (!match || factor === undefined) throw invalid('size', text, 'is not a number of bytes', BYTES_HINT)
  const fraction = match[2] ?? ''
  const scaled = BigInt(match[1]!.replaceAll('_', '') + fraction) * factor
  const bytes = scaled / 10n ** BigInt(fraction.length)
  if (bytes > Number.MAX_SAFE_INTEGER) throw invalid('size', text, 'is too large', BYTES_HINT)
  return Number(bytes)
}

const MILLIS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
  ['w', 604_800_000],
])
/** A hundred years: far beyond any use, and exact in every unit. */
const DURATION_LIMIT_MS = 36_500 * 86_400_000
const DURATION_HINT = 'Write a duration such as 500ms, 10s, 5m, 1h30m or 30d.'

/** Reads a duration (`10s`, `1h30m`, `1.5h`, `2w`; a bare `0`) as whole milliseconds. Throws GridError `invalid`. */
export function parseDuration(text: string): number {
  const compact = text.trim().toLowerCase()
  if (compact === '0') return 0
  let ms = 0
  let rest = compact
  let last = Number.POSITIVE_INFINITY
  while (rest !== '') {
    const match = /^([0-9]{1,15}(?:\.[0-9]{1,9})?)(ms|s|m|h|d|w)/.exec(rest)
    const unit = match ? MILLIS.get(match[2]!)! : Number.POSITIVE_INFINITY
    // Larger units first and each once: 30m1h is more likely a slip than meant.
    if (!match || unit >= last) throw invalid('duration', text, 'is not a duration', DURATION_HINT)
    last = unit
    ms += Number(match[1]) * unit
    rest = rest.slice(match[0].length)
  }
  if (compact === '') throw invalid('duration', text, 'is empty', DURATION_HINT)
  if (ms > DURATION_LIMIT_MS) throw invalid('duration', text, 'is too long', DURATION_HINT)
  return Math.round(ms)
}

/** `bytes` (0 or more) for people: `0 B`, `999 B`, `4 KiB`, `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  // 1023.95 would round to "1024.0" in the smaller unit.
  while (value >= 1023.95 && unit < 5) {
    value /= 1024
    unit++
  }
  if (unit === 0) return `${Math.round(bytes)} B`
  return `${value.toFixed(1).replace(/\.0$/, '')} ${['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'][unit]}`
}

/** `ms` (0 or more) for people, two units at most: `350ms`, `1.2s`, `45s`, `1h30m`, `2d3h`. */
export function formatDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)}ms`
  if (ms < 9_950) return `${(ms / 1000).toFixed(1).replace(/\.0$/, '')}s`
  const seconds = Math.round(ms / 1000)
  const scales: readonly (readonly [string, number, string, number])[] = [
    ['d', 86_400, 'h', 3_600],
    ['h', 3_600, 'm', 60],
    ['m', 60, 's', 1],
  ]
  for (const [large, largeSeconds, small, smallSeconds] of scales) {
    if (seconds < largeSeconds) continue
    const rest = Math.floor((seconds % largeSeconds) / smallSeconds)
    return `${Math.floor(seconds / largeSeconds)}${large}${rest === 0 ? '' : `${rest}${small}`}`
  }
  return `${seconds}s`
}
