import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { AUDIT_SHARES, AuditPlan } from '../../../../job/audit/audit.js'
import { judge } from '../../../../job/verdict/verdict.js'
import type { PublicKey } from '../../../../proto/model.js'
import { seededRandom } from '../../../support/seeded-random.js'
import { rulesWith, voteOf } from '../fixture.js'

const settled = judge([voteOf('a', 'x'), voteOf('b', 'x')], rulesWith(2))
const contested = judge([voteOf('a', 'x'), voteOf('b', 'x'), voteOf('c', 'y')], rulesWith(2))
const split = judge([voteOf('a', 'x'), voteOf('b', 'y')], rulesWith(2))
const open = judge([voteOf('a', 'x')], rulesWith(2))

const plan = suite('AuditPlan')

plan('draws its share of settled units, each equally often', () => {
  const times = new Array<number>(50).fill(0)
  const random = seededRandom(3)
  for (let round = 0; round < 400; round++) {
    const one = new AuditPlan(50, 50, { sampled: 0.1, disputed: 0 }, random)
    for (let unit = 0; unit < 50; unit++) one.look(unit, settled)
    const due = one.due(true)
    assert.ok(due.length >= 5, `${due.length} drawn`)
    for (const { unit } of due) times[unit]!++
  }
  // Binomial, 400 times 0.1 and some: none is left out, none is favoured.
  for (const [unit, count] of times.entries()) assert.ok(count > 15 && count < 85, `unit ${unit}: ${count} of 400`)
})

plan('takes disputed units up to its budget, a part of it late, but for those that the next opinion decides', () => {
  const one = new AuditPlan(1_000, 1_000, AUDIT_SHARES, { next: () => 0.999 })
  for (let unit = 0; unit < 30; unit++) one.look(unit, contested)
  for (let unit = 30; unit < 60; unit++) one.look(unit, split)
  const first = one.due(false)
  assert.is(first.length, 6)
  for (const entry of first.slice(0, 4)) one.replayed(entry)
  assert.is(one.due(false).length, 2)
  for (let unit = 60; unit < 800; unit++) one.look(unit, settled)
  assert.is(one.due(false).length, 5)
  assert.is(one.due(true).length, 6)
  const late = new AuditPlan(1_000, 1_000, AUDIT_SHARES, { next: () => 0.999 })
  late.look(5, split)
  assert.equal(late.due(false), [])
  late.look(5, split, true)
  assert.equal(late.due(true), [{ unit: 5, sampled: false }])
})

plan('takes disputes first that were won by donors who lose elsewhere, and none that is over', () => {
  const one = new AuditPlan(1_000, 1_000, AUDIT_SHARES, { next: () => 0.999 })
  const lostBy = (liar: string) => judge([voteOf('a', 'x'), voteOf('b', 'x'), voteOf(liar, 'y')], rulesWith(2))
  for (let unit = 0; unit < 20; unit++) one.look(unit, lostBy(unit % 2 === 0 ? 'p' : 'q'))
  one.look(700, judge([voteOf('p', 'y'), voteOf('q', 'y'), voteOf('a', 'x')], rulesWith(2)))
  one.look(800, split, true)
  assert.equal(
    one
      .due(false)
      .slice(0, 2)
      .map(({ unit }) => unit),
    [800, 700],
  )
  one.look(700, settled)
  assert.not(
    one
      .due(false)
      .map(({ unit }) => unit)
      .includes(700),
  )
})

