import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { unreadable } from '../../client/content/opened-file.js'
import { fileNameProblem } from '../../proto/file-name.js'
import { INPUTS_MAX } from '../../proto/limits.js'
import { GridError } from '../../runtime/errors.js'
import type { InputOption } from './job-options.js'

/** Entries of folders that are looked at for one `--in`: folders without files, and links that go in circles, end here. */
const ENTRIES_MAX = 16 * INPUTS_MAX

/**
 * The inputs that one `--in` means: a file (or `-`) itself, of a folder all files below it, named after the folder and in the
 * order of their names. Links are followed, as programs would that open them here. Throws GridError `invalid` for a folder
 * without files, with more than a job may name, and with a file whose name units may not see.
 */
export async function expandInput(input: InputOption): Promise<readonly InputOption[]> {
  if (input.path === '-' || !(await isFolder(input.path))) return [input]
  const files: InputOption[] = []
  let entries = 0
  const walk = async (path: string, name: string): Promise<void> => {
    const found = await readdir(path).catch((cause: unknown) => {
      throw unreadable('folder', path, cause)
    })
    for (const part of found.sort()) {
      const inner: InputOption = { path: join(path, part), name: `${name}/${part}` }
      const problem = fileNameProblem(inner.name)
      if (problem !== undefined)
        throw new GridError('invalid', `the name '${inner.name}' ${problem}`, {
          hint: 'rename it, or name what units need: --in FILE=NAME',
        })
      if (++entries > ENTRIES_MAX) throw tooMany(input.path)
      if (await isFolder(inner.path)) await walk(inner.path, inner.name)
      else if (files.push(inner) > INPUTS_MAX) throw tooMany(input.path)
    }
  }
  await walk(input.path, input.name)
  if (files.length === 0) throw new GridError('invalid', `the folder ${input.path} has no files`)
  return files
}

/** Whether it is a folder; what is wrong with anything else is found when it is opened. */
async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

function tooMany(path: string): GridError {
  return new GridError(
    'invalid',
    `the folder ${path} has too many files: all units of a job share ${INPUTS_MAX} at most`,
    {
      hint: 'pack them into one file, or give each unit its own: --files',
    },
  )
}
