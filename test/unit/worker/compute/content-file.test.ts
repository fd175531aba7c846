import { fstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ContentFile } from '../../../../worker/compute/content-file.js'
import { Contents, type PlacedFile } from '../../../../worker/compute/contents.js'
import { ContentReader, readWhole } from '../../../../worker/compute/placed-content.js'
import { rejects } from '../../../support/rejects.js'
import { seededRandom } from '../../../support/seeded-random.js'

const test = suite<{ folder: string; file: ContentFile }>('ContentFile')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'manyhands-content-'))
  context.file = new ContentFile(context.folder)
})
test.after.each(async ({ file, folder }) => {
  await file.close()
  rmSync(folder, { recursive: true, force: true })
})

const anyRoom = () => Promise.resolve()

test('has no name, and those that inherit it cannot write to it', ({ file, folder }) => {
  assert.equal(readdirSync(folder), [])
  assert.throws(() => writeSync(file.descriptor, 'x'), /EBADF|EPERM/)
})

test('fills gaps first, and gives the end back to the disk', async ({ file }) => {
  const size = () => fstatSync(file.descriptor).size
  const [a, b, c] = [10, 20, 30].map((bytes) => file.take(bytes))
  await file.write(c!, 0, new Uint8Array(30))
  assert.equal([a!.at, b!.at, c!.at, file.bytes, size()], [0, 10, 30, 60, 60])
  file.free(b!)
  assert.equal([file.take(21).at, file.take(15).at, file.take(6).at], [60, 10, 81])
  file.free(c!)
  assert.is(file.take(35).at, 25)
  for (const extent of [a!, b!]) file.free(extent)
  await file.write(file.take(1), 0, new Uint8Array(1))
  await file.close()
  await rejects(file.write(a!, 0, new Uint8Array(1)), 'closed')
})

test('what is held can be read, any part of it, whatever came and went before', async ({ file, folder }) => {
  let next = 0
  const operation = fc.record({ bytes: fc.oneof(fc.nat(200), fc.nat(40_000)), drop: fc.nat(3), seed: fc.nat() })
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { maxLength: 8 }), async (operations) => {
      const contents = new Contents(file)
      const reader = new ContentReader(file.descriptor)
      const held: { content: PlacedFile; bytes: Uint8Array }[] = []
      for (const { bytes: length, drop, seed } of operations) {
        const random = seededRandom(seed)
        const bytes = random.bytes(length)
        const path = join(folder, String(next++))
        writeFileSync(path, bytes)
        const [content] = await contents.hold([path], anyRoom)
        held.push({ content: content!, bytes })
        for (const one of held) {
          const whole = new Uint8Array(one.bytes.length)
          assert.ok(Buffer.from(readWhole(file.descriptor, one.content, whole)).equals(one.bytes))
          const stored = reader.bytesOf(one.content)
          assert.is(stored.length, one.bytes.length)
          for (let i = 0; i < 5; i++) {
            const at = random.int(length + 10)
            const target = new Uint8Array(random.int(i < 4 ? 100 : 20_000))
            const count = stored.read(target, at)
            assert.is(count, Math.max(0, Math.min(target.length, one.bytes.length - at)))
            assert.ok(Buffer.from(target.subarray(0, count)).equals(one.bytes.subarray(at, at + count)))
          }
        }
        for (const { content: gone } of held.splice(0, drop)) contents.release([gone])
      }
      contents.release(held.map(({ content }) => content))
      assert.is(contents.bytes, 0)
    }),
    { numRuns: 30 },
  )
})

test('a file that several jobs name is there once, until the last lets go', async ({ file, folder }) => {
  const path = join(folder, 'a')
  writeFileSync(path, new Uint8Array(5))
  const contents = new Contents(file)
  const first = await contents.hold([path, path], anyRoom)
  const second = await contents.hold([path], anyRoom)
  assert.is(contents.bytes, 5)
  contents.release(first)
  assert.is(contents.bytes, 5)
  contents.release(second)
  assert.is(contents.bytes, 0)
  await rejects(contents.hold([path, join(folder, 'none')], anyRoom), 'unavailable')
  assert.is(contents.bytes, 0)
})

test('what was cut off is an error, not zeros', async ({ file }) => {
  const content = { number: 1, at: 0, bytes: 100 }
  await file.write(file.take(50), 0, new Uint8Array(50))
  const stored = new ContentReader(file.descriptor).bytesOf(content)
  assert.throws(() => stored.read(new Uint8Array(10), 0), /no longer there/)
  assert.throws(() => stored.read(new Uint8Array(10), 90), /no longer there/)
  assert.throws(() => readWhole(file.descriptor, content, new Uint8Array(100)), /no longer there/)
})

test.run()
