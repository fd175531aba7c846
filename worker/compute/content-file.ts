import { randomUUID } from 'node:crypto'
import { closeSync, ftruncate, openSync, rmSync, unlinkSync, write } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { GridError } from '../../runtime/errors.js'

const writeAt = promisify(write)
const truncate = promisify(ftruncate)

/** A part of a {@link ContentFile}. Unit: bytes. */
export interface Extent {
  readonly at: number
  readonly bytes: number
}

/**
 * One file in which everything stands that units read: the compute process inherits it open for reading, as it can open
 * nothing itself, and reads what it needs where it lies. The file has no name, so that nobody but this user can change what
 * was written here. Parts are taken where they first fit; what nobody holds at the end goes back to the disk.
 */
export class ContentFile {
  /** To read from, for this process and those that inherit it. */
  readonly descriptor: number
  readonly #writing: number
  /** In the order of `at`. */
  #held: Extent[] = []
  #closed = false
  /** What is done to the file, one thing after the other: it is never cut behind a later write, nor written once closed. */
  #last: Promise<unknown> = Promise.resolve()

  /** Makes a file below `folder`, which exists. Throws GridError `unavailable` when that cannot be. */
  constructor(folder: string) {
    const path = join(folder, `content-${randomUUID()}`)
    let writing: number | undefined
    try {
      writing = openSync(path, 'wx', 0o400)
      this.#writing = writing
      this.descriptor = openSync(path, 'r')
      unlinkSync(path)
    } catch (error) {
      if (writing !== undefined) {
        closeSync(writing)
        rmSync(path, { force: true })
      }
      throw new GridError('unavailable', `no file can be made in ${folder}`, { cause: error })
    }
  }

  /** Bytes in use. */
  get bytes(): number {
    return this.#held.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Room for so many bytes, to be written next. */
  take(bytes: number): Extent {
    let at = 0
    let index = 0
    for (const held of this.#held) {
      if (held.at - at >= bytes) break
      at = held.at + held.bytes
      index++
    }
    const extent = { at, bytes }
    this.#held.splice(index, 0, extent)
    return extent
  }

  /**
   * Puts `piece` at `offset` of what was taken. Rejects with GridError `unavailable` when the disk is full or fails, and
   * `closed` once the file is.
   */
  write(extent: Extent, offset: number, piece: Uint8Array): Promise<void> {
    const written = this.#last.then(() => this.#write(extent.at + offset, piece))
    this.#last = written.catch(() => {})
    return written
  }

  /** Gives back what was taken. Whoever still reads there finds other bytes, or none. */
  free(extent: Extent): void {
    this.#held = this.#held.filter((held) => held !== extent)
    // What cannot be given back is overwritten in time.
    this.#last = this.#last
      .then(() => (this.#closed ? undefined : truncate(this.#writing, this.#end())))
      .catch(() => {})
  }

  /** Safe to call twice. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#last
    closeSync(this.#writing)
    closeSync(this.descriptor)
  }

  #end(): number {
    const last = this.#held.at(-1)
    return last === undefined ? 0 : last.at + last.bytes
  }

  async #write(at: number, piece: Uint8Array): Promise<void> {
    for (let done = 0; done < piece.length; ) {
      if (this.#closed) throw new GridError('closed', 'computing has ended')
      try {
        done += (await writeAt(this.#writing, piece, done, piece.length - done, at + done)).bytesWritten
      } catch (error) {
        const { code = 'unknown' } = error as NodeJS.ErrnoException
        throw new GridError('unavailable', `inputs cannot be written to disk: ${code}`, { cause: error })
      }
    }
  }
}
