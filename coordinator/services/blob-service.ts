import { chunkCount, HASH_BYTES } from '../../job/blob.js'
import type { BlobChunk, BlobGetRequest, BlobManifestPart, BlobPut, BlobPutReply } from '../../proto/blob-messages.js'
import { EXTENDED_LIFE_MS_MAX, MANIFEST_PART_HASHES_MAX } from '../../proto/limits.js'
import { methods } from '../../proto/methods.js'
import type { BlobRef, NodeId, PublicKey } from '../../proto/model.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { consume } from '../../runtime/consume.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { MessageStream, Transport } from '../../runtime/transport.js'
import type { BlobStore } from '../../storage/blob-store.js'

interface BlobServiceOptions {
  /** Name of this peer in replies. */
  readonly nodeId: NodeId
  readonly clock: Clock
  /** Largest blob taken; a bound on the manifest that is gathered before the store checks its quotas. Unit: bytes. */
  readonly blobBytesMax: number
}

/** Streams served at once, for one caller and in all. */
export const BLOB_STREAMS_PER_CALLER_MAX = 16
const BLOB_STREAMS_MAX = 128
/** Hashes of manifests that are still being gathered, of all uploads together. Unit: bytes. */
const GATHERED_BYTES_MAX = 64 * 2 ** 20
/** A caller that neither sends nor takes anything for this long is cut off. Unit: ms. */
const IDLE_MS: Millis = 30_000

/**
 * Serves the methods of `Blobs` from `store` on `transport`. Uploads count against the quota of the caller's key. A digest
 * is the permission to read what it names.
 */
export function serveBlobs(transport: Transport, store: BlobStore, options: BlobServiceOptions): void {
  const streams = new StreamLimit()
  const session: Session = { store, options, gatheredBytes: 0 }
  transport.handleUnary(methods.blobStat, async ({ blob }) => {
    const stat = await store.stat(blob.digest)
    return { complete: stat?.complete ?? false, present: stat?.present ?? new Uint8Array(0) }
  })
  transport.handleStream(methods.blobPut, (stream) => streams.run(stream, () => receive(session, stream)))
  transport.handleStream(methods.blobManifest, (stream) =>
    streams.run(stream, () =>
      answer(session, stream, async ({ blob }) => sendManifest(session, stream, await store.manifest(blob.digest))),
    ),
  )
  transport.handleStream(methods.blobGet, (stream) =>
    streams.run(stream, () =>
      answer(session, stream, (request, isOver) => sendChunks(session, stream, request, isOver)),
    ),
  )
}

interface Session {
  readonly store: BlobStore
  readonly options: BlobServiceOptions
  /** Hashes held by uploads that have not begun. */
  gatheredBytes: number
}

/** Receives one upload; what it gathered is given back however it ends. */
async function receive(session: Session, stream: MessageStream<BlobPut, BlobPutReply>): Promise<void> {
  const gathering = { bytes: 0 }
  try {
    await receiveInto(gathering, session, stream)
  } finally {
    session.gatheredBytes -= gathering.bytes
  }
}

async function receiveInto(
  gathering: { bytes: number },
  session: Session,
  stream: MessageStream<BlobPut, BlobPutReply>,
): Promise<void> {
  const { store, options } = session
  let blob: BlobRef | undefined
  let keepUntilMs = 0
  let hashBytes = 0
  // As it came, not made for the size that was announced: an announcement costs the caller nothing.
  const parts: Uint8Array[] = []
  let begun = false
  let released = false
  const begin = async (ref: BlobRef) => {
    begun = true
    await store.begin(ref, new Uint8Array(Buffer.concat(parts.splice(0))), {
      submitter: stream.caller.publicKey,
      keepUntilMs,
      pin: true,
    })
  }
  await consume(stream, { clock: options.clock, idleMs: IDLE_MS, until: 'end' }, async (message) => {
    if (message.type === 'start') {
      if (blob) throw new GridError('invalid', 'an upload starts once')
      blob = checkSize(message.blob, options.blobBytesMax)
      if (message.keepUntilMs === 0) {
        released = true
        await store.release(blob.digest, stream.caller.publicKey)
        return
      }
      keepUntilMs = Math.min(message.keepUntilMs, options.clock.wallMs() + EXTENDED_LIFE_MS_MAX)
      hashBytes = chunkCount(blob.size) * HASH_BYTES
      if (hashBytes === 0) await begin(blob)
      return
    }
    if (!blob || released) throw new GridError('invalid', 'an upload begins with its start')
    if (message.type === 'hashes') {
      const { length } = message.hashes
      if (begun || gathering.bytes + length > hashBytes) throw new GridError('invalid', 'too many hashes')
      if (session.gatheredBytes + length > GATHERED_BYTES_MAX)
        throw new GridError('quota', 'too many uploads begin at once; try again')
      session.gatheredBytes += length
      gathering.bytes += length
      parts.push(message.hashes)
      if (gathering.bytes === hashBytes) await begin(blob)
      return
    }
    if (!begun) throw new GridError('invalid', 'chunks come after all hashes')
    await store.writeChunk(blob.digest, message.index, message.bytes)
  })
  if (!blob || !(begun || released)) throw new GridError('invalid', 'the upload ended before its manifest')
  stream.send({ complete: store.has(blob.digest), holder: options.nodeId })
  stream.end()
}

