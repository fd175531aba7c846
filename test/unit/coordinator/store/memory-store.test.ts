import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MemoryStore } from '../../../../coordinator/store/memory-store.js'
import { type Disk, nodeDisk } from '../../../../runtime/disk.js'
import { GridError } from '../../../../runtime/errors.js'
import { rejects } from '../../../support/rejects.js'
import {
  digestOf,
  factWrite,
  jobIdOf,
  outputOf,
  shardWrite,
  specWrite,
  storeConformance,
} from '../../../support/storage/store-conformance.js'

storeConformance('MemoryStore conformance', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'manyhands-store-'))
  return {
    open: () => MemoryStore.open(nodeDisk(folder)),
    remove: async () => rmSync(folder, { recursive: true, force: true }),
  }
})

/** A disk in memory whose bytes can be cut and whose calls can be made to fail. */
function fakeDisk() {
  const files = new Map<string, Uint8Array>()
  let failing: string | undefined
  const check = (call: string) => {
    if (failing === call) throw new GridError('unavailable', 'the disk is full')
  }
  const disk: Disk = {
    async append(file, bytes) {
      check('append')
      files.set(file, Buffer.concat([files.get(file) ?? new Uint8Array(), bytes]))
    },
    async sync() {
      check('sync')
    },
    async read(file) {
      return files.get(file)
    },
    async write(file, bytes) {
      check('write')
      files.set(file, Uint8Array.from(bytes))
    },
    async remove(file) {
      files.delete(file)
    },
    async list(prefix) {
      return [...files.keys()].filter((name) => name.startsWith(prefix)).sort()
    },
  }
  return {
    disk,
    files,
    fail(call: string | undefined) {
      failing = call
    },
  }
}

const test = suite('MemoryStore')
const job = jobIdOf('a')
const factIds = async (store: MemoryStore) => (await store.facts(job, 0, 0, 1_000)).map(({ factId }) => factId)

test('wherever the last append was cut, every earlier group is there and no part of the last', async () => {
  const { disk, files } = fakeDisk()
  const store = await MemoryStore.open(disk)
  await store.commit([specWrite(job), shardWrite(job), factWrite(job, 'one')])
  const before = files.get('store.log')!.length
  await store.commit([factWrite(job, 'two'), factWrite(job, 'three')])
  const log = files.get('store.log')!
  for (let cut = before; cut < log.length; cut += 37) {
    files.set('store.log', log.slice(0, cut))
    const again = await MemoryStore.open(disk)
    assert.equal(await factIds(again), [digestOf('one')])
    await again.commit([factWrite(job, 'four')])
    assert.equal(await factIds(await MemoryStore.open(disk)), [digestOf('one'), digestOf('four')])
  }
})

test('a changed byte in the last group drops it', async () => {
  const { disk, files } = fakeDisk()
  const store = await MemoryStore.open(disk)
  await store.commit([specWrite(job), shardWrite(job), factWrite(job, 'one')])
  const before = files.get('store.log')!.length
  await store.commit([factWrite(job, 'two')])
  for (let at = before; at < files.get('store.log')!.length; at += 53) {
    const log = Uint8Array.from(files.get('store.log')!)
    log[at]! ^= 1
    const copy = fakeDisk()
    copy.files.set('store.log', log)
    assert.equal(await factIds(await MemoryStore.open(copy.disk)), [digestOf('one')])
  }
})

for (const call of ['append', 'sync']) {
  test(`a group whose ${call} failed is not kept, not even after a restart, and later ones are`, async () => {
    const { disk, fail } = fakeDisk()
    const store = await MemoryStore.open(disk)
    await store.commit([specWrite(job), shardWrite(job), factWrite(job, 'one')])
    fail(call)
    await rejects(store.commit([factWrite(job, 'lost')]), 'unavailable')
    assert.equal(await factIds(store), [digestOf('one')])
    fail(undefined)
    await store.commit([factWrite(job, 'two')])
    assert.equal(await factIds(store), [digestOf('one'), digestOf('two')])
    assert.equal(await factIds(await MemoryStore.open(disk)), [digestOf('one'), digestOf('two')])
  })
}

test('what a killed process did not sync is synced before it counts', async () => {
  const { disk, fail } = fakeDisk()
  const store = await MemoryStore.open(disk)
  await store.commit([specWrite(job), shardWrite(job), factWrite(job, 'one')])
  fail('sync')
  await rejects(MemoryStore.open(disk), 'unavailable')
})

test('a log that is mostly dead is rewritten, with all that lives', async () => {
  const { disk, files } = fakeDisk()
  const store = await MemoryStore.open(disk)
  const other = jobIdOf('b')
  await store.commit([specWrite(job), shardWrite(job), factWrite(job, 'kept', [outputOf(1, 'kept')])])
  await store.commit([specWrite(other), shardWrite(other)])
  const bare = jobIdOf('c')
  await store.commit([specWrite(bare, 'home'), { type: 'dropRole', jobId: bare, role: 'home' }])
  for (let i = 0; i < 400; i++) await store.commit([factWrite(other, `f${i}`, [outputOf(i, 'o', 4_000)])])
  await store.commit([{ type: 'dropJob', jobId: other }])
  assert.ok(files.get('store.log')!.length < 20_000)
  const again = await MemoryStore.open(disk)
  assert.equal(await factIds(again), [digestOf('kept')])
  assert.equal(
    (await again.jobs()).map(({ jobId, roles }) => [jobId, ...roles]),
    [[job, 'shard'], [bare]],
  )
  assert.is((await again.outputs(job, 0, [{ unit: 1, factId: digestOf('kept') }])).size, 1)
})

test.run()
