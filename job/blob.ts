import { CHUNK_BYTES } from '../proto/limits.js'
import type { BlobRef, Digest } from '../proto/model.js'
import type { Sha256 } from '../runtime/hash.js'
import { fromHex, utf8 } from '../runtime/hex.js'

export { CHUNK_BYTES } from '../proto/limits.js'

/** Bytes of a SHA-256. */
export const HASH_BYTES = 32

const TAG = utf8('manyhands.v1.blob\0')

/** Chunks of content of `size` bytes; none for empty content. */
export function chunkCount(size: number): number {
  return Math.ceil(size / CHUNK_BYTES)
}

/** Bytes of chunk `index` (0 to {@link chunkCount} - 1): 256 KiB, the last one less. */
export function chunkLength(size: number, index: number): number {
  return Math.min(CHUNK_BYTES, size - index * CHUNK_BYTES)
}

/**
 * Digest of content: SHA-256 over the tag, the size as u64 big-endian, and the SHA-256 of each chunk in order
 * (`chunkHashes`, 32 bytes each). So that each chunk can be checked by itself as it arrives.
 */
export function blobDigest(sha256: Sha256, size: number, chunkHashes: Uint8Array): Digest {
  const sizeBytes = new Uint8Array(8)
  new DataView(sizeBytes.buffer).setBigUint64(0, BigInt(size))
  return sha256(TAG, sizeBytes, chunkHashes)
}

/** Whether `chunkHashes` are the hashes of all chunks of `blob`. */
export function verifyManifest(sha256: Sha256, blob: BlobRef, chunkHashes: Uint8Array): boolean {
  return (
    chunkHashes.length === chunkCount(blob.size) * HASH_BYTES &&
    blobDigest(sha256, blob.size, chunkHashes) === blob.digest
  )
}

/** Whether `bytes` are chunk `index` of content of `size` bytes whose verified manifest is `chunkHashes`. */
export function verifyChunk(
  sha256: Sha256,
  size: number,
  chunkHashes: Uint8Array,
  index: number,
  bytes: Uint8Array,
): boolean {
  if (index < 0 || index >= chunkCount(size) || bytes.length !== chunkLength(size, index)) return false
  const hash = fromHex(sha256(bytes))
  const at = index * HASH_BYTES
  return hash.every((byte, i) => byte === chunkHashes[at + i])
}

/** Manifest and reference of content held in memory. */
export function blobOf(sha256: Sha256, content: Uint8Array): { blob: BlobRef; chunkHashes: Uint8Array } {
  const chunks = chunkCount(content.length)
  const chunkHashes = new Uint8Array(chunks * HASH_BYTES)
  for (let i = 0; i < chunks; i++) {
    const chunk = content.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)
    chunkHashes.set(fromHex(sha256(chunk)), i * HASH_BYTES)
  }
  return { blob: { digest: blobDigest(sha256, content.length, chunkHashes), size: content.length }, chunkHashes }
}
