/** Primes as a later version of the program would bring them along. */
import { builtInTasks } from '../../../../tasks/registry.js'
import type { Task } from '../../../../tasks/task.js'

const primes = builtInTasks.find(({ name }) => name === 'primes')!

export const replaces: readonly string[] = ['primes']
export const tasks: readonly Task[] = [{ ...primes, version: primes.version + 1 }]
