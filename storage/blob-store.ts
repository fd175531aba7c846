import { CHUNK_BYTES, chunkCount, chunkLength, verifyChunk, verifyManifest } from '../job/blob.js'
import type { BlobRef, Digest, PublicKey } from '../proto/model.js'
import { filledBits, hasBit, setBit } from '../runtime/bits.js'
import type { Clock } from '../runtime/clock.js'
import { GridError } from '../runtime/errors.js'
import { sha256 } from '../runtime/hash.js'
import type { BlobEntry, BlobFiles, BlobKind } from './blob-files.js'

/** Content up to this is gathered in memory and written as one file once. */
const SMALL_BLOB_BYTES_MAX = 2 ** 20
/** Uploads under way at once; past it the one idle for longest gives way. */
const PARTIALS_MAX = 64
/** Of these for one submitter. */
export const PARTIALS_PER_SUBMITTER_MAX = 16
/** An upload without progress for this long is given up by {@link BlobStore.sweep}. Unit: ms. */
export const PARTIAL_IDLE_MS = 24 * 3600 * 1000

/** For whom content is kept, and for how long. */
export interface Keep {
  /** Whose quota it counts against: the first who stored it. */
  readonly submitter: PublicKey
  /** Wall clock, ms; content goes at the next {@link BlobStore.sweep} after it. Only ever extended. */
  readonly keepUntilMs: number
  /** False: a cached copy, which goes when room is needed, the least recently used first. */
  readonly pin: boolean
}

/** {@link Keep} of content that is here; without a submitter: for nobody new. */
type KeepLonger = Omit<Keep, 'submitter'> & { readonly submitter?: PublicKey }

/** How much of a blob is here. */
interface BlobStat {
  readonly ref: BlobRef
  readonly complete: boolean
  /** One bit a chunk, least significant first. */
  readonly present: Uint8Array
}

/** Room for content. Unit: bytes of content; names and hashes come on top (under 1 %). */
interface BlobQuota {
  readonly totalBytes: number
  readonly submitterBytes: number
}

interface Partial {
  readonly hashes: Uint8Array
  readonly present: Uint8Array
  missing: number
  /** Content of a small blob; undefined: chunks go to the file. */
  readonly buffer: Uint8Array | undefined
  progressAtMs: number
}

interface Kept {
  entry: BlobEntry
  complete: boolean
  partial: Partial | undefined
  /** The making of `partial`: of its file, or out of it after a restart. */
  loading: Promise<Partial> | undefined
  /** The write that makes it complete. */
  finishing: Promise<void> | undefined
}

/**
 * Content by digest. *Blobs* are cut into chunks, each checked against a manifest that is checked against the digest, so
 * uploads resume and every stored chunk is right. *Whole* content is stored at once under a name that the caller checks.
 * What is reported complete is on disk. Bytes are not checked again when read: receivers do that.
 *
 * All methods reject with GridError: `notFound`; `invalid` for a manifest, index or length that does not fit; `corrupt` for a
 * chunk that does not have its hash; `quota` naming the limit; `unavailable` when the disk is full; `closed`.
 */
export class BlobStore {
  readonly #files: BlobFiles
  readonly #clock: Pick<Clock, 'wallMs'>
  readonly #quota: BlobQuota
  /** Least recently used first. */
  readonly #kept = new Map<string, Kept>()
  readonly #bySubmitter = new Map<PublicKey, number>()
  /** Files that are being removed: what is stored under their name meanwhile waits, or it would be removed instead. */
  readonly #leaving = new Map<string, Promise<void>>()
  #bytes = 0
  #closed = false

  private constructor(files: BlobFiles, clock: Pick<Clock, 'wallMs'>, quota: BlobQuota) {
    this.#files = files
    this.#clock = clock
    this.#quota = quota
  }

  /** The store over `files`, with what is there already. */
  static async open(files: BlobFiles, clock: Pick<Clock, 'wallMs'>, quota: BlobQuota): Promise<BlobStore> {
    const store = new BlobStore(files, clock, quota)
    for (const { entry, complete } of await files.list()) store.#add(entry).complete = complete
    return store
  }

  /** Bytes of content kept, uploads under way in full. */
  get bytesUsed(): number {
    return this.#bytes
  }

  /** Whether all of the blob is here. */
  has(digest: Digest): boolean {
    return this.#kept.get(nameOf('blob', digest))?.complete === true
  }

  /** What is here of a blob; undefined: nothing. */
  async stat(digest: Digest): Promise<BlobStat | undefined> {
    const kept = this.#kept.get(nameOf('blob', digest))
    if (!kept) return undefined
    const ref = { digest, size: kept.entry.size }
    if (kept.complete) return { ref, complete: true, present: filledBits(chunkCount(ref.size)) }
    const { present } = await this.#partialOf(kept)
    return { ref, complete: kept.complete, present: present.slice() }
  }

