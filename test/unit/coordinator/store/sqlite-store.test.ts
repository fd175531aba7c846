import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Database from 'libsql'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { SqliteStore } from '../../../../coordinator/store/sqlite-store.js'
import { GridError } from '../../../../runtime/errors.js'
import { deadline, eventually } from '../../../support/deadline.js'
import {
  digestOf,
  factWrite,
  jobIdOf,
  outputOf,
  shardWrite,
  specWrite,
  storeConformance,
} from '../../../support/storage/store-conformance.js'

const child = fileURLToPath(new URL('../../../support/storage/sqlite-writer.js', import.meta.url))

storeConformance('SqliteStore conformance', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'manyhands-store-'))
  return {
    open: async () => SqliteStore.open(join(folder, 'jobs.db')),
    remove: async () => rmSync(folder, { recursive: true }),
  }
})

const test = suite<{ folder: string; path: string }>('SqliteStore')
const job = jobIdOf('a')

test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'manyhands-store-'))
  context.path = join(context.folder, 'jobs.db')
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true }))

function openError(path: string): GridError {
  try {
    const store = SqliteStore.open(path)
    void store.close()
  } catch (error) {
    assert.instance(error, GridError)
    return error as GridError
  }
  throw new Error('opened')
}

test('what a killed process may have left unsynced is in the database file, synced, when it is opened again', async ({
  folder,
  path,
}) => {
  const store = SqliteStore.open(path)
  await store.commit([specWrite(job), shardWrite(job), factWrite(job, 'one')])
  const left = join(folder, 'left.db')
  for (const end of ['', '-wal']) copyFileSync(path + end, left + end)
  assert.ok(statSync(`${left}-wal`).size > 0)
  const again = SqliteStore.open(left)
  assert.is(statSync(`${left}-wal`).size, 0)
  assert.is((await again.facts(job, 0, 0, 10)).length, 1)
  await again.close()
  await store.close()
})

test('files can be read by their owner alone', async ({ folder, path }) => {
  if (process.platform === 'win32') return
  writeFileSync(path, '')
  chmodSync(path, 0o644)
  const store = SqliteStore.open(path)
  await store.commit([specWrite(job)])
  for (const name of ['jobs.db', 'jobs.db-wal']) assert.is(statSync(join(folder, name)).mode & 0o777, 0o600, name)
  await store.close()
})

test('a file that is no database is left alone, and the message says what to do', ({ path }) => {
  const text = 'not a database'.repeat(1_000)
  writeFileSync(path, text)
  const error = openError(path)
  assert.is(error.code, 'corrupt')
  assert.ok(error.message.includes(path))
  assert.match(error.hint!, /mv .*jobs\.db\.damaged/)
  assert.is(readFileSync(path, 'utf8'), text)
})

test('pages overwritten in the middle are found when the file is opened', async ({ path }) => {
  const store = SqliteStore.open(path)
  await store.commit([specWrite(job), shardWrite(job)])
  for (let i = 0; i < 40; i++) await store.commit([factWrite(job, `f${i}`, [outputOf(i, 'o', 4000)])])
  await store.close()
  const bytes = readFileSync(path)
  bytes.fill(0x5a, 4096, bytes.length)
  writeFileSync(path, bytes)
  assert.is(openError(path).code, 'corrupt')
  assert.ok(readFileSync(path).equals(bytes))
})

test('a file of a later version is refused', async ({ path }) => {
  await SqliteStore.open(path).close()
  const db = new Database(path)
  db.exec('INSERT INTO migrations VALUES (99)')
  db.close()
  assert.is(openError(path).code, 'unsupported')
})

test('a file that another process is writing is refused until it is let go', async ({ path }) => {
  await SqliteStore.open(path).close()
  const other = new Database(path)
  other.exec('BEGIN IMMEDIATE')
  const error = openError(path)
  assert.is(error.code, 'unavailable')
  assert.match(error.message, /in use/)
  other.exec('ROLLBACK')
  other.close()
  await SqliteStore.open(path).close()
})

test('a folder that cannot be made gives one clear error', ({ folder }) => {
  writeFileSync(join(folder, 'file'), '')
  assert.is(openError(join(folder, 'file', 'jobs.db')).code, 'unavailable')
})

