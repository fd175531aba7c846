import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'
import { answerDigest, type Volunteer } from '../../../../support/cores/volunteer.js'

const SPEC = { minGrantors: 2 }
const gridOf = (units: number) => new OwnerGrid({ owners: 3, units, spec: SPEC, seeksGrantors: true })

/** On every unit two made-up volunteers say the same, under grants of two made-up owners. */
function makeUp(grid: OwnerGrid, units: number, answer = 'forged'): void {
  for (let unit = 0; unit < units; unit++)
    for (const name of ['x', 'y']) grid.forge(`owner ${name}`, `volunteer ${name}`, unit, answer)
}

/** Everybody answers truly for so long, or until all units are settled everywhere. */
function work(grid: OwnerGrid, volunteers: readonly Volunteer[], seconds: number): void {
  for (let second = 0; second < seconds; second++) {
    for (const volunteer of volunteers) if (volunteer.units().length > 0) volunteer.answer()
    grid.advance(1_000)
    if (grid.owners.every((owner) => grid.isFinished(grid.jobId, owner))) return
  }
}

const granted = (volunteers: readonly Volunteer[]) => volunteers.reduce((sum, one) => sum + one.granted.length, 0)
const join = (grid: OwnerGrid, names: readonly string[]) => names.map((name) => grid.join(name, { slots: 8, want: 32 }))

const test = suite('Doubts about grants of strangers')

test('what made-up owners have settled is asked about until it is settled without them, every unit of it', () => {
  const units = 160
  const grid = gridOf(units)
  makeUp(grid, units)
  grid.advance(2_000)
  const honest = join(grid, ['a', 'b', 'c', 'd', 'e'])
  work(grid, honest, 600)
  for (const owner of grid.owners) {
    for (let unit = 0; unit < units; unit++) {
      const { judgement } = grid.record(unit, owner)!
      assert.ok(
        judgement?.state === 'accepted' && judgement.digest === answerDigest('right', unit),
        `unit ${unit} is ${judgement?.state}`,
      )
    }
  }
  grid.finish()
})

test('where known owners agree with strangers, no more is asked than 64 units or a sixteenth of the job', () => {
  const units = 400
  const grid = gridOf(units)
  makeUp(grid, units, 'right')
  grid.advance(2_000)
  const honest = join(grid, ['a', 'b', 'c', 'd', 'e'])
  work(grid, honest, 300)
  for (const owner of grid.owners) assert.is(grid.isFinished(grid.jobId, owner), true)
  const extra = granted(honest)
  assert.ok(extra >= 64 && extra <= 3 * 2 * 64, `${extra} instances`)
  grid.finish()
})

test('grants of an owner that was met count as much after it is gone', () => {
  const grid = gridOf(8)
  const honest = join(grid, ['a', 'b', 'c'])
  grid.advance(1_000)
  for (const one of honest) one.answer()
  grid.advance(1_000)
  const [gone, ...left] = grid.owners
  grid.kill(gone!)
  const owners = left.map(({ nodeId }) => nodeId)
  for (const owner of left) grid.handle(owner, { type: 'ownersChanged', jobId: grid.jobId, shard: 0, owners })
  for (let i = 0; i < 60; i++) {
    for (const one of honest) if (one.units().length > 0) one.answer()
    grid.advance(1_000)
  }
  assert.ok(left.every((owner) => grid.isFinished(grid.jobId, owner)))
  assert.is(granted(honest), 16)
  grid.finish()
})

test('a unit that nobody is left to be asked about stands as the facts have it, unless somebody says otherwise', () => {
  for (const answer of ['right', 'forged']) {
    const grid = gridOf(1)
    const only = grid.join('a', { want: 1 })
    grid.advance(5_000)
    only.answer()
    makeUp(grid, 1, answer)
    grid.advance(10_000)
    assert.ok(
      grid.owners.every((owner) => grid.record(0, owner)!.state === 'open'),
      `${answer}: not at once`,
    )
    grid.advance(60_000)
    const states = grid.owners.map((owner) => grid.record(0, owner)!.state)
    const stands = states.every((state) => state === 'settled')
    assert.is(stands, answer === 'right', `${answer}: ${states}`)
    grid.finish()
  }
})

test('whoever asks why is told of doubted units, and of those that known owners and strangers settle otherwise', () => {
  const grid = gridOf(2)
  const [owner, other, third] = grid.owners
  const wait = (unit: number) => owner!.core.explain(grid.jobId, unit, grid.now)!.unit!.wait
  makeUp(grid, 1)
  assert.is(wait(0), 'doubted', 'while the made-up owners are looked up')
  grid.advance(1_000)
  assert.is(wait(0), 'doubted', 'and after')
  for (const known of [other!, third!]) grid.forge(known, `volunteer ${known.nodeId}`, 1, 'right')
  for (const name of ['u', 'v', 'x', 'y', 'z']) grid.forge(`owner ${name}`, `volunteer ${name}`, 1)
  grid.advance(1_000)
  assert.is(wait(1), 'disputed')
  grid.finish()
})

