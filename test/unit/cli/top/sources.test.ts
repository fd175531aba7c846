import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { TopEvent, UnitsQuery } from '../../../../cli/top/core/messages.js'
import { AdminFollower, type AdminSource } from '../../../../cli/top/sources/admin-source.js'
import { JobsSource } from '../../../../cli/top/sources/jobs-source.js'
import { PeersSource } from '../../../../cli/top/sources/peers-source.js'
import { UnitsSource } from '../../../../cli/top/sources/units-source.js'
import type { LogEntry, ProcessState } from '../../../../proto/admin-messages.js'
import type { JobId, Key, NodeId } from '../../../../proto/model.js'
import { systemClock } from '../../../../runtime/clock.js'
import { GridError } from '../../../../runtime/errors.js'
import { toHex, utf8 } from '../../../../runtime/hex.js'
import { systemRandom } from '../../../../runtime/random.js'
import { FakeGrid } from '../../../support/client/fake-grid.js'
import { printed } from '../../../support/client/fake-job.js'
import { deadline, eventually } from '../../../support/deadline.js'
import { jobId, machine, NOW, nodeId, status } from './fixtures.js'

/** Events as they come, and what ends the source of them. */
function recording() {
  const events: TopEvent[] = []
  const stop = new AbortController()
  const of = <T extends TopEvent['type']>(type: T) =>
    events.filter((event): event is Extract<TopEvent, { type: T }> => event.type === type)
  return {
    events,
    of,
    stop,
    signal: stop.signal,
    clock: systemClock,
    emit: (event: TopEvent) => void events.push(event),
  }
}

const WAIT_MS = 10_000

const jobs = suite('JobsSource')

jobs('jobs of the list are watched until they end, each change pushed', async () => {
  const grid = new FakeGrid()
  let settled = 1
  const job = grid.job({ name: 'sums' }, (unit) => (unit < settled ? printed('x') : 'open'))
  const { units } = job.summary()
  const entry = { jobId: job.jobId, name: 'sums', task: 'primes', createdAtMs: 0, units, parent: undefined }
  const seen = recording()
  const source = new JobsSource({ client: grid.client, list: { all: async () => [entry] }, named: [], ...seen })
  await source.refresh(false)
  await eventually(() => seen.of('jobLooked').length > 0, WAIT_MS, 'a first look')
  assert.equal(seen.of('jobsListed')[0]!.jobs, [{ jobId: job.jobId, name: 'sums', task: 'primes', units }])
  settled = units
  for (const peer of grid.peers) peer.notify()
  await eventually(() => seen.of('jobLooked').at(-1)?.look.end === 'finished', WAIT_MS, 'the end')
  assert.is(seen.of('jobLooked').at(-1)!.look.summary.settled, units)
  // Nothing is left to wait for: the source ends by itself.
  await deadline(source.closed(), WAIT_MS, 'closed')
  seen.stop.abort()
})

jobs('what this machine knows is shown while the network is asked for the jobs of other machines', async () => {
  const grid = new FakeGrid()
  const job = grid.job({ name: 'sums' }, () => printed('x'))
  const entry = { jobId: job.jobId, name: 'sums', task: 'primes', createdAtMs: 0, units: 1, parent: undefined }
  const seen = recording()
  let answer = () => {}
  const asked = new Promise<void>((resolve) => {
    answer = resolve
  })
  grid.overlay.getRecord = async () => {
    await asked
    return []
  }
  const source = new JobsSource({ client: grid.client, list: { all: async () => [entry] }, named: [], ...seen })
  const refreshed = source.refresh(true)
  await eventually(() => seen.of('jobsListed').length > 0, WAIT_MS, 'the list of this machine')
  assert.is(seen.of('jobsListed')[0]!.jobs.length, 1)
  answer()
  await deadline(refreshed, WAIT_MS, 'the list of the network')
  assert.is(seen.of('jobsListed').length, 2)
  seen.stop.abort()
  await deadline(source.closed(), WAIT_MS, 'closed')
})

