import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseCpus } from '../../../cli/cpus.js'
import { commandAgain, shellWord } from '../../../cli/context.js'
import { fileContent, openFiles, sandboxName } from '../../../cli/file-content.js'
import { announceLocalProcess, findLocalProcess } from '../../../cli/local-process.js'
import { createLogger } from '../../../cli/logger.js'
import { statusText } from '../../../cli/long-running.js'
import { lineOfKey } from '../../../cli/toml.js'
import { platformFolders } from '../../../runtime/platform.js'
import { rejects } from '../../support/rejects.js'
import { TextSink, temporaryFolder } from './run.js'

const folder = temporaryFolder()

const cpus = suite('parseCpus')

cpus('by default one thread is left free, and one is always there', () => {
  assert.equal([1, 2, 16].map((available) => parseCpus(undefined, available)), [1, 1, 15])
})

cpus('numbers and shares are understood; 0 computes nothing', () => {
  assert.equal(
    ['0', '3', '50%', '1%', '0%', '100%'].map((text) => parseCpus(text, 8)),
    [0, 3, 4, 1, 0, 8],
  )
})

cpus('anything else is refused', () => {
  for (const text of ['', '-1', '1.5', '101%', 'all', '99999']) assert.throws(() => parseCpus(text, 8), /cpus/)
})

cpus.run()

const words = suite('shellWord')

words('a shell reads back exactly what is printed', () => {
  const hard = ["it's", '{start}', '$HOME', 'a b', '', '--x=y', 'host:1#ab', '#x', '`ls`', '"', 'a\\b', '~', '*']
  const { stdout } = spawnSync('sh', ['-c', `printf '%s\\n' ${hard.map(shellWord).join(' ')}`], { encoding: 'utf8' })
  assert.equal(stdout.split('\n').slice(0, -1), hard)
})

words('a command is repeated with more before its --', () => {
  assert.is(commandAgain({ typed: ['submit', 'x'], passed: ['{i}'] }, '--join HOST'), "manyhands submit x --join HOST -- '{i}'")
})

words.run()

const lines = suite('lineOfKey')

lines('keys are found at top level, in tables and dotted; else the table above', () => {
  const text = 'a = 1\n"b c" = 2\n[env]\nX = 1\n[[list]]\ny.z = 3\n'
  assert.equal(
    [['a'], ['b c'], ['env', 'X'], ['env', 'missing'], ['list', '0', 'y', 'z'], ['nothing']].map((path) => lineOfKey(text, path)),
    [1, 2, 4, 3, 6, undefined],
  )
})

lines.run()

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

content('what is no file is refused by what was typed', async () => {
  await rejects(fileContent(join(folder.path, 'missing')), /missing does not exist/)
  await rejects(fileContent(folder.path), /is a folder/)
})

content('units see files under names that lead nowhere else', () => {
  assert.equal(
    ['a.txt', './x/../a.txt', '/etc/passwd', '..\\..\\b', 'C:\\data\\c'].map(sandboxName),
    ['a.txt', 'x/a.txt', 'etc/passwd', 'b', 'data/c'],
  )
})

content.run()

const processes = suite('local process')

processes('commands find the process that runs on their data directory, in their network', () => {
  const path = join(folder.path, 'process')
  mkdirSync(path)
  assert.is(findLocalProcess(path, 'main'), undefined)
  const forget = announceLocalProcess(path, { pid: process.pid, network: 'main', address: 'h:1#ab', join: [] })
  assert.is(findLocalProcess(path, 'main')?.address, 'h:1#ab')
  assert.is(findLocalProcess(path, 'other'), undefined)
  forget()
  assert.is(findLocalProcess(path, 'main'), undefined)
})

processes('a process that is gone, or a file that is damaged, is none', () => {
  const path = join(folder.path, 'gone')
  mkdirSync(path)
  const { pid } = spawnSync(process.execPath, ['-e', ''])
  announceLocalProcess(path, { pid, network: 'main', address: undefined, join: [] })
  assert.is(findLocalProcess(path, 'main'), undefined)
  writeFileSync(join(path, 'process.json'), '{"v":1')
  assert.is(findLocalProcess(path, 'main'), undefined)
})

processes.run()

const logger = suite('createLogger')

logger('a line for people has component, event and fields, and no control characters', () => {
  const stream = new TextSink()
  createLogger({ stream, level: 'info', json: false }).child('overlay').warn('seed silent', { address: 'a\u001b[2J', n: 5n })
  assert.match(stream.text, /^\d\d:\d\d:\d\d warn overlay: seed silent address=a \[2J n=5\n$/)
})

logger('what is below the level is not written; JSON lines are JSON', () => {
  const stream = new TextSink()
  const log = createLogger({ stream, level: 'warn', json: true })
  log.info('quiet')
  log.error('loud', { error: new Error('x') })
  const { level, msg, error } = JSON.parse(stream.text) as Record<string, unknown>
  assert.equal([level, msg, error], ['error', 'loud', 'x'])
})

logger.run()

const status = suite('statusText')
const idle = { computed: 0, acknowledged: 0, agreed: 0, disagreed: 0, idleReason: '', held: 0, unsettled: 0, owners: 0, running: 0 }

status('it claims as donated only what others confirmed', () => {
  const now = { ...idle, computed: 9, agreed: 5, unsettled: 4, held: 3, running: 2, owners: 1 }
  assert.is(statusText(now, undefined), 'computing 2 of 3 units in hand, from 1 owner | 5 confirmed, 4 waiting for others')
})

status('an idle worker says why', () => {
  assert.is(statusText({ ...idle, idleReason: 'quota' }, undefined), 'idle: quota | 0 confirmed')
  assert.match(statusText(idle, undefined), /^idle: no job has work/)
})

status.run()

const platform = suite('platformFolders')

platform('follow XDG on Linux, ignoring relative values', () => {
  const at = (environment: Record<string, string>) => platformFolders({ system: 'linux', environment, home: '/home/u' })
  assert.equal(at({}), { config: '/home/u/.config/manyhands', data: '/home/u/.local/share/manyhands' })
  assert.is(at({ XDG_DATA_HOME: '/d' }).data, '/d/manyhands')
  assert.is(at({ XDG_DATA_HOME: 'relative' }).data, '/home/u/.local/share/manyhands')
})

platform('follow the custom of macOS and Windows', () => {
  const mac = platformFolders({ system: 'darwin', environment: {}, home: '/Users/u' })
  assert.is(mac.data, '/Users/u/Library/Application Support/manyhands/data')
  const windows = platformFolders({ system: 'win32', environment: { LOCALAPPDATA: '/local' }, home: '/u' })
  assert.is(windows.config, join('/local', 'manyhands'))
})

platform.after(() => folder.close())
platform.run()
