import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { SessionId } from '../../../../../coordinator/owner/core/messages.js'
import { specDefaults } from '../../../../../job/spec/spec.js'
import type { UnitWait, WorkerBar } from '../../../../../proto/explain-messages.js'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'
import type { Volunteer } from '../../../../support/cores/volunteer.js'

const MIB = 2 ** 20

function sight(grid: OwnerGrid, unit?: number) {
  const found = grid.owner.core.explain(grid.jobId, unit, grid.now)
  assert.ok(found, 'the owner has the job')
  return found
}

/** How many units wait for what, as `wait count`. */
function waits(grid: OwnerGrid): string[] {
  return sight(grid)
    .shards.flatMap(({ groups }) => groups.map(({ wait, units }): [UnitWait, number] => [wait, units]))
    .map(([wait, units]) => `${wait} ${units}`)
    .sort()
}

function bars(grid: OwnerGrid): [WorkerBar, string, number][] {
  return sight(grid).workers.map(({ bar, value, workers }) => [bar, value, workers])
}

function want(grid: OwnerGrid, volunteer: Volunteer, instances: number, changes: object): void {
  const session = volunteer.sessions.get(grid.owner) as SessionId
  grid.handle(grid.owner, { type: 'wantChanged', session, instances, ...changes })
}

const workers = suite('What an owner says of its workers')

workers('none is connected', () => {
  const grid = new OwnerGrid({ units: 2 })
  assert.equal([bars(grid), sight(grid).workersAble, waits(grid)], [[], 0, ['untouched 2']])
})

workers('who offers too little memory, and how much', () => {
  const grid = new OwnerGrid({ units: 2, spec: { limits: { ...specDefaults.limits, memoryBytes: 256 * MIB } } })
  grid.join('small', { memoryBytes: 64 * MIB })
  assert.equal(bars(grid), [['memory', String(64 * MIB), 1]])
  assert.is(sight(grid).workersAble, 0)
})

workers('which version of the task it has instead', () => {
  const grid = new OwnerGrid({ units: 2 })
  grid.join('old', { tasks: ['primes@7', 'other@1'] })
  assert.equal(bars(grid), [['task', 'primes@7', 1]])
})

workers('who is restrained, by what, and not once it wants work again', () => {
  const grid = new OwnerGrid({ units: 2 })
  const a = grid.join('a', { want: 0 })
  want(grid, a, 0, { restraint: 'pause' })
  grid.advance(4_000)
  const [group] = sight(grid).workers
  assert.equal([group?.bar, group?.value, group?.sinceMs], ['restrained', 'pause', 4_000])
  assert.is(sight(grid).workersAble, 0)
  assert.match(grid.owner.core.report(grid.jobId, 0)!.waiting, /1 worker connected, none may take it: paused/)
  want(grid, a, 1, {})
  assert.equal(bars(grid), [['full', '', 1]])
  assert.is(sight(grid).workersAble, 1)
})

workers('who has no room while another job of the submitter comes first, and which', () => {
  const grid = new OwnerGrid({ units: 2, spec: { policy: { type: 'none' } } })
  const a = grid.join('a')
  const older = grid.jobId
  const younger = grid.submit('younger', 2, { policy: { type: 'none' } })
  const seen = () =>
    grid.owner.core.explain(younger, undefined, grid.now)!.workers.map(({ bar, value }) => [bar, value])
  assert.equal(seen(), [['full', older]])
  a.answer()
  assert.equal([a.units(older).length, seen()], [1, [['full', '']]], 'nothing of the other is left to give')
  grid.finish()
})

workers('who declines the submitter gets nothing of the job, and everything once it does not', () => {
  const grid = new OwnerGrid({ units: 2 })
  const a = grid.join('a', { want: 0 })
  want(grid, a, 1, { declined: [{ jobId: grid.jobId, reason: 'refuse' }] })
  grid.advance(2_000)
  assert.equal([bars(grid), a.units()], [[['refused', 'refuse', 1]], []])
  want(grid, a, 1, { declined: [] })
  assert.is(a.units().length, 1)
})

workers('whose answers wait for those of others', () => {
  const grid = new OwnerGrid({ units: 4 })
  const a = grid.join('a')
  a.answer([0])
  assert.equal(bars(grid), [['window', '1', 1]])
})

workers.run()

const units = suite('What an owner says of its units')

units('a unit is computed, then waits for another donor, is drawn for one, and is done', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  assert.equal(waits(grid), ['computing 1'])
  a.answer([0])
  assert.equal(waits(grid), ['donor 1'])
  grid.advance(7_000)
  assert.is(sight(grid).shards[0]!.groups[0]!.sinceMs, 7_000)
  const b = grid.join('b')
  assert.equal(waits(grid), ['computing 1'])
  assert.equal(
    sight(grid, 0).events.map(({ what }) => what),
    ['granted', 'answered', 'drawn', 'granted'],
  )
  b.answer([0])
  assert.equal(waits(grid), [])
  const { unit, events } = sight(grid, 0)
  assert.equal([unit?.state, unit?.wait, events.at(-1)?.what], ['settled', 'done', 'settled'])
})

units('answers that differ make it disputed', () => {
  const grid = new OwnerGrid({ units: 1 })
  grid.join('a').answer([0], 'right')
  grid.join('b').answer([0], 'wrong')
  assert.equal(waits(grid), ['disputed 1'])
})

units('failures of hosts let it rest, then hold it', () => {
  const grid = new OwnerGrid({ units: 1, spec: { maxErrors: 2 } })
  const a = grid.join('a')
  a.answer([0], '', { outcome: 'host' })
  a.leave()
  assert.equal(waits(grid), ['delay 1'])
  assert.ok(sight(grid, 0).unit!.restingMs > 0)
  grid.advance(2_000)
  const b = grid.join('b')
  b.answer([0], '', { outcome: 'host' })
  assert.equal(waits(grid), ['held 1'])
  const { unit } = sight(grid, 0)
  assert.equal([unit?.errors, unit?.errorsMax, unit?.state], [2, 2, 'held'])
})

units('what is lost with a broken stream says so', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  a.leave()
  grid.advance(2_000)
  assert.equal(
    sight(grid, 0).events.map(({ what, detail }) => [what, detail]),
    [
      ['granted', ''],
      ['lost', 'its connection broke'],
    ],
  )
  assert.equal(waits(grid), ['again 1'])
})

units(
  'that were decided before a restart have no past that is told with wrong times, and none of them is ready',
  () => {
    const grid = new OwnerGrid({ units: 2 })
    const [a, b] = [grid.join('a', { slots: 2 }), grid.join('b', { slots: 2 })]
    for (let i = 0; i < 3; i++) {
      grid.advance(1_000)
      a.answer()
      b.answer()
    }
    assert.ok(grid.isFinished())
    assert.is(grid.summary().ready, 0)
    assert.ok(sight(grid, 0).events.some(({ what }) => what === 'settled'))
    grid.restart(grid.owner)
    assert.equal(sight(grid, 0).events, [])
    assert.is(sight(grid, 0).unit?.state, 'settled')
  },
)

units('no more than sixteen events of a unit are kept', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  for (let i = 0; i < 20; i++) {
    a.leave()
    grid.advance(2_000)
    a.hand.clear()
    a.connect()
  }
  assert.is(sight(grid, 0).events.length, 16)
})

units.run()
