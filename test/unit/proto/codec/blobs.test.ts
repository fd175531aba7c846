import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as blobs from '../../../../proto/codec/blobs.js'
import { methods } from '../../../../proto/methods.js'
import { blobsCases } from './cases/blobs.js'
import { refused } from './refused.js'

const test = suite('codec of Blobs')

for (const { name, codec, values } of blobsCases) {
  values.forEach((value, i) => {
    test(`${name} ${i} comes back as it was`, () => {
      assert.equal(codec.decode(codec.encode(value)), value)
    })
  })
}

test('hashes come as 32 bytes each, at most 256 KiB a message', () => {
  refused('BlobPut', blobs.blobPutCodec, { hashes: { hashes: new Uint8Array(33) } }, /32 bytes a chunk/)
  refused(
    'BlobManifestPart',
    blobs.blobManifestPartCodec,
    { hashes: new Uint8Array(256 * 1024 + 32) },
    /at most 262144/,
  )
})

test('a chunk has at most 256 KiB and an index within a blob', () => {
  refused('BlobChunk', blobs.blobChunkCodec, { index: 0, bytes: new Uint8Array(256 * 1024 + 1) }, /at most 262144/)
  refused('BlobChunk', blobs.blobChunkCodec, { index: 262_144 }, /index/)
})

test('content beyond 64 GiB and requests for too many chunks are refused', () => {
  const digest = new Uint8Array(32)
  refused('BlobStatRequest', blobs.blobStatRequestCodec, { blob: { digest, size: 2 ** 36 + 1 } }, /size/)
  refused(
    'BlobGetRequest',
    blobs.blobGetRequestCodec,
    { blob: { digest, size: 1 }, chunks: Array(4_097).fill(0) },
    /chunks/,
  )
  refused('BlobGetRequest', blobs.blobGetRequestCodec, { chunks: [0] }, /blob is missing/)
})

test('every method has the path of its service, none twice', () => {
  const paths = Object.values(methods).map((method) => method.path)
  assert.is(new Set(paths).size, paths.length)
  for (const path of paths)
    assert.match(path, /^\/manyhands\.v1\.(Jobs|Explain|Homes|Coordinator|Exchange|Blobs|Admin)\/[A-Z][A-Za-z]+$/)
})

test.run()
