import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'
import type { Volunteer } from '../../../../support/cores/volunteer.js'

const outputs = suite('Large outputs')

outputs('are fetched from an agreeing worker that is connected; only then the unit is settled', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  const b = grid.join('b')
  a.answer([0], 'right', { small: false })
  b.answer([0], 'right', { small: false })
  assert.is(grid.summary().accepted, 1)
  assert.equal(a.agreed, [], 'not settled before its bytes are stored')
  const { digest } = grid.log.one('fetchOutput')
  grid.handle(grid.owner, { type: 'outputKept', jobId: grid.jobId, shard: 0, unit: 0, digest })
  assert.is(grid.summary().settled, 1)
  assert.equal([a.agreed, b.agreed], [[0], [0]])
  grid.finish()
})

outputs('are not asked of a worker whose answer was outvoted', () => {
  const grid = new OwnerGrid({ units: 1 })
  const liar = grid.join('liar')
  liar.answer([0], 'wrong', { small: false })
  const b = grid.join('b')
  b.answer([0], 'right', { small: false })
  const c = grid.join('c')
  grid.advance(1_000)
  c.answer([0], 'right', { small: false })
  const { session } = grid.log.one('fetchOutput')
  assert.is.not(session, liar.sessions.get(grid.owner))
  grid.finish()
})

outputs('are asked of another agreeing worker when the first leaves, or fails', () => {
  for (const how of ['leaves', 'fails'] as const) {
    const grid = new OwnerGrid({ units: 1 })
    const pair = [grid.join('a'), grid.join('b')]
    for (const one of pair) one.answer([0], 'right', { small: false })
    const { session } = grid.log.one('fetchOutput')
    const first = pair.find((one) => one.sessions.get(grid.owner) === session)!
    const second = pair.find((one) => one !== first)!
    if (how === 'leaves') first.leave()
    else
      grid.handle(grid.owner, { type: 'outputFetchFailed', jobId: grid.jobId, shard: 0, unit: 0, from: first.nodeId })
    grid.advance(1_000)
    assert.is(grid.log.one('fetchOutput').session, second.sessions.get(grid.owner))
    grid.finish()
  }
})

outputs('are asked of another when the first says nothing', () => {
  const grid = new OwnerGrid({ units: 1 })
  const pair = [grid.join('a'), grid.join('b')]
  for (const one of pair) one.answer([0], 'right', { small: false })
  const { session } = grid.log.one('fetchOutput')
  grid.advance(30_000)
  assert.is.not(grid.log.one('fetchOutput').session, session)
  grid.finish()
})

outputs('are waited for as long as they come nearer, however slowly', () => {
  const grid = new OwnerGrid({ units: 1 })
  const pair = [grid.join('a'), grid.join('b')]
  const c = grid.join('c')
  for (const one of pair) one.answer([0], 'right', { small: false })
  const { session } = grid.log.one('fetchOutput')
  const { nodeId: from } = pair.find((one) => one.sessions.get(grid.owner) === session)!
  const moved = () => grid.handle(grid.owner, { type: 'outputMoved', jobId: grid.jobId, shard: 0, unit: 0, from })
  for (let step = 0; step < 40; step++) {
    grid.advance(15_000)
    moved()
  }
  assert.equal(grid.log.take('fetchOutput'), [], 'nobody else is asked for ten minutes')
  assert.equal(c.granted, [], 'and nobody computes it again')
  grid.advance(25_000)
  assert.is.not(grid.log.one('fetchOutput').session, session)
  grid.finish()
})

outputs('of one worker are asked for a few at a time, and the next as soon as one is there', () => {
  const grid = new OwnerGrid({ units: 64, spec: { policy: { type: 'quorum', quorum: 1 } } })
  const a = grid.join('a', { slots: 64, want: 64 })
  while (a.units().length > 0) a.answer(a.units(), 'large', { small: false, bytes: 400_000 })
  const asked = grid.log.take('fetchOutput')
  assert.is(asked.length, 2)
  const { core } = grid.owner
  const [first, second, third] = [...core.shard(grid.jobId, 0)!.records()]
  assert.equal(
    [first, second, third].map((record) => core.isComing(record!)),
    [false, false, true],
    'it has its turn',
  )
  const from = a.nodeId
  grid.handle(grid.owner, { type: 'outputMoved', jobId: grid.jobId, shard: 0, unit: first!.unit, from })
  assert.ok(core.isComing(first!), 'some of it is here')
  const { jobId, shard, unit, digest } = asked[0]!
  grid.handle(grid.owner, { type: 'outputKept', jobId, shard, unit, digest })
  assert.is(grid.log.take('fetchOutput').length, 1)
  grid.finish()
})

