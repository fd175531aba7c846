/** A task that leaves a mark of every execution outside the grid, so that a test sees what really ran. */
import { appendFileSync } from 'node:fs'
import { type Task, textOutput } from '../../../../tasks/task.js'

const NEVER = new Int32Array(new SharedArrayBuffer(4))
const SLICE_MS = 20

/** Args: file, a name for the job, ms a unit takes. Appends `begin NAME unit pid` and `end NAME unit pid`. */
const trace: Task = {
  name: 'trace',
  version: 1,
  summary: 'Appends a line to a file when a unit begins and ends',
  usage: 'submit trace --count 10 -- FILE NAME MS',
  defaultArguments: [],
  sources: ['count'],
  execute: ({ unit, args, burn }) => {
    const [file = '', name = '', ms = '0'] = args
    const mark = (what: string) => appendFileSync(file, `${what} ${name} ${unit} ${process.ppid}\n`)
    mark('begin')
    // Waiting instead of working: many workers share the machine of a test.
    for (const end = performance.now() + Number(ms); performance.now() < end; burn(0))
      Atomics.wait(NEVER, 0, 0, SLICE_MS)
    burn(unit + 1)
    mark('end')
    return textOutput(`${name} ${unit}`)
  },
}

export const tasks: readonly Task[] = [trace]
