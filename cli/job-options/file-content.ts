import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Content, NamedContent } from '../../client/content/content.js'
import { fileContent, sandboxName } from '../../client/content/opened-file.js'
import type { JobRequest, SourceRequest, TaskRequest } from '../../client/submit/job-builder.js'
import { GridError } from '../../runtime/errors.js'
import { expandInput } from './folder-inputs.js'
import type { InputOption, JobOptions, SourceOption } from './job-options.js'

/** Where standard input comes from: pieces in order. */
export type ByteStream = AsyncIterable<Uint8Array | string>

/** Files of one job opened at a time; beyond it they are opened for each read. */
const OPEN_FILES_MAX = 64

/** Opened files of a job; {@link close} lets go of them and of what was put aside from standard input. */
export interface OpenedFiles {
  readonly source: SourceRequest
  readonly inputs: readonly NamedContent[]
  /** The same inputs as files of this machine, for computing here. */
  readonly inputPaths: readonly { readonly name: string; readonly path: string }[]
  close(): Promise<void>
}

/**
 * Opens the files that options name, and for inputs those of folders. Standard input is put aside in a temporary file, since it
 * is read more than once. Throws GridError `invalid` for a file that is not there, cannot be read, or is a folder of the source.
 */
export async function openFiles(
  { source, inputs }: { readonly source: SourceOption; readonly inputs: readonly InputOption[] },
  stdin: ByteStream,
): Promise<OpenedFiles> {
  const opened: Content[] = []
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (const content of opened.splice(0)) await content.close?.()
    for (const closer of closers.splice(0)) await closer()
  }
  let usesStdin = false
  let lastFile = ''
  const openOne = async (path: string): Promise<Content> => {
    let file = path
    if (path === '-') {
      if (usesStdin) throw new GridError('invalid', 'standard input (-) can be used once')
      usesStdin = true
      const folder = await mkdtemp(join(tmpdir(), 'manyhands-stdin-'))
      closers.push(() => rm(folder, { recursive: true, force: true }))
      file = join(folder, 'stdin')
      await spool(stdin, file)
    }
    lastFile = resolve(file)
    const content = await fileContent(file, opened.length < OPEN_FILES_MAX, path)
    opened.push(content)
    return content
  }
  try {
    const request = await openSource(source, openOne)
    const shared: NamedContent[] = []
    const inputPaths: { readonly name: string; readonly path: string }[] = []
    for (const { path, name } of (await Promise.all(inputs.map(expandInput))).flat()) {
      shared.push({ name, content: await openOne(path) })
      inputPaths.push({ name, path: lastFile })
    }
    return { source: request, inputs: shared, inputPaths, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function openSource(source: SourceOption, openOne: (path: string) => Promise<Content>): Promise<SourceRequest> {
  switch (source.type) {
    case 'lines':
    case 'csv':
      return { type: source.type, content: await openOne(source.path), label: `--${source.type} ${source.path}` }
    case 'records':
      return {
        type: 'records',
        content: await openOne(source.path),
        sep: source.sep,
        label: `--records ${source.path}`,
      }
    case 'files': {
      const files: NamedContent[] = []
      for (const path of source.paths) files.push({ name: sandboxName(path), content: await openOne(path) })
      return { type: 'files', files }
    }
    default:
      return source
  }
}

async function spool(stream: ByteStream, file: string): Promise<void> {
  const handle = await open(file, 'w', 0o600)
  try {
    for await (const chunk of stream) await handle.write(typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
  } finally {
    await handle.close()
  }
}

/** The request for a job: options, opened files, task and arguments together. */
export function jobRequest(
  task: TaskRequest,
  args: readonly string[],
  options: JobOptions,
  files: OpenedFiles,
): JobRequest {
  return { ...options.request, task, args, source: files.source, inputs: files.inputs }
}
