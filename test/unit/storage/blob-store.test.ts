import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { blobOf, CHUNK_BYTES, chunkCount } from '../../../job/blob.js'
import type { Digest, PublicKey } from '../../../proto/model.js'
import { hasBit } from '../../../runtime/bits.js'
import { nodeDisk } from '../../../runtime/disk.js'
import { sha256 } from '../../../runtime/hash.js'
import { type BlobFiles, diskBlobFiles, folderBlobFiles } from '../../../storage/blob-files.js'
import { BlobStore, PARTIAL_IDLE_MS, PARTIALS_PER_SUBMITTER_MAX } from '../../../storage/blob-store.js'
import { eventually } from '../../support/deadline.js'
import { rejects } from '../../support/rejects.js'
import { readBlob } from '../../support/storage/read-blob.js'
import { bytesOf } from '../../support/storage/store-conformance.js'

const ALICE = 'aa'.repeat(32) as PublicKey
const BOB = 'bb'.repeat(32) as PublicKey
const QUOTA = { totalBytes: 40 * 2 ** 20, submitterBytes: 30 * 2 ** 20 }

interface Context {
  folder: string
  store: BlobStore
  nowMs: number
  reopen(): Promise<BlobStore>
}

/** Content that differs from chunk to chunk. */
function contentOf(name: string, length: number): Uint8Array {
  const content = new Uint8Array(length)
  for (let at = 0; at < length; at += CHUNK_BYTES) {
    content.set(bytesOf(`${name} ${at}`, Math.min(CHUNK_BYTES, length - at)), at)
  }
  return content
}

const keep = (submitter = ALICE, keepUntilMs = 1_000_000, pin = true) => ({ submitter, keepUntilMs, pin })
const chunkOf = (content: Uint8Array, index: number) => content.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES)

async function put(store: BlobStore, content: Uint8Array, kept = keep()): Promise<Digest> {
  const { blob, chunkHashes } = blobOf(sha256, content)
  await store.begin(blob, chunkHashes, kept)
  for (let i = 0; i < chunkCount(content.length); i++) await store.writeChunk(blob.digest, i, chunkOf(content, i))
  return blob.digest
}

