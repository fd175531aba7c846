import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OwnerGrid, type OwnerNode } from '../../../../support/cores/owner-grid.js'
import type { Volunteer } from '../../../../support/cores/volunteer.js'

const NONE = { policy: { type: 'none' } } as const
const SUBMITTER = 'ab'.repeat(32)

/** Lets a volunteer prove itself on a job of its own, so that its window is wide. */
function prove(grid: OwnerGrid, volunteer: Volunteer, name = `proof of ${volunteer.name}`): void {
  const jobId = grid.submit(name, 8, { ...NONE, workers: [volunteer.key] })
  for (let i = 0; i < 8; i++) volunteer.answer(volunteer.units(jobId), 'right', { jobId, wallMs: 1_000 })
  assert.ok(grid.isFinished(jobId))
}

// ------------------------------------------------------------------------------------------------------------- endgame

const endgame = suite('The end of a job')

endgame('is approached in smaller portions, so that nobody sits on a queue while others are idle', () => {
  const grid = new OwnerGrid({ units: 0 })
  const a = grid.join('a', { want: 64 })
  const b = grid.join('b', { want: 64 })
  prove(grid, a)
  prove(grid, b)
  const jobId = grid.submit('last', 16, NONE)
  assert.is(Math.max(a.units(jobId).length, b.units(jobId).length), 4, 'a quarter each of what is left, for two')
  grid.finish()
})

/** Five quick units tell how long they take: a second. The sixth does not come back. */
function withStraggler(): { grid: OwnerGrid; slow: Volunteer; idle: Volunteer } {
  const grid = new OwnerGrid({ units: 6, spec: NONE })
  const quick = grid.join('quick')
  for (let i = 0; i < 4; i++) {
    grid.advance(1_000)
    quick.answer()
  }
  const slow = grid.join('slow')
  grid.advance(1_000)
  quick.answer()
  assert.equal(slow.units(), [5])
  assert.equal(quick.units(), [])
  return { grid, slow, idle: quick }
}

endgame('copies a straggler once to an idle worker, and withdraws the loser at once', () => {
  const { grid, slow, idle } = withStraggler()
  const third = grid.join('third')
  grid.advance(2_000)
  const [copy, ...more] = [idle, third].filter((one) => one.units().length > 0)
  assert.ok(copy)
  assert.equal(more, [], 'one extra copy, not two')
  grid.advance(20_000)
  assert.is(grid.record(5)!.held.length, 2)
  copy!.answer()
  assert.ok(grid.isFinished())
  assert.equal(slow.withdrawn, [5])
  grid.finish()
})

endgame('does not copy what takes no longer than usual', () => {
  const grid = new OwnerGrid({ units: 6, spec: NONE })
  const slow = grid.join('slow')
  const quick = grid.join('quick')
  for (let i = 0; i < 5; i++) {
    grid.advance(10_000)
    quick.answer()
  }
  slow.answer()
  grid.join('idle')
  grid.finish()
})

endgame('copies nothing for a key that waits for its answers to settle while units are open', () => {
  const grid = new OwnerGrid({ units: 30 })
  const slow = grid.join('slow')
  const partners = [grid.join('b'), grid.join('c')]
  for (let i = 0; i < 6; i++) {
    grid.advance(1_000)
    for (const one of partners) one.answer()
  }
  const hoarder = grid.join('hoarder', { want: 4 })
  hoarder.answer()
  grid.advance(30_000)
  assert.not(hoarder.granted.some(({ unit, opinion }) => unit === slow.units()[0] && opinion === 1))
  grid.finish()
})

endgame('does not take credit from the loser', () => {
  const { grid, slow, idle } = withStraggler()
  grid.advance(2_000)
  idle.answer()
  assert.is(grid.owner.core.connected.workers, 2)
  const jobId = grid.submit('next', 10, NONE)
  assert.is(slow.units(jobId).length, 1)
  grid.finish()
})

endgame.run()

// ---------------------------------------------------------------------------------------------------------- fair share

const shares = suite('Shares')

