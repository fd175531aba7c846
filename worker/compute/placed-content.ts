import { readSync } from 'node:fs'
import type { StoredBytes } from '../../sandbox/index.js'
import type { PlacedContent } from './messages.js'

/** What a read of less than this brings along, so that a program that reads byte by byte does not ask the system each time. */
const BLOCK_BYTES = 8 * 1024
/** Blocks kept by a thread: 2 MiB. */
const BLOCKS = 256

/** Reads all of `target` from `descriptor`. Throws Error when there is less. */
function readFully(descriptor: number, target: Uint8Array, at: number): void {
  for (let done = 0; done < target.length; ) {
    const count = readSync(descriptor, target, done, target.length - done, at + done)
    if (count === 0) throw new Error('content is no longer there')
    done += count
  }
}

/** Content as a whole, in `target`, which is as long. */
export function readWhole<T extends Uint8Array>(descriptor: number, { at }: PlacedContent, target: T): T {
  readFully(descriptor, target, at)
  return target
}

/** Reads content where it lies, for one thread: what was last read in small pieces stays in memory, and nothing else. */
export class ContentReader {
  readonly #descriptor: number
  #memory: Uint8Array | undefined
  /** By slot: number of the content (from 1; 0 is none), and which of its blocks. */
  readonly #contents = new Float64Array(BLOCKS)
  readonly #blocks = new Float64Array(BLOCKS)

  constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  /** Content for programs to read. Reading throws Error when the file is cut off or fails: this machine's fault. */
  bytesOf(content: PlacedContent): StoredBytes {
    return { length: content.bytes, read: (target, at) => this.#read(content, target, at) }
  }

  #read(content: PlacedContent, target: Uint8Array, at: number): number {
    const count = Math.max(0, Math.min(target.length, content.bytes - at))
    if (count >= BLOCK_BYTES) {
      readFully(this.#descriptor, target.subarray(0, count), content.at + at)
      return count
    }
    for (let done = 0; done < count; ) {
      const block = this.#block(content, Math.floor((at + done) / BLOCK_BYTES))
      const offset = (at + done) % BLOCK_BYTES
      const size = Math.min(block.length - offset, count - done)
      target.set(block.subarray(offset, offset + size), done)
      done += size
    }
    return count
  }

  #block({ number, at, bytes }: PlacedContent, index: number): Uint8Array {
    this.#memory ??= new Uint8Array(BLOCKS * BLOCK_BYTES)
    // Files of a job lie in different slots from their beginnings on.
    const slot = (number * 61 + index) % BLOCKS
    const start = index * BLOCK_BYTES
    const length = Math.min(BLOCK_BYTES, bytes - start)
    const block = this.#memory.subarray(slot * BLOCK_BYTES, slot * BLOCK_BYTES + length)
    if (this.#contents[slot] !== number || this.#blocks[slot] !== index) {
      this.#contents[slot] = 0
      readFully(this.#descriptor, block, at + start)
      this.#contents[slot] = number
      this.#blocks[slot] = index
    }
    return block
  }
}
