import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Digest } from '../../../proto/model.js'
import type { Disk } from '../../../runtime/disk.js'
import { GridError } from '../../../runtime/errors.js'
import { type LogFields, type Logger, silentLogger } from '../../../runtime/logger.js'
import { Journal, type JournalEntry } from '../../../worker/journal.js'
import { rejects } from '../../support/rejects.js'
import { bytesOf, digestOf, outputOf } from '../../support/storage/store-conformance.js'

/** A disk in memory that counts, keeps what was synced apart, and can be made to fail. */
class TestDisk implements Disk {
  file: Uint8Array | undefined
  synced: Uint8Array | undefined
  syncs = 0
  failing: 'append' | 'sync' | 'write' | undefined

  async append(_file: string, bytes: Uint8Array) {
    this.#check('append')
    this.file = Buffer.concat([this.file ?? new Uint8Array(), bytes])
  }
  async sync() {
    this.#check('sync')
    this.syncs++
    this.synced = this.file
  }
  async read() {
    return this.file
  }
  async write(_file: string, bytes: Uint8Array) {
    this.#check('write')
    this.file = Uint8Array.from(bytes)
    this.synced = this.file
  }
  async remove() {
    this.file = undefined
  }
  async list() {
    return []
  }

  #check(call: string) {
    if (this.failing === call) throw new GridError('unavailable', 'the disk is full')
  }
}

const test = suite('Journal')
const warnings: string[] = []
const logger: Logger = { ...silentLogger, warn: (event: string, _fields?: LogFields) => void warnings.push(event) }
const open = (disk: Disk, bytesMax = 2 ** 24) => Journal.open({ disk, logger, schedule: setImmediate, bytesMax })
const entry = (name: string, bytes = 200): JournalEntry => ({
  id: digestOf(name),
  fact: bytesOf(`fact ${name}`, bytes),
  outputs: [outputOf(3, `${name} 3`, 50), outputOf(9, `${name} 9`, 0)],
})
const ids = (journal: Journal) => journal.entries().map(({ id }) => id)
const plain = ({ id, fact, outputs }: JournalEntry) => ({
  id,
  fact: Buffer.from(fact).toString('hex'),
  outputs: outputs.map(({ unit, bytes }) => [unit, Buffer.from(bytes).toString('hex')]),
})

test('reports are there again after a restart, whole and in order, until they are removed', async () => {
  const disk = new TestDisk()
  const journal = await open(disk)
  for (const name of ['a', 'b', 'c']) await journal.append(entry(name))
  journal.remove([digestOf('b'), digestOf('unknown')])
  assert.equal(journal.entries().map(plain), [entry('a'), entry('c')].map(plain))
  await journal.close()
  const again = await open(disk)
  assert.equal(again.entries().map(plain), [entry('a'), entry('c')].map(plain))
  assert.ok(again.has(digestOf('a')))
  assert.not(again.has(digestOf('b')))
  assert.is(again.bytesUsed, journal.bytesUsed)
})

test('reports that come together share one sync, and are on disk when they are acknowledged', async () => {
  const disk = new TestDisk()
  const journal = await open(disk)
  await Promise.all(Array.from({ length: 50 }, (_, i) => journal.append(entry(`${i}`))))
  assert.is(disk.syncs, 1)
  disk.file = disk.synced
  assert.is(ids(await open(disk)).length, 50)
})

test('wherever the last append was cut, all that was acknowledged is there and the journal goes on', async () => {
  const disk = new TestDisk()
  const journal = await open(disk)
  await journal.append(entry('a'))
  const before = disk.file!.length
  await journal.append(entry('b'))
  const whole = disk.file!
  for (let cut = before; cut < whole.length; cut += 13) {
    disk.file = whole.slice(0, cut)
    const again = await open(disk)
    assert.equal(ids(again), [digestOf('a')])
    await again.append(entry('c'))
    assert.equal(ids(await open(disk)), [digestOf('a'), digestOf('c')])
  }
})

test('a torn log on a full disk opens, loses nothing acknowledged, and is repaired once there is room', async () => {
  const disk = new TestDisk()
  const journal = await open(disk)
  await journal.append(entry('a'))
  const whole = disk.file!.length
  await journal.append(entry('b'))
  disk.file = disk.file!.slice(0, whole + 40)
  disk.failing = 'write'
  warnings.length = 0
  const again = await open(disk)
  assert.ok(warnings.includes('journalNotTrimmed'))
  assert.equal(ids(again), [digestOf('a')])
  // Nothing may be put behind the torn end, where no reader would find it.
  await rejects(again.append(entry('c')), 'unavailable')
  assert.equal(ids(await open(disk)), [digestOf('a')])
  disk.failing = undefined
  await again.append(entry('d'))
  assert.equal(ids(await open(disk)), [digestOf('a'), digestOf('d')])
})

for (const call of ['append', 'sync'] as const) {
  test(`a report whose ${call} failed is refused and not kept; later ones are`, async () => {
    const disk = new TestDisk()
    const journal = await open(disk)
    await journal.append(entry('a'))
    disk.failing = call
    await rejects(journal.append(entry('b')), 'unavailable')
    disk.failing = undefined
    await journal.append(entry('c'))
    assert.equal(ids(journal), [digestOf('a'), digestOf('c')])
    assert.equal(ids(await open(disk)), [digestOf('a'), digestOf('c')])
  })
}

test('past its bound the oldest reports are given up, and the log says so', async () => {
  const disk = new TestDisk()
  const journal = await open(disk, 10_000)
  warnings.length = 0
  for (let i = 0; i < 10; i++) await journal.append(entry(`${i}`, 2_000))
  assert.ok(journal.bytesUsed <= 10_000)
  assert.equal(ids(journal), ['6', '7', '8', '9'].map(digestOf) satisfies Digest[])
  assert.ok(warnings.includes('journalFull'))
  await journal.close()
  assert.equal(ids(await open(disk, 10_000)), ids(journal))
  await rejects((await open(disk, 100)).append(entry('large')), 'quota')
})

test('the file stays small while reports come and go', async () => {
  const disk = new TestDisk()
  const journal = await open(disk)
  let largest = 0
  for (let i = 0; i < 100; i++) {
    await journal.append(entry(`${i}`, 50_000))
    if (i > 0) journal.remove([digestOf(`${i - 1}`)])
    largest = Math.max(largest, disk.file!.length)
  }
  assert.ok(largest < 1_500_000, `${largest}`)
  await journal.close()
  assert.equal(ids(await open(disk)), [digestOf('99')])
})

test('a closed journal refuses; what was given before is written', async () => {
  const disk = new TestDisk()
  const journal = await open(disk)
  const before = journal.append(entry('a'))
  await journal.close()
  await before
  await journal.close()
  await rejects(journal.append(entry('b')), 'closed')
  assert.equal(ids(await open(disk)), [digestOf('a')])
})

test.run()
