const utf8 = new TextEncoder()

/** Bytes of a size that is not known beforehand: LEB128 of full length. */
const SIZE_BYTES = 5

/** Bytes that grow as they are written. */
export class Writer {
  #bytes: Uint8Array
  #length = 0

  /** @param capacity Bytes expected; more is no error. */
  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity)
  }

  get length(): number {
    return this.#length
  }

  /** Forgets what was written and keeps the room. */
  clear(): void {
    this.#length = 0
  }

  byte(value: number): void {
    if (this.#length === this.#bytes.length) this.#grow(1)
    this.#bytes[this.#length++] = value
  }

  /** LEB128, unsigned, of 0 to 2^32 - 1. */
  u32(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.byte((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.byte(rest)
  }

  /** LEB128, signed, of -2^31 to 2^31 - 1. */
  s32(value: number): void {
    let rest = value
    while (rest < -0x40 || rest > 0x3f) {
      this.byte((rest & 0x7f) | 0x80)
      rest >>= 7
    }
    this.byte(rest & 0x7f)
  }

  /** The bytes of `source` from `start` up to `end`. */
  copy(source: Uint8Array, start = 0, end = source.length): void {
    const count = end - start
    if (this.#length + count > this.#bytes.length) this.#grow(count)
    const bytes = this.#bytes
    // Most copies are of a few bytes, for which a call costs more than a loop.
    if (count < 32) for (let at = start, to = this.#length; at < end; at++, to++) bytes[to] = source[at]!
    else bytes.set(source.subarray(start, end), this.#length)
    this.#length += count
  }

  name(text: string): void {
    const bytes = utf8.encode(text)
    this.u32(bytes.length)
    this.copy(bytes)
  }

  /** Leaves room for the size of what is written next, up to {@link endSized}, which takes what this gives. */
  beginSized(): number {
    for (let left = SIZE_BYTES; left > 0; left--) this.byte(0)
    return this.#length
  }

  endSized(start: number): void {
    let size = this.#length - start
    for (let at = start - SIZE_BYTES; at < start; at++) {
      this.#bytes[at] = (size & 0x7f) | (at < start - 1 ? 0x80 : 0)
      size >>>= 7
    }
  }

  /** What was written, as a view that holds until more is written or cleared. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #grow(count: number): void {
    const larger = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count))
    larger.set(this.view())
    this.#bytes = larger
  }
}
