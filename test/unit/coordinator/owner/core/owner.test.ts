import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'

const NONE = { policy: { type: 'none' } } as const
const HOUR_MS = 3_600_000

// --------------------------------------------------------------------------------------------------------------- leases

const leases = suite('Leases')

leases('of a broken stream end about a second later, and the units go elsewhere', () => {
  const grid = new OwnerGrid({ units: 4 })
  const a = grid.join('a', { slots: 4 })
  const b = grid.join('b', { slots: 4 })
  a.leave()
  grid.advance(900)
  assert.equal(b.units(), [])
  grid.advance(600)
  assert.equal(b.units(), [0, 1, 2, 3])
  grid.finish()
})

leases('outlive an owner that stood still: what workers said meanwhile is not read yet', () => {
  const grid = new OwnerGrid()
  const a = grid.join('a', { slots: 2 })
  const held = a.units()
  assert.is(held.length, 2)
  grid.now += 3_600_000
  grid.handle(grid.owner, { type: 'woke' })
  assert.equal(a.units(), held)
  assert.equal(grid.log.take('closeSession'), [])
  assert.is(grid.summary().leased, 2)
  a.heartbeats = false
  grid.advance(31_000)
  assert.is(grid.log.take('closeSession').length, 1, 'from then on silence counts')
  grid.finish()
})

leases('of a worker that is silent end after 30 s, and its stream is closed', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  const b = grid.join('b')
  a.heartbeats = false
  grid.advance(29_000)
  assert.equal(b.units(), [])
  grid.advance(2_000)
  assert.equal(b.units(), [0])
  assert.is(grid.log.one('closeSession').session, a.sessions.get(grid.owner))
  grid.finish()
})

leases('last while the worker says it is there and its fuel moves, beyond the delay bound', () => {
  const grid = new OwnerGrid({ units: 1, spec: { delayBoundMs: 60_000 } })
  const a = grid.join('a')
  for (let i = 1; i <= 10; i++) {
    grid.advance(50_000)
    a.progress(BigInt(i))
  }
  assert.equal([a.units(), a.withdrawn, a.granted.length], [[0], [], 1])
  grid.finish()
})

leases('end at the delay bound when the fuel stands still, although the worker is there', () => {
  const grid = new OwnerGrid({ units: 1, spec: { delayBoundMs: 60_000 } })
  const a = grid.join('a')
  grid.join('b', { want: 0 })
  a.progress(5n)
  for (let i = 1; i <= 5; i++) {
    grid.advance(11_000)
    a.progress(5n)
  }
  assert.equal(a.units(), [0])
  grid.advance(10_000)
  assert.equal(a.withdrawn, [0])
  grid.finish()
})

leases('are not renewed by fuel of a unit that somebody else holds', () => {
  const grid = new OwnerGrid({ units: 1, spec: { delayBoundMs: 60_000 } })
  grid.join('a')
  const b = grid.join('b')
  for (let i = 1; i <= 7; i++) {
    grid.advance(10_000)
    b.progress(BigInt(i), [0])
  }
  assert.equal(b.units(), [0])
  grid.finish()
})

leases('are bounded by three times the 95th percentile once five reports exist', () => {
  const grid = new OwnerGrid({ units: 10, spec: { ...NONE, delayBoundMs: HOUR_MS } })
  const a = grid.join('a')
  for (let i = 0; i < 5; i++) {
    grid.advance(20_000)
    a.answer(a.units().slice(0, 1))
  }
  const last = [...a.hand.values()].at(-1)!
  assert.is(last.grant.durationMs, 60_000)
  grid.finish()
})

leases('of a worker that comes back with its tickets go on, and nothing is issued again', () => {
  const grid = new OwnerGrid({ units: 4 })
  const a = grid.join('a', { slots: 4 })
  const b = grid.join('b', { slots: 4 })
  a.leave()
  grid.advance(800)
  a.connect()
  grid.advance(10_000)
  assert.equal(a.units(), [0, 1, 2, 3])
  assert.equal(b.units(), [])
  grid.finish()
})

