import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { GrantNews } from '../../../../coordinator/exchange/grant-news.js'
import type { HeldShard } from '../../../../coordinator/exchange/held-shard.js'
import type { OwnerEvent } from '../../../../coordinator/owner/core/messages.js'
import { Owner } from '../../../../coordinator/owner/core/owner.js'
import type { OwnerDriver } from '../../../../coordinator/owner/owner-driver.js'
import type { Grant, JobId, NodeId, PublicKey } from '../../../../proto/model.js'
import { sha256 } from '../../../../runtime/hash.js'
import { utf8 } from '../../../../runtime/hex.js'
import { seededRandom } from '../../../support/seeded-random.js'
import { specWith } from '../../job/fixture.js'

const SELF = 'a'.repeat(40) as NodeId
const OTHER = 'b'.repeat(40) as NodeId
const WORKER = 'c'.repeat(64) as PublicKey
const JOB = '1'.repeat(64) as JobId
const UNITS = 1_024

const test = suite('GrantNews')

/** What the core of one of two owners of a shard, both of which grant, hears from the other. */
function listening() {
  let now = 0
  let timers = 0
  let due: (() => void) | undefined
  const setTimer = (_ms: number, fire: () => void) => {
    timers++
    due = fire
    return { cancel: () => timers-- }
  }
  const core = new Owner({
    self: SELF,
    random: seededRandom(1),
    wallMs: () => 0,
    rank: (owner, jobId, shard, block) => sha256(utf8(`${owner} ${jobId} ${shard} ${block}`)),
  })
  const spec = specWith({ source: { type: 'count', count: UNITS }, shardUnits: UNITS })
  core.handle({ type: 'jobOpened', jobId: JOB, spec, orders: [] }, now)
  const ranges = [{ first: 0, count: UNITS }]
  core.handle({ type: 'shardOpened', jobId: JOB, shard: 0, ranges, restarted: false }, now)
  core.handle({ type: 'ownersChanged', jobId: JOB, shard: 0, owners: [SELF, OTHER] }, now)
  const other = { nodeId: OTHER, address: 'other:1' }
  const held = { job: { jobId: JOB }, shard: 0, isOpen: true, openedAt: 0, others: [other], told: '' }
  const shard = held as unknown as HeldShard
  const muteAsTold: boolean[] = []
  const news: GrantNews = new GrantNews({
    self: SELF,
    clock: { now: () => now, wallMs: () => now, setTimer },
    owner: () => ({ core, handle: (event: OwnerEvent) => void core.handle(event, now) }) as unknown as OwnerDriver,
    heldShard: () => shard,
    link: () => undefined,
    isOwner: () => true,
    onTold: () => muteAsTold.push(news.isMute(shard, OTHER, now)),
  })
  const runs = (first: number, count: number) => [{ first, count, opinion: 0 }]
  return {
    news,
    grant: () => news.granted(shard, { jobId: JOB, shard: 0, worker: WORKER, runs: runs(0, 1) } as unknown as Grant),
    timers: () => timers,
    /** Hands out one more unit at `at`, and tells of it: whether the other was found mute with that. */
    grantAndTell: (at: number): boolean | undefined => {
      now = at
      const granted = { jobId: JOB, shard: 0, worker: WORKER, runs: runs(at, 1) }
      news.granted(shard, granted as unknown as Grant)
      due?.()
      return muteAsTold.pop()
    },
    /** This owner and then the other hand out `own` and `theirs` units in each of ten seconds; `kept`: for a worker to come. */
    tenSeconds: (
      own: number,
      theirs: (second: number) => { first: number; count: number; kept: boolean },
    ): boolean[] => {
      const mute: boolean[] = []
      for (let second = 0; second < 10; second++) {
        now += 1_000
        const granted = { jobId: JOB, shard: 0, worker: WORKER, runs: runs(512 + own * second, own) }
        if (own > 0) news.granted(shard, granted as unknown as Grant)
        const { first, count, kept } = theirs(second)
        const told = { jobId: JOB, shard: 0, worker: WORKER, runs: runs(first, count), believedMs: 8_000, kept }
        if (count > 0) news.heard(OTHER, [told])
        mute.push(news.isMute(shard, OTHER, now))
      }
      return mute
    },
  }
}

const never = Array.from({ length: 10 }, () => false)
const soon = never.map((_, second) => second >= 3)

test('an owner that says again and again what it has out is mute; what it handed out first counts for a moment', () => {
  assert.equal(
    listening().tenSeconds(4, () => ({ first: 0, count: 8, kept: false })),
    soon,
  )
})

test('an owner that keeps ever more units for workers and hands out none is mute', () => {
  const mute = listening().tenSeconds(4, (second) => ({ first: 8 * second, count: 8, kept: true }))
  assert.equal(mute.slice(3), soon.slice(3))
})

test('an owner that hands out one unit a second is not', () => {
  assert.equal(
    listening().tenSeconds(64, (second) => ({ first: second, count: 1, kept: false })),
    never,
  )
})

test('an owner that nobody asks is not, where hardly anybody asks this one either', () => {
  const nothing = () => ({ first: 0, count: 0, kept: false })
  assert.equal(listening().tenSeconds(0, nothing), never)
  assert.equal(listening().tenSeconds(1, nothing).slice(0, 7), never.slice(0, 7))
})

test('an owner is found mute with the first that is handed out once its time is over, whenever shards are looked at', () => {
  const { grantAndTell } = listening()
  const found = Array.from({ length: 30 }, (_, i) => 100 * (i + 1)).find((at) => grantAndTell(at) === true)
  assert.is(found, 2_500)
})

test('what is granted while everything closes starts no timer', () => {
  const { news, grant, timers } = listening()
  grant()
  assert.is(timers(), 1)
  news.close()
  grant()
  assert.is(timers(), 0)
})

test.run()
