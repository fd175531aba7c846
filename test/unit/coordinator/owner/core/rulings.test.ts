import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ZERO_DIGEST } from '../../../../../job/facts/digest.js'
import type { PublicKey, Ruling } from '../../../../../proto/model.js'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'
import { answerDigest, type Volunteer } from '../../../../support/cores/volunteer.js'

const JUDGE = '7a'.repeat(32) as PublicKey
const ruled = (unit: number, changes: Partial<Ruling> = {}): Ruling => ({
  unit,
  outcome: 'done',
  digest: answerDigest('right', unit),
  convicted: [],
  rightGrantors: [],
  wrongGrantors: [],
  ...changes,
})
const order = (grid: OwnerGrid, rulings: readonly Ruling[]) =>
  grid.order({ type: 'rulings', judge: grid.specs.get(grid.jobId)!.submitter, profile: 0, rulings })
const keysOf = (...volunteers: Volunteer[]): PublicKey[] => volunteers.map(({ key }) => key).sort()
const stateOf = (grid: OwnerGrid, unit: number) => grid.owners.map((owner) => grid.record(unit, owner)?.state)

/** Everybody answers what it has in hand, liars falsely, until nothing more is granted. */
function work(grid: OwnerGrid, volunteers: readonly Volunteer[], liars: readonly Volunteer[] = []): void {
  for (let i = 0; i < 400; i++) {
    const busy = volunteers.filter((volunteer) => volunteer.units().length > 0)
    for (const volunteer of busy) volunteer.answer(undefined, liars.includes(volunteer) ? 'false' : 'right')
    if (busy.length === 0 && grid.isFinished()) return
    grid.advance(1_000)
  }
}

const rulings = suite('Rulings at an owner')

rulings('convict a ring: what it settled alone or with others is open again, and it gets no more of the job', () => {
  const grid = new OwnerGrid({ units: 40 })
  const liars = ['x', 'y', 'z'].map((name) => grid.join(name, { want: 8 }))
  work(grid, liars, liars)
  assert.ok(grid.isFinished(), 'the ring has settled all by itself')
  const honest = ['a', 'b', 'c'].map((name) => grid.join(name, { want: 8 }))
  order(grid, [ruled(0, { convicted: keysOf(...liars) })])
  assert.is(grid.isFinished(), false)
  assert.is(grid.summary().settled, 0)
  const granted = liars.reduce((sum, liar) => sum + liar.granted.length, 0)
  work(grid, [...honest, ...liars], liars)
  assert.ok(grid.isFinished())
  assert.is(
    liars.reduce((sum, liar) => sum + liar.granted.length, 0),
    granted,
    'no liar was granted anything after its conviction',
  )
  for (let unit = 0; unit < 40; unit++) {
    const judgement = grid.record(unit)!.judgement!
    assert.ok('digest' in judgement && judgement.digest === answerDigest('right', unit))
  }
  grid.finish()
})

rulings('that name another outcome with the same digest are looked at, as several outcomes have no output', () => {
  const grid = new OwnerGrid({ units: 1, spec: { judges: [JUDGE] } })
  const volunteers = ['a', 'b'].map((name) => grid.join(name))
  work(grid, volunteers)
  const none = { digest: ZERO_DIGEST }
  grid.order({ type: 'rulings', judge: JUDGE, profile: 0, rulings: [ruled(0, { ...none, outcome: 'trap' })] })
  const before = grid.record(0)!.judgement
  order(grid, [ruled(0, { ...none, outcome: 'fuel' })])
  assert.is.not(grid.record(0)!.judgement, before)
  grid.finish()
})

rulings('take what convicted keys have in hand from them at once', () => {
  const grid = new OwnerGrid({ units: 4, spec: { policy: { type: 'none' } } })
  const liar = grid.join('x', { slots: 2, want: 4 })
  const inHand = liar.units()
  assert.ok(inHand.length > 0)
  const honest = grid.join('a', { slots: 4, want: 8 })
  order(grid, [ruled(3, { convicted: [liar.key] })])
  assert.equal([...liar.withdrawn].sort(), inHand)
  grid.advance(1_000)
  assert.equal(honest.units(), [0, 1, 2, 3])
  grid.finish()
})

rulings('settle a unit on the ruled answer where somebody gave it, at every owner alike', () => {
  const grid = new OwnerGrid({ owners: 3, units: 6 })
  const [a, b, c] = ['a', 'b', 'c'].map((name) => grid.join(name, { want: 6 }))
  for (let i = 0; i < 60 && !grid.isFinished(); i++) {
    a!.answer(undefined, 'false')
    b!.answer(undefined, 'false')
    c!.answer()
    grid.advance(1_000)
  }
  const disputed = [...Array(6).keys()].filter((unit) =>
    grid.record(unit)?.votes.some(({ digest }) => digest === answerDigest('right', unit)),
  )
  assert.ok(disputed.length > 0, 'the honest one answered some')
  order(
    grid,
    [...Array(6).keys()].map((unit) => ruled(unit, { convicted: keysOf(a!, b!) })),
  )
  for (const unit of disputed) assert.equal(stateOf(grid, unit), ['settled', 'settled', 'settled'])
  for (const owner of grid.owners) owner.core.checkInvariants()
  const summaries = grid.owners.map((owner) => grid.summary(grid.jobId, owner))
  for (const { settled, open } of summaries) assert.equal([settled, open], [summaries[0]!.settled, summaries[0]!.open])
  grid.finish()
})

rulings('let a dismissed owner grant nothing more, and the others take its share without waiting for it', () => {
  const grid = new OwnerGrid({ owners: 3, units: 400 })
  const bad = grid.owners[1]!
  order(
    grid,
    Array.from({ length: 10 }, (_, i) => ruled(i, { wrongGrantors: [bad.nodeId], rightGrantors: [grid.owner.nodeId] })),
  )
  const volunteers = ['a', 'b', 'c'].map((name) => grid.join(name, { slots: 8, want: 64 }))
  for (let i = 0; i < 40 && !grid.isFinished(); i++) {
    for (const volunteer of volunteers) volunteer.answer()
    grid.advance(100)
  }
  assert.ok(grid.isFinished(), `${grid.summary().settled} of 400 settled within 4 s`)
  for (const { granted } of volunteers) assert.ok(granted.every(({ owner }) => owner !== bad))
  grid.finish()
})

rulings('that change nothing for a unit tell its workers nothing again', () => {
  const grid = new OwnerGrid({ units: 4 })
  const volunteers = ['a', 'b'].map((name) => grid.join(name, { want: 4 }))
  work(grid, volunteers)
  const told = volunteers.map(({ agreed }) => agreed.length)
  order(grid, [ruled(0)])
  assert.equal(
    volunteers.map(({ agreed }) => agreed.length),
    told,
  )
  assert.ok(grid.isFinished())
  grid.finish()
})

rulings.run()
