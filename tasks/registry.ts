import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { GridError } from '../runtime/errors.js'
import { align } from './align/index.js'
import { mandelbrot } from './mandelbrot/index.js'
import { mersenne } from './mersenne/index.js'
import { primes } from './primes/index.js'
import type { SourceKind, Task } from './task.js'

/** The tasks that every installation has. */
export const builtInTasks: readonly Task[] = [align, mandelbrot, mersenne, primes]

/** Most modules one process loads. */
const MODULES_MAX = 64
const SOURCES: readonly SourceKind[] = ['count', 'array', 'range', 'lines', 'csv', 'files', 'records']
const NAME = /^[a-z][a-z0-9-]{0,62}$/

/** Finds tasks by name and version. A name belongs to whoever added it first; later additions under it are refused. */
export class TaskRegistry {
  /** By name, then by version. */
  readonly #tasks = new Map<string, Map<number, Task>>()
  readonly #modules = new Set<string>()

  /** Holds `tasks` from the start. */
  constructor(tasks: readonly Task[] = builtInTasks) {
    this.add(tasks, 'the built-in tasks')
  }

  /** The task of exactly this version, or the newest one when no version is given. Undefined when there is none. */
  find(name: string, version?: number): Task | undefined {
    const versions = this.#tasks.get(name)
    if (versions === undefined) return undefined
    return versions.get(version ?? Math.max(...versions.keys()))
  }

  /** Every version of every task, by name, newest version first. */
  list(): Task[] {
    const all = [...this.#tasks.values()].flatMap((versions) => [...versions.values()])
    return all.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : b.version - a.version))
  }

  /**
   * Adds what one origin exports; it may hold several versions of a task. Adds all or nothing: throws GridError `invalid`
   * for what is no task, `exists` for a name that is taken or a version given twice. `origin` is what messages call it.
   * `replaces` names tasks that it takes the place of on this machine, all versions of them.
   */
  add(tasks: unknown, origin: string, replaces: unknown = []): void {
    if (!Array.isArray(replaces) || !replaces.every((name) => typeof name === 'string')) {
      throw new GridError('invalid', `${origin}: 'replaces' must be an array of names of tasks`)
    }
    if (!Array.isArray(tasks)) {
      throw new GridError('invalid', `${origin} must export 'tasks', an array of tasks`, {
        hint: 'export const tasks = [myTask]',
      })
    }
    const added = new Map<string, Map<number, Task>>()
    for (const candidate of tasks as unknown[]) {
      const task = checkTask(candidate, origin)
      if (this.#tasks.has(task.name) && !replaces.includes(task.name)) {
        throw new GridError('exists', `${origin} defines the task '${task.name}', which is already there`, {
          hint: "give it another name, or export 'replaces' to use it instead of that one",
        })
      }
      const versions = added.get(task.name) ?? new Map<number, Task>()
      if (versions.has(task.version))
        throw new GridError('exists', `${origin} defines '${task.name}' version ${task.version} twice`)
      added.set(task.name, versions.set(task.version, task))
    }
    for (const [name, versions] of added) this.#tasks.set(name, versions)
  }

  /**
   * Runs local ES modules and adds their `export const tasks: Task[]`; a module that also exports `replaces: string[]` puts its
   * own build of those tasks in place of the ones there are (BOINC calls this the anonymous platform). Paths are resolved against the working folder; one that was
   * loaded before is left alone. Throws GridError: `notFound` for a module that cannot be loaded, else as {@link add}.
   * The modules run with the rights of this process: only for paths that its owner named.
   */
  async loadModules(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      const url = pathToFileURL(resolve(path)).href
      if (this.#modules.has(url)) continue
      if (this.#modules.size >= MODULES_MAX)
        throw new GridError('quota', `at most ${MODULES_MAX} task modules can be loaded`)
      const module = await importModule(url, path)
      this.add(module.tasks, path, module.replaces)
      this.#modules.add(url)
    }
  }
}

/** The registry of this process or thread. */
export const taskRegistry = new TaskRegistry()

/** {@link TaskRegistry.find} in the registry of this process. */
export function findTask(name: string, version?: number): Task | undefined {
  return taskRegistry.find(name, version)
}

/** {@link TaskRegistry.loadModules} into the registry of this process: each thread that computes has to do so, too. */
export function loadTaskModules(paths: readonly string[]): Promise<void> {
  return taskRegistry.loadModules(paths)
}

interface TaskModule {
  readonly tasks?: unknown
  readonly replaces?: unknown
}

async function importModule(url: string, path: string): Promise<TaskModule> {
  try {
    return (await import(url)) as TaskModule
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new GridError('notFound', `the task module ${path} cannot be loaded: ${reason}`, { cause: error })
  }
}

/** `candidate` as a task, or GridError `invalid` that names the field. */
function checkTask(candidate: unknown, origin: string): Task {
  const refuse = (reason: string): never => {
    throw new GridError('invalid', `${origin}: ${reason}`)
  }
  if (typeof candidate !== 'object' || candidate === null) return refuse('a task must be an object')
  const task = candidate as Readonly<Record<string, unknown>>
  const { name, version } = task
  if (typeof name !== 'string' || !NAME.test(name)) {
    return refuse('the name of a task must be 1 to 63 lower-case letters, digits and -, starting with a letter')
  }
  if (!Number.isSafeInteger(version) || (version as number) < 1 || (version as number) > 2 ** 31 - 1) {
    return refuse(`the version of '${name}' must be a positive integer`)
  }
  for (const field of ['summary', 'usage'])
    if (typeof task[field] !== 'string') return refuse(`'${field}' of '${name}' must be text`)
  const isTextList = (value: unknown) => Array.isArray(value) && value.every((item) => typeof item === 'string')
  if (!isTextList(task.defaultArguments)) return refuse(`'defaultArguments' of '${name}' must be an array of texts`)
  if (
    !Array.isArray(task.sources) ||
    task.sources.length === 0 ||
    !task.sources.every((source) => SOURCES.includes(source as SourceKind))
  ) {
    return refuse(`'sources' of '${name}' must list some of ${SOURCES.join(', ')}`)
  }
  if (typeof task.execute !== 'function') return refuse(`'execute' of '${name}' must be a function`)
  for (const field of ['check', 'reduce']) {
    if (task[field] !== undefined && typeof task[field] !== 'function')
      return refuse(`'${field}' of '${name}' must be a function or absent`)
  }
  return candidate as Task
}
