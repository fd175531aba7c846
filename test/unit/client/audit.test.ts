import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type AuditFindings, type AuditOptions, Auditor } from '../../../client/replay/audit.js'
import { describeAudit } from '../../../client/replay/audit-text.js'
import type { GridClient } from '../../../client/session/session.js'
import { createIdentity } from '../../../overlay/identity/identity.js'
import { systemClock } from '../../../runtime/clock.js'
import { utf8 } from '../../../runtime/hex.js'
import type { Task } from '../../../tasks/task.js'
import { startInProcessCompute } from '../../../worker/compute/in-process.js'
import { FakeGrid } from '../../support/client/fake-grid.js'
import { donors, type FakeJob, printed } from '../../support/client/fake-job.js'
import { deadline } from '../../support/deadline.js'
import { rejects } from '../../support/rejects.js'

const UNITS = 100

/** Prints the unit's number, or whatever `say` makes of it. */
const taskWith = (say: (unit: string) => string): Task => ({
  name: 'primes',
  version: 1,
  summary: '',
  usage: '',
  defaultArguments: [],
  sources: ['count'],
  execute: ({ args }) => ({ exitCode: 0, stdout: utf8(`${say(args[0]!)}\n`) }),
})
const honestTask = taskWith((unit) => unit)

async function audited(
  client: GridClient,
  job: FakeJob,
  { task = honestTask, ...options }: Partial<AuditOptions> & { readonly task?: Task } = {},
  act: (auditor: Auditor) => Promise<void> = async (auditor) => void (await auditor.round(true)),
): Promise<AuditFindings> {
  const auditor = new Auditor(client, await client.job(job.jobId), {
    startCompute: () =>
      startInProcessCompute({ threads: 1, clock: systemClock, costMs: () => 0, findTask: () => task }),
    createFile: () => Promise.reject(new Error('the job has no files')),
    ...options,
  })
  try {
    await deadline(act(auditor), 10_000, 'the audit')
    return auditor.findings
  } finally {
    await auditor.close()
  }
}

const jobOf = (grid: FakeGrid, answer: (unit: number) => string, changes = {}) =>
  grid.job({ source: { type: 'count', count: UNITS }, args: ['{i}'], ...changes }, (unit) =>
    printed(`${answer(unit)}\n`),
  )

const audit = suite('Auditor')

audit('a clean sample gives a bound of 3/s, and is ruled', async () => {
  const grid = new FakeGrid()
  const job = jobOf(grid, (unit) => `${unit}`)
  const findings = await audited(grid.client, job, { shares: { sampled: 0.3, disputed: 0.01 } })
  assert.is(findings.sampled, 30)
  assert.equal([findings.units, findings.settled, findings.wrong.length, findings.left], [UNITS, UNITS, 0, 0])
  assert.is(findings.errorBound, 0.1)
  assert.is(findings.ruled, 30)
  assert.match(
    describeAudit(findings),
    /30 units drawn at random; each as its result says; at most 10 % of the results/,
  )
  const { view } = await grid.client.job(job.jobId)
  assert.is(view.rulings?.answers.size, 30)
  assert.is(view.rulings?.convicted.size, 0)
})

audit('a small job has one unit drawn at least, and an owner cannot tell which', async () => {
  const grid = new FakeGrid()
  const drawn = new Set<number>()
  for (let i = 0; i < 12; i++) {
    const job = jobOf(grid, (unit) => `${unit}`, { nonce: `${i}`.padStart(32, '0') })
    assert.is((await audited(grid.client, job)).sampled, 1)
    for (const unit of (await grid.client.job(job.jobId)).view.rulings!.answers.keys()) drawn.add(unit)
  }
  assert.ok(drawn.size > 4, `${[...drawn]}`)
})

audit('a ring that settled false answers is convicted, and nothing that leaned on it stays settled', async () => {
  const grid = new FakeGrid()
  const job = jobOf(grid, (unit) => (unit % 10 === 0 ? 'false' : `${unit}`))
  const findings = await audited(grid.client, job, { shares: { sampled: 1, disputed: 0.01 } }, async (auditor) => {
    assert.is(await auditor.round(true), true)
    assert.is(await auditor.round(false), false, 'nothing is replayed twice')
  })
  assert.equal(findings.wrong, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90])
  assert.is(findings.convicted, 2)
  assert.is(findings.settled, 90, 'the 90 that were ruled as right stand')
  assert.equal([...(await grid.client.job(job.jobId)).view.rulings!.convicted].sort(), [
    ...[donors[0]!.publicKey, donors[1]!.publicKey].sort(),
  ])
})

audit('units that answers differ on come first, up to their share', async () => {
  const grid = new FakeGrid()
  const job = jobOf(grid, (unit) => `${unit}`, { policy: { type: 'quorum', quorum: 2 } })
  job.dissent = (unit) => (unit < 20 ? printed('something else\n') : undefined)
  const findings = await audited(grid.client, job, { shares: { sampled: 0, disputed: 0.05 } })
  assert.equal([findings.disputed, findings.sampled, findings.wrong.length], [5, 0, 0])
  assert.is(findings.convicted, 1, 'who is wrong time and again without a friend is out')
})

