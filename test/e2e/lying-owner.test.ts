import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Auditor, ResultsReader, type UnitAnswer } from '../../client/index.js'
import { shardKey } from '../../job/units/shard.js'
import type { JobId } from '../../proto/model.js'
import { pause, systemClock } from '../../runtime/clock.js'
import { sha256 } from '../../runtime/hash.js'
import { startInProcessCompute } from '../../worker/compute/in-process.js'
import { tasks } from '../support/compute/tasks/trace-tasks.js'
import { deadline, eventually } from '../support/deadline.js'
import type { Forgery } from '../support/hostile/forging-owner.js'
import { ProcessGrid } from '../support/processes/process-grid.js'

const UNITS = 64
const START_MS = 60_000
const END_MS = 90_000
const SYBILS = 3

const grid = new ProcessGrid()
const test = suite('a lying owner among three')
test.after(() => grid.close())

test('settles nothing alone, is found by replays, and stops counting', async () => {
  const first = await grid.peer()
  const joinAt = [first.endpoint.address]
  const [second, liar] = await Promise.all([grid.peer(joinAt), grid.peer(joinAt)])
  const peers = [first, second, liar]
  const client = await grid.client(...peers.map(({ endpoint }) => endpoint.address))
  const anyKey = shardKey(sha256, '00'.repeat(32) as JobId, 0)
  const found = async () => (await client.overlay.owners(anyKey, 3).catch(() => [])).length === 3
  await eventually(found, START_MS, 'all peers are found')
  await Promise.all(Array.from({ length: 3 }, () => grid.worker(peers.map(({ endpoint }) => endpoint.address))))

  const { jobId, grid: session } = await grid.submitTrace(client, 'owned', { count: UNITS, ms: 1, shardOwners: 3 })
  await eventually(() => liar.process.ask<boolean>('owns', jobId), START_MS, 'the liar owns the shard')
  const forgery: Forgery = { jobId, units: UNITS, sybils: SYBILS }
  const taken = await liar.process.ask<number>('forge', forgery, START_MS)
  assert.is(taken, 2 * SYBILS * Math.ceil(UNITS / 64), 'the other owners have every forged fact')

  const read = async () => {
    const answers = new Map<number, UnitAnswer>()
    const job = await session.job(jobId)
    assert.is(job.spec.minGrantors, 2)
    const reading = (async () => {
      for await (const answer of new ResultsReader(session, job, { order: 'settled', follow: true }))
        answers.set(answer.unit, answer)
    })()
    await deadline(reading, END_MS, `the job ends\n${grid.processes.logs()}`)
    assert.is(answers.size, UNITS)
    for (const [unit, { output }] of answers)
      assert.is(new TextDecoder().decode(output?.stdout), `owned ${unit}`, 'three forged votes settle nothing')
    return answers
  }
  const before = await read()
  const leaning = [...before.values()].filter(({ grantors }) => grantors.includes(liar.endpoint.nodeId))

  const auditor = new Auditor(session, await session.job(jobId), {
    shares: { sampled: 0.2, disputed: 0 },
    startCompute: () =>
      startInProcessCompute({ threads: 1, clock: systemClock, costMs: () => 0, findTask: () => tasks[0] }),
    createFile: () => Promise.reject(new Error('the job has no files')),
  })
  try {
    await deadline(auditor.round(true), END_MS, 'the audit')
    const { sampled, wrong, convicted, dismissed } = auditor.findings
    assert.equal([wrong, convicted, dismissed], [[], SYBILS, 1], `${sampled} units replayed`)
    assert.equal([...auditor.job.view.rulings!.dismissed], [liar.endpoint.nodeId])
    const settledAnew = async () => {
      await auditor.round(false)
      return auditor.findings.settled === UNITS
    }
    // What leaned on grants of the liar is granted by the other two.
    await deadline(
      (async () => {
        while (!(await settledAnew())) await pause(systemClock, 250)
      })(),
      END_MS,
      `all units are settled without the liar\n${grid.processes.logs()}`,
    )
  } finally {
    await auditor.close()
  }
  const after = await read()
  const { answers: ruled } = auditor.job.view.rulings!
  for (const { unit, grantors } of after.values())
    assert.ok(ruled.has(unit) || !grantors.includes(liar.endpoint.nodeId), `unit ${unit} leans on the liar`)
  console.log(`${leaning.length} of ${UNITS} units leaned on grants of the liar and were settled anew`)
})

test.run()
