import type { Millis } from '../../../runtime/clock.js'
import { hashText } from './random.js'

/** One thing that happened. `detail` names the message path, the file or the fault. */
export interface TraceLine {
  readonly atMs: Millis
  readonly host: string
  readonly kind: string
  readonly detail: string
  readonly byteCount: number
}

/** Lines kept for the report of a failed run. */
const TAIL_LINES = 60
/** Texts whose hash is remembered; more are hashed each time. */
const CACHED_TEXTS_MAX = 10_000

/**
 * A running hash over everything that happened: instant, host, kind, detail, length and content of bytes. Two runs with
 * the same hash did the same things in the same order; the first difference changes it for good.
 */
export class Trace {
  /** Sees every line as it is written; for printing a run. */
  listener: ((line: TraceLine) => void) | undefined
  #high = 0x6a09e667
  #low = 0x3c6ef372 | 0
  #lineCount = 0
  readonly #tail: TraceLine[] = []
  readonly #texts = new Map<string, number>()
  readonly #float = new Float64Array(1)
  readonly #words = new Uint32Array(this.#float.buffer)

  record(atMs: Millis, host: string, kind: string, detail: string, bytes?: Uint8Array): void {
    this.#float[0] = atMs
    this.#mix(this.#words[0]!)
    this.#mix(this.#words[1]!)
    this.#mix(this.#text(host))
    this.#mix(this.#text(kind))
    this.#mix(this.#text(detail))
    if (bytes) this.#mixBytes(bytes)
    this.#keep({ atMs, host, kind, detail, byteCount: bytes?.length ?? 0 })
  }

  /** A line for the reader that is no part of the hash, so that what is logged may change. */
  note(atMs: Millis, host: string, kind: string, detail: string): void {
    this.#keep({ atMs, host, kind, detail, byteCount: 0 })
  }

  #keep(line: TraceLine): void {
    this.#tail[this.#lineCount++ % TAIL_LINES] = line
    this.listener?.(line)
  }

  /** 16 hex digits over everything recorded so far. */
  get hash(): string {
    return [this.#high, this.#low].map((word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
  }

  /** The last lines, oldest first. */
  tail(): readonly TraceLine[] {
    const start = this.#lineCount % TAIL_LINES
    return this.#lineCount < TAIL_LINES ? this.#tail : [...this.#tail.slice(start), ...this.#tail.slice(0, start)]
  }

  #text(text: string): number {
    const cached = this.#texts.get(text)
    if (cached !== undefined) return cached
    const hash = hashText(text, 0)
    if (this.#texts.size < CACHED_TEXTS_MAX) this.#texts.set(text, hash)
    return hash
  }

  #mixBytes(bytes: Uint8Array): void {
    this.#mix(bytes.length)
    let index = 0
    for (; index + 4 <= bytes.length; index += 4) {
      this.#mix(bytes[index]! | (bytes[index + 1]! << 8) | (bytes[index + 2]! << 16) | (bytes[index + 3]! << 24))
    }
    for (; index < bytes.length; index++) this.#mix(bytes[index]!)
  }

  /** Two lanes with different multipliers (those of MurmurHash3), each carrying into the other. */
  #mix(word: number): void {
    const low = Math.imul(this.#low ^ word, 0xcc9e2d51)
    this.#low = ((low << 15) | (low >>> 17)) ^ this.#high
    const high = Math.imul((this.#high + word) | 0, 0x1b873593)
    this.#high = ((high << 13) | (high >>> 19)) + low
    this.#high |= 0
  }
}

/** `line` for a person. */
export function formatTraceLine(line: TraceLine): string {
  const bytes = line.byteCount > 0 ? ` ${line.byteCount} B` : ''
  return `${line.atMs.toFixed(3).padStart(12)}  ${line.host.padEnd(12)} ${line.kind} ${line.detail}${bytes}`
}