test('an owner that stood still doubts what it doubted before', () => {
  const grid = gridOf(4)
  makeUp(grid, 4)
  grid.advance(2_000)
  grid.log.ignore('askOthers')
  grid.now += 20_000
  for (const owner of grid.owners) grid.handle(owner, { type: 'woke' })
  for (let unit = 0; unit < 4; unit++) grid.forge('owner x', 'volunteer w', unit)
  grid.advance(3_000)
  for (const owner of grid.owners) assert.is(grid.record(0, owner)!.state, 'open')
  grid.finish()
})

test('an owner that is restarted does not doubt anew what it reads back', () => {
  const grid = gridOf(4)
  makeUp(grid, 4, 'right')
  grid.advance(2_000)
  const [restarted, other] = grid.owners
  grid.restart(restarted!)
  grid.advance(3_000)
  assert.ok(grid.isFinished(grid.jobId, restarted))
  assert.not(grid.isFinished(grid.jobId, other))
  grid.finish()
})

test('units that stay doubted do not keep those behind them from standing when nobody is left to be asked', () => {
  const contradicted = 260
  const units = contradicted + 8
  const grid = new OwnerGrid({ owners: 3, units, spec: SPEC, seeksGrantors: true })
  const [owner] = grid.owners
  for (let unit = 0; unit < units; unit++) {
    // Of all but the last few somebody known says otherwise.
    if (unit < contradicted) grid.forge(grid.owners[1]!, 'volunteer z', unit, 'other')
    else grid.forge(grid.owners[1]!, 'a', unit, 'right')
  }
  makeUp(grid, units, 'right')
  grid.join('a')
  grid.advance(90_000)
  const states = Array.from({ length: units }, (_, unit) => grid.record(unit, owner)!.state)
  assert.equal(states.slice(contradicted), Array(8).fill('settled'))
  assert.ok(states.slice(0, contradicted).every((state) => state !== 'settled'))
  grid.finish()
})

test('whoever owns a shard anew does not doubt what was settled before it came', () => {
  const grid = gridOf(4)
  makeUp(grid, 4, 'right')
  const [newcomer] = grid.owners
  grid.handle(newcomer!, { type: 'shardClosed', jobId: grid.jobId, shard: 0 })
  grid.handle(newcomer!, { type: 'jobOpened', jobId: grid.jobId, spec: grid.specs.get(grid.jobId)!, orders: [] })
  const ranges = [{ first: 0, count: 4 }]
  const opened = { type: 'shardOpened', jobId: grid.jobId, shard: 0, ranges, restarted: false } as const
  grid.handle(newcomer!, { ...opened, awaitsOthers: true })
  for (const { checked } of grid.facts)
    grid.handle(newcomer!, {
      type: 'reportKept',
      session: undefined,
      report: checked,
      stored: new Set(checked.votes.map(({ unit }) => unit)),
      wallMs: 0,
      live: false,
    })
  grid.handle(newcomer!, { type: 'othersAsked', jobId: grid.jobId, shard: 0 })
  grid.advance(3_000)
  assert.ok(grid.isFinished(grid.jobId, newcomer))
  assert.not(grid.isFinished(grid.jobId, grid.owners[1]))
  grid.finish()
})

for (const [restarted, told] of [
  [false, 'nor does it doubt for three minutes what those granted before who had left when it came'],
  [true, 'an owner that was there before goes on doubting strangers that it has on its disk'],
] as const)
  test(told, () => {
    const grid = gridOf(6)
    makeUp(grid, 6, 'right')
    const [owner] = grid.owners
    grid.handle(owner!, { type: 'shardClosed', jobId: grid.jobId, shard: 0 })
    grid.handle(owner!, { type: 'jobOpened', jobId: grid.jobId, spec: grid.specs.get(grid.jobId)!, orders: [] })
    const ranges = [{ first: 0, count: 6 }]
    const opened = { type: 'shardOpened', jobId: grid.jobId, shard: 0, ranges, restarted } as const
    grid.handle(owner!, { ...opened, awaitsOthers: true })
    const hear = (units: readonly number[]) => {
      for (const { checked } of grid.facts)
        if (checked.votes.every(({ unit }) => units.includes(unit)))
          grid.handle(owner!, {
            type: 'reportKept',
            session: undefined,
            report: checked,
            stored: new Set(units),
            wallMs: 0,
            live: false,
          })
    }
    hear([0, 1])
    grid.handle(owner!, { type: 'othersAsked', jobId: grid.jobId, shard: 0 })
    grid.advance(10_000)
    hear([2, 3])
    grid.advance(3_000)
    const settled = () => owner!.core.shard(grid.jobId, 0)!.settledCount
    assert.is(settled(), restarted ? 2 : 4)
    grid.advance(180_000)
    hear([4, 5])
    grid.advance(3_000)
    assert.is(settled(), restarted ? 2 : 4, 'later it is a stranger like any other')
    grid.finish()
  })

test.run()
