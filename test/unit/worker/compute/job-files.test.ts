import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Clock } from '../../../../runtime/clock.js'
import { GridError } from '../../../../runtime/errors.js'
import type { Contents, PlacedFile } from '../../../../worker/compute/contents.js'
import { type FileJob, JobFiles } from '../../../../worker/compute/job-files.js'
import { eventually } from '../../../support/deadline.js'

const MINUTE_MS = 60_000

interface NamedJob extends FileJob {
  readonly name: string
}

/** Jobs with files of 10 bytes each, in a child that has room for `bytesMax`; time passes when told to. */
function filesOf(bytesMax: number) {
  let now = 0
  const timers: { atMs: number; run: () => void }[] = []
  const clock = {
    now: () => now,
    setTimer: (ms: number, run: () => void) => {
      const timer = { atMs: now + ms, run }
      timers.push(timer)
      return { cancel: () => timers.splice(timers.indexOf(timer), 1) }
    },
  } as unknown as Clock
  const held = new Map<string, number>()
  const contents = {
    get bytes() {
      return 10 * held.size
    },
    hold: async (paths: readonly string[], room: (bytes: number) => Promise<void>) => {
      for (const path of paths) {
        if (path === 'unreadable') throw new GridError('unavailable', 'no such file')
        if (!held.has(path)) await room(10)
        held.set(path, (held.get(path) ?? 0) + 1)
      }
      return paths.map((path, number) => ({ number, at: 0, path, bytes: 10 }))
    },
    release: (list: readonly PlacedFile[]) => {
      for (const { path } of list) {
        const users = held.get(path)! - 1
        if (users === 0) held.delete(path)
        else held.set(path, users)
      }
    },
  } as unknown as Contents
  const log: string[] = []
  const files = new JobFiles<NamedJob>(contents, bytesMax, clock, {
    loaded: ({ name }) => log.push(`loaded ${name}`),
    failed: ({ name }, { code }) => log.push(`failed ${name} ${code}`),
    unloading: ({ name }) => log.push(`unloading ${name}`),
    unloaded: (bytes) => log.push(`unloaded ${bytes}`),
  })
  const job = (name: string, paths: readonly string[] = [name]): NamedJob => ({
    name,
    paths,
    files: 'absent',
    contents: [],
    idleAt: undefined,
  })
  const pass = (ms: number) => {
    now += ms
    for (const timer of timers.filter(({ atMs }) => atMs <= now)) {
      timers.splice(timers.indexOf(timer), 1)
      timer.run()
    }
  }
  const logs = (entry: string) => eventually(() => log.includes(entry), 5_000, entry)
  return { files, job, log, logs, pass, held, timers }
}

const test = suite('JobFiles')

test('files come with the first unit and stay while there are units', async () => {
  const { files, job, log, logs, pass, held } = filesOf(100)
  const a = job('a', ['x', 'y'])
  files.want(a)
  files.want(a)
  await logs('loaded a')
  pass(10 * MINUTE_MS)
  assert.equal(log, ['loaded a'])
  assert.equal([...held.keys()], ['x', 'y'])
})

test('a minute after the last unit they go, with what they held told', async () => {
  const { files, job, log, logs, pass, held, timers } = filesOf(100)
  const a = job('a')
  files.want(a)
  await logs('loaded a')
  files.idle(a)
  pass(MINUTE_MS - 1)
  assert.equal(log, ['loaded a'])
  pass(1)
  assert.equal(log, ['loaded a', 'unloading a', 'unloaded 10'])
  assert.is(a.files, 'absent')
  assert.is(held.size, 0)
  assert.is(timers.length, 0)
})

test('a job that gets units again in time keeps its files', async () => {
  const { files, job, log, logs, pass } = filesOf(100)
  const a = job('a')
  files.want(a)
  await logs('loaded a')
  files.idle(a)
  pass(MINUTE_MS / 2)
  files.want(a)
  pass(MINUTE_MS)
  assert.equal(log, ['loaded a'])
})

test('for want of room the job idle longest goes; a busy one is waited for', async () => {
  const { files, job, log, logs, pass } = filesOf(20)
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => job(name))
  files.want(a!)
  files.want(b!)
  await logs('loaded b')
  files.idle(b!)
  pass(10)
  files.idle(a!)
  files.want(c!)
  await logs('loaded c')
  assert.equal(log.slice(2), ['unloading b', 'loaded c'])
  files.want(a!)
  files.want(d!)
  await Promise.resolve()
  assert.is(d!.files, 'loading')
  files.idle(c!)
  await logs('loaded d')
  assert.equal(log.slice(4), ['unloading c', 'loaded d'])
})

test('a file that needs more than all the room, or cannot be read, fails its job alone', async () => {
  const { files, job, log, logs, held } = filesOf(5)
  files.want(job('a'))
  await logs('failed a quota')
  files.want(job('b', ['unreadable']))
  await logs('failed b unavailable')
  assert.is(held.size, 0)
  assert.is(log.length, 2)
})

test('closed while it waits, a job gets no files; closed later, it lets them go', async () => {
  const { files, job, log, logs, held } = filesOf(10)
  const [a, b, c] = ['a', 'b', 'c'].map((name) => job(name))
  files.want(a!)
  await logs('loaded a')
  files.want(b!)
  files.want(c!)
  files.forget(b!)
  files.forget(a!)
  await logs('loaded c')
  assert.equal(log, ['loaded a', 'unloading a', 'loaded c'])
  assert.equal([...held.keys()], ['c'])
})

test.run()
