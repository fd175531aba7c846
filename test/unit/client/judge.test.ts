import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Judge } from '../../../client/replay/judge.js'
import { addJobRecord } from '../../../client/submit/job-records.js'
import { createIdentity } from '../../../overlay/identity/identity.js'
import type { JobId } from '../../../proto/model.js'
import { systemClock } from '../../../runtime/clock.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import { startInProcessCompute } from '../../../worker/compute/in-process.js'
import { FakeGrid } from '../../support/client/fake-grid.js'
import { type FakeJob, printed } from '../../support/client/fake-job.js'
import { deadline } from '../../support/deadline.js'

const honest = {
  name: 'primes',
  version: 1,
  summary: '',
  usage: '',
  defaultArguments: [],
  sources: ['count' as const],
  execute: ({ args }: { args: readonly string[] }) => ({ exitCode: 0, stdout: utf8(`${args[0]}\n`) }),
}

function benchOf(submitters: (grid: FakeGrid) => readonly string[]) {
  const grid = new FakeGrid()
  const key = createIdentity()
  const open = new Set<JobId>()
  const judge = new Judge(grid.clientOf(key), {
    submitters: submitters(grid) as never,
    startCompute: () =>
      startInProcessCompute({ threads: 1, clock: systemClock, costMs: () => 0, findTask: () => honest }),
    openFolder: async (jobId) => {
      open.add(jobId)
      return {
        createFile: () => Promise.reject(new Error('the job has no files')),
        remove: async () => void open.delete(jobId),
      }
    },
  })
  const job = (nonce: string, answer: (unit: number) => string, changes = {}): FakeJob =>
    grid.job(
      { nonce: nonce.repeat(32), args: ['{i}'], judges: [key.publicKey], requires: ['judges'], ...changes },
      (unit) => printed(`${answer(unit)}\n`),
    )
  const list = (...jobs: FakeJob[]) =>
    Promise.all(jobs.map(({ jobId }) => addJobRecord(grid.overlay, sha256, grid.submitter.publicKey, jobId)))
  const round = () => deadline(judge.round(new AbortController().signal), 10_000, 'a round')
  return { grid, judge, job, list, round, open }
}

const judges = suite('Judge')

judges('judges the jobs of its submitters that name it, and lets go of them when nothing more is found', async () => {
  const { grid, judge, job, list, round, open } = benchOf(({ submitter }) => [submitter.publicKey])
  const lied = job('1', () => 'false')
  await list(lied)
  await round()
  assert.equal(judge.jobs, [lied.jobId])
  const { view } = await grid.client.job(lied.jobId)
  assert.is(view.rulings?.convicted.size, 2)
  for (let i = 0; i < 3; i++) await round()
  assert.equal(judge.jobs, [])
  assert.is(open.size, 0, 'its files are gone')
  const { orders } = await grid.client.job(lied.jobId)
  await round()
  assert.is((await grid.client.job(lied.jobId)).orders.length, orders.length, 'nothing is ruled twice')
})

judges('leaves alone what does not name it, and whoever it does not serve', async () => {
  const { judge, job, list, round } = benchOf(({ submitter }) => [submitter.publicKey])
  const other = job('2', () => 'false', { judges: [], requires: [] })
  await list(other)
  await round()
  assert.equal(judge.jobs, [])
  assert.is(other.orders.length, 0)
  const stranger = benchOf(() => [createIdentity().publicKey])
  const named = stranger.job('3', () => 'false')
  await stranger.list(named)
  await stranger.round()
  assert.equal([stranger.judge.jobs.length, named.orders.length], [0, 0])
})

judges('ends its compute processes and removes its files when it is stopped', async () => {
  const { judge, job, list, open } = benchOf(({ submitter }) => [submitter.publicKey])
  await list(job('4', (unit) => `${unit}`))
  const stop = new AbortController()
  const running = judge.run(stop.signal)
  await deadline(
    (async () => {
      while (judge.jobs.length === 0) await new Promise((resolve) => setImmediate(resolve))
    })(),
    10_000,
    'a job',
  )
  stop.abort()
  await deadline(running, 10_000, 'the end')
  assert.is(open.size, 0)
})

judges.run()
