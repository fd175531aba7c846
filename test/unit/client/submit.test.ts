import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { memoryContent } from '../../../client/content/content.js'
import { jobEnd } from '../../../client/follow/job-end.js'
import { listUnits } from '../../../client/follow/units.js'
import { waitJobs, watchJob } from '../../../client/follow/watch.js'
import { buildJob } from '../../../client/submit/job-builder.js'
import { JobList } from '../../../client/submit/job-list.js'
import {
  addJobRecord,
  jobListKinds,
  jobsKey,
  LISTED_JOBS_MAX,
  readJobRecords,
} from '../../../client/submit/job-records.js'
import { amendJob, cancelJob, giveOrder, releaseUnits, retryJobs } from '../../../client/submit/orders.js'
import { submitJob } from '../../../client/submit/submit.js'
import { createIdentity } from '../../../overlay/identity/identity.js'
import type { JobId } from '../../../proto/model.js'
import { systemClock } from '../../../runtime/clock.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import { systemRandom } from '../../../runtime/random.js'
import { FakeGrid } from '../../support/client/fake-grid.js'
import { printed } from '../../support/client/fake-job.js'
import { memoryDisk } from '../../support/client/memory-disk.js'
import { deadline } from '../../support/deadline.js'
import { quickClock } from '../../support/quick-clock.js'
import { rejects } from '../../support/rejects.js'

const LIMIT_MS = 20_000
const idOf = (n: number) => n.toString(16).padStart(64, '0') as JobId
const soon = { deadlineMs: 1_500 }

const build = (grid: FakeGrid, text = 'a\nb\nc\n') =>
  buildJob(
    {
      task: { type: 'builtin', name: 'primes', version: 1 },
      source: { type: 'lines', content: memoryContent(utf8(text)) },
      name: 'mine',
    },
    {
      sha256,
      random: systemRandom,
      nowMs: systemClock.wallMs(),
      network: 'test',
      submitter: grid.submitter.publicKey,
      peers: 1,
    },
  )

const submitting = suite('submitJob')

submitting('a program that its holders have is not sent again', async () => {
  const grid = new FakeGrid(2)
  const taken = () => grid.peers.reduce((sum, peer) => sum + peer.chunksTaken, 0)
  const program = { type: 'upload', content: memoryContent(new Uint8Array(600_000)), label: 'program' } as const
  const buildProgram = () =>
    buildJob(
      { task: program, source: { type: 'count', count: 3 } },
      {
        sha256,
        random: systemRandom,
        nowMs: systemClock.wallMs(),
        network: 'test',
        submitter: grid.submitter.publicKey,
        peers: 2,
      },
    )
  await submitJob(grid.client, await buildProgram())
  assert.is(taken(), 6)
  const { jobId } = await submitJob(grid.client, await buildProgram())
  assert.is(taken(), 6)
  const { task } = (await grid.client.job(jobId)).spec
  assert.is(task.type === 'module' && task.module.size, 600_000)
})

submitting('uploads the blobs to three peers, gives the spec to the home and lists the job', async () => {
  const grid = new FakeGrid(5)
  const list = new JobList(memoryDisk())
  const uploads: number[] = []
  const sending: string[] = []
  const built = await build(grid)
  const { jobId, listed } = await submitJob(grid.client, built, {
    list,
    summary: 'primes --lines -',
    onUpload: ({ doneBytes }) => uploads.push(doneBytes),
    onSending: (id) =>
      sending.push(
        id,
        `after ${uploads.length} uploads`,
        `known at ${grid.peers.filter((peer) => peer.jobs.has(id)).length}`,
      ),
  })
  assert.equal(sending, [jobId, 'after 2 uploads', 'known at 0'])
  assert.ok(listed)
  for (const { blob } of built.blobs) assert.is(grid.peers.filter((peer) => peer.blobs.has(blob.digest)).length, 3)
  assert.equal(uploads, [6, built.blobs[1]!.blob.size])
  const known = await grid.client.job(jobId)
  assert.is(known.spec.name, 'mine')
  assert.equal(await list.all(), [
    { jobId, name: 'mine', task: 'primes --lines -', createdAtMs: built.spec.createdAtMs, units: 3, parent: undefined },
  ])
  assert.equal(await readJobRecords(grid.overlay, sha256, grid.submitter.publicKey), [jobId])
})

submitting('a peer that falls silent holds a stored input up for seconds, not for all its attempts', async () => {
  const grid = new FakeGrid(2)
  grid.peers[1]!.lies = { isSilent: true }
  const { clock, waitedMs } = quickClock()
  const client = grid.clientOf(grid.submitter, clock)
  await deadline(submitJob(client, await build(grid)), LIMIT_MS, 'submit')
  assert.ok(waitedMs.length > 0 && waitedMs.every((ms) => ms <= 10_000), `waited ${waitedMs} ms`)
})

submitting('no peer: one clear error within the deadline', async () => {
  const grid = new FakeGrid(0)
  const built = { ...(await build(grid)), blobs: [] }
  await rejects(submitJob(grid.client, built, soon), 'unreachable')
})

