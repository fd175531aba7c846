import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { OwnerEffect, OwnerEvent } from '../../../../../coordinator/owner/core/messages.js'
import { Owner } from '../../../../../coordinator/owner/core/owner.js'
import type { JobId, NodeId, PublicKey } from '../../../../../proto/model.js'
import { sha256 } from '../../../../../runtime/hash.js'
import { utf8 } from '../../../../../runtime/hex.js'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'
import { WALL_MS } from '../../../../support/cores/volunteer.js'
import { seededRandom } from '../../../../support/seeded-random.js'
import { specWith } from '../../../job/fixture.js'

const SELF = 'a'.repeat(40) as NodeId
const OTHER = 'b'.repeat(40) as NodeId
const JOB = '1'.repeat(64) as JobId
const UNITS = 128

const test = suite('an owner among others')

const rank = (owner: NodeId, jobId: JobId, shard: number, block: number) =>
  sha256(utf8(`${owner} ${jobId} ${shard} ${block}`))

/** A core with one shard that is opened as told, and a worker that wants everything. */
function newcomer(opened: { restarted: boolean; awaitsOthers: boolean }) {
  const core = new Owner({
    self: SELF,
    random: seededRandom(1),
    wallMs: () => WALL_MS,
    rank,
  })
  const grants: OwnerEffect[] = []
  const handle = (event: OwnerEvent, now: number) =>
    void grants.push(...core.handle(event, now).filter(({ type }) => type === 'sendGrant'))
  const spec = specWith({
    createdAtMs: WALL_MS - 1_000,
    expiresAtMs: WALL_MS + 24 * 3_600_000,
    source: { type: 'count', count: UNITS },
    shardUnits: 16_384,
  })
  handle({ type: 'jobOpened', jobId: JOB, spec, orders: [] }, 0)
  handle({ type: 'shardOpened', jobId: JOB, shard: 0, ranges: [{ first: 0, count: UNITS }], ...opened }, 0)
  /** A worker whose key is of this digit comes and wants something. */
  const join = (session: number, digit: string, now: number) => {
    const hello = {
      worker: digit.repeat(64) as PublicKey,
      donor: digit.repeat(64) as PublicKey,
      nodeId: digit.repeat(40) as NodeId,
      host: '127.0.0.1',
      bootId: 'boot',
      slots: 1,
      tasks: new Set(['primes@1']),
      memoryBytes: 2 ** 30,
      profile: 0,
      onlyJob: undefined,
      firstSeenMs: 0,
      tickets: [],
    }
    handle({ type: 'sessionOpened', session, hello }, now)
    handle({ type: 'wantChanged', session, instances: 4 }, now + 1)
  }
  join(1, 'c', 1)
  return { core, grants, handle, join }
}

test('a newcomer grants nothing before another owner was asked', () => {
  const { grants, handle } = newcomer({ restarted: false, awaitsOthers: true })
  handle({ type: 'woke' }, 1_000)
  assert.is(grants.length, 0)
  handle({ type: 'othersAsked', jobId: JOB, shard: 0 }, 1_001)
  assert.is(grants.length, 1)
})

test('a newcomer whom nobody answers grants after five seconds', () => {
  const { grants, handle } = newcomer({ restarted: false, awaitsOthers: true })
  handle({ type: 'woke' }, 4_900)
  assert.is(grants.length, 0)
  handle({ type: 'woke' }, 5_600)
  assert.is(grants.length, 1)
})

test('an owner whom another tells that it knows more, but not what, waits half a minute for it and no longer', () => {
  const { grants, handle } = newcomer({ restarted: true, awaitsOthers: true })
  for (let at = 500; at <= 29_500; at += 500) {
    handle({ type: 'othersAwaited', jobId: JOB, shard: 0 }, at)
    handle({ type: 'woke' }, at)
  }
  assert.is(grants.length, 0)
  for (let at = 30_000; at <= 31_000; at += 500) {
    handle({ type: 'othersAwaited', jobId: JOB, shard: 0 }, at)
    handle({ type: 'woke' }, at)
  }
  assert.is(grants.length, 1)
})

