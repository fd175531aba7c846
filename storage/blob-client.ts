import { CHUNK_BYTES, chunkCount, HASH_BYTES, verifyChunk, verifyManifest } from '../job/blob.js'
import type { BlobChunk, BlobGetRequest, BlobPut, BlobPutReply } from '../proto/blob-messages.js'
import { BLOB_GET_CHUNKS_MAX, MANIFEST_PART_HASHES_MAX } from '../proto/limits.js'
import { methods } from '../proto/methods.js'
import type { BlobRef, NodeId } from '../proto/model.js'
import { countBits, hasBit } from '../runtime/bits.js'
import { type Clock, type Millis, pause } from '../runtime/clock.js'
import { consume } from '../runtime/consume.js'
import { GridError, toGridError } from '../runtime/errors.js'
import { sha256 } from '../runtime/hash.js'
import { fromHex } from '../runtime/hex.js'
import { collect, within } from '../runtime/transfer.js'
import type { Endpoint, MessageStream, Transport } from '../runtime/transport.js'

interface TransferOptions {
  readonly clock: Clock
  readonly signal?: AbortSignal
  /** Called after each chunk with the bytes of content done and in all; those found at the other end count. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
}

/**
 * Times in a row that an upload to one peer, or a round over all peers, is tried without getting further; each goes on where
 * the last one stopped.
 */
const ATTEMPTS_MAX = 4
/** Wait before the second attempt; doubles. Unit: ms. */
const RETRY_MS: Millis = 500
/** Longest wait for an answer, or for room to send. Unit: ms. */
const IDLE_MS: Millis = 30_000
/** Longest wait for a peer as long as another has not been asked: then the link is slow, not the peer. Unit: ms. */
const OTHERS_IDLE_MS: Millis = 10_000
/** Chunks asked for at once: 64 MiB, so that a lost peer costs little. */
const GET_CHUNKS = Math.min(256, BLOB_GET_CHUNKS_MAX)
/** Blobs of so many chunks are fetched without their manifest first: it follows from the content. */
const DIRECT_CHUNKS_MAX = 4

/**
 * Stores a blob at one peer, sending only the chunks that it lacks; goes on by itself after a failure that may pass. Resolves
 * to the holder once everything is on its disk. Rejects with GridError: the peer's (`quota` names the limit), `unreachable`,
 * `timeout`, `closed` when aborted, or whatever `readChunk` throws.
 */
export async function uploadBlob(
  transport: Transport,
  to: Endpoint,
  blob: BlobRef,
  chunkHashes: Uint8Array,
  readChunk: (index: number) => Promise<Uint8Array> | Uint8Array,
  options: TransferOptions & { readonly keepUntilMs: number },
): Promise<NodeId> {
  const seen: Seen = { chunksMost: 0, gotFurther: false }
  for (let attempt = 1; ; attempt++) {
    try {
      return await uploadOnce(transport, to, blob, chunkHashes, readChunk, options, seen)
    } catch (error) {
      const failure = toGridError(error)
      if (seen.gotFurther) attempt = 1
      if (!failure.retryable || failure.code === 'quota' || options.signal?.aborted || attempt === ATTEMPTS_MAX)
        throw failure
      await pause(options.clock, RETRY_MS * 2 ** (attempt - 1), options.signal)
    }
  }
}

/** What attempts have seen of a blob at its peer. */
interface Seen {
  /** Chunks that it had when most were there. */
  chunksMost: number
  /** It had more when the last attempt began than before: what is sent arrives. */
  gotFurther: boolean
}

async function uploadOnce(
  transport: Transport,
  to: Endpoint,
  blob: BlobRef,
  chunkHashes: Uint8Array,
  readChunk: (index: number) => Promise<Uint8Array> | Uint8Array,
  { clock, signal, onProgress, keepUntilMs }: TransferOptions & { readonly keepUntilMs: number },
  seen: Seen,
): Promise<NodeId> {
  checkAborted(signal)
  seen.gotFurther = false
  const stat = await transport.call(
    to,
    methods.blobStat,
    { blob },
    { deadlineMs: IDLE_MS, ...(signal ? { signal } : {}) },
  )
  const chunksThere = countBits(stat.present)
  seen.gotFurther = chunksThere > seen.chunksMost
  seen.chunksMost = Math.max(seen.chunksMost, chunksThere)
  const stream = transport.open(to, methods.blobPut, signal)
  let reply: BlobPutReply | undefined
  let over = false
  // The peer is silent until it has everything: the wait for room to send watches it until then.
  const answered = collect(stream, (message) => {
    reply = message
  }).finally(() => {
    over = true
  })
  answered.catch(() => {})
  const send = async (message: BlobPut) => {
    if (stream.send(message)) return
    await within(stream, stream.drained(), { clock, idleMs: IDLE_MS })
  }
  // A complete blob is sent its start and manifest as well: they extend the time it is kept for.
  await send({ type: 'start', blob, keepUntilMs })
  const partBytes = MANIFEST_PART_HASHES_MAX * HASH_BYTES
  for (let at = 0; at < chunkHashes.length && !over; at += partBytes) {
    await send({ type: 'hashes', hashes: chunkHashes.subarray(at, at + partBytes) })
  }
  for (let index = 0; index < chunkCount(blob.size) && !over && !stat.complete; index++) {
    if (!hasBit(stat.present, index)) {
      try {
        await send({ type: 'chunk', index, bytes: await readChunk(index) })
      } catch (error) {
        stream.cancel(toGridError(error))
        throw error
      }
    }
    onProgress?.(Math.min(blob.size, (index + 1) * CHUNK_BYTES), blob.size)
  }
  stream.end()
  await within(stream, answered, { clock, idleMs: IDLE_MS })
  if (!reply?.complete) throw new GridError('unavailable', 'the peer has lost a part of the upload')
  return reply.holder
}

/**
 * Tells a peer that the caller needs a blob no more: it goes, unless another key stored it there as well. Rejects with
 * GridError as {@link uploadBlob}; `invalid` from a peer that does not know how.
 */
export async function releaseBlob(
  transport: Transport,
  from: Endpoint,
  blob: BlobRef,
  { clock, signal }: Pick<TransferOptions, 'clock' | 'signal'>,
): Promise<void> {
  const stream = transport.open(from, methods.blobPut, signal)
  const answered = collect(stream, () => {})
  stream.send({ type: 'start', blob, keepUntilMs: 0 })
  stream.end()
  await within(stream, answered, { clock, idleMs: IDLE_MS })
}

/**
 * Fetches a blob, or some of its chunks, from whoever of `from` has it; every chunk is checked before `sink` gets it, each
 * once, in the order asked for unless a peer fails. A peer that sends wrong bytes is not asked again; others are, with what
 * is still missing. Resolves to the manifest when all chunks are in. Rejects with GridError: what the last peer said
 * (`notFound`, `unreachable` ...), `corrupt` when all that is left lied, `closed` when aborted, or what `sink` threw.
 */
export async function fetchBlob(
  transport: Transport,
  from: readonly Endpoint[],
  blob: BlobRef,
  sink: (index: number, bytes: Uint8Array) => Promise<void> | void,
  options: TransferOptions & { readonly chunks?: readonly number[]; readonly manifest?: Uint8Array },
): Promise<Uint8Array> {
  const total = chunkCount(blob.size)
  const wanted = options.chunks ?? Array.from({ length: total }, (_, index) => index)
  if (options.manifest && !verifyManifest(sha256, blob, options.manifest)) {
    throw new GridError('invalid', 'the manifest does not have the digest of the blob')
  }
  const fetch: Fetch = {
    transport,
    blob,
    missing: new Set(wanted),
    sink,
    options,
    idleMs: IDLE_MS,
    manifest: options.manifest,
    sinkFailed: false,
  }
  if (total === 0) fetch.manifest = new Uint8Array(0)
  const honest = new Set(from)
  let failure = new GridError('notFound', 'nobody is known who has the blob')
  for (let attempt = 0, left = fetch.missing.size; attempt < ATTEMPTS_MAX && honest.size > 0; attempt++) {
    if (fetch.missing.size < left) attempt = 1
    left = fetch.missing.size
    if (attempt > 0) await pause(options.clock, RETRY_MS * 2 ** (attempt - 1), options.signal)
    for (const endpoint of honest) {
      checkAborted(options.signal)
      fetch.idleMs = attempt === 0 && honest.size > 1 ? OTHERS_IDLE_MS : IDLE_MS
      try {
        await fetchFrom(fetch, endpoint)
        return fetch.manifest!
      } catch (error) {
        failure = toGridError(error)
        if (fetch.sinkFailed) throw error
        if (failure.code === 'corrupt' || failure.code === 'invalid') honest.delete(endpoint)
      }
    }
    if (!failure.retryable && failure.code !== 'notFound') break
  }
  throw failure
}

interface Fetch {
  readonly transport: Transport
  readonly blob: BlobRef
  readonly missing: Set<number>
  readonly sink: (index: number, bytes: Uint8Array) => Promise<void> | void
  readonly options: TransferOptions
  /** Longest wait for the next message of the peer that is asked. Unit: ms. */
  idleMs: Millis
  manifest: Uint8Array | undefined
  sinkFailed: boolean
}

async function fetchFrom(fetch: Fetch, endpoint: Endpoint): Promise<void> {
  const { blob, missing } = fetch
  const total = chunkCount(blob.size)
  if (!fetch.manifest && total <= DIRECT_CHUNKS_MAX && missing.size === total) return fetchDirect(fetch, endpoint)
  fetch.manifest ??= await fetchManifest(fetch, endpoint)
  while (missing.size > 0) {
    const chunks = [...missing].slice(0, GET_CHUNKS)
    await get(fetch, endpoint, chunks, async (index, bytes) => {
      if (!verifyChunk(sha256, blob.size, fetch.manifest!, index, bytes)) throw wrongBytes()
      await deliver(fetch, index, bytes)
    })
    if (chunks.some((index) => missing.has(index))) throw wrongBytes()
  }
}

/** All chunks of a small blob in one round trip; the manifest is what they hash to. */
async function fetchDirect(fetch: Fetch, endpoint: Endpoint): Promise<void> {
  const total = chunkCount(fetch.blob.size)
  const chunks = new Map<number, Uint8Array>()
  const manifest = new Uint8Array(total * HASH_BYTES)
  await get(fetch, endpoint, [...fetch.missing], (index, bytes) => {
    manifest.set(fromHex(sha256(bytes)), index * HASH_BYTES)
    chunks.set(index, bytes)
  })
  const bytesTotal = [...chunks.values()].reduce((sum, { length }) => sum + length, 0)
  if (bytesTotal !== fetch.blob.size || !verifyManifest(sha256, fetch.blob, manifest)) throw wrongBytes()
  fetch.manifest = manifest
  for (const [index, bytes] of chunks) await deliver(fetch, index, bytes)
}

async function fetchManifest({ transport, blob, options, idleMs }: Fetch, endpoint: Endpoint): Promise<Uint8Array> {
  const hashes = new Uint8Array(chunkCount(blob.size) * HASH_BYTES)
  let gathered = 0
  const stream = transport.open(endpoint, methods.blobManifest, options.signal)
  stream.send({ blob })
  stream.end()
  await consume(stream, { clock: options.clock, idleMs, until: 'close' }, (part) => {
    if (gathered + part.hashes.length > hashes.length) throw wrongBytes()
    hashes.set(part.hashes, gathered)
    gathered += part.hashes.length
  })
  if (gathered !== hashes.length || !verifyManifest(sha256, blob, hashes)) throw wrongBytes()
  return hashes
}

async function get(
  { transport, blob, options, idleMs }: Fetch,
  endpoint: Endpoint,
  chunks: readonly number[],
  take: (index: number, bytes: Uint8Array) => Promise<void> | void,
): Promise<void> {
  const asked = new Set(chunks)
  const stream: MessageStream<BlobChunk, BlobGetRequest> = transport.open(endpoint, methods.blobGet, options.signal)
  stream.send({ blob, chunks })
  stream.end()
  await consume(stream, { clock: options.clock, idleMs, until: 'close' }, async ({ index, bytes }) => {
    if (!asked.delete(index)) throw wrongBytes()
    await take(index, bytes)
  })
}

async function deliver(fetch: Fetch, index: number, bytes: Uint8Array): Promise<void> {
  try {
    await fetch.sink(index, bytes)
  } catch (error) {
    fetch.sinkFailed = true
    throw error
  }
  fetch.missing.delete(index)
  const left = fetch.missing.size * CHUNK_BYTES
  fetch.options.onProgress?.(Math.max(0, fetch.blob.size - left), fetch.blob.size)
}

function wrongBytes(): GridError {
  return new GridError('corrupt', 'the peer sent bytes that are not those of the blob')
}

function checkAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new GridError('closed', 'the transfer was aborted')
}
