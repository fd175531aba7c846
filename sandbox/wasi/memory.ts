import type { Memory } from '../engine.js'
import { ERRNO, refuse } from './errno.js'
import { PATH_BYTES_MAX, PIECE_FUEL, PIECES_FREE, PIECES_MAX } from './limits.js'

const EMPTY = new ArrayBuffer(0)
/** Bytes of an `iovec` or `ciovec`: pointer and length. */
const PIECE_BYTES = 8
const LENGTH_MAX = 2 ** 32 - 1

/** Names are kept as the program wrote them, a byte order mark included. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of UTF-8 bytes; throws TypeError for others. */
export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes)
}

/** Pieces of the program's memory that a read fills or a write takes, in order. */
export interface Pieces {
  readonly parts: readonly Uint8Array[]
  /** Bytes of all together, below 2^32. */
  readonly length: number
}

/**
 * The program's memory, every access checked: what lies outside is refused with `EFAULT`. Pointers and lengths are
 * taken as unsigned 32-bit numbers, however the engine hands them over; they need no alignment.
 */
export class GuestMemory {
  #memory: Memory | undefined
  #buffer: ArrayBuffer = EMPTY
  #bytes = new Uint8Array(EMPTY)
  #view = new DataView(EMPTY)
  readonly #spend: (fuel: number) => void

  /** `spend` is called for work that grows with the number of pieces. */
  constructor(spend: (fuel: number) => void) {
    this.#spend = spend
  }

  /** The memory of the instance, once it exists. Until then all of it is out of bounds. */
  attach(memory: Memory): void {
    this.#memory = memory
    this.refresh()
  }

  /** To be called at the start of each host call: the program may have grown its memory since. */
  refresh(): void {
    const buffer = this.#memory?.buffer ?? EMPTY
    if (buffer === this.#buffer) return
    this.#buffer = buffer
    this.#bytes = new Uint8Array(buffer)
    this.#view = new DataView(buffer)
  }

  /** `length` bytes at `pointer`, not copied. */
  bytes(pointer: number, length: number): Uint8Array {
    const size = length >>> 0
    const start = this.#at(pointer, size)
    return this.#bytes.subarray(start, start + size)
  }

  u8(pointer: number): number {
    return this.#view.getUint8(this.#at(pointer, 1))
  }

  u16(pointer: number): number {
    return this.#view.getUint16(this.#at(pointer, 2), true)
  }

  u32(pointer: number): number {
    return this.#view.getUint32(this.#at(pointer, 4), true)
  }

  u64(pointer: number): bigint {
    return this.#view.getBigUint64(this.#at(pointer, 8), true)
  }

  setU8(pointer: number, value: number): void {
    this.#view.setUint8(this.#at(pointer, 1), value)
  }

  setU16(pointer: number, value: number): void {
    this.#view.setUint16(this.#at(pointer, 2), value, true)
  }

  setU32(pointer: number, value: number): void {
    this.#view.setUint32(this.#at(pointer, 4), value, true)
  }

  setU64(pointer: number, value: bigint): void {
    this.#view.setBigUint64(this.#at(pointer, 8), value, true)
  }

  /** Text of a path: UTF-8 without NUL (`EILSEQ`, `EINVAL`), at most `PATH_BYTES_MAX` bytes (`ENAMETOOLONG`). */
  path(pointer: number, length: number): string {
    if (length >>> 0 > PATH_BYTES_MAX) refuse(ERRNO.nametoolong)
    const bytes = this.bytes(pointer, length)
    if (bytes.includes(0)) refuse(ERRNO.inval)
    try {
      return textOf(bytes)
    } catch {
      return refuse(ERRNO.ilseq)
    }
  }

  /** The pieces that `count` vectors at `pointer` describe; at most `PIECES_MAX` and 2^32 - 1 bytes (`EINVAL`). */
  pieces(pointer: number, count: number): Pieces {
    const wanted = count >>> 0
    if (wanted > PIECES_MAX) refuse(ERRNO.inval)
    this.#at(pointer, wanted * PIECE_BYTES)
    this.#spend(PIECE_FUEL * Math.max(0, wanted - PIECES_FREE))
    const parts: Uint8Array[] = []
    let length = 0
    for (let i = 0; i < wanted; i++) {
      const vector = (pointer >>> 0) + i * PIECE_BYTES
      const part = this.bytes(this.u32(vector), this.u32(vector + 4))
      length += part.length
      if (length > LENGTH_MAX) refuse(ERRNO.inval)
      parts.push(part)
    }
    return { parts, length }
  }

  /** `pointer` as an index at which `length` bytes lie inside. */
  #at(pointer: number, length: number): number {
    const start = pointer >>> 0
    if (start + length > this.#bytes.length) refuse(ERRNO.fault)
    return start
  }
}
