import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OwnerGrid, WALL_MS } from '../../../support/owner-grid.js'

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
  assert.is(grid.log.one('pingSession').session, first)
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

// ------------------------------------------------------------------------------------------------------------- verdicts

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

// -------------------------------------------------------------------------------------------------------- host failures

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

// -------------------------------------------------------------------------------------------------------- large outputs

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
    else grid.handle(grid.owner, { type: 'outputFetchFailed', jobId: grid.jobId, unit: 0 })
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

outputs('that nobody has any more are computed once more by somebody else', () => {
  const grid = new OwnerGrid({ units: 1 })
  const pair = [grid.join('a'), grid.join('b')]
  for (const one of pair) one.answer([0], 'right', { small: false })
  for (const one of pair) one.leave()
  grid.log.drain()
  const c = grid.join('c')
  grid.advance(25_000)
  assert.equal(c.units(), [0])
  c.answer([0], 'right', { small: false })
  const { session, digest } = grid.log.one('fetchOutput')
  assert.is(session, c.sessions.get(grid.owner))
  grid.handle(grid.owner, { type: 'outputKept', jobId: grid.jobId, shard: 0, unit: 0, digest })
  assert.ok(grid.isFinished())
  grid.finish()
})

outputs('of a cancelled job are not computed once more', () => {
  const grid = new OwnerGrid({ units: 1 })
  const pair = [grid.join('a'), grid.join('b')]
  for (const one of pair) one.answer([0], 'right', { small: false })
  for (const one of pair) one.leave()
  grid.log.drain()
  const c = grid.join('c')
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
  grid.handle(grid.owner, { type: 'outputKept', jobId: grid.jobId, shard: 0, unit: 0, digest })
  assert.is(grid.summary().failed, 1)
  grid.finish()
})

outputs.run()

// ------------------------------------------------------------------------------------------------------ cancel, expiry

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

ends.run()
