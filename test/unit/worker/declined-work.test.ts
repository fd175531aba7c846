import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { JobId, NodeId } from '../../../proto/model.js'
import { DeclinedWork } from '../../../worker/declined-work.js'
import { jobId, nodeId, spec } from '../job/samples.js'
import { ALICE, MALLORY, read } from './preferences/samples.js'

const Work = suite('work that the volunteer does not want')

const owner = { nodeId, address: '127.0.0.1:1' }

function jobNumber(index: number): JobId {
  return index.toString(16).padStart(64, '0') as JobId
}

Work('a job is declined by its submitter and its memory, and the list is told when it changes', () => {
  let preferences = read({ refuse: MALLORY, memory: '512MiB' })
  const work = new DeclinedWork(() => preferences)
  const ofMallory = spec({ submitter: MALLORY })
  assert.is(work.judge(jobNumber(1), spec({ submitter: ALICE })), undefined)
  assert.equal(work.judge(jobNumber(2), ofMallory), [{ jobId: jobNumber(2), reason: 'refuse' }])
  assert.is(work.judge(jobNumber(2), ofMallory), undefined)
  const hungry = spec({ submitter: ALICE, limits: { ...spec().limits, memoryBytes: 2 ** 30 } })
  assert.equal(work.judge(jobNumber(3), hungry)?.at(-1), { jobId: jobNumber(3), reason: 'memory' })
  preferences = read({ memory: '2GiB' })
  assert.equal(work.judge(jobNumber(2), ofMallory), [{ jobId: jobNumber(3), reason: 'memory' }])
  assert.equal(work.judge(jobNumber(3), hungry), [])
})

Work('owners are told of so many jobs as fit into a message, the latest of them', () => {
  const work = new DeclinedWork(() => read({ refuse: MALLORY }))
  let told = work.judge(jobNumber(0), spec({ submitter: MALLORY }))
  for (let job = 1; job < 100; job++) told = work.judge(jobNumber(job), spec({ submitter: MALLORY }))
  assert.is(told?.length, 64)
  assert.is(told?.at(-1)?.jobId, jobNumber(99))
})

Work('work that was passed over is told of by name, each reason once, until there is none left', () => {
  const work = new DeclinedWork(() => read({ accept: 'alice', memory: '512MiB' }))
  const nameOf = () => 'mallory'
  assert.is(work.look({ owner, jobId, ready: 3, submitter: MALLORY }), 'accept')
  assert.is(
    work.look({ owner: { ...owner, nodeId: 'other' as NodeId }, jobId, ready: 1, submitter: MALLORY }),
    'accept',
  )
  assert.is(work.look({ owner, jobId: jobNumber(7), ready: 3, submitter: ALICE, memoryBytes: 2 ** 30 }), 'memory')
  assert.is(work.look({ owner, jobId: jobNumber(8), ready: 3, submitter: ALICE }), undefined)
  assert.equal(work.reasons(nameOf), [
    'there is work of mallory, for whom nothing is computed here (accept)',
    'there is work that may take 1 GiB a unit, and 512 MiB are offered (memory)',
  ])
  assert.is(work.passedOver.length, 3)
  assert.is(work.look({ owner, jobId: jobNumber(7), ready: 0, submitter: ALICE, memoryBytes: 2 ** 30 }), 'memory')
  assert.is(work.passedOver.length, 2)
})

Work('a board full of unwanted work is not remembered without end', () => {
  const work = new DeclinedWork(() => read({ refuse: MALLORY }))
  for (let job = 0; job < 1_000; job++) work.look({ owner, jobId: jobNumber(job), ready: 1, submitter: MALLORY })
  assert.is(work.passedOver.length, 256)
})

Work.run()
