import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { serveBlobs } from '../../../coordinator/services/blob-service.js'
import { blobOf, CHUNK_BYTES } from '../../../job/blob.js'
import { methods } from '../../../proto/methods.js'
import type { BlobRef, Digest, JobSpec } from '../../../proto/model.js'
import { systemClock } from '../../../runtime/clock.js'
import { sha256 } from '../../../runtime/hash.js'
import type { Endpoint, Transport } from '../../../runtime/transport.js'
import { uploadBlob } from '../../../storage/blob-client.js'
import { folderBlobFiles } from '../../../storage/blob-files.js'
import { BlobStore } from '../../../storage/blob-store.js'
import { openInputFiles } from '../../../worker/input-files.js'
import { Inputs } from '../../../worker/inputs.js'
import { computeSpec } from '../../support/compute/compute.js'
import { rejects } from '../../support/rejects.js'
import { GrpcNodes } from '../../support/transport/grpc-nodes.js'

interface Context {
  folder: string
  nodes: GrpcNodes
  store: BlobStore
  holder: Endpoint
  /** Requests for chunks. */
  gets: number
  /** Content that nobody is known to have. */
  unknown: Digest | undefined
  inputs: Inputs
}

const MIB = 2 ** 20

const test = suite<Context>('files of jobs over the network')

test.before.each(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'manyhands-inputs-'))
  context.nodes = new GrpcNodes()
  context.gets = 0
  context.unknown = undefined
  context.store = await BlobStore.open(folderBlobFiles(join(context.folder, 'store')), systemClock, {
    totalBytes: 100 * MIB,
    submitterBytes: 100 * MIB,
  })
  const { endpoint } = await context.nodes.peer((transport) => {
    const { store } = context
    serveBlobs(transport, store, { nodeId: 'ab'.repeat(20) as never, clock: systemClock, blobBytesMax: 64 * MIB })
  })
  context.holder = endpoint
  context.inputs = await inputsOf(context, [endpoint])
})
test.after.each(async ({ nodes, store, folder }) => {
  await nodes.closeAll()
  await store.close()
  rmSync(folder, { recursive: true })
})

async function inputsOf(context: Context, from: readonly Endpoint[]): Promise<Inputs> {
  const { folder, nodes } = context
  const transport = nodes.leaf()
  const open: Transport['open'] = transport.open.bind(transport)
  transport.open = (to, method, abort) => {
    if (method.path === methods.blobGet.path) context.gets++
    return open(to, method, abort)
  }
  return new Inputs({
    clock: systemClock,
    transport,
    files: await openInputFiles(join(folder, 'cache'), 5 * MIB),
    holders: async (digest) => (digest === context.unknown ? [] : from),
  })
}

async function upload({ nodes, holder }: Context, content: Uint8Array): Promise<BlobRef> {
  const { blob, chunkHashes } = blobOf(sha256, content)
  const readChunk = (index: number) => content.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)
  await uploadBlob(nodes.leaf(), holder, blob, chunkHashes, readChunk, {
    clock: systemClock,
    keepUntilMs: Date.now() + 3_600_000,
  })
  return blob
}

function moduleSpec(module: BlobRef, inputs: readonly BlobRef[]): JobSpec {
  return computeSpec('', 1, {
    task: { type: 'module', module },
    inputs: inputs.map((blob, i) => ({ name: `input-${i}`, blob })),
  })
}

const { signal } = new AbortController()

test('module and inputs are fetched, checked, and fetched once for all jobs', async (context) => {
  const content = [new Uint8Array(MIB + 5).fill(1), new Uint8Array(100).fill(2)]
  const module = await upload(context, content[0]!)
  const input = await upload(context, content[1]!)
  const jobs = await Promise.all([
    context.inputs.files(moduleSpec(module, [input]), signal),
    context.inputs.files(moduleSpec(module, [input, input]), signal),
  ])
  assert.is(context.gets, 2)
  const [first, second] = jobs
  assert.ok(readFileSync(first!.modulePath!).equals(content[0]!))
  assert.is(first!.modulePath, second!.modulePath)
  assert.equal(
    second!.inputs.map(({ name, path }) => [name, readFileSync(path).length]),
    [
      ['input-0', 100],
      ['input-1', 100],
    ],
  )
})

test('files of an open job stay while others come and go', async (context) => {
  const blobs: BlobRef[] = []
  for (const fill of [1, 2, 3, 4]) blobs.push(await upload(context, new Uint8Array(2 * MIB).fill(fill)))
  const open = await context.inputs.files(moduleSpec(blobs[0]!, []), signal)
  for (const blob of blobs.slice(1)) {
    const { release } = await context.inputs.files(moduleSpec(blob, []), signal)
    release()
    release()
  }
  assert.is(readFileSync(open.modulePath!).length, 2 * MIB)
  assert.is(readdirSync(join(context.folder, 'cache')).length, 2)
})

test('a holder that sends other bytes leaves nothing behind', async (context) => {
  const { blob, chunkHashes } = blobOf(sha256, new Uint8Array(1000).fill(9))
  const { endpoint } = await context.nodes.peer((transport) => {
    transport.handleStream(methods.blobManifest, (stream) => {
      stream.onClose(() => {})
      stream.onMessage(() => {
        stream.send({ hashes: chunkHashes })
        stream.end()
      })
    })
    transport.handleStream(methods.blobGet, (stream) => {
      stream.onClose(() => {})
      stream.onMessage(() => {
        stream.send({ index: 0, bytes: new Uint8Array(1000) })
        stream.end()
      })
    })
  })
  const inputs = await inputsOf(context, [endpoint])
  await rejects(inputs.files(moduleSpec(blob, []), signal), 'corrupt')
  assert.equal(readdirSync(join(context.folder, 'cache')), [])
})

test('one file that cannot be had lets the others go', async (context) => {
  const there = await upload(context, new Uint8Array(3 * MIB).fill(1))
  const { blob: missing } = blobOf(sha256, new Uint8Array(10))
  context.unknown = missing.digest
  await rejects(context.inputs.files(moduleSpec(there, [missing]), signal), 'notFound')
  const other = await upload(context, new Uint8Array(4 * MIB).fill(2))
  const { modulePath } = await context.inputs.files(moduleSpec(other, []), signal)
  assert.is(readFileSync(modulePath!).length, 4 * MIB)
})

test.run()