const submitterOf = (name: string) => name.repeat(32) as typeof SUBMITTER & never

function countOf(volunteer: Volunteer, jobId: string): number {
  return volunteer.granted.filter((held) => held.jobId === jobId).length
}

shares('are equal between submitters, however many jobs one has', () => {
  const grid = new OwnerGrid({ units: 0 })
  const ann = ['a1', 'a2', 'a3'].map((name) => grid.submit(name, 500, { ...NONE, submitter: submitterOf('aa') }))
  const bob = grid.submit('b1', 500, { ...NONE, submitter: submitterOf('bb') })
  const worker = grid.join('w')
  for (let i = 0; i < 100; i++) {
    for (const jobId of [...ann, bob]) worker.answer(worker.units(jobId), 'right', { jobId })
  }
  const annGot = ann.reduce((sum, jobId) => sum + countOf(worker, jobId), 0)
  assert.ok(Math.abs(annGot - countOf(worker, bob)) <= 2, `${annGot} against ${countOf(worker, bob)}`)
  grid.finish()
})

shares('of a volunteer with weights follow them, whatever others are given', () => {
  const grid = new OwnerGrid({ units: 0 })
  const ann = grid.submit('ann', 5_000, { ...NONE, submitter: submitterOf('aa') })
  const bob = grid.submit('bob', 5_000, { ...NONE, submitter: submitterOf('bb') })
  const fair = grid.join('fair')
  const weighted = grid.join('weighted', { weights: new Map([[submitterOf('aa'), 3]]) })
  for (let i = 0; i < 400; i++) {
    for (const worker of [fair, weighted]) {
      const [held] = [...worker.hand.values()]
      worker.answer([held!.unit], 'right', { jobId: held!.jobId, wallMs: 1_000 })
    }
  }
  const ratio = countOf(weighted, ann) / countOf(weighted, bob)
  assert.ok(ratio > 2.8 && ratio < 3.2, `${ratio} of ann for one of bob`)
  grid.finish()
})

shares('are counted in time, not in units', () => {
  const grid = new OwnerGrid({ units: 0 })
  const long = grid.submit('long', 5_000, { ...NONE, submitter: submitterOf('aa') })
  const short = grid.submit('short', 5_000, { ...NONE, submitter: submitterOf('bb') })
  const worker = grid.join('w')
  for (let i = 0; i < 600; i++) {
    const [held] = [...worker.hand.values()]
    const wallMs = held!.jobId === long ? 10_000 : 1_000
    worker.answer([held!.unit], 'right', { jobId: held!.jobId, wallMs })
  }
  const ratio = countOf(worker, short) / countOf(worker, long)
  assert.ok(ratio > 8 && ratio < 12, `${ratio} short units for a long one`)
  grid.finish()
})

shares('are not owed for the time a submitter had no work', () => {
  const grid = new OwnerGrid({ units: 0 })
  const early = grid.submit('early', 10, { ...NONE, submitter: submitterOf('aa') })
  const worker = grid.join('w')
  for (let i = 0; i < 10; i++) worker.answer(worker.units(early), 'right', { jobId: early })
  const steady = grid.submit('steady', 1_000, { ...NONE, submitter: submitterOf('bb') })
  for (let i = 0; i < 200; i++) worker.answer(worker.units(steady), 'right', { jobId: steady })
  const again = grid.submit('again', 1_000, { ...NONE, submitter: submitterOf('aa') })
  const before = countOf(worker, steady)
  for (let i = 0; i < 40; i++)
    for (const jobId of [steady, again]) worker.answer(worker.units(jobId), 'right', { jobId })
  const steadyGot = countOf(worker, steady) - before
  assert.ok(steadyGot >= 15 && steadyGot <= 45, `${steadyGot} for the one that was there`)
  grid.finish()
})

