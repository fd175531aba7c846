import { LIMITS } from './limits.js'
import type { Reader } from './reader.js'
import { Refused } from './refused.js'
import { splitSections } from './split.js'

/** Characters of a function's name that are kept. */
const NAME_LENGTH_MAX = 256

/** Subsection of the custom section `name` that names functions. */
const FUNCTION_NAMES = 1

/**
 * Names of functions by their index in `module` as it was submitted, from its custom section `name`; empty when there is
 * none or it is malformed. At most {@link LIMITS.functions} of at most 256 characters. The names are the author's text, as
 * it stands: whoever shows them cleans them. Never throws.
 */
export function functionNames(module: Uint8Array): ReadonlyMap<number, string> {
  try {
    const { names } = splitSections(module)
    return names === undefined ? new Map() : readNames(names)
  } catch (error) {
    if (error instanceof Refused) return new Map()
    throw error
  }
}

function readNames(reader: Reader): ReadonlyMap<number, string> {
  const names = new Map<number, string>()
  while (reader.position < reader.end) {
    const id = reader.byte()
    const size = reader.u32()
    if (id !== FUNCTION_NAMES) {
      reader.skip(size)
      continue
    }
    for (let left = reader.count('names', LIMITS.functions + LIMITS.imports); left > 0; left--) {
      const index = reader.u32()
      names.set(index, reader.name().slice(0, NAME_LENGTH_MAX))
    }
    return names
  }
  return names
}
