import { closeSync, open, read } from 'node:fs'
import { promisify } from 'node:util'

/** Files kept open. */
const OPEN_MAX = 8

const openFile = promisify(open)
const readInto = promisify(read)

interface OpenFile {
  readonly descriptor: Promise<number>
  /** Reads under way. */
  readers: number
  /** Closed after its last reader. */
  isLeft: boolean
}

/**
 * Reads pieces of files, and keeps those open that were read last: who reads one piece mostly reads the next, and opening
 * and closing cost more than reading what is in memory.
 */
export class OpenFiles {
  /** Least recently used first. */
  readonly #open = new Map<string, OpenFile>()
  #closed = false

  /** `length` bytes from `start` on, fewer where the file ends. Rejects with the error of the system. */
  async read(path: string, start: number, length: number): Promise<Buffer> {
    const file = this.#use(path)
    try {
      const bytes = Buffer.allocUnsafe(length)
      const { bytesRead } = await readInto(await file.descriptor, bytes, 0, length, start)
      return bytes.subarray(0, bytesRead)
    } catch (error) {
      if (this.#open.get(path) === file) this.forget(path)
      throw error
    } finally {
      file.readers--
      closeUnread(file)
    }
  }

  /** To be called when a file is gone: the next to read its name finds what has that name then. */
  forget(path: string): void {
    const file = this.#open.get(path)
    if (file === undefined) return
    this.#open.delete(path)
    file.isLeft = true
    closeUnread(file)
  }

  /** Closes all of them, each after its last reader; who reads from now on leaves nothing open. Safe to call twice. */
  close(): void {
    this.#closed = true
    for (const path of [...this.#open.keys()]) this.forget(path)
  }

  #use(path: string): OpenFile {
    const file = this.#open.get(path) ?? { descriptor: openFile(path, 'r'), readers: 0, isLeft: this.#closed }
    file.readers++
    if (file.isLeft) return file
    this.#open.delete(path)
    this.#open.set(path, file)
    const [oldest] = this.#open.keys()
    if (this.#open.size > OPEN_MAX) this.forget(oldest!)
    return file
  }
}

function closeUnread(file: OpenFile): void {
  if (!file.isLeft || file.readers > 0) return
  file.descriptor.then(closeSync).catch(() => {
    // It never was open, or the disk has failed: nothing was written to it.
  })
}
