import { createHash } from 'node:crypto'
import { FactSet } from './core/fact-set.js'
import { hashedPrints } from './core/prints.js'

const makers = hashedPrints((bytes) => createHash('sha256').update(bytes).digest())

/** An empty set of fact ids with prints by SHA-256. */
export function newFactSet(): FactSet {
  return new FactSet(makers)
}
