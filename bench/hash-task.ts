import { createHash } from 'node:crypto'
import type { Task } from '../tasks/task.js'

/** SHA-256 of the unit's index: as little work as a unit can be, and every output distinct and checkable. */
const hashIndex: Task = {
  name: 'bench-hash',
  version: 1,
  summary: 'SHA-256 of the index of the unit',
  usage: 'submit bench-hash --count 1000',
  defaultArguments: ['{i}'],
  sources: ['count'],
  execute: ({ args, burn }) => {
    burn(1)
    return { exitCode: 0, stdout: createHash('sha256').update(args[0] ?? '').digest() }
  },
}

/** Spins for about 50 ms of processor time on a fixed amount of arithmetic, as calibrated by the benchmark. */
const spin: Task = {
  name: 'bench-spin',
  version: 1,
  summary: 'A fixed amount of arithmetic',
  usage: 'submit bench-spin --count 600 -- ROUNDS {i}',
  defaultArguments: ['1000000', '{i}'],
  sources: ['count'],
  execute: ({ args, burn }) => {
    const rounds = Number(args[0])
    let state = Number(args[1]) >>> 0
    for (let i = 0; i < rounds; i++) state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    burn(rounds)
    return { exitCode: 0, stdout: new TextEncoder().encode(`${state}\n`) }
  },
}

/** Turns its input around: as many bytes out as in. */
const reverse: Task = {
  name: 'bench-reverse',
  version: 1,
  summary: 'The bytes of standard input in reverse order',
  usage: 'submit bench-reverse --files F...',
  defaultArguments: [],
  sources: ['files', 'lines'],
  execute: ({ stdin, burn }) => {
    burn(stdin.length)
    return { exitCode: 0, stdout: stdin.slice().reverse() }
  },
}

export const tasks: Task[] = [hashIndex, spin, reverse]
