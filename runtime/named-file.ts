import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

/** Code of the error for what is neither a file nor a folder: a named pipe, a device, a socket. */
export const NOT_A_FILE = 'ENOTFILE'

/** A pipe that whoever started us has open already, as `<(command)` of a shell makes them: to open it never waits. */
const INHERITED = /^\/(?:dev\/(?:stdin|fd\/\d+)|proc\/self\/fd\/\d+)$/

/** Without it the whole process would wait until somebody opens the other end of a named pipe, deaf to Ctrl-C. Not on Windows. */
const AT_ONCE = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/**
 * Opens for reading, at any place and again and again, a file that somebody named. Rejects with the error of the system, whose
 * code is `EISDIR` for a folder and {@link NOT_A_FILE} for what is no regular file.
 */
export async function openNamed(path: string): Promise<FileHandle> {
  const handle = await open(path, AT_ONCE)
  try {
    const problem = problemOf(await handle.stat())
    if (problem !== undefined) throw problem
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

/**
 * The bytes of a file that somebody named, or all that comes out of an inherited pipe (`<(command)`, `/dev/stdin`). Throws as
 * {@link openNamed} rejects, and with code `EFBIG` for one of more than `bytesMax`.
 */
export function readNamed(path: string, bytesMax: number): Buffer {
  const isInherited = INHERITED.test(path)
  const file = openSync(path, isInherited ? constants.O_RDONLY : AT_ONCE)
  try {
    const found = fstatSync(file)
    const problem = isInherited && found.isFIFO() ? undefined : problemOf(found)
    if (problem !== undefined) throw problem
    if (found.size > bytesMax) throw tooBig(bytesMax)
    const bytes = readFileSync(file)
    if (bytes.length > bytesMax) throw tooBig(bytesMax)
    return bytes
  } finally {
    closeSync(file)
  }
}

function problemOf(found: Stats): NodeJS.ErrnoException | undefined {
  if (found.isFile()) return undefined
  return failure(found.isDirectory() ? 'EISDIR' : NOT_A_FILE, 'no regular file')
}

function tooBig(bytesMax: number): NodeJS.ErrnoException {
  return failure('EFBIG', `more than ${bytesMax} bytes`)
}

function failure(code: string, why: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${why}`), { code })
}
