import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openFiles } from '../../../cli/job-options/file-content.js'
import { fileContent, sandboxName } from '../../../client/content/opened-file.js'
import type { GridError } from '../../../runtime/errors.js'
import { rejects } from '../../support/rejects.js'
import { temporaryFolder } from './run.js'

const folder = temporaryFolder()

const content = suite('fileContent')

content('a file is read in any order', async () => {
  const file = join(folder.path, 'data')
  writeFileSync(file, 'hello world')
  for (const keepOpen of [true, false]) {
    const opened = await fileContent(file, keepOpen)
    assert.is(opened.size, 11)
    assert.is(new TextDecoder().decode(await opened.read(6, 11)), 'world')
    assert.is(new TextDecoder().decode(await opened.read(0, 5)), 'hello')
    await opened.close?.()
    await opened.close?.()
  }
})

content('a pattern that was quoted is told from a file that is not there', async () => {
  const missing = (name: string) =>
    fileContent(join(folder.path, name)).then(
      () => undefined,
      (error: GridError) => error.hint,
    )
  assert.match((await missing('*.txt')) ?? '', /not quoted/)
  assert.is(await missing('gone.txt'), undefined)
})

content('standard input is put aside, and may be used once', async () => {
  async function* stdin() {
    yield 'one\n'
    yield new TextEncoder().encode('two\n')
  }
  const opened = await openFiles({ source: { type: 'lines', path: '-' }, inputs: [] }, stdin())
  assert.is(opened.source.type, 'lines')
  if (opened.source.type !== 'lines') return
  assert.is(new TextDecoder().decode(await opened.source.content.read(0, 8)), 'one\ntwo\n')
  await opened.close()
  await rejects(
    openFiles({ source: { type: 'lines', path: '-' }, inputs: [{ path: '-', name: 'x' }] }, stdin()),
    /can be used once/,
  )
})

content('a folder as an input is all files below it, and too many or none are refused', async () => {
  const data = join(folder.path, 'tree')
  mkdirSync(join(data, 'b'), { recursive: true })
  for (const name of ['c.txt', 'b/2', 'a.txt']) writeFileSync(join(data, name), name)
  const source = { type: 'count', count: '1' } as const
  async function* stdin() {
    yield ''
  }
  const opened = (path: string) => openFiles({ source, inputs: [{ path, name: 'd' }] }, stdin())
  const files = await opened(data)
  assert.equal(
    files.inputs.map(({ name }) => name),
    ['d/a.txt', 'd/b/2', 'd/c.txt'],
  )
  assert.is(new TextDecoder().decode(await files.inputs[1]!.content.read(0, 3)), 'b/2')
  await files.close()
  symlinkSync(data, join(data, 'b', 'circle'))
  await rejects(opened(data), /d\/b\/circle|too many/)
  const empty = join(folder.path, 'empty')
  mkdirSync(empty)
  await rejects(opened(empty), /has no files/)
  for (let i = 0; i < 257; i++) writeFileSync(join(empty, String(i)), '')
  await rejects(opened(empty), /256 at most/)
})

content('what is no file is refused by what was typed', async () => {
  await rejects(fileContent(join(folder.path, 'missing')), /missing does not exist/)
  await rejects(fileContent(folder.path), /is a folder/)
})

content('units see files under names that lead nowhere else', () => {
  assert.equal(['a.txt', './x/../a.txt', '/etc/passwd', '..\\..\\b', 'C:\\data\\c'].map(sandboxName), [
    'a.txt',
    'x/a.txt',
    'etc/passwd',
    'b',
    'data/c',
  ])
})

content.after(() => folder.close())
content.run()