  /** Starts or resumes a blob. `hashes`: 32 bytes a chunk, in order. An empty blob is complete at once. */
  async begin(ref: BlobRef, hashes: Uint8Array, keep: Keep): Promise<BlobStat> {
    this.#checkOpen()
    if (!verifyManifest(sha256, ref, hashes))
      throw new GridError('invalid', 'the manifest does not have the digest of the blob')
    const name = nameOf('blob', ref.digest)
    const entry: BlobEntry = { kind: 'blob', name: ref.digest, size: ref.size, ...keep, shared: false }
    if (!this.#kept.has(name)) {
      await this.#makeRoom(entry)
      await this.#limitPartials(keep.submitter)
    }
    // Another upload of the same blob may have begun meanwhile.
    await this.#extendOr(name, keep, () => this.#start(entry, hashes))
    return (await this.stat(ref.digest))!
  }

  /** Stores one chunk; again is harmless. True: the blob is complete and durable. */
  async writeChunk(digest: Digest, index: number, bytes: Uint8Array): Promise<boolean> {
    const kept = this.#find('blob', digest)
    const { size } = kept.entry
    const start = index * CHUNK_BYTES
    checkIndex(kept.entry, index)
    const length = chunkLength(size, index)
    if (bytes.length !== length)
      throw new GridError('invalid', `chunk ${index} has ${bytes.length} bytes, must have ${length}`)
    if (kept.complete) return true
    const partial = await this.#partialOf(kept)
    if (!hasBit(partial.present, index)) {
      if (!verifyChunk(sha256, size, partial.hashes, index, bytes))
        throw new GridError('corrupt', `chunk ${index} does not have the hash of the manifest`)
      if (partial.buffer) partial.buffer.set(bytes, start)
      else await this.#files.writePart(kept.entry, start, bytes)
      partial.progressAtMs = this.#clock.wallMs()
      // Another upload of the same blob may have come first.
      if (setBit(partial.present, index)) partial.missing--
    }
    if (partial.missing > 0) return false
    if (!this.#isKept(kept)) throw new GridError('notFound', 'the blob was removed')
    if (!kept.complete) await this.#finish(kept, partial)
    return true
  }

  /** Hashes of the chunks of a blob that is here, in part at least. */
  async manifest(digest: Digest): Promise<Uint8Array> {
    const kept = this.#find('blob', digest)
    return kept.partial?.hashes ?? this.#files.hashes(kept.entry, kept.complete)
  }

  /** One chunk of a complete blob. */
  async readChunk(digest: Digest, index: number): Promise<Uint8Array> {
    const kept = this.#find('blob', digest)
    if (!kept.complete) throw new GridError('notFound', 'the blob is not complete here')
    checkIndex(kept.entry, index)
    this.#touch(kept)
    return this.#read(kept, index * CHUNK_BYTES, chunkLength(kept.entry.size, index))
  }

  /** Keeps a blob for longer, and pins it if asked; never the other way round. */
  async extend(digest: Digest, keep: KeepLonger): Promise<void> {
    await this.#extend(this.#find('blob', digest), keep)
  }

  /**
   * Lets a blob go that `submitter` was the first and only one to store; false for one that is not here, or that others
   * count on, too.
   */
  async release(digest: Digest, submitter: PublicKey): Promise<boolean> {
    const kept = this.#kept.get(nameOf('blob', digest))
    if (kept === undefined || kept.entry.shared || kept.entry.submitter !== submitter) return false
    return this.#remove(kept)
  }

  /** Removes a blob; false when it was not here. */
  async delete(digest: Digest): Promise<boolean> {
    return this.#remove(this.#kept.get(nameOf('blob', digest)))
  }

  /** Stores `bytes` under `name`, which the caller has checked them against; durable when it resolves. */
  async putWhole(name: Digest, bytes: Uint8Array, keep: Keep): Promise<void> {
    this.#checkOpen()
    const entry: BlobEntry = { kind: 'whole', name, size: bytes.length, ...keep, shared: false }
    if (!this.#kept.has(nameOf('whole', name))) await this.#makeRoom(entry)
    await this.#extendOr(nameOf('whole', name), keep, () => this.#writeWhole(entry, bytes))
  }

  async #writeWhole(entry: BlobEntry, bytes: Uint8Array): Promise<void> {
    this.#checkQuota(entry)
    const kept = this.#add(entry)
    try {
      await this.#complete(kept, () => this.#files.write(entry, new Uint8Array(0), bytes))
    } catch (error) {
      this.#forget(kept)
      throw error
    }
  }

  /** Keeps whole content for longer; nothing to do where it is not here. */
  async extendWhole(name: Digest, keepUntilMs: number): Promise<void> {
    const kept = this.#kept.get(nameOf('whole', name))
    if (kept !== undefined) await this.#extend(kept, { keepUntilMs, pin: false })
  }

  /** Up to `length` bytes from `start` on, or everything; undefined when it is not here. */
  async readWhole(name: Digest, start = 0, length = Number.POSITIVE_INFINITY): Promise<Uint8Array | undefined> {
    this.#checkOpen()
    const kept = this.#kept.get(nameOf('whole', name))
    if (!kept?.complete) return undefined
    this.#touch(kept)
    return this.#read(kept, start, Math.max(0, Math.min(length, kept.entry.size - start)))
  }

  async deleteWhole(name: Digest): Promise<boolean> {
    return this.#remove(this.#kept.get(nameOf('whole', name)))
  }

  /** Removes what is past its time and uploads given up; to be called every few minutes. Resolves to how many went. */
  async sweep(): Promise<number> {
    const now = this.#clock.wallMs()
    const past = [...this.#kept.values()].filter(
      ({ entry, partial }) => entry.keepUntilMs < now || (partial && partial.progressAtMs + PARTIAL_IDLE_MS < now),
    )
    for (const kept of past) await this.#remove(kept)
    return past.length
  }

  /** Ends reading and writing; uploads under way resume after the next start where they are in files. Safe to call twice. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled([...this.#kept.values()].flatMap(({ finishing, loading }) => [finishing, loading]))
    await Promise.all(this.#leaving.values())
    await this.#files.close()
  }

  #checkOpen(): void {
    if (this.#closed) throw new GridError('closed', 'the blob store is closed')
  }

  #find(kind: BlobKind, name: Digest): Kept {
    this.#checkOpen()
    const kept = this.#kept.get(nameOf(kind, name))
    if (!kept) throw new GridError('notFound', 'the blob is not here')
    return kept
  }

  #add(entry: BlobEntry): Kept {
    const { kind, name, size, submitter } = entry
    const kept: Kept = { entry, complete: false, partial: undefined, loading: undefined, finishing: undefined }
    this.#kept.set(nameOf(kind, name), kept)
    this.#bytes += size
    this.#bySubmitter.set(submitter, (this.#bySubmitter.get(submitter) ?? 0) + size)
    return kept
  }

  /** Whether it is here still, and not something stored under its name since. */
  #isKept(kept: Kept): boolean {
    return this.#kept.get(nameOf(kept.entry.kind, kept.entry.name)) === kept
  }