test('a restarted owner waits for its workers even when others were asked at once', () => {
  const { grants, handle } = newcomer({ restarted: true, awaitsOthers: true })
  handle({ type: 'othersAsked', jobId: JOB, shard: 0 }, 10)
  handle({ type: 'woke' }, 1_900)
  assert.is(grants.length, 0)
  handle({ type: 'woke' }, 2_600)
  assert.is(grants.length, 1)
})

test('a restarted owner waits for the others, too, who went on while it was away', () => {
  const { grants, handle } = newcomer({ restarted: true, awaitsOthers: true })
  for (let at = 500; at <= 4_500; at += 500) handle({ type: 'woke' }, at)
  assert.is(grants.length, 0)
  handle({ type: 'othersAsked', jobId: JOB, shard: 0 }, 4_600)
  assert.is(grants.length, 1)
})

test('an owner that others did without for a while has them asked before it grants again', () => {
  const { core, grants, handle } = newcomer({ restarted: false, awaitsOthers: false })
  const THIRD = 'd'.repeat(40) as NodeId
  handle({ type: 'ownersChanged', jobId: JOB, shard: 0, owners: [OTHER, THIRD] }, 3)
  handle({ type: 'wantChanged', session: 1, instances: 8 }, 5_000)
  const before = grants.length
  const back = { type: 'ownersChanged', jobId: JOB, shard: 0, owners: [SELF, OTHER] } as const
  const effects = core.handle(back, 10_000)
  assert.equal(
    effects.filter(({ type }) => type === 'askOthers' || type === 'sendGrant'),
    [{ type: 'askOthers', shards: [{ jobId: JOB, shard: 0 }] }],
  )
  handle(back, 10_100)
  handle({ type: 'othersAsked', jobId: JOB, shard: 0 }, 10_200)
  assert.ok(grants.length > before)
})

test('an owner that stood still has the others asked before it grants again', () => {
  const { core, grants, handle } = newcomer({ restarted: true, awaitsOthers: false })
  handle({ type: 'ownersChanged', jobId: JOB, shard: 0, owners: [SELF, OTHER] }, 3)
  for (let at = 500; at <= 1_500; at += 500) handle({ type: 'woke' }, at)
  const effects = core.handle({ type: 'wantChanged', session: 1, instances: 8 }, 12_000)
  assert.ok(
    effects.some(({ type }) => type === 'askOthers'),
    'the others are asked',
  )
  assert.not.ok(
    effects.some(({ type }) => type === 'sendGrant'),
    'nothing is granted on old knowledge',
  )
  handle({ type: 'othersAsked', jobId: JOB, shard: 0 }, 12_100)
  for (let at = 12_500; at <= 15_000; at += 500) handle({ type: 'woke' }, at)
  assert.is(grants.length, 1)
})

test('an owner that is one no more grants nothing while others are', () => {
  const { grants, handle } = newcomer({ restarted: false, awaitsOthers: true })
  handle({ type: 'ownersChanged', jobId: JOB, shard: 0, owners: [OTHER, 'd'.repeat(40) as NodeId] }, 3)
  handle({ type: 'othersAsked', jobId: JOB, shard: 0 }, 10)
  for (let at = 500; at <= 20_000; at += 500) handle({ type: 'woke' }, at)
  assert.is(grants.length, 0)
  handle({ type: 'ownersChanged', jobId: JOB, shard: 0, owners: [SELF] }, 20_100)
  handle({ type: 'woke' }, 20_600)
  assert.is(grants.length, 1)
})

for (const seed of [1, 2, 3, 4, 5, 6]) {
  test(`an opinion kept for a busy worker is given up once another owner has granted it (seed ${seed})`, () => {
    const grid = new OwnerGrid({ owners: 3, units: 1, seed })
    const first = grid.join('first', { want: 1 })
    grid.advance(3_000)
    for (const owner of grid.owners) first.want(0, owner)
    const filler = grid.submit('filler', 9, { policy: { type: 'none' } })
    const busy = ['second', 'third', 'fourth'].map((name) => grid.join(name, { want: 1 }))
    grid.advance(6_000)
    assert.ok(
      busy.every((worker) => worker.units(filler).length > 0),
      'the others are busy',
    )
    // Each owner keeps the second opinion for one of them after a while, as nobody was granted it.
    first.answer()
    grid.advance(6_000)
    for (const worker of busy) {
      worker.answer(worker.units(filler), 'right', { jobId: filler })
      grid.advance(3_000)
    }
    const granted = [first, ...busy].flatMap((worker) => worker.granted.filter(({ jobId }) => jobId === grid.jobId))
    assert.is(granted.length, 2, 'two opinions, no third')
    grid.log.ignore('closeSession', 'pingSession')
  })
}

