import { type Argument, Option } from 'commander'
import { parseInteger } from '../../job/quantity.js'
import { GridError } from '../../runtime/errors.js'

/** `secret-file` as commander names it: `secretFile`. */
export function camel(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
}

const suggestions = new WeakMap<Option | Argument, readonly string[]>()

/** Has shells offer `words` where the value of an option or an argument stands, though others are possible. */
export function suggest<T extends Option | Argument>(to: T, words: readonly string[]): T {
  suggestions.set(to, words)
  return to
}

/** What {@link suggest} said, or the choices there are. */
export function suggestionsOf(of: Option | Argument): readonly string[] {
  return suggestions.get(of) ?? of.argChoices ?? []
}

/** An option that may be repeated. */
export function repeatable(flags: string, help: string): Option {
  return new Option(flags, help).argParser((value: string, previous: readonly string[] | undefined) => [
    ...(previous ?? []),
    value,
  ])
}

/** An option; one that `isList` takes several values, with commas or by being repeated. */
export function flagOption(flags: string, help: string, isList: boolean): Option {
  const option = new Option(flags, help)
  if (!isList) return option
  return option.argParser((value: string, previous: string | undefined) =>
    previous === undefined ? value : `${previous},${value}`,
  )
}

/** A whole number from `min` to `max`; powers and the like are understood. Throws GridError `invalid`. */
export function whole(text: string, min: number, max: number): number {
  const value = parseInteger(text)
  if (value < BigInt(min) || value > BigInt(max)) throw new GridError('invalid', `${value} is outside ${min} to ${max}`)
  return Number(value)
}

/** The value of a flag as `read` takes it; undefined where it was not given. What is wrong with it is told with the name of the flag. */
export function flagValue<T>(flag: string, value: unknown, read: (text: string) => T): T | undefined {
  if (value === undefined) return undefined
  try {
    return read(String(value))
  } catch (error) {
    if (!(error instanceof GridError)) throw error
    throw new GridError(error.code, `${flag}: ${error.message}`, {
      cause: error,
      ...(error.hint !== undefined && { hint: error.hint }),
    })
  }
}