/** A worker that always has hundreds of units of `tiny` in hand, a millisecond each. */
function fullOfTiny(grid: OwnerGrid): { worker: Volunteer; refill: () => void } {
  const worker = grid.join('w', { want: 1_000 })
  const tiny = grid.submit('tiny', 100_000, NONE)
  const refill = () => {
    const hand = worker.units(tiny)
    const done = hand.slice(0, Math.ceil(hand.length / 4))
    worker.answer(done, 'right', { jobId: tiny, wallMs: done.length })
  }
  for (let i = 0; i < 40; i++) refill()
  assert.ok(worker.units(tiny).length > 500, `${worker.units(tiny).length} tiny units in hand`)
  return { worker, refill }
}

shares('reach the last units of a job while another one keeps every worker full', () => {
  const grid = new OwnerGrid({ units: 0 })
  const { worker, refill } = fullOfTiny(grid)
  const few = grid.submit('few', 3, { ...NONE, submitter: submitterOf('bb') })
  for (let i = 0; i < 20; i++) {
    refill()
    worker.answer(worker.units(few), 'right', { jobId: few })
  }
  assert.ok(grid.isFinished(few), `${3 - countOf(worker, few)} of 3 never granted`)
  grid.finish()
})

shares('reach a job of long units while tiny ones fill a window that is many times its own', () => {
  const grid = new OwnerGrid({ units: 0 })
  const { worker, refill } = fullOfTiny(grid)
  const long = grid.submit('long', 1_000, { ...NONE, submitter: submitterOf('bb') })
  for (let i = 0; i < 20; i++) {
    refill()
    worker.answer(worker.units(long).slice(0, 1), 'right', { jobId: long, wallMs: 10_000 })
  }
  assert.ok(countOf(worker, long) >= 20, `${countOf(worker, long)} long units in 20 rounds`)
  grid.finish()
})

shares('inside one submitter go by priority, which an order may change', () => {
  const grid = new OwnerGrid({ units: 50, spec: NONE })
  const urgent = grid.submit('urgent', 50, { ...NONE, priority: 10 })
  const worker = grid.join('w')
  assert.equal([worker.units(urgent).length, worker.units().length], [1, 0])
  grid.order({ type: 'amend', priority: 20, expiresAtMs: undefined, maxInstances: undefined, ownerRadius: undefined })
  worker.answer(worker.units(urgent), 'right', { jobId: urgent })
  assert.ok(worker.units().length > 0, 'the other is first now')
  grid.finish()
})

shares('leave out workers that may not, and tell them why', () => {
  const grid = new OwnerGrid({
    units: 5,
    spec: { limits: { ...new OwnerGrid().specs.values().next().value!.limits, memoryBytes: 2 ** 20 } },
  })
  const small = grid.join('small', { memoryBytes: 1_000 })
  const other = grid.join('other', { tasks: ['mersenne@1'] })
  assert.is(small.idle, 'the worker offers 1000 B of memory, a unit may use 1 MiB')
  assert.is(other.idle, 'the worker does not have the task primes@1')
  assert.match(grid.waiting(), '2 workers connected, none may take it')
  grid.finish()
})

shares('cost a worker nothing for many jobs of others that it cannot work on', () => {
  const grid = new OwnerGrid({ units: 50, spec: NONE })
  const volunteer = grid.join('a')
  let looks = 0
  for (let i = 0; i < 200; i++) {
    const jobId = grid.submit(`stranger ${i}`, 10, { task: { type: 'builtin', name: 'unknown', version: 1 } })
    Object.defineProperty(grid.specs.get(jobId), 'workers', {
      get: () => {
        looks++
        return []
      },
    })
  }
  for (let i = 0; i < 10; i++) volunteer.answer()
  grid.advance(1_000)
  assert.ok(looks < 10, `${looks} jobs looked at`)
  assert.ok(volunteer.units().length > 0)
})

shares.run()

// -------------------------------------------------------------------------------------------------------- many owners

const THREE = { owners: 3, spec: { minGrantors: 2 } } as const

const many = suite('Three owners of a shard')

const grantsBy = (volunteers: readonly Volunteer[], owner: OwnerNode) =>
  volunteers.flatMap((one) => one.granted.filter((held) => held.owner === owner))

