import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BLOB_STREAMS_PER_CALLER_MAX, serveBlobs } from '../../../../coordinator/services/blob-service.js'
import { blobOf, CHUNK_BYTES } from '../../../../job/blob.js'
import { methods } from '../../../../proto/methods.js'
import type { PublicKey } from '../../../../proto/model.js'
import { systemClock } from '../../../../runtime/clock.js'
import { GridError } from '../../../../runtime/errors.js'
import { sha256 } from '../../../../runtime/hash.js'
import type { Endpoint, Transport } from '../../../../runtime/transport.js'
import { fetchBlob, uploadBlob } from '../../../../storage/blob-client.js'
import { folderBlobFiles } from '../../../../storage/blob-files.js'
import { BlobStore } from '../../../../storage/blob-store.js'
import { deadline, eventually } from '../../../support/deadline.js'
import { quickClock } from '../../../support/quick-clock.js'
import { rejects } from '../../../support/rejects.js'
import { readBlob } from '../../../support/storage/read-blob.js'
import { bytesOf } from '../../../support/storage/store-conformance.js'
import { GrpcNodes } from '../../../support/transport/grpc-nodes.js'

interface Peer {
  readonly store: BlobStore
  readonly endpoint: Endpoint
}

interface Context {
  folder: string
  nodes: GrpcNodes
  client: Transport
  stores: BlobStore[]
}

const MIB = 2 ** 20
const clock = systemClock
const LATER = Date.now() + 3_600_000
const ALICE = 'aa'.repeat(32) as PublicKey

const test = suite<Context>('serveBlobs')

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'manyhands-blobs-'))
  context.nodes = new GrpcNodes()
  context.client = context.nodes.leaf()
  context.stores = []
})
test.after.each(async ({ nodes, stores, folder }) => {
  await nodes.closeAll()
  await Promise.all(stores.map((store) => store.close()))
  rmSync(folder, { recursive: true })
})

function contentOf(name: string, length: number): Uint8Array {
  const content = new Uint8Array(length)
  for (let at = 0; at < length; at += CHUNK_BYTES) {
    content.set(bytesOf(`${name} ${at}`, Math.min(CHUNK_BYTES, length - at)), at)
  }
  return content
}

const chunkOf = (content: Uint8Array, index: number) => content.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)

async function peerOf(context: Context, quotaBytes = 100 * MIB): Promise<Peer> {
  const files = folderBlobFiles(join(context.folder, `${context.stores.length}`))
  const store = await BlobStore.open(files, clock, { totalBytes: quotaBytes, submitterBytes: quotaBytes })
  context.stores.push(store)
  const { endpoint } = await context.nodes.peer((transport) => {
    serveBlobs(transport, store, { nodeId: 'ab'.repeat(20) as never, clock, blobBytesMax: 64 * MIB })
  })
  return { store, endpoint }
}

/** A peer that answers every `Get` and `Manifest` with wrong bytes. */
async function liar({ nodes }: Context): Promise<Endpoint> {
  const { endpoint } = await nodes.peer((transport) => {
    transport.handleStream(methods.blobGet, (stream) => {
      stream.onClose(() => {})
      stream.onMessage(({ chunks }) => {
        for (const index of chunks) stream.send({ index, bytes: new Uint8Array(CHUNK_BYTES) })
        stream.end()
      })
    })
    transport.handleStream(methods.blobManifest, (stream) => {
      stream.onClose(() => {})
      stream.onMessage(({ blob }) => {
        stream.send({ hashes: new Uint8Array(32 * Math.ceil(blob.size / CHUNK_BYTES)) })
        stream.end()
      })
    })
  })
  return endpoint
}

async function stored(peer: Peer, content: Uint8Array): Promise<void> {
  const { blob, chunkHashes } = blobOf(sha256, content)
  await peer.store.begin(blob, chunkHashes, { submitter: ALICE, keepUntilMs: LATER, pin: true })
  for (let i = 0; i * CHUNK_BYTES < content.length; i++)
    await peer.store.writeChunk(blob.digest, i, chunkOf(content, i))
}

const upload = ({ client }: Context, peer: Peer, content: Uint8Array, sent: number[] = []) => {
  const { blob, chunkHashes } = blobOf(sha256, content)
  const read = (index: number) => {
    sent.push(index)
    return chunkOf(content, index)
  }
  return uploadBlob(client, peer.endpoint, blob, chunkHashes, read, { clock, keepUntilMs: LATER })
}

async function fetched(
  { client }: Context,
  from: readonly Endpoint[],
  content: Uint8Array,
  chunks?: readonly number[],
) {
  const got = new Map<number, Uint8Array>()
  await fetchBlob(client, from, blobOf(sha256, content).blob, (index, bytes) => void got.set(index, bytes), {
    clock,
    ...(chunks ? { chunks } : {}),
  })
  return got
}