jobs('a job that nobody knows is said to be gone', async () => {
  const grid = new FakeGrid()
  const seen = recording()
  const missing = jobId('ff')
  const source = new JobsSource({ client: grid.client, list: { all: async () => [] }, named: [missing], ...seen })
  await source.refresh(false)
  await eventually(() => seen.of('jobTroubled').length > 0, WAIT_MS, 'trouble')
  assert.equal(seen.of('jobTroubled')[0], { type: 'jobTroubled', jobId: missing, reason: 'gone' })
  seen.stop.abort()
  await deadline(source.closed(), WAIT_MS, 'closed')
})

jobs.run()

const units = suite('UnitsSource')

const pageOf = (id: JobId, fromUnit = 0, state?: UnitsQuery['state']): UnitsQuery => ({ jobId: id, state, fromUnit })

units('a page of units comes, and whether more follow', async () => {
  const grid = new FakeGrid()
  const job = grid.job({ source: { type: 'count', count: 500 } }, (unit) =>
    unit === 450 ? printed('', { outcome: 'trap' }) : printed('x'),
  )
  const seen = recording()
  const source = new UnitsSource({ client: grid.client, ...seen })
  source.list(pageOf(job.jobId))
  await eventually(() => seen.of('unitsListed').length === 1, WAIT_MS, 'the first page')
  assert.is(seen.of('unitsListed')[0]!.units.length, 200)
  assert.is(seen.of('unitsListed')[0]!.isLast, false)
  source.list(pageOf(job.jobId, 400))
  await eventually(() => seen.of('unitsListed').length === 2, WAIT_MS, 'the last page')
  assert.is(seen.of('unitsListed')[1]!.units.length, 100)
  assert.is(seen.of('unitsListed')[1]!.isLast, true)
  source.list(pageOf(job.jobId, 0, 'failed'))
  await eventually(() => seen.of('unitsListed').length === 3, WAIT_MS, 'failed units')
  assert.equal(
    seen.of('unitsListed')[2]!.units.map(({ unit }) => unit),
    [450],
  )
  seen.stop.abort()
})

units('what a failed unit wrote is proved and shown', async () => {
  const grid = new FakeGrid()
  const stderr = utf8('no such file')
  const job = grid.job({ source: { type: 'count', count: 10 } }, (unit) =>
    unit === 3 ? printed('', { outcome: 'exit', exitCode: 2, stderr, stderrLength: stderr.length }) : 'open',
  )
  const seen = recording()
  const source = new UnitsSource({ client: grid.client, ...seen })
  source.open(job.jobId, 3)
  await eventually(() => seen.of('unitOpened').length === 1, WAIT_MS, 'the unit')
  const { answer } = seen.of('unitOpened')[0]!.detail
  assert.is(answer?.stderr, 'no such file')
  assert.match(answer?.reason ?? '', /exit code 2/)
  assert.is(answer?.donors.length, 2)
  source.open(job.jobId, 4)
  await eventually(() => seen.of('unitOpened').length === 2, WAIT_MS, 'an open unit')
  assert.match(seen.of('unitOpened')[1]!.detail.note, /no settled result/)
  seen.stop.abort()
})

units.run()

const admin = suite('AdminFollower')

/** A process whose streams a test feeds. */
class FakeAdmin implements AdminSource {
  readonly acts: string[] = []
  state: ((state: ProcessState) => void) | undefined
  entry: ((entry: LogEntry) => void) | undefined
  end: ((error: Error) => void) | undefined

