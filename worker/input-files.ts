import { createHash } from 'node:crypto'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { InputFiles } from './inputs.js'

/** Inputs as files of a folder, kept until the folder is emptied at the next start. */
export function folderInputFiles(folder: string): InputFiles {
  const pathOf = (digest: string) => join(folder, digest)
  return {
    async path(digest) {
      const path = pathOf(digest)
      return (await stat(path).catch(() => undefined)) === undefined ? undefined : path
    },
    async create(digest) {
      await mkdir(folder, { recursive: true })
      const partial = `${pathOf(digest)}.${createHash('sha256').update(`${process.pid} ${performance.now()}`).digest('hex').slice(0, 8)}.part`
      const file = await open(partial, 'w', 0o600)
      return {
        async write(offset, bytes) {
          await file.write(bytes, 0, bytes.length, offset)
        },
        async finish() {
          await file.close()
          await rename(partial, pathOf(digest))
          return pathOf(digest)
        },
        async abandon() {
          await file.close()
          await rm(partial, { force: true })
        },
      }
    },
  }
}
