import { chunkCount } from '../job/blob.js'
import { neededItems } from '../job/spec/program.js'
import { type ByteSpan, contentSpan, cutItems, indexSpan, type ListSource } from '../job/units/list.js'
import { CHUNK_BYTES } from '../proto/limits.js'
import type { BlobRef, Digest, JobSpec } from '../proto/model.js'
import type { Clock } from '../runtime/clock.js'
import { GridError } from '../runtime/errors.js'
import { Limit } from '../runtime/limit.js'
import { Rate } from '../runtime/rate.js'
import type { Endpoint, Transport } from '../runtime/transport.js'
import { fetchBlob } from '../storage/blob-client.js'

/** Files that modules and shared inputs are put into, by digest. A file that is held stays; others may go at any time. */
export interface InputFiles {
  /** Path of complete content, held from now on; undefined when it is not here. */
  hold(blob: BlobRef): Promise<string | undefined>
  /**
   * Opens new content for writing at offsets; `finish` makes it complete, holds it and gives its path. `abandon` does
   * nothing after that. Rejects with GridError `quota` when there is no room.
   */
  create(blob: BlobRef): Promise<{
    write(offset: number, bytes: Uint8Array): Promise<void>
    finish(): Promise<string>
    abandon(): Promise<void>
  }>
  /** Undoes one {@link hold} or `finish`. */
  release(digest: Digest): void
  /** Other room; what is above it goes as it is let go. Unit: bytes. */
  setRoom?(bytesMax: number): Promise<void>
}

/** Files of a job, as the compute process takes them. */
export interface JobInputs {
  readonly inputs: readonly { readonly name: string; readonly path: string }[]
  /** Of a job whose task is a module. */
  readonly modulePath?: string
  /** Lets the files go. Safe to call twice. */
  release(): void
}

interface InputsContext {
  readonly clock: Clock
  readonly transport: Transport
  readonly files: InputFiles
  /** Peers that should have the blob, nearest first. */
  readonly holders: (digest: Digest) => Promise<readonly Endpoint[]>
}

/** Chunks of lists kept in memory; units of one grant mostly share them. */
const CHUNKS_CACHED_MAX = 256
/** Manifests and holders kept. */
const BLOBS_CACHED_MAX = 64
const HOLDERS_MS = 60_000
/** Requests for chunks at a time: a holder serves 16 of one caller. */
const FETCHES_AT_ONCE = 8

/**
 * What units need besides their arguments: module and shared inputs as files, items of lists as bytes. Everything is checked against
 * the digests of the spec while it is fetched. Methods reject with GridError `notFound` or `unreachable` when nobody has it.
 */
export class Inputs {
  readonly #c: InputsContext
  readonly #rate: Rate
  readonly #chunks = new Map<string, Promise<Uint8Array>>()
  readonly #manifests = new Map<Digest, Promise<Uint8Array>>()
  readonly #fetches = new Limit(FETCHES_AT_ONCE)
  readonly #holders = new Map<Digest, { readonly endpoints: readonly Endpoint[]; readonly at: number }>()
  /** Files being fetched. */
  readonly #fetching = new Map<Digest, Promise<void>>()

  constructor(context: InputsContext) {
    this.#c = context
    this.#rate = new Rate(context.clock)
  }