test('what was the turn of an owner that is lost is granted before what was its own', () => {
  const first = (owners: readonly NodeId[], block: number) =>
    owners.toSorted((a, b) => (rank(a, JOB, 0, block) < rank(b, JOB, 0, block) ? -1 : 1))[0]
  const ids = Array.from({ length: 64 }, (_, i) => i.toString(16).padStart(40, 'd') as NodeId)
  const lost = ids.find((id) => first([SELF, id], 0) === SELF && first([SELF, id], 1) === id)!
  const { grants, handle, join } = newcomer({ restarted: false, awaitsOthers: true })
  handle({ type: 'ownersChanged', jobId: JOB, shard: 0, owners: [SELF, lost] }, 3)
  handle({ type: 'othersAsked', jobId: JOB, shard: 0 }, 10)
  const unitOf = (effect?: OwnerEffect) => (effect?.type === 'sendGrant' ? effect.grant.runs[0]?.first : undefined)
  assert.is(unitOf(grants.at(-1)), 0)
  handle({ type: 'ownersChanged', jobId: JOB, shard: 0, owners: [SELF] }, 20)
  join(2, 'e', 30)
  assert.is(unitOf(grants.at(-1)), 64)
  // It is back before all of it is granted.
  handle({ type: 'ownersChanged', jobId: JOB, shard: 0, owners: [SELF, lost] }, 40)
  join(3, 'f', 50)
  assert.is(unitOf(grants.at(-1)), 1)
})

test('with nobody to wait for, granting begins at once', () => {
  assert.is(newcomer({ restarted: false, awaitsOthers: false }).grants.length, 1)
})

test('it is known whether untouched units wait for an owner, and for whom', () => {
  const { core, handle } = newcomer({ restarted: false, awaitsOthers: true })
  handle({ type: 'ownersChanged', jobId: JOB, shard: 0, owners: [SELF, OTHER] }, 3)
  const both = [SELF, OTHER].filter((owner) => core.waitsFor(owner, JOB, 0))
  assert.ok(both.length > 0, 'each block waits for somebody')
  for (const grantor of both) {
    const runs = [{ first: 0, count: UNITS, opinion: 0 }]
    const worker = 'd'.repeat(64) as PublicKey
    handle({ type: 'otherGranted', grantor, jobId: JOB, shard: 0, worker, runs, durationMs: 8_000 }, 4)
  }
  assert.equal(
    [SELF, OTHER].filter((owner) => core.waitsFor(owner, JOB, 0)),
    [],
    'what is out waits for nobody',
  )
})

test('a unit that a dead owner granted is not granted again while its worker says that it computes it', () => {
  const grid = new OwnerGrid({ owners: 2, units: 1, spec: { policy: { type: 'none' } } })
  const worker = grid.join('worker', { want: 1 })
  grid.advance(3_000)
  const [held] = [...worker.hand.values()]
  assert.ok(held, 'the unit is out')
  const left = grid.owners.find((owner) => owner !== held.owner)!
  const other = grid.join('other', { want: 0 })
  grid.kill(held.owner)
  worker.want(0, left)
  other.want(1, left)
  for (let fuel = 1n; fuel <= 5n; fuel++) {
    worker.progress(fuel)
    grid.advance(5_000)
  }
  assert.equal(other.units(), [])
  worker.heartbeats = false
  grid.advance(20_000)
  assert.equal(other.units(), [0], 'once nobody speaks of it any more, it is')
  grid.log.ignore('closeSession', 'pingSession')
})

test.run()
