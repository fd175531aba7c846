/** Requests and replies of the service Blobs. Pure. */
import type { BlobRef, NodeId } from './model.js'

/** How much of a blob a peer has. */
export interface BlobStatRequest {
  readonly blob: BlobRef
}

/** What there is of the blob. */
export interface BlobStatReply {
  readonly complete: boolean
  /** One bit a chunk, least significant first; empty: nothing here. */
  readonly present: Uint8Array
}

/** An upload: start, hashes of all chunks, then chunks in any order. */
export type BlobPut =
  /** First. `keepUntilMs`: expiry of the job that needs it, ms since 1970. */
  | { readonly type: 'start'; readonly blob: BlobRef; readonly keepUntilMs: number }
  /** 32 bytes a chunk, in order, at most 8,192 hashes a message. */
  | { readonly type: 'hashes'; readonly hashes: Uint8Array }
  | ({ readonly type: 'chunk' } & BlobChunk)
/** Whether the peer has the whole blob on disk now. */
export interface BlobPutReply {
  readonly complete: boolean
  readonly holder: NodeId
}

/** The hashes of all chunks of a blob. */
export interface BlobManifestRequest {
  readonly blob: BlobRef
}

/** Some of the hashes; parts come in order. */
export interface BlobManifestPart {
  /** 32 bytes a chunk, in order, at most 8,192 hashes a message. */
  readonly hashes: Uint8Array
}

/** Chunks of a blob. */
export interface BlobGetRequest {
  readonly blob: BlobRef
  /** Indices in the order wanted, at most 4,096. */
  readonly chunks: readonly number[]
}

/** One chunk; its hash is checked against the manifest. */
export interface BlobChunk {
  readonly index: number
  /** At most 256 KiB. */
  readonly bytes: Uint8Array
}
