import type { Content, NamedContent } from '../client/content/content.js'
import { memoryContent } from '../client/content/content.js'
import { fileContent, sandboxName } from '../client/content/opened-file.js'
import { admitModule, isPath, readWasmFile } from '../client/content/wasm-file.js'
import type { JobRequest, SourceRequest, TaskRequest } from '../client/submit/job-builder.js'
import { specDefaults } from '../job/spec/spec.js'
import { GridError } from '../runtime/errors.js'
import { utf8 } from '../runtime/hex.js'
import { taskRegistry } from '../tasks/registry.js'
import type { Task } from '../tasks/task.js'
import { checkShape, type InputBytes, type SourceChoice, type SubmitRequest } from './submit-request.js'

/** A request whose files are open. */
export interface OpenedRequest {
  readonly request: JobRequest
  /** The task, where it is a built-in one. */
  readonly task: Task | undefined
  /** Task and source for lists of jobs. */
  readonly summary: string
  close(): Promise<void>
}

/** Files kept open at a time; beyond it they are opened for each read. */
const OPEN_FILES_MAX = 64

/**
 * Opens the files of a request and finds its task; a module is put through the admission that every worker repeats. To be closed.
 * Rejects with GridError `invalid`.
 */
export async function openRequest(given: SubmitRequest): Promise<OpenedRequest> {
  const opened: Content[] = []
  const close = async () => {
    for (const content of opened.splice(0)) await content.close?.()
  }
  const open = async (bytes: InputBytes): Promise<Content> => {
    if (bytes instanceof Uint8Array) return memoryContent(bytes)
    const content = await fileContent(bytes.file, opened.length < OPEN_FILES_MAX)
    opened.push(content)
    return content
  }
  try {
    checkShape(given)
    const { task, source, inputs, environment, labels, args, ...rest } = given
    const memoryBytes = given.limits?.memoryBytes ?? specDefaults.limits.memoryBytes
    const found = await findTask(task, memoryBytes)
    const kind = sourceKind(source)
    if (found.builtin && !found.builtin.sources.includes(kind)) {
      const known = found.builtin.sources.join(', ')
      throw new GridError('invalid', `${found.builtin.name} makes no sense of the source '${kind}': it takes ${known}`)
    }
    const request: JobRequest = {
      ...rest,
      task: found.request,
      source: await openSource(source, kind, open),
      args: args ?? found.builtin?.defaultArguments ?? [],
      inputs: await openNamed(inputs ?? {}, open),
      environment: Object.entries(environment ?? {}),
      labels: Object.entries(labels ?? {}),
    }
    return { request, task: found.builtin, summary: `${found.name} --${kind}`, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function findTask(
  task: string | Uint8Array,
  memoryBytes: number,
): Promise<{ readonly name: string; readonly request: TaskRequest; readonly builtin: Task | undefined }> {
  if (typeof task !== 'string') {
    const label = 'the program'
    await admitModule(task, memoryBytes, label)
    return { name: 'program', request: { type: 'upload', content: memoryContent(task), label }, builtin: undefined }
  }
  if (isPath(task)) {
    const { content, name } = await readWasmFile(task, memoryBytes)
    return { name, request: { type: 'upload', content, label: `program ${name}` }, builtin: undefined }
  }
  const [plain = '', version] = task.split('@')
  const builtin = taskRegistry.find(plain, version === undefined ? undefined : Number(version))
  if (builtin === undefined) {
    const names = [...new Set(taskRegistry.list().map(({ name }) => name))].join(', ')
    throw new GridError('invalid', `there is no task '${task}'`, {
      hint: `tasks: ${names}; a program is a path such as './prog.wasm', or bytes`,
    })
  }
  const { name, version: number } = builtin
  return { name, request: { type: 'builtin', name, version: number }, builtin }
}

const KINDS = ['count', 'array', 'range', 'lines', 'csv', 'records', 'files'] as const
type Kind = (typeof KINDS)[number]

function sourceKind(source: SourceChoice): Kind {
  const named = KINDS.filter((kind) => kind in source)
  if (named.length === 1) return named[0]!
  throw new GridError('invalid', `a source is exactly one of ${KINDS.join(', ')}, not ${named.join(' and ') || 'none'}`)
}

async function openSource(
  source: SourceChoice,
  label: Kind,
  open: (bytes: InputBytes) => Promise<Content>,
): Promise<SourceRequest> {
  if ('count' in source) return { type: 'count', count: source.count }
  if ('array' in source) return { type: 'array', array: source.array }
  if ('range' in source) return { type: 'range', range: source.range }
  if ('csv' in source) return { type: 'csv', content: await open(source.csv), label }
  if ('records' in source) return { type: 'records', content: await open(source.records), sep: source.sep, label }
  if ('lines' in source) {
    const { lines } = source
    const content = isTexts(lines) ? memoryContent(utf8(linesText(lines))) : await open(lines)
    return { type: 'lines', content, label }
  }
  const { files } = source
  if (!isTexts(files)) return { type: 'files', files: await openNamed(files, open) }
  const opened: NamedContent[] = []
  for (const file of files) opened.push({ name: sandboxName(file), content: await open({ file }) })
  return { type: 'files', files: opened }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value)
}

/** One line a text. Throws GridError `invalid` for a text that would be two. */
function linesText(lines: readonly string[]): string {
  const broken = lines.findIndex((line) => line.includes('\n'))
  if (broken >= 0) throw new GridError('invalid', `line ${broken + 1} of the source has a line break in it`)
  return lines.map((line) => `${line}\n`).join('')
}

async function openNamed(
  named: Readonly<Record<string, InputBytes>>,
  open: (bytes: InputBytes) => Promise<Content>,
): Promise<NamedContent[]> {
  const opened: NamedContent[] = []
  for (const [name, bytes] of Object.entries(named)) opened.push({ name, content: await open(bytes) })
  return opened
}
