import { lstat, mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileNameProblem } from '../../proto/file-name.js'
import { GridError } from '../../runtime/errors.js'
import { makeFolders, SHARED } from '../../runtime/folders.js'
import type { Folder, FolderDraft } from './result-folder.js'

/** End of a file that is still being written. */
const DRAFT_ENDING = '.part'

/**
 * A folder on disk, made when first written to. Nothing outside it is ever touched: names are checked, a link in place of a
 * folder below it is refused, and a link in place of a file is replaced, not followed. Rejects with GridError `invalid` for
 * such names, `unavailable` when the disk is full or fails.
 */
export function nodeFolder(root: string): Folder {
  const path = (name: string) => {
    const problem = fileNameProblem(name)
    if (problem !== undefined)
      throw new GridError('invalid', `the file name ${JSON.stringify(name.slice(0, 80))} ${problem}`)
    return join(root, ...name.split('/'))
  }
  /** Folders found or made: each is looked at once. */
  const made = new Set<string>()
  const makeParents = async (name: string) => {
    if (!made.has(root)) {
      makeRoot(root)
      made.add(root)
    }
    let folder = root
    for (const part of name.split('/').slice(0, -1)) {
      folder = join(folder, part)
      if (made.has(folder)) continue
      await mkdir(folder).catch((error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error
      })
      if (!(await lstat(folder)).isDirectory()) throw new GridError('invalid', `${folder} is no folder`)
      made.add(folder)
    }
  }
  const draft = async (name: string): Promise<FolderDraft> => {
    const target = path(name)
    await makeParents(name)
    const draftPath = `${target}${DRAFT_ENDING}`
    await rm(draftPath, { force: true })
    // Exclusive: a link that appears here meanwhile is not followed.
    const handle = await open(draftPath, 'wx')
    let isOpen = true
    const close = async () => {
      if (isOpen) await handle.close()
      isOpen = false
    }
    return {
      append: (bytes) => guarded(name, () => handle.appendFile(bytes)),
      commit: () =>
        guarded(name, async () => {
          await close()
          await rename(draftPath, target)
        }),
      discard: () =>
        guarded(name, async () => {
          await close()
          await rm(draftPath, { force: true })
        }),
    }
  }
  return {
    read: (name, bytesMax) =>
      guarded(name, async () => {
        const file = path(name)
        try {
          const parent = dirname(file)
          if (parent !== root && !(await lstat(parent)).isDirectory()) return undefined
          if (!(await lstat(file)).isFile()) return undefined
          const { size } = await stat(file)
          if (size > bytesMax) throw new GridError('quota', `${name} has ${size} bytes, at most ${bytesMax} are read`)
          return new Uint8Array(await readFile(file))
        } catch (error) {
          if (codeOf(error) === 'ENOENT') return undefined
          throw error
        }
      }),
    write: (name, bytes) =>
      guarded(name, async () => {
        const file = await draft(name)
        try {
          await file.append(bytes)
          await file.commit()
        } catch (error) {
          await file.discard().catch(() => {})
          throw error
        }
      }),
    draft: (name) => guarded(name, () => draft(name)),
  }
}

function makeRoot(root: string): void {
  try {
    makeFolders(root, SHARED)
  } catch (cause) {
    const code = codeOf(cause)
    const why = code === 'EEXIST' ? 'a file is there' : code === 'EACCES' ? 'this user may not write there' : code
    throw new GridError('unavailable', `the folder ${root} cannot be made: ${why}`, { cause })
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

async function guarded<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof GridError) throw error
    const code = codeOf(error)
    const reason = code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full' : code || 'it failed'
    throw new GridError('unavailable', `cannot use ${name} in the folder of results: ${reason}`, {
      cause: error,
      hint: 'mend that and run it again: files that are whole are kept',
    })
  }
}