leases('end for what a worker that comes back has no ticket of, without loss of credit', () => {
  const grid = new OwnerGrid({ units: 100, spec: NONE })
  const a = grid.join('a', { want: 8 })
  for (let i = 0; i < 4; i++) a.answer()
  const before = a.units().length
  assert.ok(before > 4)
  const [kept] = a.tickets()
  a.leave()
  a.connect({ tickets: [{ ...kept!, runs: [{ first: a.units()[0]!, count: 1, opinion: 0 }] }] })
  assert.is(grid.summary().leased, 8, 'the window is as wide as before')
  grid.finish()
})

leases('of a worker that was restarted end at once where it has no tickets, and its credit with them', () => {
  const grid = new OwnerGrid({ units: 100, spec: NONE })
  const a = grid.join('a', { want: 8 })
  for (let i = 0; i < 4; i++) a.answer()
  const lost = a.units()
  a.leave()
  a.hand.clear()
  const b = grid.join('b', { slots: 8, want: 8 })
  a.connect({ bootId: 'boot 2', want: 8 })
  grid.advance(600)
  assert.is(a.units().length, 1)
  assert.ok(lost.some((unit) => b.units().includes(unit)) || b.units().length === 8)
  grid.finish()
})

leases('are not made by tickets of another key', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  const b = grid.join('b')
  b.leave()
  b.connect({ tickets: a.tickets() })
  assert.is(grid.record(0)!.held.length, 1)
  assert.is(grid.record(0)!.held[0]!.worker.key, a.key)
  grid.finish()
})

leases('are made by no more tickets than an honest worker can hold', () => {
  const grid = new OwnerGrid({ units: 16_384 })
  const greedy = grid.join('greedy', { want: 0 })
  const one = grid.join('a').tickets()[0]!
  greedy.leave()
  const everything = { ...one, worker: greedy.key, runs: [{ first: 0, count: 16_384, opinion: 0 }] }
  greedy.connect({ tickets: Array(256).fill(everything), want: 0 })
  assert.ok(grid.summary().leased <= 32_769)
  grid.finish()
})

leases('end when units are handed back, and the same worker is not asked at once', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  a.handBack([0])
  assert.equal(a.units(), [])
  const b = grid.join('b')
  assert.equal(b.units(), [0])
  grid.finish()
})

leases('handed back come again to the only worker after a rest', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  a.handBack([0])
  grid.advance(500)
  assert.equal(a.units(), [])
  grid.advance(2_000)
  assert.equal(a.units(), [0])
  for (let i = 0; i < 4; i++) {
    a.handBack([0])
    grid.advance(20_000)
  }
  assert.ok(a.granted.length <= 6, 'each rest is longer')
  grid.finish()
})

leases.run()

// ------------------------------------------------------------------------------------------------------------- sessions

const sessions = suite('One key in two places')

sessions('is refused when the first stream answers', () => {
  const grid = new OwnerGrid({ units: 4 })
  const a = grid.join('a')
  const first = a.sessions.get(grid.owner)!
  const second = a.connect({ bootId: 'boot 2' })
  const ping = grid.log.one('pingSession')
  assert.is(ping.session, first)
  assert.is(ping.sameKeyAt, '127.0.0.1', 'and is told of the other')
  grid.handle(grid.owner, { type: 'sessionHeard', session: first })
  const closed = grid.log.one('closeSession')
  assert.is(closed.session, second)
  assert.match(closed.reason, "already runs at 127.0.0.1; make a new one with 'manyhands id new'")
  grid.advance(2_000)
  assert.is(grid.owner.core.connected.workers, 1)
  grid.finish()
})

sessions('goes to the newcomer when the first stream says nothing for a second', () => {
  const grid = new OwnerGrid({ units: 4 })
  const a = grid.join('a')
  const first = a.sessions.get(grid.owner)!
  a.heartbeats = false
  a.hand.clear()
  a.connect({ bootId: 'boot 2' })
  assert.is(grid.log.one('pingSession').session, first)
  grid.advance(900)
  assert.equal(a.units(), [], 'it waits')
  grid.advance(600)
  assert.is(grid.log.one('closeSession').session, first)
  assert.is(a.units().length, 1, 'what it asked for while it waited is not forgotten')
  grid.finish()
})

