import { CHUNK_BYTES, chunkCount } from '../../job/blob.js'
import { keyOfDigest } from '../../overlay/index.js'
import type { BlobRef } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { fetchBlob } from '../../storage/blob-client.js'
import type { BlobContent } from '../content/content.js'
import type { GridClient } from './session.js'

/** Peers asked for a blob: those that were given it. */
const BLOB_HOLDERS = 3
/** Chunks of one blob kept in memory: neighbouring items mostly share them. */
const CHUNKS_KEPT = 16

/** How to stop a fetch, and whom it tells how far it is. */
export interface FetchOptions {
  readonly signal?: AbortSignal
  /** Bytes that have come, and in all. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
}

/**
 * Fetches a blob from the peers near its digest; `sink` gets each checked piece with its offset, in no particular order.
 * Rejects with GridError `notFound` or `unreachable` when nobody has it, `corrupt` when all that is left lied.
 */
export async function fetchContent(
  client: GridClient,
  blob: BlobRef,
  sink: (offset: number, bytes: Uint8Array) => Promise<void> | void,
  options: FetchOptions & { readonly chunks?: readonly number[]; readonly manifest?: Uint8Array } = {},
): Promise<Uint8Array> {
  const { overlay, transport, clock } = client.parts
  const holders = await overlay.owners(keyOfDigest(blob.digest), BLOB_HOLDERS)
  return fetchBlob(transport, holders, blob, (index, bytes) => sink(index * CHUNK_BYTES, bytes), {
    ...options,
    clock,
  })
}

/** A blob of somebody's job as content: parts of it are fetched and checked when they are read. `label`: for messages. */
export function fetchedContent(
  client: GridClient,
  blob: BlobRef,
  label: string,
  options: FetchOptions = {},
): BlobContent {
  const kept = new Map<number, Uint8Array>()
  let manifest: Uint8Array | undefined
  const fetchChunks = async (chunks: readonly number[]) => {
    manifest = await fetchContent(client, blob, (offset, bytes) => void kept.set(offset / CHUNK_BYTES, bytes), {
      ...options,
      chunks,
      ...(manifest === undefined ? {} : { manifest }),
    })
  }
  return {
    blob,
    label,
    chunkHashes: new Uint8Array(0),
    content: {
      size: blob.size,
      async read(start, end) {
        if (end > blob.size) throw new GridError('corrupt', `${label} is shorter than its index says`)
        const bytes = new Uint8Array(end - start)
        if (bytes.length === 0) return bytes
        const first = Math.floor(start / CHUNK_BYTES)
        const last = Math.floor((end - 1) / CHUNK_BYTES)
        const wanted = Array.from({ length: last - first + 1 }, (_, i) => first + i)
        const missing = wanted.filter((index) => !kept.has(index))
        if (missing.length > 0) await fetchChunks(missing)
        for (const index of wanted) {
          const from = index * CHUNK_BYTES
          const chunk = kept.get(index)!
          bytes.set(
            chunk.subarray(Math.max(0, start - from), Math.min(chunk.length, end - from)),
            Math.max(0, from - start),
          )
        }
        for (const index of kept.keys()) {
          if (kept.size <= CHUNKS_KEPT || chunkCount(blob.size) <= CHUNKS_KEPT) break
          kept.delete(index)
        }
        return bytes
      },
    },
  }
}