for (const size of [0, 10, MIB, 5 * MIB + 3]) {
  test(`a blob of ${size} bytes goes up and comes back`, async (context) => {
    const peer = await peerOf(context)
    const content = contentOf('c', size)
    await deadline(upload(context, peer, content), 10_000, 'upload')
    assert.ok(Buffer.from(content).equals(await readBlob(peer.store, blobOf(sha256, content).blob)))
    const got = await deadline(fetched(context, [peer.endpoint], content), 10_000, 'fetch')
    assert.equal(
      [...got.keys()],
      [...got.keys()].sort((a, b) => a - b),
    )
    assert.ok(Buffer.concat([...got.values()]).equals(content))
  })
}

test('an upload sends only the chunks that are missing, and nothing a second time', async (context) => {
  const peer = await peerOf(context)
  const content = contentOf('c', 6 * CHUNK_BYTES)
  const { blob, chunkHashes } = blobOf(sha256, content)
  await peer.store.begin(blob, chunkHashes, { submitter: ALICE, keepUntilMs: LATER, pin: true })
  for (const i of [1, 4]) await peer.store.writeChunk(blob.digest, i, chunkOf(content, i))
  const sent: number[] = []
  await upload(context, peer, content, sent)
  assert.equal(sent, [0, 2, 3, 5])
  await upload(context, peer, content, sent)
  assert.is(sent.length, 4)
})

test('a transfer that breaks again and again goes on as long as it gets further', async (context) => {
  const peer = await peerOf(context)
  const content = contentOf('broken', 3 * MIB)
  const { blob, chunkHashes } = blobOf(sha256, content)
  let calls = 0
  const breaking =
    <Args extends unknown[], Result>(call: (...args: Args) => Promise<Result>) =>
    (...args: Args): Promise<Result> => {
      if (++calls % 3 === 0) throw new GridError('unavailable', 'broken')
      return call(...args)
    }
  peer.store.writeChunk = breaking(peer.store.writeChunk.bind(peer.store))
  peer.store.readChunk = breaking(peer.store.readChunk.bind(peer.store))
  const isPause = (ms: number) => ms <= 4_000
  const setTimer = (ms: number, run: () => void) => clock.setTimer(isPause(ms) ? 1 : ms, run)
  const options = { clock: { ...clock, setTimer } }
  const read = (index: number) => chunkOf(content, index)
  const up = uploadBlob(context.client, peer.endpoint, blob, chunkHashes, read, { ...options, keepUntilMs: LATER })
  await deadline(up, 20_000, 'upload')
  const got = new Set<number>()
  const down = fetchBlob(context.client, [peer.endpoint], blob, (index) => void got.add(index), options)
  await deadline(down, 20_000, 'fetch')
  assert.is(got.size, 12)
})

test('single chunks can be asked for, in any order', async (context) => {
  const peer = await peerOf(context)
  const content = contentOf('c', 8 * CHUNK_BYTES)
  await stored(peer, content)
  const got = await fetched(context, [peer.endpoint], content, [6, 2])
  assert.equal([...got.keys()], [6, 2])
  assert.ok(Buffer.from(chunkOf(content, 6)).equals(got.get(6)!))
})

for (const size of [2 * CHUNK_BYTES, 6 * CHUNK_BYTES]) {
  test(`${size} bytes are fetched from an honest peer when others lie, lack them or are gone`, async (context) => {
    const peer = await peerOf(context)
    const empty = await peerOf(context)
    const content = contentOf('c', size)
    await stored(peer, content)
    const gone: Endpoint = { ...peer.endpoint, address: '127.0.0.1:9' }
    const got = await deadline(
      fetched(context, [await liar(context), gone, empty.endpoint, peer.endpoint], content),
      15_000,
      'fetch',
    )
    assert.ok(Buffer.concat([...got.values()]).equals(content))
  })
}

test('a holder that falls silent is left for another after seconds', async (context) => {
  const content = contentOf('c', 6 * CHUNK_BYTES)
  const peer = await peerOf(context)
  await stored(peer, content)
  const { endpoint: silent } = await context.nodes.peer((transport) => {
    for (const method of [methods.blobGet, methods.blobManifest])
      transport.handleStream(method as typeof methods.blobGet, (stream) => {
        stream.onClose(() => {})
        stream.onMessage(() => {})
      })
  })
  const { clock: quick, waitedMs } = quickClock()
  const { blob } = blobOf(sha256, content)
  let chunks = 0
  await deadline(
    fetchBlob(context.client, [silent, peer.endpoint], blob, () => void chunks++, { clock: quick }),
    10_000,
    'fetch',
  )
  assert.is(chunks, 6)
  assert.is(waitedMs[0], 10_000)
})

