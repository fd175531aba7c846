import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { explainMe } from '../../../client/explain/core/explain-me.js'
import type { OwnerState, ProcessState, WorkerState } from '../../../proto/admin-messages.js'
import { idleWorker } from '../../support/cores/idle-worker.js'
import { key, nodeId } from '../job/samples.js'

const WALL_MS = 1_750_000_000_000
const owner: OwnerState = {
  nodeId,
  address: 'a:1',
  connected: true,
  held: 0,
  reason: '',
  reasonAtMs: 0,
  code: '',
}

function state(worker: Partial<WorkerState> | undefined, changes: Partial<ProcessState> = {}): ProcessState {
  const whole: WorkerState = { ...idleWorker, threads: [{ thread: 0, unit: undefined }], threadsAllowed: 1 }
  return {
    nodeId,
    publicKey: key,
    version: '1.0.0',
    network: 'main',
    startedMs: 0,
    address: '',
    eligible: false,
    peers: [{ nodeId, address: 'a:1', roundTripMs: 1, lastSeenMs: WALL_MS, version: '' }],
    shards: 0,
    storedBytes: 0,
    unreached: '',
    otherSelf: '',
    worker: worker && { ...whole, ...worker },
    ...changes,
  }
}

function codes(process: ProcessState): string[] {
  const findings = explainMe({ state: process, wallMs: WALL_MS, clocks: [] })
  return findings.map(({ code, blocks }) => (blocks ? `${code}!` : code))
}

const test = suite('explainMe')

test('a worker without peers, without work, or with some', () => {
  assert.equal(codes(state({}, { peers: [] })), ['not-joined!'])
  const alone = state({}, { peers: [], unreached: 'cannot reach a:1 (nothing listens there)' })
  const [why] = explainMe({ state: alone, wallMs: WALL_MS, clocks: [] })
  assert.is(why?.sentence, "no peer of the network 'main' is connected: cannot reach a:1 (nothing listens there)")
  assert.equal(codes(state({})), ['no-work!'])
  assert.equal(codes(state({ held: 2 })), ['computing'])
  assert.equal(codes(state(undefined)), [])
})

test('what restrains it, for how long, and what undoes it', () => {
  const restraints = [
    { preference: 'pause', reason: 'paused', untilMs: WALL_MS + 60_000 },
    { preference: 'on-battery', reason: 'on battery', untilMs: 0 },
  ]
  const findings = explainMe({ state: state({ restraints, threadsAllowed: 0 }), wallMs: WALL_MS, clocks: [] })
  assert.equal(
    findings.map(({ code, value, cure }) => [code, value, cure]),
    [
      ['paused', 'pause: paused; for another 1m', 'manyhands resume'],
      ['restrained', 'on-battery: on battery; no end is known', 'manyhands prefs on-battery, to see or change it'],
    ],
  )
})

test('another peer with the key of this one is told, also where nothing is computed', () => {
  const twin = state(undefined, { otherSelf: '10.0.0.9:4747' })
  const [finding] = explainMe({ state: twin, wallMs: WALL_MS, clocks: [] })
  assert.equal([finding?.code, finding?.blocks], ['key-in-use', false])
  assert.match(finding?.sentence ?? '', /runs at 10\.0\.0\.9:4747/)
})

test('what owners said last, and when', () => {
  const said = { ...owner, reason: 'what is left waits for other workers', reasonAtMs: WALL_MS - 4_000 }
  const [finding] = explainMe({ state: state({ owners: [said] }), wallMs: WALL_MS, clocks: [] })
  assert.equal(
    [finding?.code, finding?.sentence, finding?.sinceMs, finding?.by],
    ['told-no-work', said.reason, 4_000, ['a:1']],
  )
})

test('a key that runs elsewhere is told to both, until it does no longer', () => {
  const refused = {
    ...owner,
    connected: false,
    code: 'exists',
    reason: 'this key already runs',
    reasonAtMs: WALL_MS - 9_000,
  } as const
  assert.equal(codes(state({ owners: [refused] })), ['key-in-use!'])
  assert.equal(codes(state({ owners: [refused], held: 1 })), ['key-in-use', 'computing'], 'other owners serve it')
  assert.equal(codes(state({ owners: [{ ...refused, connected: true }] })), ['no-work!'])
  assert.equal(codes(state({ owners: [{ ...refused, reasonAtMs: WALL_MS - 45_000 }] })), ['no-work!'])
  const sameKey = { host: '10.0.0.7', owner: nodeId, atMs: WALL_MS - 20_000 }
  assert.equal(codes(state({ sameKey, owners: [owner] })), ['no-work!', 'key-in-use'])
  assert.equal(codes(state({ sameKey: { ...sameKey, atMs: WALL_MS - 45_000 } })), ['no-work!'])
  const [, found] = explainMe({ state: state({ sameKey, owners: [owner] }), wallMs: WALL_MS, clocks: [] })
  assert.is(found?.sentence, 'another process uses the key of this one, at 10.0.0.7; it is turned away')
  assert.equal([found?.by, found?.value], [['a:1'], 'one key in two processes; said 20s ago'])
})

test('owners that refuse for another reason, or are gone, do not block', () => {
  const gone = { ...owner, connected: false, code: 'unreachable', reason: 'no answer', reasonAtMs: WALL_MS } as const
  const full = { ...gone, code: 'quota', reason: 'this owner serves at most 10000 workers' } as const
  assert.equal(codes(state({ owners: [gone, full] })), ['no-work!', 'owner-refuses', 'owner-unreachable'])
})

test.run()