many('prefer different blocks, so that each unit is granted once', () => {
  const grid = new OwnerGrid({ ...THREE, units: 64 * 30 })
  const workers = ['a', 'b', 'c', 'd'].map((name) => grid.join(name, { slots: 16, want: 16 }))
  const firsts = workers.flatMap(({ granted }) => granted.filter(({ opinion }) => opinion === 0))
  assert.is(new Set(firsts.map(({ unit }) => unit)).size, firsts.length, 'no first opinion twice')
  const blocks = new Map<number, Set<OwnerNode>>()
  for (const { unit, owner } of firsts) {
    const block = Math.floor(unit / 64)
    blocks.set(block, (blocks.get(block) ?? new Set()).add(owner))
  }
  for (const owners of blocks.values()) assert.is(owners.size, 1)
  grid.finish()
})

many('let another owner grant the second opinion, because one alone cannot settle a unit', () => {
  const grid = new OwnerGrid({ ...THREE, units: 128 })
  const workers = ['a', 'b', 'c'].map((name) => grid.join(name, { slots: 4, want: 8 }))
  for (let i = 0; i < 200; i++) {
    for (const one of workers) one.answer()
    grid.advance(500)
  }
  assert.is(grid.summary().settled, 128)
  for (const unit of [0, 64, 100]) {
    const grantors = new Set(grid.record(unit)!.votes.map(({ grantor }) => grantor))
    assert.is(grantors.size, 2)
  }
  grid.finish()
})

many('do the work of one that has stopped after two seconds, first and further opinions', () => {
  const grid = new OwnerGrid({ ...THREE, units: 64 * 6 })
  const stalled = grid.owners[2]!
  grid.kill(stalled)
  const workers = ['a', 'b', 'c'].map((name) => grid.join(name, { slots: 16, want: 32 }))
  for (let i = 0; i < 60; i++) {
    for (const one of workers) one.answer()
    grid.advance(500)
  }
  assert.ok(grid.isFinished(), `${grid.summary().open} open of 384 after 30 s`)
  assert.equal(grantsBy(workers, stalled), [])
  grid.finish()
})

many('take over blocks at once when they are the only one left', () => {
  const grid = new OwnerGrid({ ...THREE, units: 64 * 6, spec: { minGrantors: 1 } })
  const { owner, jobId } = grid
  const workers = Array.from({ length: 48 }, (_, i) => grid.join(`worker ${i}`, { slots: 8, want: 0 }))
  for (const one of workers) one.want(8, owner)
  grid.advance(1_000)
  const before = grid.summary().leased
  assert.ok(before < 384, 'some blocks are for others')
  grid.handle(owner, { type: 'ownersChanged', jobId, shard: 0, owners: [owner.nodeId] })
  for (const one of workers) one.want(7, owner)
  assert.ok(grid.summary().leased > before)
  grid.finish()
})

many('grant what went over to them in turns with further opinions, of which there is no end', () => {
  const grid = new OwnerGrid({ owners: 2, units: 64 * 6, spec: { minGrantors: 1 } })
  const [owner, lost] = grid.owners as [OwnerNode, OwnerNode]
  const first = grid.join('first', { slots: 8, want: 0 })
  const second = grid.join('second', { slots: 8, want: 0 })
  second.want(0, owner, true)
  first.want(8, owner)
  for (let i = 0; i < 6; i++) first.answer()
  const ofLost = new Set(
    Array.from({ length: 64 * 6 }, (_, unit) => unit).filter((unit) => !owner.core.isFirst(grid.jobId, 0, unit)),
  )
  grid.kill(lost)
  grid.handle(owner, { type: 'ownersChanged', jobId: grid.jobId, shard: 0, owners: [owner.nodeId] })
  const waiting = [...owner.core.outstanding()].filter(({ isKept }) => isKept).length
  assert.ok(waiting >= 8, `${waiting} further opinions wait for one worker`)
  for (let i = 0; i < 8; i++) {
    second.want(1, owner)
    second.answer()
  }
  const opinions = second.granted.map(({ unit, opinion }) =>
    opinion > 0 ? 'further' : ofLost.has(unit) ? 'inherited' : 'own',
  )
  assert.equal(opinions.slice(0, 6), ['further', 'inherited', 'further', 'inherited', 'further', 'inherited'])
  grid.finish()
})

