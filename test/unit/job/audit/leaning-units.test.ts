import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { LeaningUnits } from '../../../../job/audit/leaning-units.js'
import type { Digest, NodeId } from '../../../../proto/model.js'
import { seededRandom } from '../../../support/seeded-random.js'
import { voteOf } from '../fixture.js'

const nodeOf = (i: number) => i.toString(16).padStart(40, '0') as NodeId
const [gone, other] = [nodeOf(1), nodeOf(2)]
const right = { outcome: 'done' as const, digest: 'x' as Digest }
const saidBy = (grantor: NodeId, said: string) => [voteOf('a', said, { grantor }), voteOf('b', said, { grantor })]

const leaning = suite('LeaningUnits')

leaning('are tried four of each stranger, at random, and counted all', () => {
  const random = seededRandom(5)
  const times = new Array<number>(40).fill(0)
  const one = new LeaningUnits(40, 40, random)
  for (let look = 0; look < 300; look++) {
    one.clear()
    for (let unit = 0; unit < 40; unit++) one.lean(unit, unit < 20 ? [gone] : [other])
    const due = one.due().map(({ unit }) => unit)
    assert.equal([due.filter((unit) => unit < 20).length, due.length], [4, 8])
    for (const unit of due) times[unit]!++
  }
  assert.equal(one.leaning, { units: 40, strangers: 2 })
  // Binomial, 300 times 4 of 20: none is left out, none is favoured.
  for (const [unit, count] of times.entries()) assert.ok(count > 30 && count < 95, `unit ${unit}: ${count} of 300`)
})

leaning('that several strangers share are tried for all of them at once', () => {
  const one = new LeaningUnits(40, 40, seededRandom(6))
  for (let unit = 0; unit < 40; unit++) one.lean(unit, [gone, other])
  assert.is(one.due().length, 4)
})

leaning('are tried no more after four right answers, and once computed lean on nobody', () => {
  const one = new LeaningUnits(10, 10, seededRandom(7))
  for (let unit = 0; unit < 10; unit++) one.lean(unit, [gone])
  for (const { unit, strangers } of one.due()) {
    one.computed(unit)
    assert.equal(one.tried(strangers, right, saidBy(gone, 'x')), [])
  }
  assert.equal([one.due(), one.leaning], [[], { units: 6, strangers: 1 }])
  one.clear()
  assert.equal(one.leaning, { units: 0, strangers: 0 })
  one.lean(9, [gone])
  assert.equal(one.due(), [], 'a later look does not begin again')
})

leaning('put a stranger out whose first unit is false, but one that was right before only by a second one', () => {
  const one = new LeaningUnits(10, 10, seededRandom(8))
  assert.equal(one.tried([gone], right, saidBy(gone, 'y')), [gone])
  assert.equal(one.tried([other], right, saidBy(other, 'x')), [])
  assert.equal(one.tried([other], right, saidBy(other, 'y')), [])
  assert.equal(one.tried([other], right, [...saidBy(gone, 'x'), ...saidBy(other, 'y')]), [other])
  assert.equal(one.tried([nodeOf(3)], right, saidBy(other, 'y')), [], 'it has said nothing of the unit')
})

leaning('are tried 64 of a small job, however many strangers were made up, and false ones are not counted', () => {
  const one = new LeaningUnits(1_000, 1_000, seededRandom(9))
  const look = () => {
    one.clear()
    for (let unit = 0; unit < 1_000; unit++) one.lean(unit, [nodeOf(unit + 100)])
    return one.due()
  }
  const first = look()
  assert.is(first.length, 64)
  for (const { strangers } of first.slice(0, 10)) one.tried(strangers, right, saidBy(strangers[0]!, 'y'))
  assert.is(look().length, 64)
  for (const { strangers } of look()) one.tried(strangers, right, saidBy(strangers[0]!, 'x'))
  assert.equal(look(), [])
})

leaning('let strangers be forgotten rather than grow without end, and not for being seen late', () => {
  const one = new LeaningUnits(20_000, 20_000, seededRandom(10))
  for (let unit = 0; unit < 20_000; unit++) one.lean(unit, [nodeOf(unit)])
  const { units, strangers } = one.leaning
  assert.is(units, 20_000)
  assert.ok(strangers <= 8_192, `${strangers}`)
  const due = one.due().map(({ unit }) => unit)
  assert.is(due.length, 200)
  assert.ok(due.filter((unit) => unit < 10_000).length > 60 && due.filter((unit) => unit >= 10_000).length > 60)
})

leaning.run()
