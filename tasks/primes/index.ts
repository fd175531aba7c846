import type { Task } from '../task.js'
import { execute, readRange } from './execute.js'
import { reduce } from './reduce.js'

/**
 * Counts primes in half-open ranges, exactly up to 10^18.
 *
 * Arguments: START END, decimal integers. Output of a unit: its count. Result: the sum.
 * Fuel: one step for 30 numbers of the range, and per 126 million numbers one step for 30 numbers below the root of END.
 * Cost: below 10^9 about half a second of a core for 10^9 numbers. Near 10^16 a thread first finds the base primes below 10^8
 * (3 MB, kept between units), near 10^18 those below 10^9 (33 MB, a second or two); then choose units of 10^8 or more, as
 * every unit visits all of them.
 */
export const primes: Task = {
  name: 'primes',
  version: 1,
  summary: 'count the primes of a range, exactly, up to 10^18',
  usage: [
    'manyhands submit primes --range 0..10^9:10^7 --wait',
    'manyhands submit primes --range 10^16..10^16+10^8:10^7 --wait',
    'Arguments (default {start} {end}): START END   the half-open range [START, END) of a unit',
  ].join('\n'),
  defaultArguments: ['{start}', '{end}'],
  sources: ['range', 'csv'],
  check: ({ args }) => {
    const range = readRange(args)
    return range.ok ? undefined : range.message
  },
  execute,
  reduce,
}