audit('of a job that goes on a few units are computed at a time, which is no want of time for the others', async () => {
  const findingsIn = async (replayMs?: number) => {
    const grid = new FakeGrid()
    const job = jobOf(grid, (unit) => `${unit}`, { policy: { type: 'quorum', quorum: 2 } })
    job.dissent = (unit) => (unit < 20 ? printed('something else\n') : undefined)
    const options = { shares: { sampled: 0, disputed: 0.2 }, ...(replayMs === undefined ? {} : { replayMs }) }
    const { disputed, left } = await audited(grid.client, job, options, async (auditor) => {
      await auditor.round(false)
    })
    return [disputed, left]
  }
  assert.equal(await findingsIn(), [4, 0])
  assert.equal(await findingsIn(0), [0, 18])
})

audit('three lone wrong answers convict nobody', async () => {
  const grid = new FakeGrid()
  const job = jobOf(grid, (unit) => `${unit}`, { policy: { type: 'quorum', quorum: 2 } })
  job.dissent = (unit) => (unit < 3 ? printed('something else\n') : undefined)
  const findings = await audited(grid.client, job, { shares: { sampled: 0, disputed: 0.05 } })
  assert.equal([findings.disputed, findings.convicted], [3, 0])
})

audit(
  'units that rest on an owner nobody can find are tried first; a lie puts it out with all that it settled',
  async () => {
    const grid = new FakeGrid()
    const madeUp = createIdentity()
    const job = jobOf(grid, (unit) => (unit < 64 ? 'false' : `${unit}`))
    job.grantor = (first) => (first < 64 ? madeUp : undefined)
    const findings = await audited(grid.client, job, { shares: { sampled: 0, disputed: 0 } }, async (auditor) => {
      assert.is(await auditor.round(false), true)
      assert.is(await auditor.round(false), false)
    })
    const { tried, wrong, convicted, dismissed, leaning, settled } = findings
    assert.equal([tried, wrong.length, dismissed, leaning], [4, 4, 1, 0])
    assert.is(convicted, 2, 'those whose names were used are out with it')
    assert.is(settled, 0, 'they have answered all of the job')
    assert.equal([...(await grid.client.job(job.jobId)).view.rulings!.dismissed], [madeUp.nodeId])
  },
)

audit('four right answers are enough for all units of an owner that has left', async () => {
  const grid = new FakeGrid()
  const gone = createIdentity()
  const job = jobOf(grid, (unit) => `${unit}`)
  job.grantor = (first) => (first < 64 ? gone : undefined)
  const findings = await audited(grid.client, job, { shares: { sampled: 0, disputed: 0 } }, async (auditor) => {
    for (let round = 0; round < 3; round++) assert.is(await auditor.round(true), false)
  })
  const { tried, leaning, strangers, dismissed, wrong } = findings
  assert.equal([tried, leaning, strangers, dismissed, wrong.length], [4, 60, 1, 0, 0])
})

audit('a machine that computes now this and now that convicts nobody', async () => {
  const grid = new FakeGrid()
  const job = jobOf(grid, (unit) => `${unit}`)
  let calls = 0
  const broken = taskWith((unit) => `${unit} ${calls++}`)
  const findings = await audited(grid.client, job, { task: broken, shares: { sampled: 0.1, disputed: 0 } })
  assert.equal([findings.undecided, findings.wrong.length, findings.convicted, findings.ruled], [10, 0, 0, 0])
})

audit('a judge that the spec names rules like the submitter, a reader only looks', async () => {
  const grid = new FakeGrid()
  const judge = createIdentity()
  const named = jobOf(grid, () => 'false', { judges: [judge.publicKey], requires: ['judges'] })
  assert.is((await audited(grid.clientOf(judge), named)).convicted, 2)
  const open = jobOf(grid, () => 'false', { isPublic: true })
  const findings = await audited(grid.clientOf(createIdentity()), open)
  assert.equal([findings.wrong.length, findings.ruled, findings.convicted], [1, 0, 0])
})

audit('what there is no time for is left, and said', async () => {
  const grid = new FakeGrid()
  const job = jobOf(grid, (unit) => `${unit}`)
  const findings = await audited(grid.client, job, { shares: { sampled: 0.2, disputed: 0 }, replayMs: 0 })
  assert.is(findings.left, 20)
  assert.match(describeAudit(findings), /no time for 20 units/)
})

audit('a results stream that is not for this key rejects', async () => {
  const grid = new FakeGrid()
  const job = jobOf(grid, (unit) => `${unit}`)
  await rejects(audited(grid.clientOf(createIdentity()), job), 'forbidden')
})

audit.run()
