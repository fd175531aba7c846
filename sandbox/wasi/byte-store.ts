/** Bytes of one chunk of a {@link ByteStore}. */
const CHUNK_BYTES = 64 * 1024
const FIRST_BYTES = 256
const EMPTY = new Uint8Array(0)

/** Bytes that can be read at any offset, and do not change while a program runs but by what it writes. */
export interface StoredBytes {
  readonly length: number
  /** Copies what lies at `at` into `target`: as much as there is and fits. Gives the number of bytes. */
  read(target: Uint8Array, at: number): number
}

/** Bytes in memory that never change. Not copied; may be a view of shared memory. */
export class FixedBytes implements StoredBytes {
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get length(): number {
    return this.#bytes.length
  }

  read(target: Uint8Array, at: number): number {
    if (at >= this.#bytes.length) return 0
    const count = Math.min(target.length, this.#bytes.length - at)
    target.set(this.#bytes.subarray(at, at + count))
    return count
  }
}

/**
 * A file that grows: chunks of 64 KiB, of which only the last written may be smaller, so that appending costs the same
 * however long the file is, and what was skipped takes no memory. Holds at most twice its length plus one chunk.
 * The caller keeps lengths within a quota.
 */
export class ByteStore implements StoredBytes {
  readonly #chunks: (Uint8Array | undefined)[] = []
  #length = 0

  get length(): number {
    return this.#length
  }

  read(target: Uint8Array, at: number): number {
    const count = Math.max(0, Math.min(target.length, this.#length - at))
    for (let done = 0; done < count; ) {
      const offset = (at + done) % CHUNK_BYTES
      const size = Math.min(CHUNK_BYTES - offset, count - done)
      const chunk = this.#chunks[Math.floor((at + done) / CHUNK_BYTES)] ?? EMPTY
      const held = chunk.subarray(offset, offset + size)
      target.set(held, done)
      target.fill(0, done + held.length, done + size)
      done += size
    }
    return count
  }

  /** Puts `bytes` at `at`; what lies between the end and `at` reads as zeros. */
  write(bytes: Uint8Array, at: number): void {
    for (let done = 0; done < bytes.length; ) {
      const offset = (at + done) % CHUNK_BYTES
      const size = Math.min(CHUNK_BYTES - offset, bytes.length - done)
      this.#chunk(Math.floor((at + done) / CHUNK_BYTES), offset + size).set(bytes.subarray(done, done + size), offset)
      done += size
    }
    if (bytes.length > 0) this.#length = Math.max(this.#length, at + bytes.length)
  }

  /** Cuts or extends with zeros. */
  resize(length: number): void {
    if (length < this.#length) {
      this.#chunks.length = Math.min(this.#chunks.length, Math.ceil(length / CHUNK_BYTES))
      // The last chunk is cut as well: its memory is free again, and reads as zeros if the file grows.
      const last = Math.floor(length / CHUNK_BYTES)
      const held = this.#chunks[last]
      if (held !== undefined) this.#chunks[last] = held.slice(0, length % CHUNK_BYTES)
    }
    this.#length = length
  }

  /** All of it in one new array. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.#length)
    this.read(bytes, 0)
    return bytes
  }

  /** The chunk with room for `size` bytes. */
  #chunk(index: number, size: number): Uint8Array {
    const held = this.#chunks[index]
    if (held !== undefined && held.length >= size) return held
    const grown = new Uint8Array(Math.min(CHUNK_BYTES, Math.max(FIRST_BYTES, size, 2 * (held?.length ?? 0))))
    if (held !== undefined) grown.set(held)
    // Filled one by one: an array assigned far beyond its end becomes a slow dictionary.
    while (this.#chunks.length < index) this.#chunks.push(undefined)
    this.#chunks[index] = grown
    return grown
  }
}
