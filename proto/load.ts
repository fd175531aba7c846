import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import protobuf from 'protobufjs'
import { packageRoot } from '../runtime/package-root.js'

/** Folder of the `.proto` files, for proto-loader (service definitions, reflection) and for clients in other languages. */
export const protoFolder: string = join(packageRoot, 'proto')

/** Every file of package `manyhands.v1`, relative to {@link protoFolder}. */
export const protoFiles: readonly string[] = readdirSync(join(protoFolder, 'manyhands', 'v1'))
  .filter((name) => name.endsWith('.proto'))
  .sort()
  .map((name) => `manyhands/v1/${name}`)

const root = new protobuf.Root()
root.resolvePath = (_origin, target) => join(protoFolder, target)
root.loadSync([...protoFiles])
root.resolveAll()

/**
 * Fields of a message, those of messages within it included: a third more than the longest list of the wire has. An empty one
 * costs its sender two bytes and its reader two hundred nanoseconds.
 */
export const FIELDS_MAX = 32_768

/** The message has more than {@link FIELDS_MAX} fields. */
export class TooManyFields extends Error {}

/** What protobufjs makes of a message: camelCase fields, Long for 64-bit integers, bytes as Uint8Array. Not yet checked. */
export type WireMessage = Readonly<Record<string, unknown>>

/** A message type by its name in package `manyhands.v1`. */
export interface WireType {
  encode(message: WireMessage): Uint8Array
  /** The message as far as `length` bytes of its field `last`, which end it and follow where they lie. */
  encodeBefore(message: WireMessage, last: string, length: number): Uint8Array
  /**
   * Reads no further than {@link FIELDS_MAX} fields. Throws {@link TooManyFields}, and whatever protobufjs throws;
   * `codec/fields.ts` turns that into GridError `invalid`.
   */
  decode(bytes: Uint8Array): WireMessage
}

/** Wire type of a field that says its length and then its bytes. */
const DELIMITED = 2

/** @throws Error for a name that no `.proto` file has: a mistake of ours, found at the start */
export function wireType(name: string): WireType {
  const type = root.lookupType(`manyhands.v1.${name}`)
  return {
    encode: (message) => type.encode(message).finish(),
    encodeBefore: (message, last, length) =>
      type
        .encode(message)
        .uint32((type.fields[last]!.id << 3) | DELIMITED)
        .uint32(length)
        .finish(),
    decode: (bytes) => type.decode(readerOf(bytes)) as unknown as WireMessage,
  }
}

/** Counts what it reads where the bytes are enough for too many fields: no field has fewer than two. */
function readerOf(bytes: Uint8Array): protobuf.Reader {
  const reader = protobuf.Reader.create(bytes)
  if (bytes.length <= 2 * FIELDS_MAX) return reader
  let fields = 0
  reader.tag = () => {
    if (++fields > FIELDS_MAX) throw new TooManyFields(`more than ${FIELDS_MAX} fields`)
    return protobuf.Reader.prototype.tag.call(reader)
  }
  return reader
}