  /** How much may be kept, and how fast fetched; undefined: as fast as it goes. Units: bytes, bytes a second. */
  limit(diskBytes: number, rateBytes: number | undefined): void {
    this.#rate.set(rateBytes)
    void this.#c.files.setRoom?.(diskBytes).catch(() => {
      // What cannot be removed now goes when room is next needed.
    })
  }

  /** Module and shared inputs of a job as files, to be released when the job is closed. */
  async files({ task, inputs }: JobSpec, signal: AbortSignal): Promise<JobInputs> {
    const held: Digest[] = []
    const hold = async (blob: BlobRef) => {
      const path = await this.#file(blob, signal)
      held.push(blob.digest)
      return path
    }
    const release = () => {
      for (const digest of held.splice(0)) this.#c.files.release(digest)
    }
    const module = task.type === 'module' ? hold(task.module) : undefined
    const paths = inputs.map(async ({ name, blob }) => ({ name, path: await hold(blob) }))
    // All of them, before anything is let go: what is still being fetched is held when it comes.
    const settled = await Promise.allSettled([...paths, ...(module ? [module] : [])])
    const failed = settled.find((one) => one.status === 'rejected')
    if (failed !== undefined) {
      release()
      throw failed.reason
    }
    return { inputs: await Promise.all(paths), ...(module && { modulePath: await module }), release }
  }

  /** Items of one unit; none for sources that are no list. */
  async items(spec: JobSpec, unit: number, signal: AbortSignal): Promise<readonly Uint8Array[]> {
    const needed = neededItems(spec, unit)
    if (needed === undefined || needed.count === 0) return []
    const source = spec.source as ListSource
    const index = await this.#bytes(source.index, indexSpan(source, needed), signal)
    const content = await this.#bytes(source.items, contentSpan(source, index), signal)
    return cutItems(source, needed, content)
  }

  async #bytes(blob: BlobRef, { start, end }: ByteSpan, signal: AbortSignal): Promise<Uint8Array> {
    if (end > blob.size) throw new GridError('corrupt', 'the index of the list leaves its blob')
    const first = Math.floor(start / CHUNK_BYTES)
    const last = end === start ? first : Math.floor((end - 1) / CHUNK_BYTES)
    if (first >= chunkCount(blob.size)) return new Uint8Array(0)
    const indices = Array.from({ length: last - first + 1 }, (_, i) => first + i)
    const chunks = await Promise.all(this.#chunksOf(blob, indices, signal))
    if (chunks.length === 1) return chunks[0]!.subarray(start - first * CHUNK_BYTES, end - first * CHUNK_BYTES)
    const whole = new Uint8Array(end - start)
    for (const [i, chunk] of chunks.entries()) {
      const from = (first + i) * CHUNK_BYTES
      whole.set(
        chunk.subarray(Math.max(0, start - from), Math.min(chunk.length, end - from)),
        Math.max(0, from - start),
      )
    }
    return whole
  }

  /** Chunks in memory, and those that are not, fetched with one request; each is shared by all units that want it. */
  #chunksOf(blob: BlobRef, indices: readonly number[], signal: AbortSignal): readonly Promise<Uint8Array>[] {
    const waiting = new Map<number, { resolve: (bytes: Uint8Array) => void; reject: (error: unknown) => void }>()
    const chunks = indices.map((index) => {
      const name = chunkName(blob, index)
      const known = this.#chunks.get(name)
      if (known !== undefined) return known
      const chunk = new Promise<Uint8Array>((resolve, reject) => waiting.set(index, { resolve, reject }))
      chunk.catch(() => this.#chunks.delete(name))
      this.#chunks.set(name, chunk)
      return chunk
    })
    if (waiting.size === 0) return chunks
    const sink = (index: number, bytes: Uint8Array) => waiting.get(index)?.resolve(bytes)
    this.#fetch(blob, [...waiting.keys()], sink, signal).catch((error: unknown) => {
      for (const { reject } of waiting.values()) reject(error)
    })
    // One that is wanted now may be the oldest: it is in `chunks`.
    for (const name of this.#chunks.keys()) {
      if (this.#chunks.size <= CHUNKS_CACHED_MAX + waiting.size) break
      this.#chunks.delete(name)
    }
    return chunks
  }

  async #fetch(
    blob: BlobRef,
    chunks: readonly number[] | undefined,
    sink: (index: number, bytes: Uint8Array) => Promise<void> | void,
    signal: AbortSignal,
  ): Promise<void> {
    const { clock, transport } = this.#c
    try {
      const from = await this.#holdersOf(blob.digest)
      const manifest = await this.#manifestOf(blob, from, signal)
      const options = { clock, signal, manifest, ...(chunks && { chunks }) }
      const paced = async (index: number, bytes: Uint8Array) => {
        await this.#rate.take(bytes.length, signal)
        await sink(index, bytes)
      }
      await this.#fetches.run(() => fetchBlob(transport, from, blob, paced, options))
    } catch (error) {
      this.#holders.delete(blob.digest)
      throw error
    }
  }

  /** Hashes of the blob's chunks, fetched once for all units that want some of it. */
  #manifestOf(blob: BlobRef, from: readonly Endpoint[], signal: AbortSignal): Promise<Uint8Array> {
    let manifest = this.#manifests.get(blob.digest)
    if (manifest === undefined) {
      const { clock, transport } = this.#c
      manifest = fetchBlob(transport, from, blob, () => {}, { clock, signal, chunks: [] })
      manifest.catch(() => this.#manifests.delete(blob.digest))
      this.#manifests.set(blob.digest, manifest)
      forgetOldest(this.#manifests)
    }
    return manifest
  }

  async #holdersOf(digest: Digest): Promise<readonly Endpoint[]> {
    const now = this.#c.clock.now()
    const known = this.#holders.get(digest)
    if (known !== undefined && now - known.at < HOLDERS_MS) return known.endpoints
    const endpoints = await this.#c.holders(digest)
    this.#holders.set(digest, { endpoints, at: now })
    forgetOldest(this.#holders)
    return endpoints
  }

  /** Path of a blob as a file, held. */
  async #file(blob: BlobRef, signal: AbortSignal): Promise<string> {
    for (;;) {
      const there = await this.#c.files.hold(blob)
      if (there !== undefined) return there
      const other = this.#fetching.get(blob.digest)
      if (other === undefined) return this.#fetchFile(blob, signal)
      // Jobs that share an input fetch it once; whose fetch was aborted leaves it to the next.
      await other
      if (signal.aborted) throw new GridError('closed', 'the inputs are not needed any more')
    }
  }

  #fetchFile(blob: BlobRef, signal: AbortSignal): Promise<string> {
    const fetched = this.#fetchNewFile(blob, signal)
    const over = fetched.then(
      () => {},
      () => {},
    )
    this.#fetching.set(blob.digest, over)
    return fetched.finally(() => this.#fetching.delete(blob.digest))
  }

  async #fetchNewFile(blob: BlobRef, signal: AbortSignal): Promise<string> {
    const file = await this.#c.files.create(blob)
    try {
      await this.#fetch(blob, undefined, (index, bytes) => file.write(index * CHUNK_BYTES, bytes), signal)
      return await file.finish()
    } catch (error) {
      await file.abandon()
      throw error
    }
  }
}

function chunkName(blob: BlobRef, index: number): string {
  return `${blob.digest}/${index}`
}

function forgetOldest(table: Map<Digest, unknown>): void {
  for (const key of table.keys()) {
    if (table.size <= BLOBS_CACHED_MAX) return
    table.delete(key)
  }
}
