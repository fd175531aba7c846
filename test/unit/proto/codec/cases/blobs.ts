import * as blobs from '../../../../../proto/codec/blobs.js'
import { blob, bytes, type CodecCase, codecCase, nodeId } from './case.js'

/** Blobs. */
export const blobsCases: readonly CodecCase[] = [
  codecCase('BlobStatRequest', blobs.blobStatRequestCodec, { blob }),
  codecCase('BlobStatReply', blobs.blobStatReplyCodec, { complete: false, present: bytes }),
  codecCase(
    'BlobPut',
    blobs.blobPutCodec,
    { type: 'start', blob, keepUntilMs: 1_750_000_000_000 },
    { type: 'hashes', hashes: new Uint8Array(64) },
    { type: 'chunk', index: 1, bytes },
  ),
  codecCase('BlobPutReply', blobs.blobPutReplyCodec, { complete: true, holder: nodeId }),
  codecCase('BlobManifestRequest', blobs.blobManifestRequestCodec, { blob }),
  codecCase('BlobManifestPart', blobs.blobManifestPartCodec, { hashes: new Uint8Array(32) }),
  codecCase('BlobGetRequest', blobs.blobGetRequestCodec, { blob, chunks: [1, 0] }),
  codecCase('BlobChunk', blobs.blobChunkCodec, { index: 0, bytes }),
]
