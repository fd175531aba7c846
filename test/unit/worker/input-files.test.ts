import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { blobOf } from '../../../job/blob.js'
import type { BlobRef, Digest } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { openInputFiles } from '../../../worker/input-files.js'
import type { InputFiles } from '../../../worker/inputs.js'
import { rejects } from '../../support/rejects.js'

const test = suite<{ folder: string }>('files of jobs on disk')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'manyhands-inputs-'))
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }))

const blob = (digit: string, size: number): BlobRef => ({ digest: digit.repeat(64) as Digest, size })

/** Puts content there, held. */
async function put(files: InputFiles, ref: BlobRef): Promise<string> {
  const file = await files.create(ref)
  await file.write(0, new Uint8Array(ref.size).fill(7))
  return file.finish()
}

test('content is held from when it is complete, and found by digest', async ({ folder }) => {
  const files = await openInputFiles(folder, 1000)
  assert.is(await files.hold(blob('a', 10)), undefined)
  const path = await put(files, blob('a', 10))
  assert.is(readFileSync(path).length, 10)
  assert.is(await files.hold(blob('a', 10)), path)
})

test('what was used longest ago goes first, and what is held never', async ({ folder }) => {
  const files = await openInputFiles(folder, 100)
  const [a, b, c] = [blob('a', 40), blob('b', 40), blob('c', 40)]
  const paths = [await put(files, a), await put(files, b)]
  files.release(b.digest)
  files.release(a.digest)
  await files.hold(a)
  files.release(a.digest)
  await put(files, c)
  assert.equal(paths.map(existsSync), [true, false])
  await files.hold(a)
  await rejects(files.create(b), 'quota')
  assert.equal(paths.map(existsSync), [true, false])
})

test('content larger than everything is refused before a byte comes', async ({ folder }) => {
  const files = await openInputFiles(folder, 100)
  await rejects(files.create(blob('a', 101)), 'quota')
  assert.equal(readdirSync(folder), [])
})

test('what is being fetched takes its room, and gives it back when abandoned', async ({ folder }) => {
  const files = await openInputFiles(folder, 100)
  const half = await files.create(blob('a', 60))
  await rejects(files.create(blob('b', 60)), 'quota')
  await half.abandon()
  await half.abandon()
  await put(files, blob('b', 60))
  assert.equal(readdirSync(folder), ['b'.repeat(64)])
})

test('content that cannot be put in its place gives its room back', async ({ folder }) => {
  const files = await openInputFiles(folder, 100)
  const file = await files.create(blob('a', 60))
  await file.write(0, new Uint8Array(60))
  const place = join(folder, 'a'.repeat(64))
  mkdirSync(place)
  await file.finish().then(
    () => assert.unreachable('a folder is in the way'),
    () => {},
  )
  await file.abandon()
  assert.equal(readdirSync(folder), ['a'.repeat(64)])
  rmdirSync(place)
  await put(files, blob('a', 60))
  assert.is(await files.hold(blob('a', 60)), place)
})

test('a restart keeps what is whole, up to the limit, and clears the rest away', async ({ folder }) => {
  const content = [new Uint8Array(40).fill(7), new Uint8Array(39).fill(7)]
  const [a, b] = content.map((bytes) => blobOf(sha256, bytes).blob)
  const files = await openInputFiles(folder, 100)
  await put(files, a!)
  await put(files, b!)
  writeFileSync(join(folder, `${'c'.repeat(64)}.1.part`), 'half')
  const again = await openInputFiles(folder, 100)
  assert.equal(readdirSync(folder).sort(), [a!.digest, b!.digest].sort())
  assert.ok(await again.hold(a!))
  await openInputFiles(folder, 50)
  assert.is(readdirSync(folder).length, 1)
})

test('what a disk has changed since the last run is not given out', async ({ folder }) => {
  const { blob: ref } = blobOf(sha256, new Uint8Array(40).fill(7))
  const path = await put(await openInputFiles(folder, 100), ref)
  writeFileSync(path, new Uint8Array(40).fill(8))
  const again = await openInputFiles(folder, 100)
  assert.is(await again.hold(ref), undefined)
  assert.equal(readdirSync(folder), [])
})

test('a file that somebody has cut is not given out', async ({ folder }) => {
  const files = await openInputFiles(folder, 100)
  const path = await put(files, blob('a', 40))
  files.release(blob('a', 40).digest)
  truncateSync(path, 3)
  assert.is(await files.hold(blob('a', 40)), undefined)
  assert.not.ok(existsSync(path))
  await put(files, blob('a', 40))
})

test.run()
