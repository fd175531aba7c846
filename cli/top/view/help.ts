import type { TopState } from '../core/state.js'
import { cutSpans, EMPTY, type Line, span } from './line.js'

const HELP: readonly (readonly [keys: string, what: string])[] = [
  ['1 2 3 4 5, tab', 'jobs, units of a job, peers, this machine, its log'],
  ['↑ ↓, j k', 'choose or scroll; page up, page down, g and G go further'],
  ['enter', 'the units of the job; what is proved of the unit, and what it wrote'],
  ['esc', 'one step back'],
  ['/', 'only rows that hold a text; among units a number goes to that unit'],
  ['s, S', 'sort by the next column; turn the order round'],
  ['f', 'units in one state: failed, disputed, held, open, accepted, settled'],
  ['c', 'cancel the job, after a question'],
  ['r', 'compute its failed and held units again as a new job, after a question'],
  ['p', 'pause the worker of this machine, or let it go on'],
  ['?', 'this page; any key leaves it'],
  ['q, ctrl-c', 'quit; jobs and workers go on'],
]

/** All keys. */
export function helpView({ columns }: Readonly<TopState>): readonly Line[] {
  return [
    EMPTY,
    ...HELP.map(([keys, what]) => ({
      spans: cutSpans([span(`  ${keys.padEnd(16)}`, 'accent'), span(what)], columns),
      isSelected: false,
    })),
  ]
}
