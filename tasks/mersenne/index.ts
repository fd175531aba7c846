import type { Task } from '../task.js'
import { execute, readExponents } from './execute.js'
import { reduce } from './reduce.js'

/** Stands in for lines that `check` cannot see: only the arguments are checked there. */
const UNSEEN = new Uint8Array([0x32])

/**
 * Lucas-Lehmer tests of Mersenne numbers 2^p - 1, the arithmetic of GIMPS.
 *
 * Arguments: exponents P, each with a line of its own in the output, or half-open spans A..B whose prime exponents are
 * tested; without arguments, the same words from stdin. Lines: `P PRIME 0x0000000000000000`, `P COMPOSITE 0x<lowest 64
 * bits of the final residue, 16 hex digits>` or `P SKIPPED not a prime exponent`. Result: the table, and a last line that
 * names the exponents of the primes found.
 * Fuel: ceil(P / 64)^2 steps for each of the P - 2 iterations, and one step for each number looked at.
 * Cost: all exponents below 5,000 take some seconds of one core; one near 100,000 some minutes.
 */
export const mersenne: Task = {
  name: 'mersenne',
  version: 1,
  summary: 'Lucas-Lehmer tests of Mersenne numbers 2^p - 1, with final residues',
  usage: [
    'manyhands submit mersenne --array 4000-5000 --wait',
    'manyhands submit mersenne --range 0..5000:100 --wait -- {start}..{end}',
    'manyhands submit mersenne --lines exponents.txt --wait',
    'Arguments (default {}): P...   exponents, up to 10^8; A..B stands for the primes p with A <= p < B',
  ].join('\n'),
  defaultArguments: ['{}'],
  sources: ['array', 'range', 'lines', 'csv'],
  check: ({ args }) => {
    const exponents = readExponents(args, UNSEEN)
    return exponents.ok ? undefined : exponents.message
  },
  execute,
  reduce,
}
