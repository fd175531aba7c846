import type { UnitBytes } from '../../proto/work-messages.js'
import { GridError } from '../../runtime/errors.js'

const ENTRY_BYTES = 8

/**
 * Outputs of several units as one value, so that a report of 64 units costs one row: the count, then unit and length of
 * each, then the bytes one after another; integers are little-endian, 32 bits.
 */
export function packOutputs(outputs: readonly UnitBytes[]): Uint8Array {
  const headBytes = 4 + outputs.length * ENTRY_BYTES
  const packed = Buffer.allocUnsafe(outputs.reduce((sum, { bytes }) => sum + bytes.length, headBytes))
  packed.writeUInt32LE(outputs.length, 0)
  let entry = 4
  let at = headBytes
  for (const { unit, bytes } of outputs) {
    packed.writeUInt32LE(unit, entry)
    packed.writeUInt32LE(bytes.length, entry + 4)
    packed.set(bytes, at)
    entry += ENTRY_BYTES
    at += bytes.length
  }
  return packed
}

/** Calls `each` with every output of {@link packOutputs}; the bytes are views. Throws GridError `corrupt` for anything else. */
export function unpackOutputs(packed: Uint8Array, each: (unit: number, bytes: Uint8Array) => void): void {
  const view = Buffer.from(packed.buffer, packed.byteOffset, packed.length)
  const count = view.length < 4 ? -1 : view.readUInt32LE(0)
  let at = 4 + count * ENTRY_BYTES
  if (count < 0 || at > view.length) throw damaged()
  for (let entry = 4; entry < 4 + count * ENTRY_BYTES; entry += ENTRY_BYTES) {
    const end = at + view.readUInt32LE(entry + 4)
    if (end > view.length) throw damaged()
    each(view.readUInt32LE(entry), packed.subarray(at, end))
    at = end
  }
}

function damaged(): GridError {
  return new GridError('corrupt', 'a stored output is damaged')
}
