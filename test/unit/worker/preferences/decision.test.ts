import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  COOLER_BY,
  type Conditions,
  type Course,
  decide,
  NOTHING_KNOWN,
} from '../../../../worker/preferences/core/decision.js'
import { parts, read } from './samples.js'

const NOW = 1_000_000_000
const course: Course = { pausedUntilMs: undefined, startedMs: NOW - 60_000, computed: 5, wasHot: false }
const at =
  (clock: string, day = 3) =>
  () =>
    parts(day, clock)

function reasonsOf(
  texts: Readonly<Record<string, string>>,
  conditions: Partial<Conditions> = {},
  more: Partial<Course> = {},
  localAt = at('12:00'),
) {
  const decision = decide(read(texts), { ...course, ...more }, { ...NOTHING_KNOWN, ...conditions }, NOW, localAt)
  assert.is(decision.threads === 0, decision.restraints.length > 0)
  return decision.restraints.map(({ preference, reason }) => `${preference}: ${reason}`)
}

const decisions = suite('decide')

decisions('each preference restrains in its own words, and only when it should', () => {
  const table: readonly (readonly [
    expected: string,
    texts: Readonly<Record<string, string>>,
    no: Partial<Conditions>,
    yes: Partial<Conditions>,
  ])[] = [
    ['on-battery: on battery', {}, { battery: 'mains' }, { battery: 90 }],
    ['on-battery: on battery, 79 % of 80 % charged', { 'on-battery': '80%' }, { battery: 80 }, { battery: 79 }],
    ['max-temp: 76 °C, more than 75 °C', { 'max-temp': '75' }, { temperature: 75 }, { temperature: 76 }],
    ['pause-for: steam runs', { 'pause-for': 'steam' }, { running: [] }, { running: ['steam'] }],
    ['when-idle: in use just now', { 'when-idle': '1m' }, { idleMs: 60_000 }, { idleMs: 0 }],
    ['when-idle: in use 59 s ago', { 'when-idle': '1m' }, { idleMs: 60_000 }, { idleMs: 59_000 }],
  ]
  for (const [expected, texts, no, yes] of table) {
    assert.equal(reasonsOf(texts, no), [], expected)
    assert.equal(reasonsOf(texts), [], `${expected}: nothing is known`)
    assert.equal(reasonsOf(texts, yes), [expected])
  }
  assert.equal(reasonsOf({ 'on-battery': 'yes' }, { battery: 1 }), [])
  assert.equal(reasonsOf({ cpus: '0' }), ['cpus: no threads'])
})

decisions('hours and days are those of the clock on the wall', () => {
  assert.equal(reasonsOf({ hours: '22:00-07:00' }), ['hours: outside 22:00-07:00'])
  assert.equal(reasonsOf({ hours: '22:00-07:00' }, {}, {}, at('23:00')), [])
  assert.equal(reasonsOf({ days: 'sat,sun' }), ['days: only on sat,sun'])
  assert.equal(reasonsOf({ days: 'wed', hours: '9-10' }), ['hours: outside 09:00-10:00 wed'])
})

decisions('a pause comes first and ends by itself, or when it is undone', () => {
  assert.equal(reasonsOf({ 'pause-for': 'x' }, { running: ['x'] }, { pausedUntilMs: Number.POSITIVE_INFINITY }), [
    'pause: paused',
    'pause-for: x runs',
  ])
  assert.equal(reasonsOf({}, {}, { pausedUntilMs: NOW }), [])
  const paused = { ...course, pausedUntilMs: NOW + 5_000 }
  const decision = decide(read({}), paused, NOTHING_KNOWN, NOW, at('12:00'))
  assert.is(decision.nextMs, NOW + 5_000)
  assert.is(decision.restraints[0]?.untilMs, NOW + 5_000)
})

decisions('a machine that was too hot computes again when it is clearly cooler', () => {
  const hot = (temperature: number, wasHot: boolean) =>
    reasonsOf({ 'max-temp': '75' }, { temperature }, { wasHot }).length
  assert.is(hot(75, false), 0)
  assert.is(hot(75, true), 1)
  assert.is(hot(75 - COOLER_BY, true), 0)
})

decisions('units and time asked for end it', () => {
  const done = (texts: Readonly<Record<string, string>>) =>
    decide(read(texts), course, NOTHING_KNOWN, NOW, at('12:00')).done
  assert.is(done({}), undefined)
  assert.is(done({ units: '6', for: '2m' }), undefined)
  assert.match(done({ units: '5' }) ?? '', /5 units computed/)
  assert.match(done({ for: '1m' }) ?? '', /time asked for is over/)
})

decisions('nothing changes before the instant that is named, if nothing else does', () => {
  fc.assert(
    fc.property(
      fc.record({
        hours: fc.constantFrom('', '22:00-07:00', '12:00-12:05,13:00-13:01'),
        days: fc.constantFrom('', 'thu', 'mon-wed'),
        for: fc.constantFrom('', '2m', '90m'),
      }),
      fc.option(fc.integer({ min: 1, max: 10_000_000 }), { nil: undefined }),
      fc.integer({ min: 0, max: 10 * 86_400_000 }),
      (texts, pauseMs, startMs) => {
        const localAt = (wallMs: number) => ({
          day: Math.floor(wallMs / 86_400_000) % 7,
          minute: Math.floor(wallMs / 60_000) % 1_440,
        })
        const from = {
          ...course,
          startedMs: startMs,
          pausedUntilMs: pauseMs === undefined ? undefined : startMs + pauseMs,
        }
        const look = (nowMs: number) => {
          const { threads, restraints, done, nextMs } = decide(read(texts), from, NOTHING_KNOWN, nowMs, localAt)
          return { seen: [threads, restraints.map(({ reason }) => reason), done], nextMs }
        }
        const { seen, nextMs } = look(startMs)
        const end = Math.min(nextMs ?? Number.POSITIVE_INFINITY, startMs + 86_400_000)
        for (let i = 0; i <= 20; i++) assert.equal(look(startMs + ((end - 1 - startMs) * i) / 20).seen, seen)
        if (nextMs !== undefined) assert.not.equal(look(nextMs).seen, seen)
      },
    ),
    { numRuns: 100 },
  )
})

decisions.run()
