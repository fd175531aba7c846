import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { networkPrefix } from '../../../../../coordinator/owner/core/draw.js'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'
import type { Volunteer, VolunteerOptions } from '../../../../support/cores/volunteer.js'

const MINUTE_MS = 60_000

/** A grid in which `first` has answered unit 0 and the others are there, with nothing in hand, when it is drawn for. */
function afterFirstAnswer(
  others: Readonly<Record<string, VolunteerOptions>>,
  first: VolunteerOptions = {},
  seed = 1,
): { grid: OwnerGrid; first: Volunteer; others: Volunteer[] } {
  const grid = new OwnerGrid({ units: 1, seed })
  const author = grid.join('first', first)
  const joined = Object.entries(others).map(([name, options]) => grid.join(name, options))
  author.answer([0])
  return { grid, first: author, others: joined }
}

const holders = (volunteers: readonly Volunteer[]) =>
  volunteers.filter((one) => one.units().includes(0)).map(({ name }) => name)

/** Who is drawn, over many seeds. */
function drawnNames(others: Readonly<Record<string, VolunteerOptions>>, first: VolunteerOptions = {}): Set<string> {
  const names = new Set<string>()
  for (let seed = 1; seed <= 40; seed++) {
    const drawn = afterFirstAnswer(others, first, seed)
    for (const name of holders(drawn.others)) names.add(name)
    drawn.grid.finish()
  }
  return names
}

const draws = suite('The draw of further opinions')

draws('begins only after the first report, and asks for one opinion at a time', () => {
  const grid = new OwnerGrid({ units: 1 })
  const a = grid.join('a')
  const b = grid.join('b')
  const c = grid.join('c')
  assert.equal(holders([a, b, c]), ['a'])
  grid.advance(3_000)
  assert.equal(holders([a, b, c]), ['a'], 'nobody else while the first is at work')
  a.answer()
  assert.is(holders([a, b, c]).length, 1)
  grid.finish()
})

draws('falls on any of the connected keys', () => {
  assert.equal([...drawnNames({ b: {}, c: {}, d: {} })].sort(), ['b', 'c', 'd'])
})

draws('reserves the opinion for the drawn key: somebody else who asks does not get it', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const grid = new OwnerGrid({ units: 3, seed })
    const a = grid.join('a')
    const busy = grid.join('busy')
    a.answer()
    const late = grid.join('late', { want: 8 })
    busy.want(1)
    late.want(9)
    assert.not(late.units().includes(0), 'unit 0 is reserved for the key that was there')
    assert.is(grid.record(0)!.reservedFor?.key, busy.key)
    grid.finish()
  }
})

draws('gives the opinion to the drawn key as soon as it has room', () => {
  const grid = new OwnerGrid({ units: 2 })
  const a = grid.join('a')
  const busy = grid.join('busy')
  a.answer()
  assert.equal(busy.units(), [1])
  busy.answer()
  assert.equal(busy.units(), [0])
  assert.is([...busy.hand.values()][0]!.opinion, 1)
  grid.finish()
})

draws('never falls on the same key', () => {
  const { grid, first } = afterFirstAnswer({})
  grid.advance(5 * MINUTE_MS)
  assert.equal(first.units(), [])
  grid.finish()
})

draws('never falls on another key of the same donor', () => {
  const { grid, others } = afterFirstAnswer({ b: { donor: 'ann' }, c: { donor: 'ann' } }, { donor: 'ann' })
  grid.advance(5 * MINUTE_MS)
  assert.equal(holders(others), [])
  assert.is(grid.waiting(), '1 worker here, quorum needs 2')
  grid.finish()
})

draws('avoids a nearby address while others are there', () => {
  const near = { b: { host: '198.51.100.7' }, c: { host: '203.0.113.1' } }
  assert.equal([...drawnNames(near, { host: '198.51.100.9' })], ['c'])
})

draws('avoids a nearby address even where all keys are younger than the job', () => {
  const others = { b: { host: '198.51.100.7', older: false }, c: { host: '203.0.113.1', older: false } }
  assert.equal([...drawnNames(others, { host: '198.51.100.9', older: false })], ['c'])
})

