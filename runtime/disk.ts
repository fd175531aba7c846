import { open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { diskProblem } from './disk-problem.js'
import { GridError } from './errors.js'
import { makeFolders } from './folders.js'

/**
 * Files of one process, named by paths like `outbox/7.log`: segments of letters, digits, `.`, `_` and `-`, joined by `/`.
 * Versions: a folder ({@link nodeDisk}) and the simulator's, which loses what was not synced.
 *
 * Operations on one file are to be awaited one after the other. All reject with GridError: `invalid` for a name that is
 * none, `unavailable` when the disk is full or fails.
 */
export interface Disk {
  /**
   * Adds `bytes` at the end of `file`, which is made if it does not exist. Until {@link sync} a crash may keep any first part
   * of what was appended. When it rejects, the file is as before.
   */
  append(file: string, bytes: Uint8Array): Promise<void>
  /** What was appended to `file` before the call, and that the file exists, survives a crash from when this resolves. */
  sync(file: string): Promise<void>
  /** The whole file, or undefined if there is none. */
  read(file: string): Promise<Uint8Array | undefined>
  /** Replaces the whole file: after a crash it holds the old bytes or `bytes`, and `bytes` from when this resolves. */
  write(file: string, bytes: Uint8Array): Promise<void>
  /** Removes `file` if it exists; gone for good from when this resolves. */
  remove(file: string): Promise<void>
  /** Names of all files that begin with `prefix`, sorted. */
  list(prefix: string): Promise<string[]>
}

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$/
/** End of a file that is still being written for {@link Disk.write}; left behind only by a crash. */
const DRAFT_SUFFIX = '.draft'
/** Drafts of this process so far. */
let drafts = 0

/** Throws GridError `invalid` unless `file` is a name as {@link Disk} describes. */
export function checkFileName(file: string): void {
  if (!NAME.test(file) || file.endsWith(DRAFT_SUFFIX))
    throw new GridError('invalid', `not a file name: ${JSON.stringify(file)}`)
}

/** The files below `folder`, which is made when first needed. Readable by the owner alone. */
export function nodeDisk(folder: string): Disk {
  const path = (file: string) => {
    checkFileName(file)
    return join(folder, ...file.split('/'))
  }
  // Logs, of which a process has a few, grow by many small appends: their folder is made, and their entry in it made durable,
  // once for all of them.
  const made = new Set<string>()
  /** Files of which the folder has a durable entry. */
  const entered = new Set<string>()
  const openLog = async (full: string) => {
    if (made.has(dirname(full))) {
      const handle = await open(full, 'a', 0o600).catch((error: unknown) => {
        if (!isMissing(error)) throw error
      })
      if (handle !== undefined) return handle
    }
    await makeFolder(dirname(full))
    made.add(dirname(full))
    return open(full, 'a', 0o600)
  }
  return {
    append: (file, bytes) =>
      guarded('append to', file, async () => {
        const full = path(file)
        const handle = await openLog(full)
        try {
          const { size } = await handle.stat()
          if (size === 0) entered.delete(full)
          try {
            await handle.appendFile(bytes)
          } catch (error) {
            // A short write on a full disk would leave a torn entry in the middle of a file that lives on.
            await handle.truncate(size)
            throw error
          }
        } finally {
          await handle.close()
        }
      }),
    sync: (file) =>
      guarded('sync', file, async () => {
        const handle = await open(path(file), 'r+')
        try {
          await handle.datasync()
        } finally {
          await handle.close()
        }
        if (entered.has(path(file))) return
        await syncFolder(dirname(path(file)))
        entered.add(path(file))
      }),
    read: (file) =>
      guarded('read', file, async () => {
        try {
          return new Uint8Array(await readFile(path(file)))
        } catch (error) {
          if (isMissing(error)) return undefined
          throw error
        }
      }),
    write: (file, bytes) =>
      guarded('write', file, async () => {
        await makeFolder(dirname(path(file)))
        // Commands share a data directory: each writes a draft of its own, and the last one counts.
        const draft = `${path(file)}.${process.pid}-${++drafts}${DRAFT_SUFFIX}`
        try {
          const handle = await open(draft, 'w', 0o600)
          try {
            await handle.writeFile(bytes)
            await handle.sync()
          } finally {
            await handle.close()
          }
          await rename(draft, path(file))
        } catch (error) {
          await rm(draft, { force: true })
          throw error
        }
        await syncFolder(dirname(path(file)))
      }),
    remove: (file) =>
      guarded('remove', file, async () => {
        entered.delete(path(file))
        await rm(path(file), { force: true })
        await syncFolder(dirname(path(file)))
      }),
    list: (prefix) =>
      guarded('list', prefix, async () => {
        const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
          if (isMissing(error)) return []
          throw error
        })
        return entries
          .filter((entry) => entry.isFile() && !entry.name.endsWith(DRAFT_SUFFIX))
          .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, '.').length + 1))
          .map((name) => name.replaceAll('\\', '/'))
          .filter((name) => name.startsWith(prefix))
          .sort()
      }),
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

async function guarded<T>(action: string, file: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (error instanceof GridError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
    const { text = code, hint } = diskProblem(code) ?? {}
    throw new GridError('unavailable', `cannot ${action} ${file}: ${text}`, {
      cause: error,
      fields: { file, code },
      ...(hint === undefined ? {} : { hint }),
    })
  }
}

/** Makes `folder` and those above it, and their entries durable. */
async function makeFolder(folder: string): Promise<void> {
  const first = makeFolders(folder)
  if (first === undefined) return
  for (let made = resolve(folder); made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made))
}

/** Makes the entries of `folder` durable. Windows has no such call and needs none. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r').catch((error: unknown) => {
    if (isMissing(error)) return undefined
    throw error
  })
  try {
    await handle?.sync()
  } finally {
    await handle?.close()
  }
}
