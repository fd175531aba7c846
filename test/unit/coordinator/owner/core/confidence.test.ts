import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'

const SPEC = { policy: { type: 'confidence' as const, errorPpm: 1_000 }, requires: ['confidence'] }

/** A grid in which two donors answer everything they are given, rightly, until `units` are settled or nothing moves. */
function computed(units: number, answers: (name: string, unit: number) => string = () => 'right', seed = 1) {
  const grid = new OwnerGrid({ units, seed, spec: SPEC })
  const donors = ['a', 'b', 'c'].map((name) => grid.join(name, { want: 4 }))
  for (let round = 0; round < 4 * units && grid.summary().settled < units; round++) {
    for (const [i, donor] of donors.entries())
      for (const unit of donor.units()) donor.answer([unit], answers('abc'[i]!, unit))
    grid.advance(1_000)
  }
  return { grid, donors }
}

const votesOf = (grid: OwnerGrid, units: number) =>
  Array.from({ length: units }, (_, unit) => grid.record(unit)!.votes.length)

const test = suite('Owner of a job checked by confidence')

test('asks three unknown donors, fewer as they agree, and one or two in the end: some by chance all the same', () => {
  const { grid } = computed(600)
  assert.is(grid.summary().settled, 600)
  const votes = votesOf(grid, 600)
  const share = (count: number) => votes.filter((each) => each === count).length / votes.length
  assert.ok(Math.max(...votes) === 3 && share(1) > 0.5, `one donor was enough for ${share(1)}`)
  const granted = votes.reduce((sum, each) => sum + each, 0) / 600
  assert.ok(granted < 1.6, `${granted} instances a unit`)
  const late = [...Array(300).keys()].map((i) => grid.record(300 + i)!)
  const checked = late.filter(({ spotChecked }) => spotChecked)
  assert.ok(checked.length > 0 && checked.length < 60, `${checked.length} of 300 were spot-checked`)
  assert.ok(checked.every(({ votes: both }) => both.length === 2))
  grid.finish()
})

test('settles what waited for a third donor once the first two have shown themselves on other units', () => {
  const grid = new OwnerGrid({ units: 3, spec: SPEC })
  const [a, b] = ['a', 'b'].map((name) => grid.join(name, { want: 3 }))
  const rounds = []
  for (let round = 0; round < 6; round++) {
    for (const donor of [a!, b!]) for (const unit of donor.units()) donor.answer([unit])
    grid.advance(1_000)
    rounds.push(grid.summary().settled)
  }
  assert.equal(votesOf(grid, 3), [2, 2, 2])
  assert.is(rounds.at(-1), 3, 'after the second agreement each vote weighs 5 bits: the first unit follows')
  grid.finish()
})

test('looks again at what a donor said alone once it is wrong elsewhere', () => {
  // One donor is right for long, and then lies alone.
  let lies = 0
  const { grid, donors } = computed(400, (name, unit) => (name === 'a' && unit > 300 ? `lie ${lies++}` : 'right'), 3)
  assert.ok(lies > 3)
  const alone = Array.from({ length: 400 }, (_, unit) => grid.record(unit)!)
    .filter((record) => record.votes.length === 1 && record.state === 'settled')
    .map(({ votes }) => votes[0]!.donor)
  assert.ok(alone.length > 100)
  assert.not.ok(alone.includes(donors[0]!.donor), 'nothing leans on its word alone any more')
  grid.finish()
})

test.run()
