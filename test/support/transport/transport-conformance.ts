import { suite } from 'uvu'
import { callPromises } from './calls.js'
import { flowPromises } from './flow.js'
import { type PairFactory, Pairs } from './pair.js'
import { streamPromises } from './streams.js'

/**
 * Registers and runs the suite `name` of what every `Transport` promises. Both versions pass it: what runs in the
 * simulator then holds for real processes.
 */
export function transportConformance(name: string, makePair: PairFactory): void {
  const test = suite(name)
  const pairs = new Pairs(makePair)
  callPromises(test, pairs)
  streamPromises(test, pairs)
  flowPromises(test, pairs)
  test.run()
}
