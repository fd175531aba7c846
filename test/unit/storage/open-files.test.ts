import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OpenFiles } from '../../../storage/open-files.js'
import { eventually } from '../../support/deadline.js'
import { rejects } from '../../support/rejects.js'

const test = suite<{ folder: string; files: OpenFiles }>('OpenFiles')

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'manyhands-open-files-'))
  context.files = new OpenFiles()
})

test.after.each(({ folder }) => {
  rmSync(folder, { recursive: true, force: true })
})

/** Files below `folder` that this process has open, as Linux tells. */
function openBelow(folder: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`)
      return path.startsWith(folder) ? [path] : []
    } catch {
      return []
    }
  })
}

test('reads pieces, the last one shorter', async ({ folder, files }) => {
  const path = join(folder, 'a')
  writeFileSync(path, 'abcdef')
  assert.is((await files.read(path, 1, 3)).toString(), 'bcd')
  assert.is((await files.read(path, 4, 10)).toString(), 'ef')
  assert.is((await files.read(path, 9, 10)).length, 0)
})

test('a file that is not there is looked for again each time', async ({ folder, files }) => {
  const path = join(folder, 'a')
  await rejects(files.read(path, 0, 1), /ENOENT/)
  writeFileSync(path, 'x')
  assert.is((await files.read(path, 0, 1)).toString(), 'x')
})

test('a name that was forgotten is what has that name now', async ({ folder, files }) => {
  const path = join(folder, 'a')
  writeFileSync(path, 'old')
  await files.read(path, 0, 3)
  rmSync(path)
  files.forget(path)
  writeFileSync(path, 'new')
  assert.is((await files.read(path, 0, 3)).toString(), 'new')
})

if (process.platform === 'linux')
  test('of many files that are read at once a few stay open, none of them forgotten', async ({ folder, files }) => {
    const paths = Array.from({ length: 40 }, (_, i) => join(folder, `${i}`))
    for (const path of paths) writeFileSync(path, path)
    const read = await Promise.all(paths.map((path) => files.read(path, 0, 1_000)))
    assert.equal(
      read.map((bytes) => bytes.toString()),
      paths,
    )
    assert.equal(openBelow(folder).toSorted(), paths.slice(-8).toSorted())
    for (const path of paths) files.forget(path)
    await files.read(paths[0]!, 0, 1)
    assert.equal(openBelow(folder), [paths[0]])
  })

if (process.platform === 'linux')
  test('once closed nothing is open, nor stays so for who reads all the same', async ({ folder, files }) => {
    const first = join(folder, 'a')
    const second = join(folder, 'b')
    for (const path of [first, second]) writeFileSync(path, 'x')
    await files.read(first, 0, 1)
    assert.equal(openBelow(folder), [first])
    files.close()
    files.close()
    await eventually(() => openBelow(folder).length === 0, 5_000, 'files are closed')
    await files.read(second, 0, 1)
    await eventually(() => openBelow(folder).length === 0, 5_000, 'a file read late is closed')
  })

test.run()
