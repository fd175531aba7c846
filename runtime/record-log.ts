import { createHash } from 'node:crypto'
import { serialize } from 'node:v8'

const HEAD_BYTES = 8
const CHECKSUM_BYTES = 4

/**
 * A record's plain value as bytes, for `deserialize` of `node:v8`. Equal values give equal bytes: arrays are copied first,
 * as v8 writes an array differently depending on how the engine happens to keep it.
 */
export function serializeRecord(value: unknown): Uint8Array {
  return serialize(packed(value))
}

function packed(value: unknown): unknown {
  if (Array.isArray(value)) {
    const copy: unknown[] = []
    for (const each of value) copy.push(packed(each))
    return copy
  }
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  const copy: Record<string, unknown> = {}
  for (const [name, each] of Object.entries(value)) copy[name] = packed(each)
  return copy
}

/** `payload` with its length and checksum in front, to be appended to a log. */
export function frameRecord(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEAD_BYTES + payload.length)
  new DataView(frame.buffer).setUint32(0, payload.length, true)
  frame.set(checksum(payload), 4)
  frame.set(payload, HEAD_BYTES)
  return frame
}

/**
 * The records of a log up to the first that is cut short or does not have its checksum: what a crash leaves of an append
 * that was not synced. `goodBytes` is where they end. Payloads are views of `log`.
 */
export function readRecords(log: Uint8Array): { readonly payloads: readonly Uint8Array[]; readonly goodBytes: number } {
  const view = new DataView(log.buffer, log.byteOffset, log.length)
  const payloads: Uint8Array[] = []
  let at = 0
  while (at + HEAD_BYTES <= log.length) {
    const start = at + HEAD_BYTES
    const end = start + view.getUint32(at, true)
    if (end > log.length) break
    const payload = log.subarray(start, end)
    const sum = checksum(payload)
    if (sum.some((byte, i) => byte !== log[at + 4 + i])) break
    payloads.push(payload)
    at = end
  }
  return { payloads, goodBytes: at }
}

/** Cut from SHA-256, which every Node has; never all zero for an empty payload, so a run of zero bytes is no record. */
function checksum(payload: Uint8Array): Uint8Array {
  return createHash('sha256').update(payload).digest().subarray(0, CHECKSUM_BYTES)
}