submitting('another peer takes the job when the first is gone', async () => {
  const grid = new FakeGrid(2)
  const built = { ...(await build(grid)), blobs: [] }
  grid.network.kill('peer0:1')
  const { holders } = await submitJob(grid.client, built)
  assert.equal(holders, [grid.peers[1]!.identity.nodeId])
})

submitting('a job nobody knows is not found, one of another network is refused', async () => {
  const grid = new FakeGrid(3)
  await rejects(grid.client.job(idOf(1)), 'notFound')
  const job = grid.job({ network: 'other' })
  await rejects(grid.client.job(job.jobId), 'unsupported')
})

submitting('a home that sends another spec, or one that is not signed, is caught', async () => {
  const grid = new FakeGrid()
  const job = grid.job()
  const other = grid.job({ nonce: '11'.repeat(16) })
  grid.peers[0]!.jobs.set(job.jobId, other)
  await rejects(grid.client.job(job.jobId, soon), 'corrupt')
  const forged = grid.job({ submitter: createIdentity().publicKey })
  await rejects(grid.client.job(forged.jobId, soon), 'corrupt')
})

submitting.run()

const lists = suite('lists of jobs')

lists('records hold the newest ids in pages that peers accept', async () => {
  const grid = new FakeGrid()
  const { publicKey } = grid.submitter
  for (let n = 1; n <= 60; n++) await addJobRecord(grid.overlay, sha256, publicKey, idOf(n))
  const ids = await readJobRecords(grid.overlay, sha256, publicKey)
  assert.equal(
    ids,
    Array.from({ length: 60 }, (_, i) => idOf(60 - i)),
  )
  assert.is(grid.records.size, 3)
  const key = jobsKey(sha256, publicKey)
  const body = { kind: 'jobs.0', key, publicKey, seq: 1n, expiresAtMs: 0, value: new Uint8Array(64) }
  const [first] = jobListKinds
  assert.ok(first!.valid(body))
  assert.not.ok(first!.valid({ ...body, publicKey: createIdentity().publicKey }))
  assert.not.ok(first!.valid({ ...body, value: new Uint8Array(33) }))
  assert.ok(LISTED_JOBS_MAX >= 200)
})

lists('a prefix, the whole id or last stand for a job', async () => {
  const list = new JobList(memoryDisk())
  const entry = { name: '', task: '', createdAtMs: 0, units: 1, parent: undefined }
  const [a, b] = [`abcd${'1'.repeat(60)}`, `abce${'2'.repeat(60)}`] as JobId[]
  await list.add({ ...entry, jobId: a! })
  await list.add({ ...entry, jobId: b!, parent: a })
  assert.is(await list.resolve('abcd'), a)
  assert.is(await list.resolve('last'), b)
  assert.is(await list.resolve(idOf(9)), idOf(9))
  assert.is(await list.resolve('0000', [idOf(9)]), idOf(9))
  await rejects(list.resolve('abc'), 'invalid')
  await rejects(list.resolve('zzzz'), 'invalid')
  await rejects(list.resolve('ffff'), 'notFound')
  await list.add({ ...entry, jobId: `abcd${'3'.repeat(60)}` as JobId })
  await rejects(list.resolve('abcd'), /2 jobs/)
  assert.equal(await list.childrenOf(a!), [b])
  await list.remove(a!)
  assert.is((await list.all()).length, 2)
})

lists.run()

const ordering = suite('orders')

ordering('each order gets the next number and changes the job', async () => {
  const grid = new FakeGrid(3)
  const job = grid.job()
  assert.is((await amendJob(grid.client, job.jobId, { priority: 5, extendByMs: 1_000 })).seq, 1)
  assert.is((await releaseUnits(grid.client, job.jobId, [{ first: 3, count: 1 }])).seq, 2)
  const { view } = await grid.client.job(job.jobId)
  assert.is(view.priority, 5)
  assert.is(view.expiresAtMs, job.spec.expiresAtMs + 1_000)
  assert.is((await cancelJob(grid.client, job.jobId)).seq, 3)
  assert.ok((await grid.client.job(job.jobId)).view.cancelled)
})

ordering('only the submitter gives orders', async () => {
  const grid = new FakeGrid()
  const job = grid.job()
  await rejects(giveOrder(grid.clientOf(createIdentity()), job.jobId, { type: 'cancel' }), 'forbidden')
})

ordering('a retry is a child job over the failed and held units, with changed limits', async () => {
  const grid = new FakeGrid()
  const job = grid.job({ selection: [{ first: 10, count: 80 }] }, (unit) =>
    unit === 20 || unit === 21 ? printed('', { outcome: 'memory' }) : unit === 70 ? 'held' : printed('x'),
  )
  const [child, ...more] = await retryJobs(grid.client, job.jobId, { limits: { memoryBytes: 2 ** 30 } })
  assert.equal(more, [])
  const { spec } = child!
  assert.equal(spec.selection, [
    { first: 20, count: 2 },
    { first: 70, count: 1 },
  ])
  assert.is(spec.parent, job.jobId)
  assert.is(spec.limits.memoryBytes, 2 ** 30)
  assert.is(spec.limits.wallMs, job.spec.limits.wallMs)
  assert.equal(spec.source, job.spec.source)
  assert.is.not(spec.nonce, job.spec.nonce)
  const believed = { policy: { type: 'confidence', errorPpm: 1_000 } } as const
  assert.equal((await retryJobs(grid.client, job.jobId, believed))[0]!.spec.requires, ['confidence'])
  assert.equal((await retryJobs(grid.client, job.jobId, { states: ['held'] }))[0]!.spec.selection, [
    { first: 70, count: 1 },
  ])
  await rejects(retryJobs(grid.client, grid.job({ nonce: '22'.repeat(16) }).jobId), 'notFound')
})

