import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir, uptime } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openDataDirectory } from '../../../../overlay/identity/data-directory.js'
import { idWorkOf } from '../../../../overlay/identity/identity.js'
import { GridError } from '../../../../runtime/errors.js'

const moduleUrl = new URL('../../../../overlay/identity/data-directory.js', import.meta.url).href
const test = suite<{ folder: string }>('openDataDirectory')

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'manyhands-data-'))
})
test.after.each((context) => rmSync(context.folder, { recursive: true, force: true }))

const isInUse = (error: unknown) =>
  error instanceof GridError && error.code === 'unavailable' && /is in use by/.test(error.message)
const bootedAtMs = () => Math.round(Date.now() - uptime() * 1000)

/** A pid that belonged to a process which has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', ''])
  await once(child, 'exit')
  return child.pid ?? 0
}

test('makes the folder and the key, for this user alone', ({ folder }) => {
  const path = join(folder, 'a', 'b')
  const directory = openDataDirectory(path)
  const identity = directory.identity(0)
  assert.match(identity.nodeId, /^[0-9a-f]{40}$/)
  if (process.platform !== 'win32') {
    assert.is(statSync(join(path, 'identity.json')).mode & 0o777, 0o600)
    assert.is(statSync(path).mode & 0o777, 0o700)
  }
  directory.close()
})

test('keeps the key over restarts', ({ folder }) => {
  const first = openDataDirectory(folder)
  const { nodeId } = first.identity(3)
  first.close()
  const second = openDataDirectory(folder)
  assert.is(second.identity(3).nodeId, nodeId)
  assert.is(second.identity(0).nodeId, nodeId)
  second.close()
})

if (process.platform === 'linux')
  test('below /proc, where no folder can be made, it fails at once', () => {
    assert.throws(
      () => openDataDirectory('/proc/manyhands/data'),
      (error: unknown) =>
        error instanceof GridError && /\(ENOENT\)/.test(error.message) && /--data/.test(error.hint ?? ''),
    )
  })

test('a network that asks for more work gets a new nonce for the same key', ({ folder }) => {
  const directory = openDataDirectory(folder)
  const before = directory.identity(0)
  const bits = idWorkOf(before.publicKey, before.idNonce) + 1
  const after = directory.identity(bits)
  assert.is(after.publicKey, before.publicKey)
  assert.is.not(after.nodeId, before.nodeId)
  assert.ok(idWorkOf(after.publicKey, after.idNonce) >= bits)
  assert.is(directory.identity(0).nodeId, after.nodeId)
  directory.close()
})

test('is held once, and says by whom and what to do', ({ folder }) => {
  const directory = openDataDirectory(folder)
  assert.throws(
    () => openDataDirectory(folder),
    (error: unknown) =>
      isInUse(error) &&
      error instanceof GridError &&
      error.message === `data directory ${folder} is in use by process ${process.pid}` &&
      /--data/.test(error.hint ?? ''),
  )
  directory.close()
  directory.close()
  openDataDirectory(folder).close()
  assert.equal(readdirSync(folder), [])
})

test('a second close does not free what another has taken since', ({ folder }) => {
  const first = openDataDirectory(folder)
  first.close()
  const second = openDataDirectory(folder)
  first.close()
  assert.throws(() => openDataDirectory(folder), isInUse)
  second.close()
})

test('another live process keeps us out; once killed, it does not', async ({ folder }) => {
  const script = `import(${JSON.stringify(moduleUrl)}).then((m) => { m.openDataDirectory(${JSON.stringify(folder)}); console.log('held'); setInterval(() => {}, 1000) })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  assert.throws(
    () => openDataDirectory(folder),
    (error: unknown) => isInUse(error) && error instanceof GridError && error.fields.pid === child.pid,
  )
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
  assert.ok(existsSync(join(folder, 'lock')))
  openDataDirectory(folder).close()
})

test('a lock left by a process with our own number is taken over, as after a restart in a container', ({ folder }) => {
  const content = { pid: process.pid, host: hostname(), bootedAtMs: bootedAtMs(), token: 'old' }
  writeFileSync(join(folder, 'lock'), JSON.stringify(content))
  openDataDirectory(folder).close()
})

test('a lock from before a reboot is taken over though its number lives again, once it is old', ({ folder }) => {
  const lock = join(folder, 'lock')
  writeFileSync(
    lock,
    JSON.stringify({ pid: process.ppid, host: hostname(), bootedAtMs: bootedAtMs() - 3_600_000, token: 'old' }),
  )
  assert.throws(() => openDataDirectory(folder), isInUse)
  const old = new Date(Date.now() - 120_000)
  utimesSync(lock, old, old)
  openDataDirectory(folder).close()
})

test('a lock of another host counts while it is being touched', async ({ folder }) => {
  const lock = join(folder, 'lock')
  writeFileSync(lock, JSON.stringify({ pid: await deadPid(), host: 'elsewhere', bootedAtMs: 0, token: 'other' }))
  assert.throws(() => openDataDirectory(folder), /on elsewhere/)
  const old = new Date(Date.now() - 120_000)
  utimesSync(lock, old, old)
  openDataDirectory(folder).close()
})

test('a broken lock counts until it is old', ({ folder }) => {
  const lock = join(folder, 'lock')
  writeFileSync(lock, '{"pid":')
  assert.throws(() => openDataDirectory(folder), isInUse)
  const old = new Date(Date.now() - 120_000)
  utimesSync(lock, old, old)
  openDataDirectory(folder).close()
})

test('a broken key file is refused, not replaced', ({ folder }) => {
  const file = join(folder, 'identity.json')
  for (const text of ['', 'null', '{"privateKey":"00","idNonce":"00"}', 'key']) {
    writeFileSync(file, text)
    const directory = openDataDirectory(folder)
    assert.throws(
      () => directory.identity(0),
      (error: unknown) => error instanceof GridError && error.code === 'corrupt',
    )
    assert.is(readFileSync(file, 'utf8'), text)
    directory.close()
  }
})

test('a path that is a file is refused with a hint', ({ folder }) => {
  const file = join(folder, 'file')
  writeFileSync(file, '')
  for (const path of [file, join(file, 'below')]) {
    assert.throws(
      () => openDataDirectory(path),
      (error: unknown) => error instanceof GridError && error.code === 'unavailable' && /--data/.test(error.hint ?? ''),
    )
  }
})

test.run()