test('when only liars have it, it is said, and nothing reaches the sink', async (context) => {
  const content = contentOf('c', 3 * CHUNK_BYTES)
  const { blob } = blobOf(sha256, content)
  const endpoint = await liar(context)
  await rejects(
    fetchBlob(context.client, [endpoint], blob, () => assert.unreachable(), { clock }),
    'corrupt',
  )
})

test('what the sink throws ends the fetch', async (context) => {
  const peer = await peerOf(context)
  const content = contentOf('c', 5 * CHUNK_BYTES)
  await stored(peer, content)
  const sink = () => {
    throw new GridError('unavailable', 'the disk is full')
  }
  await rejects(
    fetchBlob(context.client, [peer.endpoint], blobOf(sha256, content).blob, sink, { clock }),
    /disk is full/,
  )
})

test('quotas are refused with the limit', async (context) => {
  const peer = await peerOf(context, MIB)
  const error = await rejects(upload(context, peer, contentOf('c', 2 * MIB)), 'quota')
  assert.match((error as Error).message, /1048576/)
  const huge = { digest: blobOf(sha256, contentOf('c', 10)).blob.digest, size: 65 * MIB }
  const hashes = new Uint8Array(32 * 260)
  const read = () => new Uint8Array(CHUNK_BYTES)
  await rejects(uploadBlob(context.client, peer.endpoint, huge, hashes, read, { clock, keepUntilMs: LATER }), 'quota')
})

test('a wrong manifest, a wrong chunk and chunks without a manifest are refused', async (context) => {
  const peer = await peerOf(context)
  const content = contentOf('c', 2 * CHUNK_BYTES)
  const { blob, chunkHashes } = blobOf(sha256, content)
  const options = { clock, keepUntilMs: LATER }
  await rejects(
    uploadBlob(context.client, peer.endpoint, blob, chunkHashes.slice().reverse(), () => chunkOf(content, 0), options),
    'invalid',
  )
  await rejects(
    uploadBlob(context.client, peer.endpoint, blob, chunkHashes, () => chunkOf(content, 0), options),
    'corrupt',
  )
  const stream = context.client.open(peer.endpoint, methods.blobPut)
  stream.onMessage(() => {})
  const closed = new Promise<Error | undefined>((resolve) => stream.onClose(resolve))
  stream.send({ type: 'chunk', index: 0, bytes: chunkOf(content, 0) })
  assert.is(((await deadline(closed, 5_000, 'refusal')) as GridError).code, 'invalid')
})

test('one caller has so many transfers open at once', async (context) => {
  const peer = await peerOf(context)
  const { blob } = blobOf(sha256, contentOf('c', CHUNK_BYTES))
  const streams = Array.from({ length: BLOB_STREAMS_PER_CALLER_MAX + 1 }, () => {
    const stream = context.client.open(peer.endpoint, methods.blobPut)
    stream.onMessage(() => {})
    const closed = new Promise<Error | undefined>((resolve) => stream.onClose(resolve))
    stream.send({ type: 'start', blob, keepUntilMs: LATER })
    return { stream, closed }
  })
  const first = await deadline(Promise.race(streams.map(({ closed }) => closed)), 5_000, 'refusal')
  assert.is((first as GridError).code, 'quota')
  for (const { stream } of streams) stream.cancel()
  await Promise.all(streams.map(({ closed }) => closed))
})

test('an aborted transfer ends at once, and its peer reads no further', async (context) => {
  const peer = await peerOf(context)
  const chunks = 24
  const content = contentOf('c', chunks * CHUNK_BYTES)
  await stored(peer, content)
  const read = peer.store.readChunk.bind(peer.store)
  let reads = 0
  let goOn: (() => void) | undefined
  peer.store.readChunk = async (digest, index) => {
    reads++
    await new Promise<void>((resolve) => {
      goOn = resolve
    })
    return read(digest, index)
  }
  let quiet = 0
  const readOn = () => {
    quiet = goOn === undefined ? quiet + 1 : 0
    goOn?.()
    goOn = undefined
    return quiet > 10
  }
  const abort = new AbortController()
  const options = { clock, signal: abort.signal }
  const fetching = fetchBlob(
    context.client,
    [peer.endpoint],
    blobOf(sha256, content).blob,
    () => abort.abort(),
    options,
  )
  fetching.catch(() => {})
  await eventually(() => readOn() && abort.signal.aborted, 20_000, 'the peer to stop')
  await deadline(rejects(fetching), 5_000, 'abort')
  assert.ok(reads < chunks, `${reads} of ${chunks}`)
})

test.run()
