import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { workLine } from '../../../cli/grid/work-line.js'
import type { RunningUnitState, WorkerState } from '../../../proto/admin-messages.js'
import type { JobId, NodeId, PublicKey } from '../../../proto/model.js'
import { idleWorker as idle } from '../../support/cores/idle-worker.js'

const alice = 'a1'.repeat(32) as PublicKey
const mallory = 'b2'.repeat(32) as PublicKey
const owner = {
  nodeId: '0'.repeat(40) as NodeId,
  address: 'h:1',
  connected: true,
  held: 0,
  reason: '',
  reasonAtMs: 0,
}
const unit = (submitter: PublicKey, more: Partial<RunningUnitState> = {}): RunningUnitState => ({
  jobId: 'f'.repeat(64) as JobId,
  jobName: '',
  submitter,
  unit: 3,
  task: 'primes@1',
  sinceMs: 0,
  fuel: 1n,
  fuelMax: 0n,
  ...more,
})
const line = (state: Partial<WorkerState>, onlyJob?: JobId, joined = true, unreached = '') =>
  workLine({
    state: { ...idle, ...state },
    onlyJob,
    joined,
    unreached,
    nameOf: (key) => (key === alice ? 'alice' : undefined),
    nowMs: new Date(2026, 5, 1, 12, 0).getTime(),
  })

const lines = suite('workLine')

lines('it says what is computed, and for whom, by name where the name is known', () => {
  const threads = [
    { thread: 0, unit: unit(alice) },
    { thread: 1, unit: unit(mallory, { jobName: 'walks', task: 'module 0123abcd' }) },
  ]
  assert.is(
    line({ threads, held: 3, owners: [{ ...owner, held: 3 }], cpuTimeShare: 0.5 }),
    "computing primes@1 for alice on 1 thread, module 0123abcd 'walks' for b2b2b2b2b2b2 on 1 thread at 50 %; 3 units in hand from 1 owner | 0 confirmed",
  )
})

lines('it claims as donated only what others confirmed', () => {
  assert.match(
    line({ computed: 9, agreed: 5, disagreed: 1, unsettled: 4 }),
    / \| 5 confirmed, 1 not confirmed, 4 waiting/,
  )
})

lines('a key in two places is told by both processes, by the one that is turned away instead of all else', () => {
  const nowMs = new Date(2026, 5, 1, 12, 0).getTime()
  const reason = 'this key already runs at 10.0.0.7; make a new one'
  const refusing = { ...owner, connected: false, code: 'exists', reason, reasonAtMs: nowMs - 9_000 } as const
  assert.is(line({ owners: [refusing] }), `nothing: ${reason} | 0 confirmed`)
  const first = { sameKey: { host: '10.0.0.8', owner: owner.nodeId, atMs: nowMs - 9_000 } }
  const told = 'another process uses the key of this one, at 10.0.0.8; it is turned away'
  assert.is(line({ ...first, idleReason: 'quota' }), `nothing: quota; ${told} | 0 confirmed`)
  assert.is(line({ ...first, held: 2 }), `2 units in hand, beginning; ${told} | 0 confirmed`)
})

lines('what the volunteer said comes before all else, with its end', () => {
  const restraints = [
    { preference: 'pause', reason: 'paused', untilMs: new Date(2026, 5, 1, 14, 30).getTime() },
    { preference: 'on-battery', reason: 'on battery', untilMs: 0 },
  ]
  assert.is(
    line({ restraints, held: 2, idleReason: 'quota' }),
    'nothing: paused, until 14:30; on battery; 2 units in hand | 0 confirmed',
  )
})

lines('an idle worker says why', () => {
  assert.is(line({ idleReason: 'quota' }), 'nothing: quota | 0 confirmed')
  assert.is(line({}), 'nothing: no job has work for this machine | 0 confirmed')
  assert.match(line({}, 'e'.repeat(64) as JobId), /looking for job eeee/)
  assert.is(line({}, undefined, false), 'nothing: no peer found yet | 0 confirmed')
  const why = 'the node at a:1 is not in network home'
  assert.is(line({}, undefined, false, why), `nothing: no peer found yet: ${why} | 0 confirmed`)
})

lines.run()
