import { isModuleFile, isPath, readWasmFile, type WasmFile } from '../../client/content/wasm-file.js'
import type { TaskRequest } from '../../client/submit/job-builder.js'
import { GridError } from '../../runtime/errors.js'
import { taskRegistry } from '../../tasks/registry.js'
import type { SourceKind, Task } from '../../tasks/task.js'
import { type CommandContext, loadOwnTasks } from '../context.js'

/** What a job computes: a task that is built in, or a program of the submitter's own. */
export type Runnable =
  | { readonly type: 'builtin'; readonly name: string; readonly task: Task }
  | { readonly type: 'module'; readonly name: string; readonly file: WasmFile }

/**
 * What the first word of `submit`, `map` and `run-local` names: a task, or the file of a WebAssembly module, admitted with
 * `memoryBytes` as the limit of its units. A bare word is a task first. Throws GridError `invalid` with what there is.
 */
export async function findRunnable(context: CommandContext, name: string, memoryBytes: number): Promise<Runnable> {
  if (isPath(name)) return moduleOf(await readWasmFile(name, memoryBytes))
  await loadOwnTasks(context)
  const task = findTaskNamed(name)
  if (task !== undefined) return { type: 'builtin', name: task.name, task }
  if (await isModuleFile(name)) return moduleOf(await readWasmFile(name, memoryBytes))
  throw noSuchTask(name)
}

/** The task called `name`, or `name@version`, with the tasks of this machine's own loaded. Throws GridError `invalid`. */
export async function findTaskFor(context: CommandContext, name: string): Promise<Task> {
  await loadOwnTasks(context)
  const task = findTaskNamed(name)
  if (task === undefined) throw noSuchTask(name)
  return task
}

/** The task as the builder of a job takes it. */
export function taskRequest(runnable: Runnable): TaskRequest {
  if (runnable.type === 'module')
    return { type: 'upload', content: runnable.file.content, label: `program ${runnable.name}` }
  return { type: 'builtin', name: runnable.task.name, version: runnable.task.version }
}

/** The arguments of each unit when none are given. */
export function defaultArguments(runnable: Runnable): readonly string[] {
  return runnable.type === 'builtin' ? runnable.task.defaultArguments : []
}

/** Throws GridError `invalid` for a source that the task does not take; programs take them all. */
export function checkSource(runnable: Runnable, kind: SourceKind): void {
  if (runnable.type === 'module' || runnable.task.sources.includes(kind)) return
  const { name, sources } = runnable.task
  throw new GridError('invalid', `${name} makes no sense of --${kind}`, {
    hint: `it takes ${sources.map((source) => `--${source}`).join(', ')}; see 'manyhands tasks ${name}'`,
  })
}

function moduleOf(file: WasmFile): Runnable {
  return { type: 'module', name: file.name, file }
}

function findTaskNamed(name: string): Task | undefined {
  const [plain = '', version] = name.split('@')
  return taskRegistry.find(plain, version === undefined ? undefined : Number(version))
}

function noSuchTask(name: string): GridError {
  const names = [...new Set(taskRegistry.list().map((task) => task.name))]
  return new GridError('invalid', `there is no task '${name}'`, {
    hint: `tasks here: ${names.join(' ')}; 'manyhands tasks' explains them. A program of your own: ./${name.replace(/[^\w.-]/g, '')}.wasm`,
  })
}