function checkSize(blob: BlobRef, blobBytesMax: number): BlobRef {
  if (blob.size <= blobBytesMax) return blob
  throw new GridError('quota', `this peer takes blobs of at most ${blobBytesMax} bytes`, { fields: { blobBytesMax } })
}

/** Takes the one request of a server-streaming method and ends the stream after `send`; `isOver`: the caller has gone. */
async function answer<Request, Reply>(
  { options }: Session,
  stream: MessageStream<Request, Reply>,
  send: (request: Request, isOver: () => boolean) => Promise<void>,
): Promise<void> {
  let request: Request | undefined
  await consume(stream, { clock: options.clock, idleMs: IDLE_MS, until: 'end' }, (message) => {
    if (request !== undefined) throw new GridError('invalid', 'one request was expected')
    request = message
  })
  if (request === undefined) throw new GridError('invalid', 'a request was expected')
  let over = false
  stream.onClose(() => {
    over = true
  })
  await send(request, () => over)
  stream.end()
}

async function sendManifest(
  session: Session,
  stream: MessageStream<unknown, BlobManifestPart>,
  hashes: Uint8Array,
): Promise<void> {
  const partBytes = MANIFEST_PART_HASHES_MAX * HASH_BYTES
  for (let at = 0; at < hashes.length; at += partBytes) {
    await sent(session, stream, { hashes: hashes.subarray(at, at + partBytes) })
  }
}

async function sendChunks(
  session: Session,
  stream: MessageStream<BlobGetRequest, BlobChunk>,
  { blob, chunks }: BlobGetRequest,
  isOver: () => boolean,
): Promise<void> {
  for (const index of chunks) {
    if (isOver()) return
    await sent(session, stream, { index, bytes: await session.store.readChunk(blob.digest, index) })
  }
}

/** Sends, and waits while the caller is slow; gives up on one that takes nothing. */
async function sent<Message>(
  { options }: Session,
  stream: MessageStream<unknown, Message>,
  message: Message,
): Promise<void> {
  if (stream.send(message)) return
  const timer = options.clock.setTimer(IDLE_MS, () =>
    stream.cancel(new GridError('timeout', 'the chunks were not taken')),
  )
  await stream.drained()
  timer.cancel()
}

/** Counts the open streams and refuses those above the bounds; closed ones stop what was being sent on them. */
class StreamLimit {
  readonly #open = new Map<PublicKey, number>()
  #total = 0

  run<In, Out>(stream: MessageStream<In, Out>, serve: () => Promise<void>): void {
    const key = stream.caller.publicKey
    const own = this.#open.get(key) ?? 0
    if (own >= BLOB_STREAMS_PER_CALLER_MAX || this.#total >= BLOB_STREAMS_MAX) {
      stream.onMessage(() => {})
      stream.onClose(() => {})
      stream.cancel(new GridError('quota', 'too many blob transfers at once'))
      return
    }
    this.#open.set(key, own + 1)
    this.#total++
    serve()
      .catch((error: unknown) => stream.cancel(toGridError(error)))
      .finally(() => {
        this.#total--
        const left = this.#open.get(key)! - 1
        if (left > 0) this.#open.set(key, left)
        else this.#open.delete(key)
      })
  }
}
