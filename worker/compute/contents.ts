import { once } from 'node:events'
import { type FileHandle, open } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Duplex } from 'node:stream'
import { GridError } from '../../runtime/errors.js'
import { writeFrame } from './frames.js'
import { encodeContent, encodeControl, FRAME } from './messages.js'

/** Read from a file and written to the pipe at a time. */
const PIECE_BYTES = 1024 * 1024
/** A file of a job: shared memory of the child cannot be larger. */
const CONTENT_BYTES_MAX = 2 ** 32 - 1

/** A file whose bytes the child has, or is getting. */
export interface Content {
  readonly number: number
  readonly path: string
  readonly bytes: number
}

interface Held extends Content {
  /** Jobs that need it. */
  users: number
}

/**
 * Files as the child holds them: it can open none itself, so that it may be kept from all. Each is sent once over the
 * pipe, in pieces that leave room for other messages, and dropped there when the last job that needs it lets go.
 */
export class Contents {
  readonly #held = new Map<string, Held>()
  #next = 0
  #pipe: Duplex | undefined
  #bytes = 0

  /** Bytes that the child holds. */
  get bytes(): number {
    return this.#bytes
  }

  /** A new child, which holds nothing. */
  attach(pipe: Duplex): void {
    this.#held.clear()
    this.#bytes = 0
    this.#pipe = pipe
  }

  /** There is no child: what is being sent is abandoned. */
  detach(): void {
    this.#pipe = undefined
  }

  /**
   * Gives the child what it lacks of `paths`, to be called again only when this has settled. `room` is asked before each
   * file that is new. Rejects with GridError: `closed` when the child ended meanwhile, `quota` for a file that is too large,
   * `unavailable` for one that cannot be read, and what `room` rejects with; then nothing of it is held.
   */
  async hold(paths: readonly string[], room: (bytes: number) => Promise<void>): Promise<Content[]> {
    const pipe = this.#pipe
    const contents: Held[] = []
    try {
      for (const path of paths.map((one) => resolve(one))) {
        const content = this.#held.get(path) ?? (await this.#send(pipe, path, room))
        content.users++
        contents.push(content)
      }
      return contents
    } catch (error) {
      if (this.#pipe === pipe) this.release(contents)
      throw error instanceof GridError
        ? error
        : new GridError('unavailable', 'a file of the job cannot be read', { cause: error })
    }
  }

  /** A job needs these no longer. */
  release(contents: readonly Content[]): void {
    for (const { path, number } of contents) {
      const held = this.#held.get(path)
      if (held === undefined || held.number !== number || --held.users > 0) continue
      this.#drop(held)
    }
  }

  #drop(held: Held): void {
    this.#held.delete(held.path)
    this.#bytes -= held.bytes
    if (this.#pipe !== undefined)
      writeFrame(this.#pipe, FRAME.control, [encodeControl({ type: 'dropContent', content: held.number })])
  }

  async #send(pipe: Duplex | undefined, path: string, room: (bytes: number) => Promise<void>): Promise<Held> {
    const file = await open(path)
    try {
      const { size } = await file.stat()
      if (size > CONTENT_BYTES_MAX) throw new GridError('quota', `a file of ${size} bytes is too large for a unit`)
      await room(size)
      if (pipe === undefined || this.#pipe !== pipe) throw ended()
      const held: Held = { number: ++this.#next, path, bytes: size, users: 0 }
      this.#held.set(path, held)
      this.#bytes += size
      writeFrame(pipe, FRAME.control, [encodeControl({ type: 'content', content: held.number, bytes: size })])
      try {
        await this.#pump(pipe, file, held)
      } catch (error) {
        if (this.#pipe === pipe) this.#drop(held)
        throw error
      }
      return held
    } finally {
      await file.close()
    }
  }

  async #pump(pipe: Duplex, file: FileHandle, { number, bytes }: Held): Promise<void> {
    for (let at = 0; at < bytes; ) {
      const { buffer, bytesRead } = await file.read(
        Buffer.allocUnsafeSlow(Math.min(PIECE_BYTES, bytes - at)),
        0,
        undefined,
        at,
      )
      if (bytesRead === 0) throw new GridError('unavailable', 'a file of the job has become shorter')
      if (this.#pipe !== pipe) throw ended()
      writeFrame(pipe, FRAME.content, encodeContent(number, buffer.subarray(0, bytesRead)))
      at += bytesRead
      if (pipe.writableNeedDrain) await settled(pipe)
      if (this.#pipe !== pipe) throw ended()
    }
  }
}

/** There is room in the pipe, or it is gone. */
async function settled(pipe: Duplex): Promise<void> {
  if (pipe.destroyed) return
  const stop = new AbortController()
  const either = [once(pipe, 'drain', { signal: stop.signal }), once(pipe, 'close', { signal: stop.signal })]
  for (const one of either) one.catch(() => {})
  await Promise.race(either).catch(() => {})
  stop.abort()
}

function ended(): GridError {
  return new GridError('closed', 'the compute process ended')
}
