import type { Duplex } from 'node:stream'
import { GridError } from '../../runtime/errors.js'

/** Longest frame between parent and child: an output of 64 MiB with what surrounds it, or the items of one unit. */
const FRAME_BYTES_MAX = 192 * 1024 * 1024

/** Body length as little-endian u32, then the type. */
const HEADER_BYTES = 5

/** Writes one frame without copying `parts`, which must not change any more. */
export function writeFrame(stream: Duplex, type: number, parts: readonly Uint8Array[]): void {
  let length = 0
  for (const part of parts) length += part.length
  if (length > FRAME_BYTES_MAX)
    throw new GridError('quota', `a message of ${length} bytes is too long for the compute process`)
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  header.writeUInt32LE(length)
  header[4] = type
  stream.cork()
  stream.write(header)
  for (const part of parts) stream.write(part)
  stream.uncork()
}

/**
 * Cuts a byte stream into frames. Each body stands in an ArrayBuffer of its own, at offset 0, so that it can be read
 * as typed arrays and transferred to a thread.
 */
export class FrameReader {
  readonly #onFrame: (type: number, body: Uint8Array<ArrayBuffer>) => void
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #headerFilled = 0
  #body: Buffer<ArrayBuffer> | undefined
  #bodyFilled = 0

  constructor(onFrame: (type: number, body: Uint8Array<ArrayBuffer>) => void) {
    this.#onFrame = onFrame
  }

  /** Takes the next bytes. Throws GridError `corrupt` for a frame longer than {@link FRAME_BYTES_MAX}. */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#body === undefined) {
        const taken = chunk.copy(this.#header, this.#headerFilled, at, at + HEADER_BYTES - this.#headerFilled)
        at += taken
        this.#headerFilled += taken
        if (this.#headerFilled < HEADER_BYTES) return
        const length = this.#header.readUInt32LE()
        if (length > FRAME_BYTES_MAX) throw new GridError('corrupt', `a frame of ${length} bytes is too long`)
        this.#body = Buffer.allocUnsafeSlow(length)
        this.#bodyFilled = 0
      }
      const taken = chunk.copy(this.#body, this.#bodyFilled, at)
      at += taken
      this.#bodyFilled += taken
      if (this.#bodyFilled < this.#body.length) return
      const body = this.#body
      this.#body = undefined
      this.#headerFilled = 0
      this.#onFrame(this.#header[4]!, new Uint8Array(body.buffer))
    }
  }
}
