import { closeSync, openSync, readSync } from 'node:fs'

const READ_BYTES = 64 * 1024

/** Reads the lines that other processes append to a file, each once. */
export class GrowingFile {
  readonly #path: string
  #at = 0
  #rest = ''

  constructor(path: string) {
    this.#path = path
  }

  /** Whole lines since the last call; none while the file is not there. */
  lines(): string[] {
    let file: number
    try {
      file = openSync(this.#path, 'r')
    } catch {
      return []
    }
    try {
      const buffer = Buffer.alloc(READ_BYTES)
      for (let read = readSync(file, buffer, 0, READ_BYTES, this.#at); read > 0; ) {
        this.#rest += buffer.toString('utf8', 0, read)
        this.#at += read
        read = readSync(file, buffer, 0, READ_BYTES, this.#at)
      }
    } finally {
      closeSync(file)
    }
    const lines = this.#rest.split('\n')
    this.#rest = lines.pop() ?? ''
    return lines
  }
}