  /** Keeps what is here for longer; else runs `start`, once nothing of that name is here, nor its file any more. */
  async #extendOr(name: string, keep: Keep, start: () => Promise<void>): Promise<void> {
    for (;;) {
      const left = this.#leaving.get(name)
      const known = this.#kept.get(name)
      if (known !== undefined) {
        await this.#extend(known, keep)
        if (this.#isKept(known)) return
      } else if (left === undefined) return start()
      else await left
    }
  }

  #forget(kept: Kept): void {
    if (!this.#isKept(kept)) return
    const { entry } = kept
    this.#kept.delete(nameOf(entry.kind, entry.name))
    this.#bytes -= entry.size
    const left = this.#bySubmitter.get(entry.submitter)! - entry.size
    if (left > 0) this.#bySubmitter.set(entry.submitter, left)
    else this.#bySubmitter.delete(entry.submitter)
  }

  async #remove(kept: Kept | undefined): Promise<boolean> {
    if (!kept) return false
    this.#checkOpen()
    if (kept.finishing || kept.loading) await Promise.allSettled([kept.finishing, kept.loading])
    if (!this.#isKept(kept)) return false
    this.#forget(kept)
    if (kept.partial?.buffer) return true
    const name = nameOf(kept.entry.kind, kept.entry.name)
    const removed = this.#files.remove(kept.entry)
    const left = removed.then(
      () => void this.#leaving.delete(name),
      () => void this.#leaving.delete(name),
    )
    this.#leaving.set(name, left)
    await removed
    return true
  }

  #touch(kept: Kept): void {
    const name = nameOf(kept.entry.kind, kept.entry.name)
    if (this.#kept.delete(name)) this.#kept.set(name, kept)
  }

