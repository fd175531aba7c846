import { chunkCount, verifyChunk } from '../../../job/blob.js'
import type { BlobRef } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import type { BlobStore } from '../../../storage/blob-store.js'

/** All of a complete blob, each chunk checked against its hash as a reader does; throws on the first that does not match. */
export async function readBlob(store: BlobStore, { digest, size }: BlobRef): Promise<Uint8Array> {
  const hashes = await store.manifest(digest)
  const chunks: Uint8Array[] = []
  for (let index = 0; index < chunkCount(size); index++) {
    const bytes = await store.readChunk(digest, index)
    if (!verifyChunk(sha256, size, hashes, index, bytes)) throw new Error(`chunk ${index} does not have its hash`)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks)
}
