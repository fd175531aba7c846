import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'
import { WALL_MS } from '../../../../support/cores/volunteer.js'

const HOUR_MS = 3_600_000

const ends = suite('The end of a job')

ends('by cancel withdraws what is in hand, at once and from everyone, and grants nothing more', () => {
  const grid = new OwnerGrid({ units: 10 })
  const a = grid.join('a', { slots: 2 })
  const b = grid.join('b', { slots: 2 })
  grid.order({ type: 'cancel' })
  assert.equal(
    [a.withdrawn, b.withdrawn],
    [
      [0, 1],
      [2, 3],
    ],
  )
  grid.advance(60_000)
  assert.is(grid.summary().granted, 4)
  assert.is(grid.waiting(), 'cancelled by the submitter')
  grid.finish()
})

ends('by expiry stops granting, first opinions and further ones', () => {
  const grid = new OwnerGrid({ units: 10, spec: { expiresAtMs: WALL_MS + 10_000 } })
  const a = grid.join('a')
  grid.advance(11_000)
  a.answer()
  const b = grid.join('b')
  grid.advance(60_000)
  assert.equal([a.units(), b.units()], [[], []])
  assert.is(grid.waiting(), 'expired')
  grid.order({
    type: 'amend',
    expiresAtMs: WALL_MS + HOUR_MS,
    priority: undefined,
    maxInstances: undefined,
    ownerRadius: undefined,
  })
  grid.advance(1_000)
  assert.is(b.units().length, 1, 'an order may extend it')
  b.answer()
  grid.advance(1_000)
  assert.ok(
    b.granted.some(({ unit }) => unit === 0),
    'what was waiting for a second opinion is not forgotten',
  )
  grid.finish()
})

ends('by the word of its home stops granting; what is in hand may finish', () => {
  const grid = new OwnerGrid({ units: 10 })
  const a = grid.join('a')
  grid.handle(grid.owner, { type: 'jobStopped', jobId: grid.jobId, reason: 'the first 20 units all failed' })
  a.answer()
  grid.advance(60_000)
  assert.is(grid.summary().granted, 1)
  assert.is(grid.waiting(), 'the first 20 units all failed')
  grid.handle(grid.owner, { type: 'jobStopped', jobId: grid.jobId, reason: '' })
  grid.advance(1_000)
  assert.is(a.units().length + grid.summary().leased > 0, false, 'a waits for others to settle its answer')
  assert.is(grid.join('b').units().length, 1, 'and goes on by its word')
  grid.finish()
})

ends('closes without a trace: workers of a forgotten job are told, and serve others', () => {
  const grid = new OwnerGrid({ units: 10 })
  const a = grid.join('a')
  a.answer()
  const b = grid.join('b')
  assert.is(b.units().length, 1)
  grid.handle(grid.owner, { type: 'jobClosed', jobId: grid.jobId, reason: 'forgotten' })
  assert.equal(b.units(), [])
  const other = grid.submit('other', 2)
  assert.equal([a.units(other), b.units(other)].flat().sort(), [0, 1])
  grid.finish()
})

/** A function of its own, so that nothing of the caller holds the shard. */
function shardOf(grid: OwnerGrid): WeakRef<object> {
  return new WeakRef(grid.owner.core.shard(grid.jobId, 0)!)
}

ends('leaves nothing of a shard in memory, though those who computed it stay', async () => {
  const grid = new OwnerGrid({ units: 4 })
  const pair = [grid.join('a', { slots: 4 }), grid.join('b', { slots: 4 })]
  for (let i = 0; i < 4 && !grid.isFinished(); i++) {
    for (const one of pair) one.answer()
    grid.advance(1_000)
  }
  assert.ok(grid.isFinished())
  const shard = shardOf(grid)
  grid.handle(grid.owner, { type: 'shardClosed', jobId: grid.jobId, shard: 0 })
  assert.equal([...grid.owner.core.jobs()], [], 'the job goes with its last shard')
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  assert.is(shard.deref(), undefined)
  grid.finish()
})

ends.run()
