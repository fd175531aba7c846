import { unitInvocation } from '../../job/spec/program.js'
import { GridError } from '../../runtime/errors.js'
import type { Task } from '../../tasks/task.js'
import type { BuiltJob } from '../submit/job-builder.js'
import { ItemReader } from './run-local.js'

/** Index of the first unit that is to be computed. */
export function firstUnit({ spec }: BuiltJob): number {
  return spec.selection[0]?.first ?? 0
}

/** Index of the last unit that is to be computed. */
export function lastUnit({ spec, units }: BuiltJob): number {
  const last = spec.selection.at(-1)
  return last === undefined ? units - 1 : last.first + last.count - 1
}

/** What the program gets for a unit, with the content at hand. */
export async function invocation(built: BuiltJob, unit: number) {
  const { spec } = built
  const items = spec.source.type === 'list' ? await new ItemReader(spec.source, built).read(spec, unit) : []
  return unitInvocation(spec, unit, items)
}

/**
 * What the task says of the first unit's arguments; `inputs` are the shared files. A program says it when it is tried.
 * Rejects with GridError `invalid`.
 */
export async function checkFirstUnit(
  task: Task,
  built: BuiltJob,
  inputs: readonly { readonly name: string }[],
): Promise<void> {
  if (task.check === undefined) return
  const { args, files } = await invocation(built, firstUnit(built))
  const problem = task.check({ args, fileNames: [...inputs, ...files].map(({ name }) => name) })
  if (problem !== undefined) {
    throw new GridError('invalid', `${task.name}: ${problem}`, { hint: `see 'manyhands tasks ${task.name}'` })
  }
}
