import { createHash } from 'node:crypto'
import type { Digest } from '../proto/model.js'

/** SHA-256 over `parts` one after another, as lower-case hex. Handed to cores, which import only this type. */
export type Sha256 = (...parts: readonly Uint8Array[]) => Digest

/** SHA-256 by node:crypto. */
export const sha256: Sha256 = (...parts) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex') as Digest
}
