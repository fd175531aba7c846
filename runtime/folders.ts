import { mkdirSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/** Mode of folders that hold keys and state: their owner's alone. */
const PRIVATE = 0o700
/** Mode of folders for results, less what the umask takes away. */
export const SHARED = 0o777

/**
 * Makes `folder` and those above it where they are missing, for their owner alone unless `mode` says otherwise. Gives the topmost folder that was made;
 * undefined when all were there. Throws what the file system throws, `EEXIST` or `ENOTDIR` where a file stands in the way.
 *
 * In place of `mkdir` with `recursive`, which never returns where a folder exists and none can be made in it with `ENOENT`
 * (below /proc; seen with Node 20).
 */
export function makeFolders(folder: string, mode: number = PRIVATE): string | undefined {
  const path = resolve(folder)
  const missing: string[] = []
  for (let at = path; !isFolder(at, path); at = dirname(at)) {
    missing.push(at)
    // A drive that is not there: the attempt to make it says so.
    if (dirname(at) === at) break
  }
  let first: string | undefined
  for (const at of missing.reverse()) {
    if (made(at, path, mode)) first ??= at
  }
  return first
}

/** Whether this call made the folder; another process may have done so meanwhile. */
function made(at: string, path: string, mode: number): boolean {
  try {
    mkdirSync(at, { mode })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && isFolder(at, path)) return false
    throw error
  }
}

function isFolder(at: string, path: string): boolean {
  const found = statSync(at, { throwIfNoEntry: false })
  if (found === undefined || found.isDirectory()) return found !== undefined
  const code = at === path ? 'EEXIST' : 'ENOTDIR'
  throw Object.assign(new Error(`${code}: a file is in the way: '${at}'`), { code, path: at })
}
