import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CLAIMED_MS } from '../../../../../coordinator/owner/core/claims.js'
import type { PublicKey } from '../../../../../proto/model.js'
import { sha256 } from '../../../../../runtime/hash.js'
import { utf8 } from '../../../../../runtime/hex.js'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'

const UNITS = 20
const SECOND_MS = 1_000

const claims = suite('What an owner claims to have out')

/** Three owners of which one claims all units out to a key that does not exist, again and again; four volunteers. */
function withClaimer(keyAt: (second: number) => string) {
  const grid = new OwnerGrid({ owners: 3, units: UNITS, spec: { minGrantors: 2 } })
  const [, , liar] = grid.owners
  grid.kill(liar!)
  const runs = [{ first: 0, count: UNITS, opinion: 0 }]
  const claim = (second: number) => {
    const worker = sha256(utf8(keyAt(second))) as string as PublicKey
    const { jobId } = grid
    for (const owner of grid.owners)
      grid.handle(owner, {
        type: 'otherGranted',
        grantor: liar!.nodeId,
        jobId,
        shard: 0,
        worker,
        runs,
        durationMs: 3_600_000,
      })
  }
  claim(0)
  const volunteers = ['a', 'b', 'c', 'd'].map((name) => grid.join(name))
  const isNews = (second: number) => {
    const worker = sha256(utf8(keyAt(second))) as string as PublicKey
    return grid.owner.core.isNews(grid.jobId, 0, liar!.nodeId, worker, runs)
  }
  /** Seconds until the job is done. */
  const run = () => {
    for (let second = 1; second < 900; second++) {
      claim(second)
      for (const volunteer of volunteers) volunteer.answer()
      grid.advance(SECOND_MS)
      if (grid.isFinished()) return second
    }
    return Number.POSITIVE_INFINITY
  }
  return { grid, run, isNews }
}

for (const [what, keyAt] of [
  ['one key', () => 'nobody'],
  ['another key each time', (second: number) => `nobody ${second}`],
] as const) {
  claims(`to ${what} is believed for a while, and then asked for all the same`, () => {
    const { grid, run, isNews } = withClaimer(keyAt)
    assert.ok(isNews(-1) === (what !== 'one key'))
    const tookS = run()
    assert.ok(tookS < CLAIMED_MS / SECOND_MS + 60, `${tookS} s`)
    assert.not.ok(isNews(901), 'and no sign any more that it grants')
    grid.finish()
  })
}

claims('is not believed of others for what one has claimed', () => {
  const { grid } = withClaimer(() => 'nobody')
  const [self, honest, liar] = grid.owners
  const claimed = grid.record(0, self)!.claimed!
  assert.is(claimed.get(honest!.nodeId), undefined)
  assert.ok(claimed.get(liar!.nodeId)! > 0)
})

claims('is believed further of keys that are known, also where no more are kept in mind', () => {
  const { grid } = withClaimer(() => 'nobody')
  const { owner, jobId } = grid
  const grantor = grid.owners[1]!.nodeId
  const runs = [{ first: 0, count: 1, opinion: 0 }]
  const claim = () => {
    for (let i = 0; i < 20; i++) {
      const worker = sha256(utf8(`key ${i}`)) as string as PublicKey
      grid.handle(owner, { type: 'otherGranted', grantor, jobId, shard: 0, worker, runs, durationMs: 5_000 })
    }
  }
  claim()
  grid.now += 4_000
  claim()
  const { elsewhere } = grid.record(0, owner)!
  assert.is(elsewhere!.size, 16)
  assert.is(elsewhere!.get(sha256(utf8('key 0')) as string as PublicKey), grid.now + 5_000)
  grid.finish()
})

claims.run()
