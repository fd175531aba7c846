/** Primes on a host that fails at every unit: the thread that computes it ends. */
import { builtInTasks } from '../../../../tasks/registry.js'
import type { Task } from '../../../../tasks/task.js'

const primes = builtInTasks.find(({ name }) => name === 'primes')!

export const replaces: readonly string[] = ['primes']
export const tasks: readonly Task[] = [{ ...primes, execute: () => process.exit(7) }]