many('wait two seconds before they bypass one that is only not asked', () => {
  const grid = new OwnerGrid({ ...THREE, units: 64 })
  const preferred = grid.owners.findIndex((owner) => {
    const probe = new OwnerGrid({ ...THREE, units: 64 })
    const one = probe.join('probe', { want: 0 })
    one.want(1, probe.owners[grid.owners.indexOf(owner)]!)
    return one.units().length > 0
  })
  const other = grid.owners[(preferred + 1) % 3]!
  const worker = grid.join('w', { want: 0 })
  worker.want(1, other)
  grid.advance(1_500)
  assert.equal(worker.units(), [])
  grid.advance(1_500)
  assert.is(worker.units().length, 1)
  grid.finish()
})

many('respect what another has handed out, and take over when it and its worker are gone', () => {
  const grid = new OwnerGrid({ ...THREE, units: 1 })
  const a = grid.join('a')
  const [held] = a.granted
  const b = grid.join('b')
  grid.advance(20_000)
  assert.equal(b.units(), [], 'the unit is out')
  grid.kill(held!.owner)
  a.leave()
  grid.advance(8_000)
  assert.equal(b.units(), [0])
  grid.finish()
})

many('leave a unit with its worker when the owner that granted it is gone', () => {
  const grid = new OwnerGrid({ ...THREE, units: 1 })
  const a = grid.join('a')
  const [held] = a.granted
  const b = grid.join('b')
  const [heir] = grid.owners.filter((one) => one !== held!.owner)
  grid.kill(held!.owner)
  a.leave(heir)
  a.connect({ to: heir! })
  grid.advance(20_000)
  assert.equal(b.units(), [], 'its ticket is a lease at the owners that are left')
  a.answer([0])
  grid.advance(5_000)
  assert.equal(b.units(), [0])
  grid.finish()
})

many('do not grant what would not count: a grantor whose share of the votes is used up', () => {
  const grid = new OwnerGrid({ ...THREE, units: 1 })
  const a = grid.join('a')
  const { owner } = a.granted[0]!
  for (const other of grid.owners) if (other !== owner) grid.kill(other)
  const b = grid.join('b')
  a.answer()
  grid.advance(30 * 60_000)
  assert.equal(b.units(), [])
  const other = grid.owners.find((one) => one !== owner)!
  grid.restart(other)
  b.connect({ to: other })
  grid.advance(6_000)
  assert.equal(b.units(), [0])
  b.answer()
  assert.ok(grid.isFinished(grid.jobId, other))
  grid.finish()
})

many('end a lease when its answer comes by way of another owner', () => {
  const grid = new OwnerGrid({ ...THREE, units: 1 })
  const a = grid.join('a')
  const { owner } = a.granted[0]!
  a.leave(owner)
  a.answer([0])
  assert.is(grid.record(0, owner)!.held.length, 0)
  const b = grid.join('b')
  grid.advance(6_000)
  assert.equal(b.units(), [0])
  grid.finish()
})

many('settle everything although one dies in the middle and comes back', () => {
  const grid = new OwnerGrid({ ...THREE, units: 300 })
  const workers = ['a', 'b', 'c', 'd'].map((name) => grid.join(name, { slots: 4, want: 8 }))
  const victim = grid.owners[1]!
  for (let i = 0; i < 150; i++) {
    if (i === 5) grid.kill(victim)
    if (i === 30) {
      grid.restart(victim)
      for (const one of workers) one.connect({ to: victim })
    }
    for (const one of workers) one.answer()
    grid.advance(500)
  }
  for (const owner of grid.owners) assert.ok(grid.isFinished(grid.jobId, owner))
  grid.finish()
})

many.run()