ordering('units are listed by state, and shards without them are not asked', async () => {
  const grid = new FakeGrid()
  const job = grid.job({ source: { type: 'count', count: 1_000 } }, (unit) =>
    unit === 700 ? printed('', { outcome: 'trap' }) : unit < 800 ? printed('x') : 'open',
  )
  const known = await grid.client.job(job.jobId)
  const list = async (options: Parameters<typeof listUnits>[2]) => {
    const units: number[] = []
    for await (const { unit } of listUnits(grid.client, known, options)) units.push(unit)
    return units
  }
  grid.network.log.length = 0
  assert.equal(await list({ states: ['failed'] }), [700])
  assert.is(grid.network.log.filter((line) => line.includes('ListUnits')).length, 1)
  assert.equal(await list({ states: ['open', 'failed'], limit: 3 }), [700, 800, 801])
  assert.is((await list({})).length, 1_000)
  assert.equal(await list({ units: [{ first: 62, count: 4 }] }), [62, 63, 64, 65])
  // From some unit on: the owner leaves out what comes before, and stops at the limit.
  assert.equal(await list({ units: [{ first: 798, count: 202 }], limit: 4 }), [798, 799, 800, 801])
  assert.equal(await list({ states: ['open'], units: [{ first: 900, count: 100 }], limit: 2 }), [900, 901])
  const shown = await grid.client.show(job.jobId, true)
  grid.network.log.length = 0
  assert.equal(await list({ states: ['failed'], shown }), [700])
  assert.is(grid.network.log.filter((line) => line.includes('Show')).length, 0)
})

ordering.run()

const watching = suite('watchJob')

watching('looks come as the job changes, until it has ended', async () => {
  const grid = new FakeGrid()
  let settled = 10
  const job = grid.job({}, (unit) => (unit < settled ? printed('x') : 'open'))
  const seen: number[] = []
  const read = async () => {
    for await (const { summary, end, unitsPerSecond } of watchJob(grid.client, job.jobId)) {
      seen.push(summary.settled)
      assert.ok(unitsPerSecond >= 0)
      if (end !== undefined) return
      settled = 100
      setImmediate(() => grid.peers[0]!.notify())
    }
  }
  await deadline(read(), LIMIT_MS, 'watching')
  assert.is(seen[0], 10)
  assert.is(seen.at(-1), 100)
})

watching('goes on at another peer when the home goes away', async () => {
  const grid = new FakeGrid(2)
  const job = grid.job({}, () => 'open')
  let lost = 0
  const read = async () => {
    let looks = 0
    for await (const { end } of watchJob(grid.client, job.jobId, { onLost: () => lost++ })) {
      if (end) return end
      looks++
      if (looks === 2) {
        const [first] = await grid.client.homes(job.jobId)
        grid.network.kill(first!.address)
        job.computed = () => printed('x')
        for (const peer of grid.peers) peer.notify()
      }
    }
    return undefined
  }
  assert.is(await deadline(read(), LIMIT_MS, 'the other home'), 'finished')
  assert.ok(lost <= 1)
})

watching('waiting ends for each job by itself, or when time is up', async () => {
  const grid = new FakeGrid()
  const finished = grid.job()
  const open = grid.job({ nonce: '33'.repeat(16) }, () => 'open')
  const waited = await deadline(
    waitJobs(grid.client, [finished.jobId, open.jobId, idOf(5)], { timeoutMs: 800, deadlineMs: 500 }),
    LIMIT_MS,
    'waiting',
  )
  assert.is(waited[0]!.end, 'finished')
  assert.is(waited[1]!.end, 'timeout')
  assert.is((waited[2]!.end as { code?: string }).code, 'notFound')
})

watching('a job whose rest is held is stuck, one whose units all failed is stopped', async () => {
  const grid = new FakeGrid()
  const known = await grid.client.job(grid.job().jobId)
  const { summary } = await grid.client.show(known.jobId, false)
  const nowMs = systemClock.wallMs()
  const base = { ...summary, settled: 0, open: 0 }
  assert.is(jobEnd(known, { ...base, settled: 60, failed: 39, held: 1 }, nowMs), 'stuck')
  assert.is(jobEnd(known, { ...base, failed: 20, open: 80 }, nowMs), 'stopped')
  assert.is(jobEnd(known, { ...base, settled: 1, failed: 20, open: 79 }, nowMs), undefined)
  assert.is(jobEnd(known, { ...base, open: 100 }, known.view.expiresAtMs), 'expired')
})

watching.run()
