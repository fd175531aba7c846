import { GridError } from '../../runtime/errors.js'
import { NOT_A_FILE, openNamed } from '../../runtime/named-file.js'
import type { Content } from './content.js'

/** The name that units see for a file as it was typed: its path without what leads out of the folder. */
export function sandboxName(path: string): string {
  return path
    .replaceAll('\\', '/')
    .replace(/^[A-Za-z]:/, '')
    .split('/')
    .filter((part) => part !== '' && part !== '.' && part !== '..')
    .join('/')
}

const NO_FILE = 'is no regular file, but a pipe or a device'

/** Why a file that was named cannot be read; `what`: its role. `hint`: what to do where nothing better is known. */
export function unreadable(what: string, shown: string, cause: unknown, hint?: string): GridError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'unknown'
  const reasons: Readonly<Record<string, string>> = {
    ENOENT: 'does not exist',
    EACCES: 'may not be read',
    EISDIR: 'is a folder',
    EFBIG: 'is too large',
    [NOT_A_FILE]: NO_FILE,
    // A socket.
    ENXIO: NO_FILE,
  }
  const better = what === 'file' ? betterName(shown, code, reasons[code]) : undefined
  return new GridError('invalid', `the ${what} ${shown} ${reasons[code] ?? `cannot be read (${code})`}`, {
    cause,
    ...(better === undefined && hint === undefined ? {} : { hint: (better ?? hint)! }),
  })
}

/** What to write in place of a file that is none. */
function betterName(shown: string, code: string, reason: string | undefined): string | undefined {
  if (code === 'EISDIR') return `name the files in it, one by one: ${shown.replace(/\/+$/, '')}/FILE`
  if (reason === NO_FILE) return 'put what comes out of it into a file first'
  if (code === 'ENOENT' && /[*?[]/.test(shown))
    return 'names stand for themselves here: a shell puts them in place of a pattern that is not quoted'
  return undefined
}

/** A file that can be read again and again. Throws GridError `invalid` as {@link openFiles} does. */
export async function fileContent(path: string, keepOpen = true, shown = path): Promise<Content> {
  const openHandle = () =>
    openNamed(path).catch((cause: unknown) => {
      throw unreadable('file', shown, cause)
    })
  const handle = await openHandle()
  let size: number
  try {
    size = (await handle.stat()).size
  } catch (error) {
    await handle.close()
    throw error
  }
  if (!keepOpen) await handle.close()
  let closed = !keepOpen
  return {
    size,
    async read(start, end) {
      const reader = keepOpen ? handle : await openHandle()
      try {
        const bytes = new Uint8Array(end - start)
        let length = 0
        while (length < bytes.length) {
          const { bytesRead } = await reader.read(bytes, length, bytes.length - length, start + length)
          if (bytesRead === 0) break
          length += bytesRead
        }
        return bytes.subarray(0, length)
      } finally {
        if (!keepOpen) await reader.close()
      }
    },
    async close() {
      if (closed) return
      closed = true
      await handle.close()
    },
  }
}
