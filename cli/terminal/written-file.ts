import { existsSync, rmSync, type WriteFileOptions, writeFileSync } from 'node:fs'
import { GridError } from '../../runtime/errors.js'

/** Codes of the system when a file is not written (POSIX open, write), for people. */
const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk is full',
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the disk is read-only',
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'part of the path is a file',
  EISDIR: 'it is a folder',
}

/** Why something was not written, in words where there are any. */
export function writeProblem(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException
  return REASONS[code ?? ''] ?? code ?? message
}

/** Why a file that the person named was not written. */
export function cannotWrite(file: string, cause: unknown): GridError {
  return new GridError('unavailable', `${file} cannot be written: ${writeProblem(cause)}`, { cause })
}

/** Writes a file that the person named. Throws GridError `unavailable`; a file that it began is then gone again. */
export function writeNamed(file: string, content: string | Uint8Array, options: WriteFileOptions = {}): void {
  const isNew = !existsSync(file)
  try {
    writeFileSync(file, content, options)
  } catch (cause) {
    // Half of it would be in the way of the next try, or be taken for the whole.
    if (isNew) rmSync(file, { force: true })
    throw cannotWrite(file, cause)
  }
}
