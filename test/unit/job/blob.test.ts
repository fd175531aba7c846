import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { blobOf, CHUNK_BYTES, chunkCount, chunkLength, verifyChunk, verifyManifest } from '../../../job/blob.js'
import { sha256 } from '../../../runtime/hash.js'

const test = suite('blobs')

test('content is cut into chunks of 256 KiB, the last one shorter', () => {
  assert.equal([0, 1, CHUNK_BYTES, CHUNK_BYTES + 1].map(chunkCount), [0, 1, 1, 2])
  assert.is(chunkLength(CHUNK_BYTES + 1, 0), CHUNK_BYTES)
  assert.is(chunkLength(CHUNK_BYTES + 1, 1), 1)
  assert.is(chunkLength(CHUNK_BYTES, 0), CHUNK_BYTES)
})

test('a manifest is verified against digest and size', () => {
  const { blob, chunkHashes } = blobOf(sha256, new Uint8Array(CHUNK_BYTES + 5).fill(1))
  assert.is(chunkHashes.length, 64)
  assert.ok(verifyManifest(sha256, blob, chunkHashes))
  assert.not.ok(verifyManifest(sha256, { ...blob, size: blob.size + 1 }, chunkHashes))
  assert.not.ok(verifyManifest(sha256, blob, chunkHashes.subarray(32)))
  const changed = chunkHashes.slice()
  changed[40]! ^= 1
  assert.not.ok(verifyManifest(sha256, blob, changed))
})

test('a chunk is verified by itself', () => {
  const content = new Uint8Array(CHUNK_BYTES + 5).fill(1)
  const { blob, chunkHashes } = blobOf(sha256, content)
  const last = content.slice(CHUNK_BYTES)
  assert.ok(verifyChunk(sha256, blob.size, chunkHashes, 1, last))
  assert.not.ok(verifyChunk(sha256, blob.size, chunkHashes, 0, last))
  assert.not.ok(verifyChunk(sha256, blob.size, chunkHashes, 2, last))
  last[0] = 9
  assert.not.ok(verifyChunk(sha256, blob.size, chunkHashes, 1, last))
})

test('empty content has a digest of its own', () => {
  const { blob, chunkHashes } = blobOf(sha256, new Uint8Array(0))
  assert.is(chunkHashes.length, 0)
  assert.ok(verifyManifest(sha256, blob, chunkHashes))
})

test.run()
