import { builtInTasks } from '../../tasks/registry.js'
import { type Task, textOutput } from '../../tasks/task.js'

const primes = builtInTasks.find(({ name }) => name === 'primes')!

/**
 * The liar of `manyhands demo --liar`: primes with one too many in every unit. A worker loads it like any module of its own
 * (setting `tasks`), in place of the built-in one: nothing keeps a volunteer from running a changed program, and nothing
 * needs to, as its answers are compared with those of others.
 */
const lyingPrimes: Task = {
  ...primes,
  async execute(input) {
    const honest = await primes.execute(input)
    return textOutput(`${BigInt(new TextDecoder().decode(honest.stdout).trim()) + 1n}\n`)
  },
}

/** Built-in tasks that stand back for those below; read by `TaskRegistry.loadModules`. */
export const replaces: readonly string[] = ['primes']
/** What stands in their place. */
export const tasks: readonly Task[] = [lyingPrimes]
