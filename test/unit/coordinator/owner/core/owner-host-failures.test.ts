import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'

const NONE = { policy: { type: 'none' } } as const

const failures = suite('Host failures')

failures('are no votes: the unit goes to another host after a back-off that grows', () => {
  const grid = new OwnerGrid({ units: 1, spec: NONE })
  const a = grid.join('a')
  const b = grid.join('b')
  a.answer([0], '', { outcome: 'host' })
  assert.equal(b.units(), [])
  grid.advance(1_600)
  assert.equal(b.units(), [0])
  b.answer([0], '', { outcome: 'host' })
  const c = grid.join('c')
  grid.advance(1_500)
  assert.equal(c.units(), [], 'the second wait is longer')
  grid.advance(1_100)
  assert.equal(c.units(), [0])
  c.answer()
  assert.ok(grid.isFinished())
  grid.finish()
})

failures('of the only host there is do not end the unit: it may try again', () => {
  const grid = new OwnerGrid({ units: 1, spec: NONE })
  const a = grid.join('a')
  a.answer([0], '', { outcome: 'host' })
  grid.advance(2_000)
  assert.equal(a.units(), [0])
  a.answer()
  assert.ok(grid.isFinished())
  grid.finish()
})

failures('in a row keep a host from their job for a while, and from no other', () => {
  const grid = new OwnerGrid({ units: 40, spec: NONE })
  const a = grid.join('a')
  for (let i = 0; i < 3; i++) {
    a.answer(a.units(), '', { outcome: 'host' })
    grid.advance(100)
  }
  assert.equal(a.units(), [])
  const other = grid.submit('other', 4, NONE)
  for (let i = 0; i < 4; i++) a.answer(a.units(other), 'right', { jobId: other })
  assert.ok(grid.isFinished(other))
  assert.equal(a.units(), [], 'what went well elsewhere says nothing of this job')
  grid.advance(8_500)
  assert.is(a.units().length, 1)
  a.answer()
  a.answer(a.units(), '', { outcome: 'host' })
  assert.is(a.units().length, 1, 'one that went well ends it')
  grid.finish()
})

failures('of maxErrors different hosts hold the unit, and say so', () => {
  const grid = new OwnerGrid({ units: 1, spec: { ...NONE, maxErrors: 2 } })
  const all = ['a', 'b', 'c'].map((name) => grid.join(name))
  for (let i = 0; i < 2; i++) {
    all.find((one) => one.units().length > 0)!.answer([0], '', { outcome: 'host' })
    grid.advance(3_000)
  }
  assert.is(grid.summary().held, 1)
  assert.is(grid.waiting(), '1 unit held after failures of 2 hosts')
  grid.advance(5 * 60_000)
  assert.is(grid.summary().leased, 0)
  grid.advance(6 * 60_000)
  assert.is(grid.summary().leased, 1, 'released by itself')
  grid.finish()
})

failures('held are released at once by the order of the submitter', () => {
  const grid = new OwnerGrid({ units: 1, spec: { ...NONE, maxErrors: 1 } })
  grid.join('a').answer([0], '', { outcome: 'host' })
  const b = grid.join('b')
  grid.advance(30_000)
  assert.is(grid.summary().held, 1)
  grid.order({ type: 'release', units: [{ first: 0, count: 1 }] })
  grid.advance(600)
  assert.equal(b.units(), [0])
  b.answer()
  assert.ok(grid.isFinished())
  grid.finish()
})

failures('do not hold a unit again that was released by itself and then is answered', () => {
  const grid = new OwnerGrid({ units: 1, spec: { maxErrors: 1 } })
  const a = grid.join('a')
  a.answer([0], '', { outcome: 'host' })
  grid.advance(11 * 60_000)
  a.leave()
  grid.advance(2_000)
  const b = grid.join('b')
  const c = grid.join('c')
  grid.advance(2_000)
  const first = b.units().length > 0 ? b : c
  const second = first === b ? c : b
  first.answer()
  grid.advance(1_000)
  assert.equal(second.units(), [0])
  second.answer()
  assert.ok(grid.isFinished())
  grid.finish()
})

failures('in a row cost the host: it is given nothing for a while', () => {
  const grid = new OwnerGrid({ units: 20, spec: { ...NONE, maxErrors: 10 } })
  const broken = grid.join('broken')
  for (let i = 0; i < 3; i++) broken.answer(broken.units(), '', { outcome: 'host' })
  assert.equal(broken.units(), [])
  grid.advance(5_000)
  assert.equal(broken.units(), [])
  grid.advance(5_000)
  assert.is(broken.units().length, 1)
  grid.finish()
})

failures('never fail a unit', () => {
  const grid = new OwnerGrid({ units: 1, spec: { ...NONE, maxErrors: 2 } })
  for (let i = 0; i < 6; i++) {
    const one = grid.join(`host ${i}`)
    grid.advance(15 * 60_000)
    if (one.units().length > 0) one.answer([0], '', { outcome: 'host' })
    one.leave()
    grid.advance(2_000)
  }
  assert.is(grid.summary().failed, 0)
  grid.finish()
})

failures.run()