function blobSuite(name: string, filesIn: (folder: string) => BlobFiles, resumesLarge: boolean): void {
  const test = suite<Context>(name)

  test.before.each(async (context) => {
    context.folder = mkdtempSync(join(tmpdir(), 'manyhands-blobs-'))
    context.nowMs = 0
    context.reopen = async () => {
      await context.store?.close()
      context.store = await BlobStore.open(filesIn(context.folder), { wallMs: () => context.nowMs }, QUOTA)
      return context.store
    }
    await context.reopen()
  })
  test.after.each(async ({ store, folder }) => {
    await store.close()
    rmSync(folder, { recursive: true })
  })

  for (const size of [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 ** 20, 2 ** 20 + 1, 9 * CHUNK_BYTES - 7]) {
    test(`content of ${size} bytes comes back, also after a restart`, async (context) => {
      const content = contentOf('c', size)
      const digest = await put(context.store, content)
      for (let round = 0; round < 2; round++) {
        const { store } = context
        assert.ok(store.has(digest))
        const stat = await store.stat(digest)
        assert.ok(stat!.complete)
        assert.is(stat!.ref.size, size)
        assert.ok(Buffer.from(content).equals(await readBlob(store, { digest, size })))
        assert.ok(Buffer.from(blobOf(sha256, content).chunkHashes).equals(await store.manifest(digest)))
        assert.is(store.bytesUsed, size)
        await context.reopen()
      }
    })
  }

  test('chunks come in any order, twice and at once', async ({ store }) => {
    const content = contentOf('c', 6 * CHUNK_BYTES + 10)
    const { blob, chunkHashes } = blobOf(sha256, content)
    assert.equal([...(await store.begin(blob, chunkHashes, keep())).present], [0])
    const done = await Promise.all([3, 0, 6, 3, 5].map((i) => store.writeChunk(blob.digest, i, chunkOf(content, i))))
    assert.equal(done, [false, false, false, false, false])
    await rejects(store.readChunk(blob.digest, 0), 'notFound')
    const { present } = (await store.stat(blob.digest))!
    assert.equal(
      [0, 1, 2, 3, 4, 5, 6].map((i) => hasBit(present, i)),
      [true, false, false, true, false, true, true],
    )
    const last = await Promise.all([1, 2, 4, 4].map((i) => store.writeChunk(blob.digest, i, chunkOf(content, i))))
    assert.ok(last.includes(true))
    assert.ok(Buffer.from(content).equals(await readBlob(store, blob)))
    assert.ok(await store.writeChunk(blob.digest, 4, chunkOf(content, 4)))
  })

  if (resumesLarge) {
    test('a large upload goes on after a restart with the chunks it has', async (context) => {
      const content = contentOf('c', 9 * CHUNK_BYTES)
      const { blob, chunkHashes } = blobOf(sha256, content)
      await context.store.begin(blob, chunkHashes, keep())
      for (const i of [0, 7]) await context.store.writeChunk(blob.digest, i, chunkOf(content, i))
      const store = await context.reopen()
      assert.not(store.has(blob.digest))
      const { present, complete } = await store.begin(blob, chunkHashes, keep())
      assert.not(complete)
      assert.equal([...present], [0b1000_0001, 0])
      for (const i of [1, 2, 3, 4, 5, 6, 8]) await store.writeChunk(blob.digest, i, chunkOf(content, i))
      assert.ok(Buffer.from(content).equals(await readBlob(store, blob)))
    })
  }

  test('a wrong manifest, chunk, index or length is refused', async ({ store }) => {
    const content = contentOf('c', 5 * CHUNK_BYTES + 5)
    const { blob, chunkHashes } = blobOf(sha256, content)
    const wrong = Uint8Array.from(chunkHashes)
    wrong[33]! ^= 1
    await rejects(store.begin(blob, wrong, keep()), 'invalid')
    await rejects(store.begin(blob, chunkHashes.subarray(32), keep()), 'invalid')
    await rejects(store.writeChunk(blob.digest, 0, chunkOf(content, 0)), 'notFound')
    await store.begin(blob, chunkHashes, keep())
    await rejects(store.writeChunk(blob.digest, 0, chunkOf(content, 1)), 'corrupt')
    for (const index of [-1, 6, 0.5, Number.NaN])
      await rejects(store.writeChunk(blob.digest, index, chunkOf(content, 0)), 'invalid')
    await rejects(store.writeChunk(blob.digest, 5, chunkOf(content, 0)), 'invalid')
    assert.equal([...(await store.stat(blob.digest))!.present], [0])
  })

  test('uploads of one blob that begin at once are one upload', async ({ store }) => {
    const content = contentOf('c', 5 * CHUNK_BYTES + 5)
    const uploads = Array.from({ length: 4 }, () => put(store, content))
    for (const digest of await Promise.all(uploads)) {
      assert.ok(Buffer.from(content).equals(await readBlob(store, { digest, size: content.length })))
    }
    assert.is(store.bytesUsed, content.length)
    const name = sha256(content)
    await Promise.all(Array.from({ length: 3 }, () => store.putWhole(name, content, keep())))
    assert.is(store.bytesUsed, 2 * content.length)
  })

  test('whole content is kept under its name, apart from blobs, and read in parts', async (context) => {
    const name = sha256(bytesOf('name'))
    await context.store.putWhole(name, contentOf('w', 1000), keep())
    await context.store.putWhole(name, contentOf('other', 1000), keep())
    const store = await context.reopen()
    assert.not(store.has(name))
    assert.ok(Buffer.from(contentOf('w', 1000)).equals((await store.readWhole(name))!))
    assert.ok(Buffer.from(contentOf('w', 1000).subarray(990)).equals((await store.readWhole(name, 990, 100))!))
    assert.is((await store.readWhole(name, 2000))!.length, 0)
    assert.ok(await store.deleteWhole(name))
    assert.not(await store.deleteWhole(name))
    assert.is(await store.readWhole(name), undefined)
    assert.is(store.bytesUsed, 0)
    assert.is((await context.reopen()).bytesUsed, 0)
  })

  test('content goes after its time, which is only ever extended', async (context) => {
    const digest = await put(context.store, contentOf('a', 100), keep(ALICE, 50))
    const other = await put(context.store, contentOf('b', 100), keep(ALICE, 50))
    await context.store.extend(digest, { keepUntilMs: 200, pin: true })
    await context.store.extend(digest, { keepUntilMs: 100, pin: true })
    const store = await context.reopen()
    context.nowMs = 150
    assert.is(await store.sweep(), 1)
    assert.ok(store.has(digest))
    assert.not(store.has(other))
    context.nowMs = 201
    assert.is(await store.sweep(), 1)
    assert.is(store.bytesUsed, 0)
  })

  test('a blob is let go by the key that stored it, unless another one has stored it since', async (context) => {
    const mine = await put(context.store, contentOf('mine', 100), keep(ALICE, 50))
    const ours = await put(context.store, contentOf('ours', 100), keep(ALICE, 50))
    await put(context.store, contentOf('ours', 100), keep(BOB, 40))
    const store = await context.reopen()
    assert.not(await store.release(mine, BOB))
    assert.not(await store.release(ours, ALICE))
    assert.not(await store.release(ours, BOB))
    assert.ok(await store.release(mine, ALICE))
    assert.not(await store.release(mine, ALICE))
    assert.not(store.has(mine))
    assert.ok(store.has(ours))
  })

  test('whole content is kept for longer, and for no longer than asked', async (context) => {
    const name = sha256(contentOf('w', 10))
    await context.store.putWhole(name, contentOf('w', 10), keep(ALICE, 50))
    await context.store.extendWhole(name, 100)
    await context.store.extendWhole(sha256(contentOf('x', 10)), 100)
    const store = await context.reopen()
    context.nowMs = 99
    assert.is(await store.sweep(), 0)
    context.nowMs = 101
    assert.is(await store.sweep(), 1)
  })

  test('an upload without progress for a day is given up', async (context) => {
    const { store } = context
    const content = contentOf('c', 6 * CHUNK_BYTES)
    const { blob, chunkHashes } = blobOf(sha256, content)
    await store.begin(blob, chunkHashes, keep(ALICE, 10 * PARTIAL_IDLE_MS))
    context.nowMs = PARTIAL_IDLE_MS
    await store.writeChunk(blob.digest, 0, chunkOf(content, 0))
    context.nowMs = 2 * PARTIAL_IDLE_MS
    assert.is(await store.sweep(), 0)
    context.nowMs = 2 * PARTIAL_IDLE_MS + 1
    assert.is(await store.sweep(), 1)
    assert.is(await store.stat(blob.digest), undefined)
  })

  test('a submitter has a quota, and all together have one', async ({ store }) => {
    await put(store, contentOf('1', 20 * 2 ** 20))
    const error = await rejects(put(store, contentOf('2', 11 * 2 ** 20)), 'quota')
    assert.match((error as Error).message, /one submitter/)
    await put(store, contentOf('3', 15 * 2 ** 20), keep(BOB))
    await rejects(put(store, contentOf('4', 6 * 2 ** 20), keep(BOB)), 'quota')
    assert.is(store.bytesUsed, 35 * 2 ** 20)
  })

  test('cached copies make room, the least recently used first; pinned ones never do', async ({ store }) => {
    const mib = 2 ** 20
    const pinned = await put(store, contentOf('pinned', 10 * mib))
    const old = await put(store, contentOf('old', 10 * mib), keep(BOB, 1_000_000, false))
    const used = await put(store, contentOf('used', 10 * mib), keep(BOB, 1_000_000, false))
    await store.readChunk(old, 0)
    await put(store, contentOf('new', 15 * mib))
    assert.ok(store.has(pinned))
    assert.ok(store.has(old))
    assert.not(store.has(used))
  })

  test('one submitter has so many uploads open at once; the idle one gives way', async (context) => {
    const { store } = context
    const blobs = Array.from({ length: PARTIALS_PER_SUBMITTER_MAX + 1 }, (_, i) =>
      blobOf(sha256, contentOf(`${i}`, 600_000)),
    )
    for (const { blob, chunkHashes } of blobs) {
      context.nowMs++
      await store.begin(blob, chunkHashes, keep())
    }
    assert.is(await store.stat(blobs[0]!.blob.digest), undefined)
    assert.ok(await store.stat(blobs[1]!.blob.digest))
    assert.ok(await store.stat(blobs.at(-1)!.blob.digest))
  })

  test('a closed store refuses', async ({ store }) => {
    await store.close()
    await store.close()
    await rejects(put(store, contentOf('1', 20)), 'closed')
  })

  test.run()
}

