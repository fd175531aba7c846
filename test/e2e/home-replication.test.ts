import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { cancelJob, type GridClient, type JobProgress, ResultsReader, watchJob } from '../../client/index.js'
import { SPREAD_MS } from '../../coordinator/home/home-copies.js'
import type { GridProcess } from '../../process/compose.js'
import { methods } from '../../proto/methods.js'
import type { JobId } from '../../proto/model.js'
import { pause, systemClock } from '../../runtime/clock.js'
import type { Endpoint } from '../../runtime/transport.js'
import { deadline } from '../support/deadline.js'
import { type GridMember, ProcessGrid } from '../support/processes/process-grid.js'

const PEERS = 4
/** For what takes a second or two where nobody else computes. Unit: ms. */
const LIMIT_MS = 60_000
const LOOK_MS = 100
const UNITS = 40

const test = suite('the homes of a job as processes')
const grid = new ProcessGrid()
let peers: GridMember[]
let client: GridProcess
let session: GridClient

/** Asks until the answer is yes; what fails counts as no. */
async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const endAt = performance.now() + LIMIT_MS
  while (!(await condition().catch(() => false))) {
    if (performance.now() > endAt) throw new Error(`${what}: not within ${LIMIT_MS} ms\n${grid.processes.logs()}`)
    await pause(systemClock, LOOK_MS)
  }
}

const memberAt = ({ nodeId }: Endpoint) => peers.find(({ endpoint }) => endpoint.nodeId === nodeId)!

/** What one peer says of a job. */
async function askPeer({ endpoint }: GridMember, jobId: JobId) {
  const request = { jobId, withShards: false }
  const reply = await session.parts.transport.call(endpoint, methods.show, request, { deadlineMs: 5_000 })
  return session.checkShown(jobId, reply)
}

const isCancelledAt = async (member: GridMember, jobId: JobId) => (await askPeer(member, jobId)).view.cancelled

test.before(async () => {
  const first = await grid.peer()
  peers = [first, ...(await Promise.all(Array.from({ length: PEERS - 1 }, () => grid.peer([first.endpoint.address]))))]
  const addresses = peers.map(({ endpoint }) => endpoint.address)
  await Promise.all([grid.worker(addresses), grid.worker(addresses)])
  client = await grid.client(...addresses)
  session = client.client()
  await until(async () => {
    const states = await Promise.all(
      peers.map(({ endpoint }) => session.parts.transport.call(endpoint, methods.status, {}, { deadlineMs: 5_000 })),
    )
    return states.every(({ eligible, peers: known }) => eligible && known >= PEERS - 1)
  }, 'the peers know one another')
})

test.after(() => grid.close())

test('the one that took the spec is killed: the job goes on, is watched to its end and its results are read', async () => {
  const { jobId } = await grid.submitTrace(client, 'first', { count: UNITS, ms: 50 })
  const looks: JobProgress[] = []
  const watching = (async () => {
    for await (const look of watchJob(session, jobId)) looks.push(look)
  })()
  watching.catch(() => {})
  await grid.until(() => grid.traces('first').length > 4 || undefined, LIMIT_MS, 'units are computed')
  const [nearest] = await session.homes(jobId)
  const victim = memberAt(nearest!)
  await victim.process.kill('SIGKILL')

  const shown = await session.show(jobId, true)
  assert.is(shown.summary.units, UNITS)
  const seen = new Set<number>()
  const reader = new ResultsReader(session, await session.job(jobId), { order: 'settled', follow: true })
  await deadline(
    (async () => {
      for await (const { unit } of reader) seen.add(unit)
    })(),
    LIMIT_MS,
    `all results are read\n${grid.processes.logs()}`,
  )
  assert.is(seen.size, UNITS)
  await deadline(watching, LIMIT_MS, `the watch ends\n${grid.processes.logs()}`)
  assert.is(looks.at(-1)?.end, 'finished')
  await grid.restart(victim)
  await until(async () => (await askPeer(victim, jobId)).jobId === jobId, 'the restarted one has the job')
})

test('a job is cancelled at all of them while one is away, which hears of it when it is back', async () => {
  const { jobId } = await grid.submitTrace(client, 'second', { count: 10, ms: 60_000 })
  const homes = (await session.homes(jobId)).map(memberAt)
  const away = homes[0]!
  await away.process.kill('SIGKILL')
  const askedAt = performance.now()
  const { holders } = await cancelJob(session, jobId)
  // Homes that take longer to answer, as they may where others compute, are not waited for, nor named.
  if (performance.now() - askedAt < SPREAD_MS) assert.is(holders.length, PEERS - 1)
  assert.not(holders.includes(away.endpoint.nodeId))
  for (const member of peers) {
    if (member !== away) await until(() => isCancelledAt(member, jobId), `${member.name} knows of the order`)
  }
  await grid.restart(away)
  await until(() => isCancelledAt(away, jobId), 'the one that was away knows of the order')
})

test('one that lost its store comes back empty and is filled again', async () => {
  const { jobId } = await grid.submitTrace(client, 'third', { count: 2, ms: 60_000 })
  await cancelJob(session, jobId)
  const [nearest] = await session.homes(jobId)
  const victim = memberAt(nearest!)
  await victim.process.kill('SIGKILL')
  for (const ending of ['', '-wal', '-shm'])
    rmSync(join(victim.settings.dataFolder, `owner.sqlite${ending}`), { force: true })
  await grid.restart(victim)
  await until(() => isCancelledAt(victim, jobId), 'the one that lost its store has spec and order again')
})

test.run()
