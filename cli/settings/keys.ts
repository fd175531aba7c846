import type { PublicKey } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'

/** Public keys as 64 hex digits, with commas between them. Throws GridError `invalid`, which begins with `flag`. */
export function readKeys(given: unknown, flag = ''): readonly PublicKey[] {
  if (given === undefined) return []
  const keys = [given].flat().flatMap((text) => String(text).split(','))
  for (const key of keys) {
    if (!/^[0-9a-f]{64}$/.test(key))
      throw new GridError('invalid', `${flag === '' ? '' : `${flag}: `}'${key.slice(0, 80)}' is no key`, {
        hint: "a key has 64 hex digits; 'manyhands id' shows that of a machine",
      })
  }
  return [...new Set(keys)] as PublicKey[]
}
