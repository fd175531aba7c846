import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { AdminClient } from '../../../process/admin/admin-client.js'
import { serveAdmin } from '../../../process/admin/admin-service.js'
import { LogRing } from '../../../process/admin/log-ring.js'
import { openSocketFolder, SOCKET_PATH_BYTES_MAX } from '../../../process/admin/socket-path.js'
import type { LogEntry, ProcessState } from '../../../proto/admin-messages.js'
import { LOG_ENTRIES_MAX } from '../../../proto/codec/admin.js'
import { systemClock } from '../../../runtime/clock.js'
import type { GridError } from '../../../runtime/errors.js'
import { silentLogger } from '../../../runtime/logger.js'
import { deadline, eventually } from '../../support/deadline.js'
import { rejects } from '../../support/rejects.js'
import { temporaryFolder } from '../cli/run.js'

const folder = temporaryFolder()
const unix = { system: 'linux', runtimeFolder: undefined }
const mode = (path: string) => statSync(path).mode & 0o777

const state: ProcessState = {
  nodeId: 'ab'.repeat(20) as ProcessState['nodeId'],
  publicKey: 'cd'.repeat(32) as ProcessState['publicKey'],
  version: '1.2.3',
  network: 'test',
  startedMs: 5,
  address: '',
  eligible: false,
  peers: [],
  shards: 0,
  storedBytes: 7,
  worker: undefined,
  unreached: '',
  otherSelf: '',
}

const places = suite('openSocketFolder')

places('the socket stands in the data directory, in a folder that only its owner can enter', () => {
  const data = join(folder.path, 'near')
  mkdirSync(join(data, 'admin'), { recursive: true, mode: 0o755 })
  const path = openSocketFolder(data, unix)
  assert.is(path, join(data, 'admin', 'socket'))
  assert.is(mode(join(path, '..')), 0o700)
})

places('a data directory with a long path has its socket elsewhere, where it is found again', () => {
  const data = join(folder.path, 'x'.repeat(SOCKET_PATH_BYTES_MAX))
  const runtimeFolder = join(folder.path, 'run')
  mkdirSync(runtimeFolder)
  const path = openSocketFolder(data, { ...unix, runtimeFolder })
  assert.ok(path.startsWith(runtimeFolder) && path.length <= SOCKET_PATH_BYTES_MAX, path)
  assert.is(mode(join(path, '..')), 0o700)
  assert.is(openSocketFolder(data, { ...unix, runtimeFolder }), path)
})

places('a folder that somebody else may have prepared is not taken', () => {
  const data = join(folder.path, 'y'.repeat(SOCKET_PATH_BYTES_MAX))
  const runtimeFolder = join(folder.path, 'shared')
  mkdirSync(runtimeFolder)
  const taken = join(openSocketFolder(data, { ...unix, runtimeFolder }), '..')
  const other = join(folder.path, 'z'.repeat(SOCKET_PATH_BYTES_MAX))
  const name = join(openSocketFolder(other, { ...unix, runtimeFolder: join(folder.path, 'run') }), '..')
    .split('/')
    .at(-1)!
  symlinkSync(taken, join(runtimeFolder, name))
  const path = openSocketFolder(other, { ...unix, runtimeFolder })
  assert.is.not(join(path, '..'), join(runtimeFolder, name))
  assert.is(mode(join(path, '..')), 0o700)
})

const ring = suite('LogRing')

ring('it keeps the newest entries, bounded in number and size, and writes on', () => {
  const log = new LogRing({ wallMs: () => 9 })
  const written: string[] = []
  const logger = log.around({ ...silentLogger, warn: (event) => written.push(event), child: () => silentLogger })
  logger.warn('first', { error: new Error('why'), big: 2n ** 60n, none: undefined })
  const [entry] = log.past(1)
  assert.equal(entry, {
    atMs: 9,
    level: 'warn',
    scope: '',
    message: 'first',
    fields: `{"error":"why","big":"${2n ** 60n}"}`,
  })
  assert.equal(written, ['first'])
  logger.debug('not kept')
  for (let i = 0; i < LOG_ENTRIES_MAX + 5; i++) logger.child('part').info(`${i}`, { long: 'x'.repeat(100_000), i })
  const past = log.past(LOG_ENTRIES_MAX)
  assert.is(past.length, LOG_ENTRIES_MAX)
  assert.is(past.at(-1)?.message, String(LOG_ENTRIES_MAX + 4))
  assert.is(past.at(-1)?.scope, 'part')
  assert.ok(past.every(({ fields }) => fields.length < 5_000))
})

const socket = suite('admin socket')

async function served(drain: () => void = () => {}) {
  const path = openSocketFolder(join(folder.path, 'served'), unix)
  const log = new LogRing(systemClock)
  const parts = { clock: systemClock, logger: silentLogger, log, state: () => state, worker: undefined, drain }
  const server = await serveAdmin(path, parts)
  const client = new AdminClient(path)
  const close = async () => {
    client.close()
    await server.close()
  }
  return { path, log, client, close }
}

socket('only its owner can open it, and it takes the place of one that was left behind', async () => {
  const path = openSocketFolder(join(folder.path, 'served'), unix)
  writeFileSync(path, '')
  const { client, close } = await served()
  assert.is(mode(path), 0o600)
  assert.equal(await client.state(), state)
  await close()
  assert.throws(() => statSync(path))
})

socket('states and log entries are pushed until the caller has enough', async () => {
  const { client, log, close } = await served()
  let states = 0
  const stop = client.watch(
    100,
    () => states++,
    () => {},
  )
  await eventually(() => states >= 2, 10_000, 'two states')
  stop()
  const entries: LogEntry[] = []
  log.around(silentLogger).info('before')
  client.log(
    10,
    (entry) => entries.push(entry),
    () => {},
  )
  await eventually(() => entries.length === 1, 10_000, 'the past')
  log.around(silentLogger).warn('after')
  await eventually(() => entries.length === 2, 10_000, 'the present')
  assert.equal(
    entries.map(({ message }) => message),
    ['before', 'after'],
  )
  await close()
})

socket(
  'a process that computes nothing says so, one that drains begins at once, one that ended is unreachable',
  async () => {
    let drained = false
    const { client, path, close } = await served(() => {
      drained = true
    })
    await rejects(client.pause(0), 'unavailable')
    await client.drain()
    assert.ok(drained)
    const ended = new Promise<GridError>((resolve) => client.watch(60_000, () => {}, resolve))
    await client.state()
    await close()
    await deadline(ended, 10_000, 'the watcher hears of the end')
    const late = new AdminClient(path)
    await rejects(late.state(), 'unreachable')
    late.close()
  },
)

socket.after(() => folder.close())
places.run()
ring.run()
socket.run()