draws('takes a nearby address when nobody else is there', () => {
  assert.equal([...drawnNames({ b: { host: '198.51.100.7' } }, { host: '198.51.100.9' })], ['b'])
})

draws('exempts private addresses: one household is not near itself', () => {
  const names = drawnNames({ b: { host: '192.168.1.3' }, c: { host: '203.0.113.1' } }, { host: '192.168.1.2' })
  assert.equal([...names].sort(), ['b', 'c'])
})

draws('avoids an owner of the shard while others are there', () => {
  const names = new Set<string>()
  for (let seed = 1; seed <= 30; seed++) {
    const grid = new OwnerGrid({ units: 1, seed })
    const a = grid.join('a')
    const both = [grid.join('owner', { nodeId: grid.owner.nodeId }), grid.join('c')]
    a.answer()
    for (const name of holders(both)) names.add(name)
  }
  assert.equal([...names], ['c'])
})

draws('takes at most one key younger than the job while older ones are there', () => {
  assert.equal([...drawnNames({ b: { older: false }, c: {} }, { older: false })], ['c'])
  assert.equal([...drawnNames({ b: { older: false } }, { older: false })], ['b'], 'nobody else is there')
  assert.equal([...drawnNames({ b: { older: false }, c: {} })].sort(), ['b', 'c'], 'one young key is allowed')
})

draws('weighs keys by credit up to 16, so that new keys seldom judge', () => {
  const grid = new OwnerGrid({ units: 8, spec: { policy: { type: 'none' } } })
  const proven = grid.join('proven')
  for (let i = 0; i < 8; i++) proven.answer()
  const newcomer = grid.join('newcomer')
  const units = 300
  const jobId = grid.submit('judged', units)
  for (let i = 0; i < units; i++) {
    const author = grid.join(`author ${i}`)
    author.answer(author.units(jobId), 'right', { jobId })
    author.leave()
  }
  let drawn = 0
  let fresh = 0
  for (let unit = 0; unit < units; unit++) {
    const key = grid.record(unit, grid.owner, jobId)?.reservedFor?.key
    if (key === proven.key) drawn++
    else if (key === newcomer.key) fresh++
  }
  assert.ok(fresh > 0 && fresh * 8 < drawn, `the newcomer was drawn ${fresh} times, the proven key ${drawn} times`)
  grid.finish()
})

draws('is repeated after a minute when the drawn key does not come for it', () => {
  const grid = new OwnerGrid({ units: 2 })
  const a = grid.join('a')
  const busy = grid.join('busy')
  a.answer()
  assert.is(grid.record(0)!.reservedFor?.key, busy.key)
  const c = grid.join('c', { want: 0 })
  grid.advance(59_000)
  assert.is(grid.record(0)!.reservedFor?.key, busy.key)
  const drawnAt = grid.record(0)!.reservedAt
  grid.advance(2_000)
  assert.ok(grid.record(0)!.reservedAt > drawnAt)
  assert.equal(c.units(), [])
  grid.finish()
})

draws('is repeated after ten minutes although the drawn key comes for another opinion now and then', () => {
  const units = 256
  const grid = new OwnerGrid({ units, spec: { shardUnits: 256 } })
  const eager = grid.join('eager', { slots: 64, want: 64 })
  const hoarder = grid.join('hoarder', { slots: 1, want: 1 })
  const kept = () => Array.from({ length: units }, (_, unit) => grid.record(unit)).filter((one) => one?.reservedFor)
  let longestMs = 0
  for (let i = 0; i < 60; i++) {
    eager.answer()
    hoarder.answer()
    grid.advance(55_000)
    for (const record of kept()) longestMs = Math.max(longestMs, grid.now - record!.reservedAt)
  }
  assert.ok(longestMs > 9 * MINUTE_MS && longestMs < 11 * MINUTE_MS, `an opinion was kept for ${longestMs} ms`)
  grid.finish()
})

draws('is repeated a second after the drawn key left', () => {
  const grid = new OwnerGrid({ units: 2 })
  const a = grid.join('a')
  const busy = grid.join('busy')
  a.answer()
  assert.is(grid.record(0)!.reservedFor?.key, busy.key)
  busy.leave()
  const c = grid.join('c')
  grid.advance(2_000)
  assert.ok(c.units().includes(0))
  grid.finish()
})