  watch(_everyMs: number, onState: (state: ProcessState) => void, signal: AbortSignal): Promise<void> {
    this.state = onState
    return new Promise((resolve, reject) => {
      this.end = reject
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  log(_past: number, onEntry: (entry: LogEntry) => void, signal: AbortSignal): Promise<void> {
    this.entry = onEntry
    return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  }

  async pause(): Promise<void> {
    this.acts.push('pause')
  }

  async resume(): Promise<void> {
    this.acts.push('resume')
  }

  close(): void {
    this.acts.push('close')
  }
}

admin('states and log entries are handed on, and pause and resume reach the process', async () => {
  const fake = new FakeAdmin()
  const seen = recording()
  const follower = new AdminFollower({ ...seen, open: async () => fake })
  const running = follower.run()
  await eventually(() => fake.entry !== undefined, WAIT_MS, 'streams open')
  fake.state!(machine())
  fake.entry!({ atMs: NOW, level: 'info', scope: 'x', message: 'hello', fields: '{}' })
  assert.is(seen.of('processSeen').length, 1)
  assert.is(seen.of('logged')[0]?.entry.message, 'hello')
  await follower.act('pause')
  await follower.act('resume')
  seen.stop.abort()
  await deadline(running, WAIT_MS, 'the end')
  assert.equal(fake.acts, ['pause', 'resume', 'close'])
})

admin('where no process runs that is said, and acting on it is refused', async () => {
  const seen = recording()
  const open = () => Promise.reject(new GridError('notFound', 'nothing runs here'))
  const follower = new AdminFollower({ ...seen, open })
  const running = follower.run()
  await eventually(() => seen.of('processGone').length > 0, WAIT_MS, 'gone')
  assert.is(seen.of('processGone')[0]!.reason, 'nothing runs here')
  let refused: unknown
  await follower.act('pause').catch((error: unknown) => {
    refused = error
  })
  assert.ok(refused instanceof GridError)
  seen.stop.abort()
  await deadline(running, WAIT_MS, 'the end')
})

admin.run()

const peers = suite('PeersSource')

peers('peers are asked for their status only while somebody looks', async () => {
  const seen = recording()
  let calls = 0
  const contact = { nodeId: nodeId(1), eligible: true }
  const source = new PeersSource({
    ...seen,
    overlay: {
      contacts: () => [contact] as never,
      lookup: async (_: Key) => [],
      endpoint: () => ({ nodeId: nodeId(1), address: '127.0.0.1:1' }),
    },
    self: nodeId(9),
    transport: {
      call: async () => {
        calls++
        return status() as never
      },
    },
    random: systemRandom,
  })
  const running = source.run()
  await eventually(() => seen.of('peersSeen').length === 1, WAIT_MS, 'a peer is seen')
  assert.is(calls, 0)
  source.isShown = true
  await eventually(() => seen.of('peerAnswered').length === 1, WAIT_MS, 'it answers')
  // The first call opened the connection, the second one was measured.
  assert.is(calls, 2)
  seen.stop.abort()
  await deadline(running, WAIT_MS, 'the end')
})

peers('a grid of 208 is found in under forty searches, which then become seldom', async () => {
  const seen = recording()
  const ids = Array.from({ length: 208 }, () => toHex(systemRandom.bytes(20)) as NodeId)
  const distance = (id: string, key: string) => BigInt(`0x${id}`) ^ BigInt(`0x${key}`)
  const nearest = (key: string) => [...ids].sort((a, b) => (distance(a, key) < distance(b, key) ? -1 : 1)).slice(0, 20)
  const waits: number[] = []
  let searches = 0
  const found = new Set<NodeId>()
  const source = new PeersSource({
    ...seen,
    // Nothing takes any time; what is waited for is noted.
    clock: {
      now: () => 0,
      wallMs: () => 0,
      setTimer: (delayMs, action) => {
        waits.push(delayMs)
        const timer = setImmediate(action)
        return { cancel: () => clearImmediate(timer) }
      },
    },
    overlay: {
      contacts: () => [],
      lookup: async (key: Key) => {
        const near = nearest(key)
        if (found.size < ids.length) searches++
        for (const id of near) found.add(id)
        return near.map((id) => ({ nodeId: id, eligible: true })) as never
      },
      endpoint: (contact) => ({ nodeId: contact.nodeId, address: '127.0.0.1:1' }),
    },
    self: nodeId(9),
    transport: { call: async () => status() as never },
    random: systemRandom,
  })
  source.isShown = true
  const running = source.run()
  await eventually(() => seen.of('peersSeen').at(-1)?.peers.length === ids.length, WAIT_MS, 'all are found')
  await eventually(() => waits.includes(5_000), WAIT_MS, 'nobody new is found')
  assert.ok(searches < 40, `${searches} searches`)
  seen.stop.abort()
  await deadline(running, WAIT_MS, 'the end')
})

peers.run()