test('dropped facts and outputs give their room back', async ({ path }) => {
  const store = SqliteStore.open(path)
  const empty = await store.bytesUsed()
  await store.commit([specWrite(job), shardWrite(job)])
  for (let i = 0; i < 10; i++) {
    const facts = Array.from({ length: 60 }, (_, k) => factWrite(job, `f${i} ${k}`, [outputOf(k, 'o', 4000)]))
    await store.commit(facts)
  }
  const full = await store.bytesUsed()
  assert.ok(full > 600 * 4500)
  await store.commit([{ type: 'dropJob', jobId: job }])
  let used = full
  await eventually(
    () => {
      void store.bytesUsed().then((now) => {
        used = now
      })
      return used < empty + 100_000
    },
    5_000,
    'room given back',
  )
  await store.close()
})

test('a drop that was cut off by closing is finished after the next start', async ({ path }) => {
  const store = SqliteStore.open(path)
  await store.commit([specWrite(job), shardWrite(job)])
  await store.commit(Array.from({ length: 512 }, (_, k) => factWrite(job, `f${k}`)))
  await store.commit([{ type: 'dropJob', jobId: job }])
  await store.close()
  const again = SqliteStore.open(path)
  await again.commit([specWrite(job), shardWrite(job), factWrite(job, 'new')])
  assert.equal(
    (await again.facts(job, 0, 0, 10)).map(({ factId }) => factId),
    [digestOf('new')],
  )
  let used = Number.POSITIVE_INFINITY
  await eventually(
    () => {
      void again.bytesUsed().then((now) => {
        used = now
      })
      return used < 200_000
    },
    5_000,
    'rest removed',
  )
  assert.equal(
    (await again.facts(job, 0, 0, 10)).map(({ factId }) => factId),
    [digestOf('new')],
  )
  await again.close()
})

test('kill -9 in the middle of writing loses no acknowledged group and keeps none in part', async ({ path }) => {
  for (let round = 0; round < 3; round++) {
    const writer = spawn(process.execPath, [child, path, `round ${round}`], { stdio: ['ignore', 'pipe', 'inherit'] })
    const acknowledged = await deadline(
      new Promise<string[]>((resolve) => {
        let text = ''
        writer.stdout.on('data', (data) => {
          text += data
          if (text.split('\n').length > 40 * (round + 1)) writer.kill('SIGKILL')
        })
        writer.stdout.on('end', () => resolve(text.split('\n').slice(0, -1)))
      }),
      10_000,
      'writer',
    )
    if (writer.exitCode === null && writer.signalCode === null) await once(writer, 'exit')
    assert.is(writer.signalCode, 'SIGKILL')
    const store = SqliteStore.open(path)
    const facts = new Set((await store.facts(job, 0, 0, 100_000)).map(({ factId }) => factId))
    for (const name of acknowledged) {
      for (const part of ['a', 'b', 'c']) assert.ok(facts.has(digestOf(`${name} ${part}`)), `${name} ${part}`)
    }
    for (let i = 0; i < acknowledged.length + 10; i++) {
      const parts = ['a', 'b', 'c'].filter((part) => facts.has(digestOf(`round ${round} ${i} ${part}`)))
      assert.ok(parts.length === 0 || parts.length === 3, `group ${i} is there in part: ${parts}`)
    }
    await store.close()
  }
})

test('a full disk rejects the group, keeps none of it, and what was acknowledged stays', async ({ path }) => {
  if (process.platform === 'win32') return
  // A limit on the size of a file, 512-byte blocks, stands for the full disk: the write fails in the same place.
  const limited = spawnSync(
    '/bin/sh',
    ['-c', 'ulimit -f 2048; exec "$0" "$@"', process.execPath, child, path, 'full', 'until-full'],
    {
      encoding: 'utf8',
      timeout: 20_000,
    },
  )
  assert.is(limited.status, 0, limited.stderr)
  const lines = limited.stdout.trim().split('\n')
  assert.match(lines.at(-1)!, /^refused unavailable .*disk is full.*free some space/)
  const store = SqliteStore.open(path)
  const facts = (await store.facts(job, 0, 0, 100_000)).map(({ factId }) => factId)
  const acknowledged = lines.slice(0, -1)
  assert.ok(acknowledged.length > 10)
  assert.equal(
    facts,
    acknowledged.flatMap((name) => ['a', 'b', 'c'].map((part) => digestOf(`${name} ${part}`))),
  )
  await store.commit([factWrite(job, 'after room was made')])
  await store.close()
})

test.run()