draws('passes over keys that ask for nothing', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { others } = afterFirstAnswer({ idle: { want: 0 }, c: {} }, {}, seed)
    assert.equal(holders(others), ['c'])
  }
})

draws('is repeated at once when the drawn key wants no more', () => {
  const grid = new OwnerGrid({ units: 2 })
  const a = grid.join('a')
  const busy = grid.join('busy')
  a.answer()
  assert.is(grid.record(0)!.reservedFor?.key, busy.key)
  const c = grid.join('c')
  busy.want(0)
  assert.equal(c.units(), [0])
  grid.finish()
})

draws('is repeated when the key it is kept for has answered meanwhile, and more is wanted', () => {
  const grid = new OwnerGrid({ units: 2, spec: { policy: { type: 'quorum', quorum: 3 } } })
  const late = grid.join('late')
  late.leave()
  grid.advance(2_000)
  const a = grid.join('a')
  assert.equal(a.units(), [0])
  late.connect({ tickets: [] })
  a.answer([0])
  assert.is(grid.record(0)!.reservedFor?.key, late.key)
  late.answer([0])
  const c = grid.join('c')
  assert.equal(c.units(), [0])
  grid.finish()
})

draws('is repeated when the key it is kept for answers under an older grant', () => {
  const grid = new OwnerGrid({ units: 1 })
  const late = grid.join('late')
  late.leave()
  grid.advance(2_000)
  const a = grid.join('a')
  assert.equal(a.units(), [0])
  late.connect({ tickets: [], want: 0 })
  late.want(1)
  a.answer()
  assert.equal(holders([late]), ['late'])
  late.answer([0])
  assert.is(grid.record(0)!.state, 'settled')
  grid.finish()
})

draws('goes to a lost first opinion no longer as such: who asks next does not become the second voter', () => {
  const grid = new OwnerGrid({ units: 1 })
  const slow = grid.join('slow')
  slow.leave()
  grid.advance(2_000)
  assert.is(grid.record(0)!.queue, 'again')
  slow.connect({ want: 0 })
  slow.answer([0])
  assert.is(grid.record(0)!.queue, 'undrawn')
  const b = grid.join('b', { want: 0 })
  b.want(1)
  assert.is([...b.hand.values()][0]?.opinion, 1)
  grid.finish()
})

draws('works for a thousand units with one donor present without asking it twice', () => {
  const grid = new OwnerGrid({ units: 1_000 })
  const keys = Array.from({ length: 125 }, (_, i) => grid.join(`key ${i}`, { donor: 'lab', slots: 8, want: 8 }))
  for (const key of keys) key.answer()
  grid.advance(10_000)
  for (const key of keys) assert.equal(key.units(), [])
  const other = grid.join('other', { slots: 4, want: 2_000 })
  grid.advance(5_000)
  assert.is(other.units().length, 1_000)
  grid.finish()
})

draws.run()

const prefixes = suite('networkPrefix')

prefixes('is /24 of IPv4 and /48 of IPv6', () => {
  assert.is(networkPrefix('198.51.100.7'), '198.51.100')
  assert.is(networkPrefix('::ffff:198.51.100.7'), '198.51.100')
  assert.is(networkPrefix('2001:db8:1:2::3'), networkPrefix('2001:DB8:1:ffff::9'))
  assert.is.not(networkPrefix('2001:db8:1::1'), networkPrefix('2001:db8:2::1'))
})

prefixes('treats shortened IPv6 addresses of one network alike', () => {
  assert.is(networkPrefix('2001:db8::1'), networkPrefix('2001:db8:0:7::1'))
  assert.is.not(networkPrefix('2001:db8::1'), networkPrefix('2001:db8:5::1'))
})

prefixes('does not exist for loopback, private, link-local and unreadable addresses', () => {
  for (const host of [
    '127.0.0.1',
    '10.1.2.3',
    '172.20.0.1',
    '192.168.0.9',
    '169.254.1.1',
    '::1',
    'fe80::1',
    'fd00::1',
    'x',
  ])
    assert.is(networkPrefix(host), undefined, host)
})

prefixes.run()