  async #read(kept: Kept, start: number, length: number): Promise<Uint8Array> {
    const bytes = await this.#files.read(kept.entry, start, length)
    if (bytes.length === length) return bytes
    await this.#remove(kept)
    throw new GridError('corrupt', 'a stored blob was cut short and has been removed')
  }

  async #extend(kept: Kept, { keepUntilMs, pin, submitter }: KeepLonger) {
    await kept.loading
    await kept.finishing
    if (!this.#isKept(kept)) return
    const { entry } = kept
    const shared = entry.shared || (submitter !== undefined && submitter !== entry.submitter)
    if (keepUntilMs <= entry.keepUntilMs && (entry.pin || !pin) && shared === entry.shared) return
    kept.entry = { ...entry, keepUntilMs: Math.max(entry.keepUntilMs, keepUntilMs), pin: entry.pin || pin, shared }
    if (!kept.partial?.buffer) await this.#files.setKeep(kept.entry, kept.complete)
  }

  /** Lets go of what may go, so far as `entry` needs the room. */
  async #makeRoom({ size }: BlobEntry): Promise<void> {
    const { totalBytes } = this.#quota
    if (size > totalBytes || this.#bytes + size <= totalBytes) return
    await this.sweep()
    for (const kept of [...this.#kept.values()]) {
      if (this.#bytes + size <= totalBytes) return
      if (kept.complete && !kept.entry.pin) await this.#remove(kept)
    }
  }

  #checkQuota({ size, submitter }: BlobEntry): void {
    const { totalBytes, submitterBytes } = this.#quota
    if ((this.#bySubmitter.get(submitter) ?? 0) + size > submitterBytes) {
      throw new GridError('quota', `this peer keeps at most ${submitterBytes} bytes for one submitter`, {
        fields: { submitterBytes },
      })
    }
    if (this.#bytes + size > totalBytes) {
      throw new GridError('quota', `this peer keeps at most ${totalBytes} bytes of content, and has no room left`, {
        fields: { totalBytes },
      })
    }
  }

  async #limitPartials(submitter: PublicKey): Promise<void> {
    const active = [...this.#kept.values()]
      .filter(({ partial, finishing }) => partial && !finishing)
      .sort((a, b) => a.partial!.progressAtMs - b.partial!.progressAtMs)
    const own = active.filter(({ entry }) => entry.submitter === submitter)
    if (own.length >= PARTIALS_PER_SUBMITTER_MAX) await this.#remove(own[0])
    else if (active.length >= PARTIALS_MAX) await this.#remove(active[0])
  }

  #newPartial({ size }: BlobEntry, hashes: Uint8Array): Partial {
    const count = chunkCount(size)
    return {
      hashes: hashes.slice(),
      present: new Uint8Array(Math.ceil(count / 8)),
      missing: count,
      buffer: size <= Math.max(SMALL_BLOB_BYTES_MAX, this.#files.gatheredBytesMax) ? new Uint8Array(size) : undefined,
      progressAtMs: this.#clock.wallMs(),
    }
  }

  /** The state of an upload; after a restart the chunks in the file are checked one by one to find out which are there. */
  #partialOf(kept: Kept): Promise<Partial> {
    if (kept.partial) return Promise.resolve(kept.partial)
    kept.loading ??= (async () => {
      const { entry } = kept
      const partial: Partial = {
        ...this.#newPartial({ ...entry }, await this.#files.hashes(entry, false)),
        buffer: undefined,
      }
      for (let index = 0; index < chunkCount(entry.size); index++) {
        const bytes = await this.#files.readPart(entry, index * CHUNK_BYTES, chunkLength(entry.size, index))
        if (verifyChunk(sha256, entry.size, partial.hashes, index, bytes) && setBit(partial.present, index))
          partial.missing--
      }
      kept.partial = partial
      if (partial.missing === 0) await this.#finish(kept, partial)
      return partial
    })().finally(() => {
      kept.loading = undefined
    })
    return kept.loading
  }

  async #start(entry: BlobEntry, hashes: Uint8Array): Promise<void> {
    this.#checkQuota(entry)
    const kept = this.#add(entry)
    const partial = this.#newPartial(entry, hashes)
    try {
      if (partial.buffer) kept.partial = partial
      else {
        kept.loading = this.#files.start(entry, hashes).then(() => partial)
        kept.partial = await kept.loading
        kept.loading = undefined
      }
      if (entry.size === 0) await this.#finish(kept, partial)
    } catch (error) {
      this.#forget(kept)
      throw error
    }
  }

  #finish(kept: Kept, { buffer, hashes }: Partial): Promise<void> {
    return this.#complete(kept, () =>
      buffer ? this.#files.write(kept.entry, hashes, buffer) : this.#files.finish(kept.entry),
    )
  }

  /** Runs `write` unless it is running already. */
  #complete(kept: Kept, write: () => Promise<void>): Promise<void> {
    kept.finishing ??= write()
      .then(() => {
        kept.complete = true
        kept.partial = undefined
      })
      .finally(() => {
        kept.finishing = undefined
      })
    return kept.finishing
  }
}

function checkIndex({ size }: BlobEntry, index: number): void {
  if (Number.isSafeInteger(index) && index >= 0 && index < chunkCount(size)) return
  throw new GridError('invalid', `the blob has no chunk ${index}`)
}

function nameOf(kind: BlobKind, name: Digest): string {
  return `${kind}/${name}`
}
