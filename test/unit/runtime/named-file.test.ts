import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { NOT_A_FILE, openNamed, readNamed } from '../../../runtime/named-file.js'
import { deadline } from '../../support/deadline.js'

const folder = mkdtempSync(join(tmpdir(), 'manyhands-test-'))
const file = join(folder, 'file')
const pipe = join(folder, 'pipe')
writeFileSync(file, 'hello')
const hasPipes = process.platform !== 'win32'
if (hasPipes) execFileSync('mkfifo', [pipe])

/** The code with which a file of that name is refused, opened and read whole. */
async function refusals(path: string): Promise<unknown[]> {
  const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code
  let read: unknown
  try {
    readNamed(path, 5)
  } catch (error) {
    read = codeOf(error)
  }
  const opening = openNamed(path).then((handle) => handle.close(), codeOf)
  return [await deadline(opening, 10_000, `${path} is opened or refused`), read]
}

const named = suite('files that somebody named')

named('a file is opened and read whole', async () => {
  const handle = await openNamed(file)
  assert.is((await handle.readFile()).toString(), 'hello')
  await handle.close()
  assert.is(readNamed(file, 5).toString(), 'hello')
  assert.throws(() => readNamed(file, 4), /EFBIG/)
})

named('a folder, and nothing at all, are told as what they are', async () => {
  assert.equal(await refusals(folder), ['EISDIR', 'EISDIR'])
  assert.equal(await refusals(join(folder, 'missing')), ['ENOENT', 'ENOENT'])
})

named('a pipe to which nobody writes and a device that never ends are refused at once', async () => {
  if (!hasPipes) return
  for (const path of [pipe, '/dev/zero', '/dev/null']) assert.equal(await refusals(path), [NOT_A_FILE, NOT_A_FILE])
})

named('a pipe that the shell handed over is read to its end', () => {
  if (!hasPipes) return
  const module = new URL('../../../runtime/named-file.js', import.meta.url).href
  const script = `import { readNamed } from ${JSON.stringify(module)}; process.stdout.write(readNamed('/dev/stdin', 100))`
  const args = ['--input-type=module', '-e', script]
  const input = 'from a pipe'
  assert.is(
    execFileSync('sh', ['-c', 'printf %s "$INPUT" | "$NODE" "$@"', 'sh', ...args], {
      env: { ...process.env, NODE: process.execPath, INPUT: input },
    }).toString(),
    input,
  )
})

named('no file is left open', () => {
  const before = openSync(file, 'r')
  closeSync(before)
  readNamed(file, 5)
  const after = openSync(file, 'r')
  closeSync(after)
  // None is left open.
  assert.is(after, before)
})

named.after(() => rmSync(folder, { recursive: true, force: true }))
named.run()
