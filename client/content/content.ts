import { blobDigest, CHUNK_BYTES, chunkCount, chunkLength, HASH_BYTES } from '../../job/blob.js'
import { fileItemHead } from '../../job/units/list.js'
import { fileNameProblem } from '../../proto/file-name.js'
import { BLOB_BYTES_MAX } from '../../proto/limits.js'
import type { BlobRef } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import { fromHex } from '../../runtime/hex.js'

/** Bytes that can be read again, in any order: a file, or memory. Must not change while in use. */
export interface Content {
  /** Bytes in all. */
  readonly size: number
  /** Bytes [start, end); within the size. */
  read(start: number, end: number): Promise<Uint8Array> | Uint8Array
  /** Lets go of files; safe to call twice. Absent: nothing to let go of. */
  close?(): Promise<void>
}

/** A blob to upload. */
export interface BlobContent {
  readonly blob: BlobRef
  /** SHA-256 of each chunk, 32 bytes each. */
  readonly chunkHashes: Uint8Array
  readonly content: Content
  /** For messages: `--lines input.txt`. */
  readonly label: string
}

/** Content that is in memory already. */
export function memoryContent(bytes: Uint8Array): Content {
  return { size: bytes.length, read: (start, end) => bytes.subarray(start, end) }
}

/** A file of a `--files` list, by the name that units see. */
export interface NamedContent {
  readonly name: string
  readonly content: Content
}

/**
 * Files as one list of file items, in the order given, without copying any. Throws GridError `invalid` for a name that
 * could not stand for a file everywhere.
 */
export function filesContent(files: readonly NamedContent[]): Content {
  const parts: { readonly start: number; readonly content: Content }[] = []
  let size = 0
  const seen = new Set<string>()
  for (const { name, content } of files) {
    const problem = fileNameProblem(name) ?? (seen.has(name) ? 'stands twice' : undefined)
    if (problem !== undefined) throw new GridError('invalid', `the file name ${JSON.stringify(name)} ${problem}`)
    seen.add(name)
    for (const part of [memoryContent(fileItemHead(name, content.size)), content]) {
      if (part.size === 0) continue
      parts.push({ start: size, content: part })
      size += part.size
    }
  }
  return {
    size,
    read: async (start, end) => {
      const bytes = new Uint8Array(end - start)
      for (let i = partAt(parts, start); i < parts.length && parts[i]!.start < end; i++) {
        const part = parts[i]!
        const from = Math.max(start, part.start)
        const to = Math.min(end, part.start + part.content.size)
        bytes.set(await part.content.read(from - part.start, to - part.start), from - start)
      }
      return bytes
    },
    close: async () => {
      for (const { content } of files) await content.close?.()
    },
  }
}

/** The last part that begins at or before `offset`. */
function partAt(parts: readonly { readonly start: number }[], offset: number): number {
  let low = 0
  let high = parts.length
  while (low + 1 < high) {
    const middle = (low + high) >> 1
    if (parts[middle]!.start <= offset) low = middle
    else high = middle
  }
  return low
}

/** Chunks read in one go: large files are read in pieces of 2 MiB. */
const CHUNKS_PER_READ = 8

/**
 * Reads content once from start to end, hashing it as a blob and showing each piece to `onPiece`. Keeps 2 MiB of it at most.
 * Throws GridError `invalid` above 64 GiB or when the content turns out shorter than it said.
 */
export async function hashContent(
  sha256: Sha256,
  content: Content,
  label: string,
  onPiece?: (bytes: Uint8Array) => void,
): Promise<BlobContent> {
  const { size } = content
  if (size > BLOB_BYTES_MAX)
    throw new GridError('invalid', `${label} has ${size} bytes, at most ${BLOB_BYTES_MAX} allowed`)
  const chunkHashes = new Uint8Array(chunkCount(size) * HASH_BYTES)
  const pieceBytes = CHUNKS_PER_READ * CHUNK_BYTES
  for (let at = 0, index = 0; at < size; at += pieceBytes) {
    const piece = await content.read(at, Math.min(size, at + pieceBytes))
    if (piece.length !== Math.min(pieceBytes, size - at))
      throw new GridError('invalid', `${label} changed while it was read`)
    for (let from = 0; from < piece.length; from += CHUNK_BYTES, index++) {
      chunkHashes.set(fromHex(sha256(piece.subarray(from, from + CHUNK_BYTES))), index * HASH_BYTES)
    }
    onPiece?.(piece)
  }
  return { blob: { digest: blobDigest(sha256, size, chunkHashes), size }, chunkHashes, content, label }
}

/** Chunk `index` of a blob's content. */
export function readChunk({ blob, content }: BlobContent, index: number): Promise<Uint8Array> | Uint8Array {
  const start = index * CHUNK_BYTES
  return content.read(start, start + chunkLength(blob.size, index))
}