plan(
  'computes a few units first and more later, and keeps half of a round for the sample where all is disputed',
  () => {
    let draws = 0
    const shares = { sampled: 0.1, disputed: 1 }
    const one = new AuditPlan(1_000, 1_000, shares, { next: () => (draws++ % 10 === 0 ? 0.05 : 0.9) })
    for (let unit = 0; unit < 400; unit++) one.look(unit, contested)
    const rounds = Array.from({ length: 18 }, () => {
      const due = one.round(false)
      for (const entry of due) one.replayed(entry)
      return [due.length, due.filter(({ sampled }) => sampled).length]
    })
    assert.equal(rounds.slice(0, 4), Array(4).fill([4, 2]))
    assert.is(rounds.at(-1)![0], 16)
    const done = rounds.reduce((sum, [units]) => sum + units!, 0)
    assert.is(new Set(one.round(true).map(({ unit }) => unit)).size, 400 - done)
  },
)

plan('puts many keys on trial with few units', () => {
  const one = new AuditPlan(1_000, 1_000, AUDIT_SHARES, { next: () => 0.999 })
  let honest = 0
  const won = (a: string, b: string) =>
    judge([voteOf(a, 'y'), voteOf(b, 'y'), voteOf(`honest ${honest++}`, 'x')], rulesWith(2))
  // One pair of a ring has won again and again, another one once.
  for (let unit = 0; unit < 8; unit++) one.look(unit, won('p', 'q'))
  one.look(500, won('r', 's'))
  for (let unit = 600; unit < 608; unit++)
    one.look(unit, judge([voteOf('a', 'x'), voteOf('b', 'x'), voteOf(unit % 2 === 0 ? 'p' : 'r', 'y')], rulesWith(2)))
  const first = one.round(false).map(({ unit }) => unit)
  assert.ok(first.indexOf(500) >= 0 && first.indexOf(500) <= 1, first.join())
})

plan('draws some of the first units early where most are disputed, and nowhere else', () => {
  const drawn = (disputed: number) => {
    let draws = 0
    const one = new AuditPlan(6_400, 6_400, AUDIT_SHARES, { next: () => (draws++ % 8 === 0 ? 0.01 : 0.9) })
    for (let unit = 0; unit < 800; unit++) one.look(unit, unit % 100 < disputed ? contested : settled)
    const early = one.due(false).filter((entry) => entry.early)
    for (const entry of early) one.replayed(entry)
    return { units: early.map(({ unit }) => unit), left: one.due(false).filter((entry) => entry.early).length }
  }
  assert.equal(drawn(50).units, [])
  const { units, left } = drawn(60)
  assert.equal(
    units,
    [...Array(16).keys()].map((i) => 8 * i),
  )
  assert.is(left, 0)
})

plan('replays nothing that only keys have lost, or that keys have won, whom a ruling puts out anyway', () => {
  const one = new AuditPlan(1_000, 1_000, AUDIT_SHARES, { next: () => 0.999 })
  const lost = judge([voteOf('a', 'x'), voteOf('b', 'x'), voteOf('p', 'y')], rulesWith(2))
  const won = judge([voteOf('p', 'y'), voteOf('q', 'y'), voteOf('a', 'x')], rulesWith(2))
  for (let unit = 0; unit < 3; unit++) one.look(unit, lost)
  one.look(3, won)
  one.look(4, contested)
  assert.is(one.isAtWork(['z' as PublicKey]), false)
  const p = lost.conflicting[0]!.donor
  assert.is(one.isAtWork([p]), true)
  one.replayed({ unit: 0, sampled: false }, [p])
  assert.equal(one.due(true), [{ unit: 4, sampled: false }])
})

plan('draws again for a unit that is settled anew, and never replays one twice', () => {
  let draws = 0
  const one = new AuditPlan(10, 10, { sampled: 0.5, disputed: 0 }, { next: () => (draws++ === 0 ? 0.9 : 0.1) })
  one.look(3, settled)
  one.look(3, settled)
  assert.is(draws, 1)
  assert.equal(one.due(false), [])
  one.look(3, open)
  one.look(3, settled)
  assert.equal(one.due(false), [{ unit: 3, sampled: true }])
  one.replayed({ unit: 3, sampled: true })
  one.look(3, contested)
  assert.equal(one.due(true), [])
})

plan.run()
