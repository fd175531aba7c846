import type { Codec } from '../../runtime/transport.js'
import { BLOB_BYTES_MAX, REASON_BYTES_MAX, SPEC_BYTES_MAX, UNITS_MAX } from '../limits.js'
import { type WireMessage, wireType } from '../load.js'
import type { BlobRef, Signed, UnitRange } from '../model.js'
import { type BytesBound, decodeMessage, type Fields, hexToWire, type ListBound } from './fields.js'

/**
 * The codec of message `name` of package `manyhands.v1`, of at most `bytesMax` encoded bytes. Decoding throws GridError
 * `invalid` and nothing else; encoding trusts its caller.
 */
export function messageCodec<T>(
  name: string,
  bytesMax: number,
  toWire: (value: T) => WireMessage,
  read: (fields: Fields) => T,
): Codec<T> {
  const type = wireType(name)
  return {
    encode: (value) => type.encode(toWire(value)),
    decode: (bytes) => decodeMessage(type, name, bytes, bytesMax, read),
  }
}

/**
 * The same for a message that ends in content, its field `bytes`: that is not copied until it is sent. `toWire` gives the
 * other fields.
 */
export function contentCodec<T extends { readonly bytes: Uint8Array }>(
  name: string,
  bytesMax: number,
  toWire: (value: T) => WireMessage,
  read: (fields: Fields) => T,
): Codec<T> & Required<Pick<Codec<T>, 'encodeParts'>> {
  const type = wireType(name)
  const encodeParts = (value: T) => [type.encodeBefore(toWire(value), 'bytes', value.bytes.length), value.bytes]
  return {
    encode: (value) => Buffer.concat(encodeParts(value)),
    encodeParts,
    decode: (bytes) => decodeMessage(type, name, bytes, bytesMax, read),
  }
}

/** Most that a field of type `uint32` can say. */
export const UINT32_MAX = 2 ** 32 - 1
/** Requests and replies of a few ids and numbers. */
export const SMALL_BYTES_MAX = 8 * 1024
/** `host:port`, with a name of any length that the domain name system has. */
export const ADDRESS_BYTES_MAX = 300
/** Room for signature and framing around signed bytes. */
export const SIGNED_OVERHEAD_BYTES = 256

/** Bytes with their signature, as a field. */
export function signedToWire(signed: Signed): WireMessage {
  return { bytes: signed.bytes, signature: signed.signature }
}

/** Reads what {@link signedToWire} wrote: 1 byte to 256 KiB, and a signature of 64 bytes that is not checked here. */
export function readSigned(fields: Fields): Signed {
  return {
    bytes: fields.bytes('bytes', { min: 1, max: SPEC_BYTES_MAX }),
    signature: fields.bytes('signature', { length: 64 }),
  }
}

/** Digest and size of a blob, as a field. */
export function blobRefToWire(blob: BlobRef): WireMessage {
  return { digest: hexToWire(blob.digest), size: blob.size }
}

/** Reads what {@link blobRefToWire} wrote; more than 64 GiB is refused. */
export function readBlobRef(fields: Fields): BlobRef {
  return { digest: fields.digest('digest'), size: fields.safeInteger('size', { max: BLOB_BYTES_MAX }) }
}

/** A repeated `UnitRange`: none empty, ascending and disjoint, within the units a job can have. */
export function readRanges(fields: Fields, name: string, bound: ListBound): UnitRange[] {
  let end = 0
  return fields.list(name, bound, (range) => {
    const first = range.uint32('first', { min: end, max: UNITS_MAX - 1 })
    const count = range.uint32('count', { min: 1, max: UNITS_MAX - first })
    end = first + count
    return { first, count }
  })
}

/** Ranges as {@link readRanges} takes them, which the caller has put in order. */
export function rangesToWire(ranges: readonly UnitRange[]): WireMessage[] {
  return ranges.map(({ first, count }) => ({ first, count }))
}

/** A bytes field of `byteLength` as hex; undefined when it is empty. */
export function optionalHex<T extends string>(fields: Fields, name: string, byteLength: number): T | undefined {
  return fields.view(name, { max: byteLength }).length === 0 ? undefined : (fields.hex(name, byteLength) as T)
}

/** Bytes of a hex text, as {@link optionalHex} reads them; undefined leaves the field out. */
export function optionalHexToWire(hex: string | undefined): Uint8Array | undefined {
  return hex === undefined ? undefined : hexToWire(hex)
}

/** Like `Fields.view`, always as a plain Uint8Array: for large bytes that are used up at once. */
export function plainView(fields: Fields, name: string, bound: BytesBound): Uint8Array {
  const view = fields.view(name, bound)
  return new Uint8Array(view.buffer, view.byteOffset, view.length)
}

/** Text that says why: shown to people, so without control characters. */
export function readReason(fields: Fields, name: string): string {
  return fields.text(name, { max: REASON_BYTES_MAX, controls: 'strip' })
}

/** `text` cut to what {@link readReason} takes; a reason is never worth losing a message over. */
export function reasonToWire(text: string): string {
  if (text.length * 3 <= REASON_BYTES_MAX) return text
  const bytes = Buffer.from(text)
  if (bytes.length <= REASON_BYTES_MAX) return text
  let end = REASON_BYTES_MAX
  while ((bytes[end]! & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/** Durations come from monotonic clocks with fractions; the wire has whole milliseconds. */
export function wholeMs(durationMs: number): number {
  return Math.max(0, Math.floor(durationMs))
}

/** An age as whole milliseconds, of which 0 stands for none. */
export function agoToWire(agoMs: number | undefined): number {
  return agoMs === undefined ? 0 : Math.max(1, wholeMs(agoMs))
}
