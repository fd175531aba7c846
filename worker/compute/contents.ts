import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { GridError } from '../../runtime/errors.js'
import type { ContentFile, Extent } from './content-file.js'
import type { PlacedContent } from './messages.js'

/** Copied at a time. */
const PIECE_BYTES = 1024 * 1024

/** A file of jobs that the child can read. */
export interface PlacedFile extends PlacedContent {
  readonly path: string
}

interface Held extends PlacedFile {
  readonly extent: Extent
  /** Jobs that need it. */
  users: number
}

/**
 * Files of jobs as the child can read them: it can open none itself, so that it may be kept from all. Each is copied once
 * into the one file that the child has open, and let go of when the last job that needs it lets go.
 */
export class Contents {
  readonly #file: ContentFile
  readonly #held = new Map<string, Held>()
  #next = 0

  constructor(file: ContentFile) {
    this.#file = file
  }

  /** Bytes that can be read. */
  get bytes(): number {
    return this.#file.bytes
  }

  /**
   * Makes what is missing of `paths` readable, to be called again only when this has settled. `room` is asked before each
   * file that is new. Rejects with GridError `unavailable` for a file that cannot be read or copied, and what `room`
   * rejects with; then nothing of it is held.
   */
  async hold(paths: readonly string[], room: (bytes: number) => Promise<void>): Promise<PlacedFile[]> {
    const contents: Held[] = []
    try {
      for (const path of paths.map((one) => resolve(one))) {
        const content = this.#held.get(path) ?? (await this.#copy(path, room))
        content.users++
        contents.push(content)
      }
      return contents
    } catch (error) {
      this.release(contents)
      throw error instanceof GridError
        ? error
        : new GridError('unavailable', 'a file of the job cannot be read', { cause: error })
    }
  }

  /** A job needs these no longer. */
  release(contents: readonly PlacedFile[]): void {
    for (const { path, number } of contents) {
      const held = this.#held.get(path)
      if (held === undefined || held.number !== number || --held.users > 0) continue
      this.#held.delete(path)
      this.#file.free(held.extent)
    }
  }

  async #copy(path: string, room: (bytes: number) => Promise<void>): Promise<Held> {
    const source = await open(path)
    try {
      const { size } = await source.stat()
      await room(size)
      const extent = this.#file.take(size)
      try {
        const buffer = Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, size))
        for (let at = 0; at < size; ) {
          const { bytesRead } = await source.read(buffer, 0, Math.min(buffer.length, size - at), at)
          if (bytesRead === 0) throw new GridError('unavailable', 'a file of the job has become shorter')
          await this.#file.write(extent, at, buffer.subarray(0, bytesRead))
          at += bytesRead
        }
      } catch (error) {
        this.#file.free(extent)
        throw error
      }
      const held: Held = { number: ++this.#next, path, at: extent.at, bytes: size, extent, users: 0 }
      this.#held.set(path, held)
      return held
    } finally {
      await source.close()
    }
  }
}
