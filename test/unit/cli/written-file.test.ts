import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { writeNamed } from '../../../cli/terminal/written-file.js'
import { temporaryFolder } from './run.js'

const test = suite('files that a person named')
const { path: folder, close } = temporaryFolder()
test.after(close)
const module = new URL('../../../cli/terminal/written-file.js', import.meta.url)

test('what cannot be written is told in words', () => {
  const file = join(folder, 'whole')
  writeNamed(file, 'text')
  assert.is(readFileSync(file, 'utf8'), 'text')
  assert.throws(() => writeNamed(join(folder, 'none', 'x'), ''), /none\/x cannot be written: its folder does not exist/)
  assert.throws(() => writeNamed(folder, ''), /cannot be written: it is a folder/)
  if (existsSync('/dev/full')) assert.throws(() => writeNamed('/dev/full', 'x'), /: the disk is full/)
})

test('a file that could not be finished is gone, one that was there stays', () => {
  if (process.platform === 'win32') return
  const [begun, kept] = [join(folder, 'begun'), join(folder, 'kept')]
  writeFileSync(kept, '')
  // No file may grow here: as on a full disk, but for the reason.
  const program = `
    const { writeNamed } = await import('${module}')
    for (const file of ['${begun}', '${kept}'])
      try { writeNamed(file, 'x'.repeat(4096)) } catch (error) { console.log(error.message) }`
  const run = 'ulimit -f 0 && exec "$0" --input-type=module -e "$1"'
  const { stdout } = spawnSync('/bin/sh', ['-c', run, process.execPath, program], { encoding: 'utf8' })
  assert.is(stdout, `${begun} cannot be written: EFBIG\n${kept} cannot be written: EFBIG\n`)
  assert.equal([existsSync(begun), existsSync(kept)], [false, true])
})

test.run()
