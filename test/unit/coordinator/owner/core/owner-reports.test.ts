import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'

const NONE = { policy: { type: 'none' } } as const

const verdicts = suite('Reports')

verdicts('settle a unit with two donors that agree; both are told, and nobody gets it again', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  const b = grid.join('b')
  a.answer()
  assert.equal(a.agreed, [], 'one answer settles nothing')
  b.answer()
  assert.equal([a.agreed, b.agreed], [[0], [0]])
  assert.ok(grid.isFinished())
  grid.advance(120_000)
  assert.equal([a.units(), b.units()], [[], []])
  assert.is(grid.summary().granted, 2)
  grid.finish()
})

verdicts('of a failure are votes: two donors that agree on it fail the unit', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  const b = grid.join('b')
  a.answer([0], 'exit 3', { outcome: 'exit' })
  assert.is(grid.summary().failed, 0)
  b.answer([0], 'exit 3', { outcome: 'exit' })
  assert.is(grid.summary().failed, 1)
  assert.equal([a.agreed, b.agreed], [[0], [0]])
  grid.finish()
})

verdicts('of one failure do not fail a unit that two others complete', () => {
  const grid = new OwnerGrid({ units: 1 })
  const liar = grid.join('liar')
  liar.answer([0], 'trap', { outcome: 'trap' })
  const b = grid.join('b')
  b.answer()
  assert.is(grid.summary().disputed, 1)
  const c = grid.join('c')
  grid.advance(1_000)
  c.answer()
  assert.is(grid.summary().settled, 1)
  assert.equal([liar.disagreed, b.agreed, c.agreed], [[0], [0], [0]])
  grid.finish()
})

verdicts('that differ ask one more donor at a time, up to maxInstances', () => {
  const grid = new OwnerGrid({ units: 1, spec: { maxInstances: 4 } })
  const all = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => grid.join(name))
  for (let i = 0; i < 4; i++) {
    const holding = all.filter((one) => one.units().length > 0)
    assert.is(holding.length, 1, 'one at a time')
    holding[0]!.answer([0], `differs ${i}`)
    grid.advance(1_000)
  }
  grid.advance(120_000)
  assert.is(grid.summary().granted, 4)
  assert.is(grid.summary().disputed, 1)
  grid.order({ type: 'amend', maxInstances: 6, expiresAtMs: undefined, priority: undefined, ownerRadius: undefined })
  grid.advance(1_000)
  assert.is(grid.summary().granted, 5, 'an order may allow more')
  grid.finish()
})

verdicts('with quorum none settle with the first answer', () => {
  const grid = new OwnerGrid({ units: 2, spec: NONE })
  const a = grid.join('a')
  a.answer()
  a.answer()
  assert.ok(grid.isFinished())
  assert.equal(a.agreed, [0, 1])
  grid.finish()
})

verdicts('that come late to a settled unit are told so and change nothing', () => {
  const grid = new OwnerGrid({ units: 1 })
  const late = grid.join('late')
  late.leave()
  grid.advance(2_000)
  const a = grid.join('a')
  const b = grid.join('b')
  a.answer()
  b.answer()
  late.connect({ tickets: [], want: 0 })
  late.answer([0], 'wrong')
  assert.equal(late.disagreed, [0])
  assert.is(grid.summary().settled, 1)
  grid.finish()
})

verdicts('that overturn a settled unit open it again, and counts follow', () => {
  const grid = new OwnerGrid({ units: 1 })
  const names = ['p', 'q'] as const
  const [p, q] = names.map((name) => {
    const one = grid.join(name)
    one.leave()
    grid.advance(2_000)
    return one
  })
  const a = grid.join('a')
  const b = grid.join('b')
  a.answer()
  b.answer()
  assert.is(grid.summary().fuel, 100n)
  for (const one of [p!, q!]) {
    one.connect({ tickets: [], want: 0 })
    one.answer([0], 'other')
  }
  assert.is(grid.summary().disputed, 1)
  assert.is(grid.summary().fuel, 0n)
  grid.finish()
})

verdicts('counted once are not counted twice when the same fact comes again', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  a.answer()
  const { checked } = grid.facts[0]!
  grid.keep(checked, { to: grid.owner, session: undefined, wallMs: 0, stored: true })
  assert.is(grid.record(0)!.votes.length, 1)
  grid.finish()
})

verdicts('in variants are worth keeping only until they cancel out or repeat themselves', () => {
  const grid = new OwnerGrid({ units: 2 })
  const a = grid.join('a', { slots: 2 })
  const core = grid.owner.core
  const votes = (answer: string) => {
    a.answer([0], answer)
    return grid.facts.at(-1)!.checked.votes
  }
  const first = votes('x')
  assert.not(core.isRedundant(grid.jobId, 0, first), 'once more is needed where bytes were lost')
  votes('x')
  assert.ok(core.isRedundant(grid.jobId, 0, first))
  const other = [{ ...first[0]!, digest: grid.nextDigest() }]
  assert.not(core.isRedundant(grid.jobId, 0, other), 'a contradiction counts')
  votes('y')
  assert.ok(core.isRedundant(grid.jobId, 0, other), 'it contradicts itself already')
  assert.not(core.isRedundant(grid.jobId, 0, [...other, { ...first[0]!, unit: 1 }]), 'a unit not answered yet')
  grid.finish()
})

verdicts.run()
