/** Arguments of a unit, taken apart; or one message that says what is wrong. */
type ParsedArguments =
  | { readonly ok: true; readonly options: ReadonlyMap<string, string>; readonly positional: readonly string[] }
  | { readonly ok: false; readonly message: string }

/** A value, or one message that says what is wrong. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly message: string }

/**
 * Splits `--name value` and `--name=value` from the rest. `known` lists the names without dashes. A negative number is
 * a value, never an option. Unknown, repeated and valueless options are refused.
 */
export function parseArguments(args: readonly string[], known: readonly string[]): ParsedArguments {
  const options = new Map<string, string>()
  const positional: string[] = []
  for (let index = 0; index < args.length; index++) {
    const argument = args[index]!
    if (!argument.startsWith('--') || argument === '--') {
      positional.push(argument)
      continue
    }
    const equals = argument.indexOf('=')
    const name = argument.slice(2, equals < 0 ? undefined : equals)
    if (!known.includes(name)) {
      const list =
        known.length === 0 ? 'there are no options' : `known: ${known.map((option) => `--${option}`).join(' ')}`
      return { ok: false, message: `unknown option --${shown(name)}; ${list}` }
    }
    if (options.has(name)) return { ok: false, message: `option --${name} is given twice` }
    const value = equals < 0 ? args[++index] : argument.slice(equals + 1)
    if (value === undefined || value === '') return { ok: false, message: `option --${name} needs a value` }
    options.set(name, value)
  }
  return { ok: true, options, positional }
}

/** `text` as an integer from `min` to `max`. `name` is what the message calls it. */
export function parseInteger(name: string, text: string, min: number, max: number): Parsed<number> {
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  if (Number.isSafeInteger(value) && value >= min && value <= max) return { ok: true, value }
  return { ok: false, message: `${name} must be an integer from ${min} to ${max}, not '${shown(text)}'` }
}

/** `text` as a decimal number from `min` to `max`, both included: `-0.5`, `1e6`. */
export function parseDecimal(name: string, text: string, min: number, max: number): Parsed<number> {
  const value = /^[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})(e[+-]?\d{1,3})?$/i.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return { ok: true, value }
  return { ok: false, message: `${name} must be a number from ${min} to ${max}, not '${shown(text)}'` }
}

/** `text` as a non-negative integer of any size up to `max`. */
export function parseNatural(name: string, text: string, max: bigint): Parsed<bigint> {
  const value = /^\d{1,40}$/.test(text) ? BigInt(text) : -1n
  if (value >= 0n && value <= max) return { ok: true, value }
  return { ok: false, message: `${name} must be an integer from 0 to ${max}, not '${shown(text)}'` }
}

/** Text of a submitter as it may stand in a message: short and without control characters. */
export function shown(text: string): string {
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?')
  return clean.length > 60 ? `${clean.slice(0, 57)}...` : clean
}
