import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ALWAYS,
  isWithin,
  type LocalTime,
  nextChange,
  type Schedule,
} from '../../../../worker/preferences/core/schedule.js'
import { NIGHT, parts, withZone } from './samples.js'

const MINUTE = 60_000
const DAY = 1_440 * MINUTE

const within = suite('isWithin')

within('hours that pass midnight belong to the day on which they begin', () => {
  const fridays = { ...NIGHT, days: new Set([5]) }
  const table: [day: number, clock: string, expected: boolean][] = [
    [5, '21:59', false],
    [5, '22:00', true],
    [6, '06:59', true],
    [6, '07:00', false],
    [5, '03:00', false],
    [6, '23:00', false],
  ]
  for (const [day, clock, expected] of table)
    assert.is(isWithin(fridays, parts(day, clock)), expected, `${day} ${clock}`)
})

within('without hours a day is a whole day, without days every day is one', () => {
  assert.ok(isWithin(ALWAYS, parts(3, '12:00')))
  assert.ok(isWithin({ hours: [], days: new Set([0]) }, parts(0, '23:59')))
  assert.not(isWithin({ hours: [], days: new Set([0]) }, parts(1, '00:00')))
  assert.ok(isWithin({ ...NIGHT, days: new Set() }, parts(2, '00:00')))
})

const change = suite('nextChange')

/** A zone without daylight saving. */
const plain = (wallMs: number): LocalTime => {
  const minutes = Math.floor(wallMs / MINUTE)
  return { day: (Math.floor(minutes / 1_440) + 4) % 7, minute: minutes % 1_440 }
}

const part = fc
  .tuple(fc.integer({ min: 0, max: 1_439 }), fc.integer({ min: 1, max: 1_440 }))
  .filter(([from, to]) => from !== to % 1_440 || to === 1_440)
  .map(([from, to]) => ({ from, to }))
  .filter(({ from, to }) => from !== to)
const schedule: fc.Arbitrary<Schedule> = fc.record({
  hours: fc.array(part, { maxLength: 3 }),
  days: fc.uniqueArray(fc.integer({ min: 0, max: 6 }), { maxLength: 7 }).map((days) => new Set(days)),
})

change('it is the first minute that a look at every minute finds', () => {
  fc.assert(
    fc.property(schedule, fc.integer({ min: 0, max: 14 * DAY }), (one, nowMs) => {
      const before = isWithin(one, plain(nowMs))
      let expected: number | undefined
      const first = Math.floor(nowMs / MINUTE) + 1
      for (let minute = first; minute < first + 8 * 1_440 && expected === undefined; minute++)
        if (isWithin(one, plain(minute * MINUTE)) !== before) expected = minute * MINUTE
      assert.is(nextChange(one, nowMs, plain), expected)
    }),
    { numRuns: 60 },
  )
})

change('when clocks go forward, hours that do not exist are over at once', () => {
  withZone('Europe/Berlin', (localAt) => {
    // 29 March 2026: 02:00 becomes 03:00.
    const evening = Date.UTC(2026, 2, 28, 22, 30)
    const untilTwoThirty: Schedule = { hours: [{ from: 22 * 60, to: 2 * 60 + 30 }], days: new Set() }
    assert.ok(isWithin(untilTwoThirty, localAt(evening)))
    assert.is(nextChange(untilTwoThirty, evening, localAt), Date.UTC(2026, 2, 29, 1, 0))
    // The night is an hour shorter.
    assert.is(nextChange(NIGHT, evening, localAt), Date.UTC(2026, 2, 29, 5, 0))
  })
})

change('when clocks go back, hours that come twice count twice', () => {
  withZone('Europe/Berlin', (localAt) => {
    // 25 October 2026: 03:00 becomes 02:00.
    const untilTwoThirty: Schedule = { hours: [{ from: 22 * 60, to: 2 * 60 + 30 }], days: new Set() }
    const ends: number[] = []
    for (let at = Date.UTC(2026, 9, 24, 21, 0); ends.length < 4; at = ends.at(-1)!)
      ends.push(nextChange(untilTwoThirty, at, localAt)!)
    assert.equal(
      ends.map((at) => new Date(at).toISOString().slice(8, 16)),
      ['25T00:30', '25T01:00', '25T01:30', '25T21:00'],
    )
    // The night is an hour longer.
    assert.is(nextChange(NIGHT, Date.UTC(2026, 9, 24, 21, 0), localAt), Date.UTC(2026, 9, 25, 6, 0))
  })
})

within.run()
change.run()
