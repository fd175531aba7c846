import { utf8 } from '../runtime/hex.js'
import type { Task } from '../tasks/task.js'
import { hashText, reversed, spinRounds } from './functions.js'

/** As little work as a unit can be, and every output distinct and checkable. */
const hashIndex: Task = {
  name: 'bench-hash',
  version: 1,
  summary: 'SHA-256 of the index of the unit',
  usage: 'submit bench-hash --count 1000',
  defaultArguments: ['{i}'],
  sources: ['count'],
  execute: ({ args, burn }) => {
    burn(1)
    return { exitCode: 0, stdout: hashText(args[0] ?? '') }
  },
}

const spin: Task = {
  name: 'bench-spin',
  version: 1,
  summary: 'A fixed amount of arithmetic',
  usage: 'submit bench-spin --count 600 -- ROUNDS {i}',
  defaultArguments: ['1000000', '{i}'],
  sources: ['count'],
  execute: ({ args, burn }) => {
    const rounds = Number(args[0])
    burn(rounds)
    return { exitCode: 0, stdout: utf8(String(spinRounds(rounds, Number(args[1])))) }
  },
}

const reverse: Task = {
  name: 'bench-reverse',
  version: 1,
  summary: 'The bytes of standard input in reverse order: as many out as in',
  usage: 'submit bench-reverse --files F...',
  defaultArguments: [],
  sources: ['files'],
  execute: ({ stdin, burn }) => {
    burn(stdin.length)
    return { exitCode: 0, stdout: reversed(stdin) }
  },
}

const clock: Task = {
  name: 'bench-clock',
  version: 1,
  summary:
    'When the unit ran: the monotonic clock that all processes of a machine share, in nanoseconds, and a line end',
  usage: 'submit bench-clock --count 1 --quorum 1 --no-audit',
  defaultArguments: [],
  sources: ['count'],
  execute: ({ burn }) => {
    burn(1)
    return { exitCode: 0, stdout: utf8(`${process.hrtime.bigint()}\n`) }
  },
}

/** Tasks of the benchmarks, loaded by the workers as a volunteer's own module would be. */
export const tasks: Task[] = [hashIndex, spin, reverse, clock]
