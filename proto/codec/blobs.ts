import type { Codec } from '../../runtime/transport.js'
import type {
  BlobChunk,
  BlobGetRequest,
  BlobManifestPart,
  BlobManifestRequest,
  BlobPut,
  BlobPutReply,
  BlobStatReply,
  BlobStatRequest,
} from '../blob-messages.js'
import { BLOB_CHUNKS_MAX, BLOB_GET_CHUNKS_MAX, CHUNK_BYTES, MANIFEST_PART_HASHES_MAX } from '../limits.js'
import { type WireMessage, wireType } from '../load.js'
import { blobRefToWire, contentCodec, messageCodec, plainView, readBlobRef } from './common.js'
import { decodeMessage, type Fields, hexToWire } from './fields.js'

const HASH_BYTES = 32
const SMALL_BYTES_MAX = 1_024
const CHUNK_MESSAGE_BYTES_MAX = CHUNK_BYTES + SMALL_BYTES_MAX
const blobPutType = wireType('BlobPut')

/** Asks how much of a blob a holder has. */
export const blobStatRequestCodec: Codec<BlobStatRequest> = messageCodec(
  'BlobStatRequest',
  SMALL_BYTES_MAX,
  refToWire,
  readRef,
)

/** Which chunks there are, one bit each: up to 32 KiB. */
export const blobStatReplyCodec: Codec<BlobStatReply> = messageCodec(
  'BlobStatReply',
  BLOB_CHUNKS_MAX / 8 + SMALL_BYTES_MAX,
  ({ complete, present }) => ({ complete, present }),
  (fields) => ({ complete: fields.bool('complete'), present: fields.bytes('present', { max: BLOB_CHUNKS_MAX / 8 }) }),
)

/** A message of an upload: a start, hashes, or a chunk. Their order is the holder's to check. */
export const blobPutCodec: Codec<BlobPut> = {
  encode: (message) => Buffer.concat(putParts(message)),
  encodeParts: putParts,
  decode: (bytes) =>
    decodeMessage(blobPutType, 'BlobPut', bytes, CHUNK_MESSAGE_BYTES_MAX, (fields) =>
      fields.oneof<BlobPut>('body', {
        start: (start) => ({ type: 'start', ...readRef(start), keepUntilMs: start.safeInteger('keepUntilMs') }),
        hashes: (part) => ({ type: 'hashes', hashes: readHashes(part) }),
        chunk: (chunk) => ({ type: 'chunk', ...readChunk(chunk) }),
      }),
    ),
}

/** Whether the blob is complete, and who holds it. */
export const blobPutReplyCodec: Codec<BlobPutReply> = messageCodec(
  'BlobPutReply',
  SMALL_BYTES_MAX,
  ({ complete, holder }) => ({ complete, holder: hexToWire(holder) }),
  (fields) => ({ complete: fields.bool('complete'), holder: fields.nodeId('holder') }),
)

/** Asks for the hashes of a blob's chunks. */
export const blobManifestRequestCodec: Codec<BlobManifestRequest> = messageCodec(
  'BlobManifestRequest',
  SMALL_BYTES_MAX,
  refToWire,
  readRef,
)

/** Up to 8,192 hashes of 32 bytes; bytes that are no whole hash are refused. */
export const blobManifestPartCodec: Codec<BlobManifestPart> = messageCodec(
  'BlobManifestPart',
  CHUNK_MESSAGE_BYTES_MAX,
  ({ hashes }) => ({ hashes }),
  (fields) => ({ hashes: readHashes(fields) }),
)

/** Asks for up to 4,096 chunks of a blob by number. */
export const blobGetRequestCodec: Codec<BlobGetRequest> = messageCodec(
  'BlobGetRequest',
  32 * 1024,
  ({ blob, chunks }) => ({ blob: blobRefToWire(blob), chunks }),
  (fields) => ({
    ...readRef(fields),
    chunks: fields.uint32List('chunks', { max: BLOB_GET_CHUNKS_MAX }, { max: BLOB_CHUNKS_MAX - 1 }),
  }),
)

/** A chunk of a blob; that its number and length fit the blob, and its hash, is for the reader to check. */
export const blobChunkCodec = contentCodec<BlobChunk>(
  'BlobChunk',
  CHUNK_MESSAGE_BYTES_MAX,
  ({ index }) => ({ index }),
  readChunk,
)

function putParts(message: BlobPut): readonly Uint8Array[] {
  switch (message.type) {
    case 'start':
      return [blobPutType.encode({ start: { blob: blobRefToWire(message.blob), keepUntilMs: message.keepUntilMs } })]
    case 'hashes':
      return [blobPutType.encode({ hashes: { hashes: message.hashes } })]
    case 'chunk': {
      const chunk = blobChunkCodec.encodeParts(message)
      const chunkBytes = chunk.reduce((sum, { length }) => sum + length, 0)
      return [blobPutType.encodeBefore({}, 'chunk', chunkBytes), ...chunk]
    }
  }
}

function refToWire({ blob }: BlobStatRequest): WireMessage {
  return { blob: blobRefToWire(blob) }
}

function readRef(fields: Fields): BlobStatRequest {
  return { blob: fields.message('blob', readBlobRef) }
}

function readHashes(fields: Fields): Uint8Array {
  const hashes = plainView(fields, 'hashes', { max: MANIFEST_PART_HASHES_MAX * HASH_BYTES })
  if (hashes.length % HASH_BYTES !== 0) fields.fail('hashes', `must have ${HASH_BYTES} bytes a chunk`)
  return hashes
}

function readChunk(fields: Fields): BlobChunk {
  return {
    index: fields.uint32('index', { max: BLOB_CHUNKS_MAX - 1 }),
    bytes: plainView(fields, 'bytes', { max: CHUNK_BYTES }),
  }
}
