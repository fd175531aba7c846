import { createHash } from 'node:crypto'

const HEAD_BYTES = 8
const CHECKSUM_BYTES = 4

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