/** A unit that is accepted, its output gone with both who had it, and a third worker. */
function withLostOutput(): { grid: OwnerGrid; c: Volunteer } {
  const grid = new OwnerGrid({ units: 1 })
  const pair = [grid.join('a'), grid.join('b')]
  for (const one of pair) one.answer([0], 'right', { small: false })
  for (const one of pair) one.leave()
  grid.log.drain()
  const c = grid.join('c')
  return { grid, c }
}

outputs('that nobody has any more are computed once more by somebody else', () => {
  const { grid, c } = withLostOutput()
  grid.advance(25_000)
  assert.equal(c.units(), [0])
  c.answer([0], 'right', { small: false })
  const { session, digest } = grid.log.one('fetchOutput')
  assert.is(session, c.sessions.get(grid.owner))
  grid.handle(grid.owner, { type: 'outputKept', jobId: grid.jobId, shard: 0, unit: 0, digest })
  assert.ok(grid.isFinished())
  grid.finish()
})

outputs('that are lost, where nobody else is connected, are computed once more by one who has agreed', () => {
  const grid = new OwnerGrid({ units: 1, spec: { policy: { type: 'none' } } })
  const only = grid.join('only')
  only.answer([0], 'right', { small: false })
  grid.log.drain()
  only.leave()
  grid.advance(2_000)
  only.connect({ bootId: 'boot 2' })
  grid.advance(45_000)
  grid.log.drain()
  assert.equal(only.units(), [0])
  only.answer([0], 'right', { small: false })
  const { digest } = grid.log.one('fetchOutput')
  grid.handle(grid.owner, { type: 'outputKept', jobId: grid.jobId, shard: 0, unit: 0, digest })
  assert.ok(grid.isFinished())
  grid.finish()
})

// Grid seed 2141: those who had agreed came back with other keys, and no other worker heard that one was needed.
outputs('that are lost bring the job onto the board when nobody is there to compute them once more', () => {
  const grid = new OwnerGrid({ units: 1 })
  const pair = [grid.join('a'), grid.join('b')]
  for (const one of pair) one.answer([0], 'right', { small: false })
  for (const one of pair) one.leave()
  grid.log.drain()
  assert.is(grid.owner.core.ready(grid.jobId), 0)
  grid.advance(25_000)
  assert.is(grid.owner.core.ready(grid.jobId), 1)
  const c = grid.join('c')
  grid.advance(25_000)
  assert.equal(c.units(), [0])
  assert.is(grid.owner.core.ready(grid.jobId), 0)
  grid.log.drain()
  grid.finish()
})

outputs('of a cancelled job are not computed once more', () => {
  const { grid, c } = withLostOutput()
  grid.order({ type: 'cancel' })
  grid.advance(60_000)
  assert.equal(c.granted, [])
  grid.finish()
})

outputs('of a unit that failed are fetched too: they say why', () => {
  const grid = new OwnerGrid({ units: 1 })
  const pair = [grid.join('a'), grid.join('b')]
  for (const one of pair) one.answer([0], 'long', { outcome: 'exit', small: false })
  const { digest } = grid.log.one('fetchOutput')
  grid.log.heed('unitsDecided', 'shardChanged')
  grid.handle(grid.owner, { type: 'outputKept', jobId: grid.jobId, shard: 0, unit: 0, digest })
  assert.is(grid.summary().failed, 1)
  assert.equal(grid.log.one('unitsDecided').units, [0], 'whoever waits for results hears of it')
  assert.is(grid.log.take('shardChanged').length, 1, 'so does the home')
  grid.finish()
})

outputs.run()