sessions('goes to the newcomer at once when the first stream breaks meanwhile', () => {
  const grid = new OwnerGrid({ units: 4 })
  const a = grid.join('a')
  const first = a.sessions.get(grid.owner)!
  a.hand.clear()
  a.connect({ bootId: 'boot 2' })
  grid.log.one('pingSession')
  grid.handle(grid.owner, { type: 'sessionClosed', session: first })
  assert.is(a.units().length, 1)
  grid.finish()
})

sessions('keeps only the newest of several newcomers waiting', () => {
  const grid = new OwnerGrid({ units: 4 })
  const a = grid.join('a')
  const second = a.connect({ bootId: 'boot 2' })
  a.connect({ bootId: 'boot 3' })
  assert.is(grid.log.take('pingSession').length, 2)
  assert.is(grid.log.one('closeSession').session, second)
  grid.finish()
})

sessions('is no contradiction when the same process opens a new stream before the old one has ended', () => {
  const grid = new OwnerGrid({ units: 4 })
  const a = grid.join('a')
  const first = a.sessions.get(grid.owner)!
  a.connect()
  assert.is(grid.log.one('closeSession').session, first)
  grid.handle(grid.owner, { type: 'sessionClosed', session: first })
  grid.advance(3_000)
  assert.equal(a.units(), [0])
  assert.is(grid.owner.core.connected.workers, 1)
  grid.finish()
})

sessions.run()

// -------------------------------------------------------------------------------------------------------------- restart

const restarts = suite('A restarted owner')

restarts('grants nothing anew before workers had two seconds to come back with their tickets', () => {
  const grid = new OwnerGrid({ units: 4 })
  const a = grid.join('a', { slots: 4 })
  grid.restart(grid.owner)
  const b = grid.join('b', { slots: 4 })
  grid.advance(1_000)
  assert.equal(b.units(), [])
  a.connect()
  grid.advance(10_000)
  assert.equal(a.units(), [0, 1, 2, 3])
  assert.equal(b.units(), [])
  grid.finish()
})

restarts('does not draw anew for second opinions that are out before their holders could say so', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  const b = grid.join('b')
  a.answer()
  assert.equal(b.units(), [0])
  grid.restart(grid.owner)
  const c = grid.join('c')
  grid.advance(1_000)
  b.connect()
  grid.advance(10_000)
  assert.equal(c.units(), [])
  b.answer()
  assert.ok(grid.isFinished())
  grid.finish()
})

restarts('waits likewise for a shard that is read back while workers are there', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  a.answer()
  const { jobId, owner } = grid
  grid.handle(owner, { type: 'shardClosed', jobId, shard: 0 })
  const c = grid.join('c')
  grid.handle(owner, { type: 'jobOpened', jobId, spec: grid.specs.get(jobId)!, orders: [] })
  grid.handle(owner, { type: 'shardOpened', jobId, shard: 0, ranges: [{ first: 0, count: 1 }], restarted: true })
  const { checked } = grid.facts[0]!
  const stored = new Set([0])
  grid.handle(owner, { type: 'reportKept', session: undefined, report: checked, stored, wallMs: 0, live: false })
  grid.advance(1_500)
  assert.equal(c.units(), [])
  grid.advance(1_500)
  assert.equal(c.units(), [0])
  grid.finish()
})

restarts('grants what nobody came back with after that', () => {
  const grid = new OwnerGrid({ units: 4 })
  grid.join('a', { slots: 4 })
  grid.restart(grid.owner)
  const b = grid.join('b', { slots: 4 })
  grid.advance(3_000)
  assert.equal(b.units(), [0, 1, 2, 3])
  grid.finish()
})

restarts('never issues a settled unit again', () => {
  const grid = new OwnerGrid({ units: 20 })
  const a = grid.join('a', { slots: 4 })
  const b = grid.join('b', { slots: 4 })
  for (let i = 0; i < 3; i++) {
    a.answer()
    b.answer()
  }
  const { settled } = grid.summary()
  assert.ok(settled > 0 && settled < 20)
  grid.restart(grid.owner)
  assert.is(grid.summary().settled, settled)
  a.hand.clear()
  b.hand.clear()
  a.connect()
  b.connect()
  for (let i = 0; i < 20; i++) {
    grid.advance(2_100)
    a.answer()
    b.answer()
  }
  assert.ok(grid.isFinished())
  grid.finish()
})

restarts.run()
