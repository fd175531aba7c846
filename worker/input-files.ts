import { open, readdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { blobDigest, CHUNK_BYTES, chunkCount, HASH_BYTES } from '../job/blob.js'
import type { BlobRef, Digest } from '../proto/model.js'
import { GridError } from '../runtime/errors.js'
import { makeFolders } from '../runtime/folders.js'
import { sha256 } from '../runtime/hash.js'
import { fromHex } from '../runtime/hex.js'
import type { InputFiles } from './inputs.js'

/** End of a file that is still being fetched; left behind only by a crash. */
const PARTIAL_SUFFIX = '.part'
const NAME = /^[0-9a-f]{64}$/

interface Cached {
  readonly bytes: number
  /** Jobs that need it, and fetches of it. */
  holders: number
  /** Orders files by their last use. */
  usedAt: number
  /** Found here at the start, and not yet looked at. */
  isUnproved: boolean
}

/**
 * Modules and shared inputs as files of a folder, named by digest and kept for later jobs, also over a restart, after
 * which each is checked against its digest before it is used. Past `bytesMax` those used longest ago go first; a file that
 * an open job needs never goes.
 */
export async function openInputFiles(folder: string, bytesMax: number): Promise<InputFiles> {
  makeFolders(folder)
  const found: { name: string; bytes: number; mtimeMs: number }[] = []
  for (const name of await readdir(folder)) {
    const file = NAME.test(name) ? await stat(join(folder, name)) : undefined
    if (file?.isFile()) found.push({ name, bytes: file.size, mtimeMs: file.mtimeMs })
    else await rm(join(folder, name), { recursive: true, force: true })
  }
  found.sort((a, b) => a.mtimeMs - b.mtimeMs)
  const files = new FolderInputFiles(folder, bytesMax)
  for (const { name, bytes } of found) files.adopt(name as Digest, bytes)
  await files.shrink()
  return files
}

class FolderInputFiles implements InputFiles {
  readonly #folder: string
  #bytesMax: number
  readonly #cached = new Map<Digest, Cached>()
  #bytes = 0
  #uses = 0
  #partials = 0
  /** Files that are being removed. */
  readonly #removing = new Map<Digest, Promise<void>>()

  constructor(folder: string, bytesMax: number) {
    this.#folder = folder
    this.#bytesMax = bytesMax
  }

  /** Takes a file that is there. */
  adopt(digest: Digest, bytes: number): void {
    this.#cached.set(digest, { bytes, holders: 0, usedAt: ++this.#uses, isUnproved: true })
    this.#bytes += bytes
  }

  async hold({ digest, size }: BlobRef): Promise<string | undefined> {
    const cached = this.#cached.get(digest)
    if (cached === undefined) return undefined
    const path = join(this.#folder, digest)
    cached.holders++
    // Not there, or not what it was, if somebody else has been at the folder or the disk failed.
    const there = await stat(path).catch(() => undefined)
    if (there?.size === size && (!cached.isUnproved || (await digestOf(path, size)) === digest)) {
      cached.isUnproved = false
      cached.usedAt = ++this.#uses
      await utimes(path, new Date(), new Date()).catch(() => {})
      return path
    }
    cached.holders--
    if (cached.holders === 0) await this.#remove(digest, cached)
    return undefined
  }

  async setRoom(bytesMax: number): Promise<void> {
    this.#bytesMax = bytesMax
    await this.shrink()
  }

  release(digest: Digest): void {
    const cached = this.#cached.get(digest)
    if (cached !== undefined && cached.holders > 0) cached.holders--
  }

  async create({ digest, size }: BlobRef): ReturnType<InputFiles['create']> {
    await this.shrink(size)
    // Room is taken before the bytes come.
    this.#bytes += size
    const partial = join(this.#folder, `${digest}.${++this.#partials}${PARTIAL_SUFFIX}`)
    let isOver = false
    const file = await open(partial, 'w', 0o600).catch((error: unknown) => {
      this.#bytes -= size
      throw error
    })
    return {
      write: async (offset, bytes) => {
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done)
          done += bytesWritten
        }
      },
      finish: async () => {
        // It is believed without another look after a crash.
        await file.sync()
        await file.close()
        const path = join(this.#folder, digest)
        // Or it would be removed in place of the one before it.
        await this.#removing.get(digest)
        await rename(partial, path)
        isOver = true
        const known = this.#cached.get(digest)
        if (known !== undefined) this.#bytes -= known.bytes
        this.#cached.set(digest, {
          bytes: size,
          holders: (known?.holders ?? 0) + 1,
          usedAt: ++this.#uses,
          isUnproved: false,
        })
        return path
      },
      abandon: async () => {
        if (isOver) return
        isOver = true
        this.#bytes -= size
        await file.close()
        await rm(partial, { force: true })
      },
    }
  }

  /** Removes what was used longest ago until `more` bytes fit. Throws GridError `quota` when they cannot. */
  async shrink(more = 0): Promise<void> {
    if (more > this.#bytesMax) throw this.#tooLarge(more)
    const byUse = [...this.#cached]
      .filter(([, { holders }]) => holders === 0)
      .sort(([, a], [, b]) => a.usedAt - b.usedAt)
    for (const [digest, cached] of byUse) {
      if (this.#bytes + more <= this.#bytesMax) return
      await this.#remove(digest, cached)
    }
    if (this.#bytes + more > this.#bytesMax && more > 0) throw this.#tooLarge(more)
  }

  async #remove(digest: Digest, cached: Cached): Promise<void> {
    if (cached.holders > 0 || this.#cached.get(digest) !== cached) return
    this.#cached.delete(digest)
    this.#bytes -= cached.bytes
    const removed = rm(join(this.#folder, digest), { force: true }).finally(() => this.#removing.delete(digest))
    // Who waits for it only waits.
    const over = removed.catch(() => {})
    this.#removing.set(digest, over)
    await removed
  }

  #tooLarge(bytes: number): GridError {
    return new GridError('quota', `${bytes} more bytes of input do not fit the ${this.#bytesMax} that are kept here`)
  }
}

/** Digest of a file as content (`job/blob.ts`); undefined when it cannot be read. */
async function digestOf(path: string, size: number): Promise<Digest | undefined> {
  try {
    const file = await open(path)
    try {
      const hashes = new Uint8Array(chunkCount(size) * HASH_BYTES)
      const chunk = new Uint8Array(CHUNK_BYTES)
      for (let index = 0; index < chunkCount(size); index++) {
        const { bytesRead } = await file.read(chunk, 0, CHUNK_BYTES, index * CHUNK_BYTES)
        hashes.set(fromHex(sha256(chunk.subarray(0, bytesRead))), index * HASH_BYTES)
      }
      return blobDigest(sha256, size, hashes)
    } finally {
      await file.close()
    }
  } catch {
    return undefined
  }
}
