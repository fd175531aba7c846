import type { Digest, PublicKey } from '../proto/model.js'
import type { BlobStore } from '../storage/blob-store.js'

/** Large outputs by digest: bytes that were checked before they come here. */
export interface OutputFiles {
  /** Of everything in the store behind it. */
  readonly bytesUsed: number
  /** On disk when it resolves. Deleted some time after `keepUntilMs`. @throws GridError `unavailable` or `quota` */
  keep(
    digest: Digest,
    bytes: Uint8Array,
    terms: { readonly submitter: PublicKey; readonly keepUntilMs: number },
  ): Promise<void>
  /** Keeps an output for longer; nothing to do for one that is not here. @throws GridError `unavailable` */
  extend(digest: Digest, keepUntilMs: number): Promise<void>
  /** Deletes an output that nobody wants. */
  remove(digest: Digest): Promise<void>
  /** Up to `length` bytes from `start` on, or undefined when they are not here (any more). */
  read(digest: Digest, start: number, length: number): Promise<Uint8Array | undefined>
}

/** Outputs as whole files of a blob store, under the quota of the job's submitter. */
export function blobOutputFiles(store: BlobStore): OutputFiles {
  return {
    get bytesUsed() {
      return store.bytesUsed
    },
    keep: (digest, bytes, terms) => store.putWhole(digest, bytes, { ...terms, pin: true }),
    extend: (digest, keepUntilMs) => store.extendWhole(digest, keepUntilMs),
    remove: async (digest) => void (await store.deleteWhole(digest)),
    read: (digest, start, length) => store.readWhole(digest, start, length),
  }
}