blobSuite('BlobStore in a folder', (folder) => folderBlobFiles(join(folder, 'blobs')), true)
blobSuite('BlobStore on a disk', (folder) => diskBlobFiles(nodeDisk(folder), 'blobs'), false)

const test = suite<Context>('folderBlobFiles')

test.before.each(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'manyhands-blobs-'))
  context.reopen = async () => {
    await context.store?.close()
    context.store = await BlobStore.open(folderBlobFiles(context.folder), { wallMs: () => 0 }, QUOTA)
    return context.store
  }
  await context.reopen()
})
test.after.each(async ({ store, folder }) => {
  await store.close()
  rmSync(folder, { recursive: true })
})

const filesBelow = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name))

test('drafts and cut files are removed at the start', async (context) => {
  const digest = await put(context.store, contentOf('a', 1000))
  const [file] = filesBelow(context.folder)
  writeFileSync(`${file}.draft`, 'half')
  await context.reopen()
  assert.equal(filesBelow(context.folder), [file])
  writeFileSync(file!, readFileSync(file!).subarray(0, 500))
  const store = await context.reopen()
  assert.not(store.has(digest))
  assert.equal(filesBelow(context.folder), [])
})

test('content that is stored again while it is being removed is there afterwards, on disk, too', async (context) => {
  const files = folderBlobFiles(context.folder)
  let letGo = () => {}
  let removals = 0
  const slow: BlobFiles = {
    ...files,
    gatheredBytesMax: files.gatheredBytesMax,
    remove: async (entry) => {
      removals++
      await new Promise<void>((resolve) => {
        letGo = resolve
      })
      await files.remove(entry)
    },
  }
  context.store = await BlobStore.open(slow, { wallMs: () => 0 }, QUOTA)
  const { store } = context
  const name = 'ab'.repeat(32) as Digest
  const bytes = bytesOf('whole', 10_000)
  await store.putWhole(name, bytes, keep())
  const content = contentOf('c', 2 * CHUNK_BYTES)
  const digest = await put(store, content)
  const again: readonly (readonly [() => Promise<boolean>, () => Promise<unknown>])[] = [
    [() => store.deleteWhole(name), () => store.putWhole(name, bytes, keep())],
    [() => store.delete(digest), () => put(store, content)],
  ]
  for (const [remove, store] of again) {
    const before = removals
    const both = [remove(), remove(), store()]
    await eventually(() => removals > before, 5_000, 'the removal')
    letGo()
    assert.equal((await Promise.all(both)).slice(0, 2), [true, false])
    assert.is(removals, before + 1, 'what came afterwards is not removed')
  }
  for (const open of [async () => store, context.reopen]) {
    const one = await open()
    assert.ok(Buffer.from(bytes).equals((await one.readWhole(name))!))
    assert.ok(Buffer.from(content).equals(await readBlob(one, { digest, size: content.length })))
    assert.is(one.bytesUsed, bytes.length + content.length)
  }
})

test('a failed write leaves nothing and can be repeated', async (context) => {
  await context.store.close()
  rmSync(context.folder, { recursive: true })
  writeFileSync(context.folder, 'in the way')
  const store = await BlobStore.open(folderBlobFiles(context.folder), { wallMs: () => 0 }, QUOTA)
  await rejects(put(store, contentOf('a', 1000)), 'unavailable')
  rmSync(context.folder)
  const digest = await put(store, contentOf('a', 1000))
  assert.ok(store.has(digest))
  assert.is(store.bytesUsed, 1000)
})

test.run()
