import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { GridError } from '../../../../runtime/errors.js'
import { accepts } from '../../../../worker/preferences/core/preferences.js'
import { ALICE, MALLORY, NIGHT, read } from './samples.js'

const reading = suite('readPreferences')

reading('every preference is read as it is written', () => {
  const all = read({
    cpus: '50%',
    'cpu-time': '75%',
    hours: '22:00-07:00',
    days: 'fri-mon,wed',
    'when-idle': '10m',
    'on-battery': '80%',
    'max-temp': '75',
    'pause-for': 'steam, blender',
    memory: '1GiB',
    disk: '2G',
    rate: '1MiB/s',
    units: '10^3',
    for: '8h',
    accept: `alice,${MALLORY}`,
    refuse: MALLORY.toUpperCase(),
    'weight.alice': '2.5',
  })
  assert.equal(all, {
    threads: 4,
    share: 0.75,
    schedule: { hours: NIGHT.hours, days: new Set([5, 6, 0, 1, 3]) },
    whenIdleMs: 600_000,
    batteryMin: 80,
    temperatureMax: 75,
    pauseFor: ['steam', 'blender'],
    memoryBytes: 2 ** 30,
    diskBytes: 2 ** 31,
    rateBytes: 2 ** 20,
    unitsMax: 1_000,
    forMs: 8 * 3_600_000,
    accept: new Set([ALICE, MALLORY]),
    refuse: new Set([MALLORY]),
    weights: new Map([[ALICE, 2.5]]),
  })
})

reading('an empty text says nothing: the machine is left one thread, its battery, and its memory', () => {
  const none = read({ hours: '', cpus: ' ', accept: '' })
  assert.equal(none, read({}))
  assert.is(none.threads, 7)
  assert.is(none.batteryMin, undefined)
  assert.is(none.memoryBytes, 256 * 2 ** 20)
})

reading('a wrong value is refused with its name and how it is written', () => {
  const wrong: readonly (readonly [name: string, value: string])[] = [
    ['cpus', 'all'],
    ['cpu-time', '0%'],
    ['cpu-time', '101%'],
    ['hours', '7-'],
    ['hours', '07:00-07:00'],
    ['hours', '24:00-07:00'],
    ['hours', '22:60-23:00'],
    ['days', 'someday'],
    ['when-idle', '0'],
    ['on-battery', 'maybe'],
    ['on-battery', '101%'],
    ['max-temp', '200'],
    ['memory', '1MiB'],
    ['disk', '1MiB'],
    ['disk', '100TiB'],
    ['memory', '2TiB'],
    ['rate', '1'],
    ['units', '0'],
    ['for', 'long'],
    ['accept', 'bob'],
    ['weight.alice', '0'],
    ['weight.bob', '1'],
    ['nice', '1'],
    ['pause-for', Array.from({ length: 65 }, (_, i) => `p${i}`).join(',')],
  ]
  for (const [name, value] of wrong) {
    const refused = (error: unknown) =>
      error instanceof GridError && error.code === 'invalid' && error.message.includes(name === 'for' ? 'long' : name)
    assert.throws(
      () => read({ [name]: value }),
      name === 'when-idle' || name === 'units' ? GridErrorOf : refused,
      `${name}=${value}`,
    )
  }
})

const GridErrorOf = (error: unknown): boolean => error instanceof GridError && error.code === 'invalid'

reading('what the machine cannot honour is refused, not ignored', () => {
  const cannot = (name: string) => (name === 'max-temp' || name === 'on-battery' ? 'it does not tell' : undefined)
  assert.throws(() => read({ 'max-temp': '75' }, cannot), /max-temp: it does not tell/)
  assert.throws(() => read({ 'on-battery': '80%' }, cannot), /on-battery/)
  assert.is(read({ 'on-battery': 'yes' }, cannot).batteryMin, 0)
  assert.is(read({}, cannot).temperatureMax, undefined)
})

reading('who is refused is refused even if accepted, and without a list of accepted all others are', () => {
  assert.not(accepts(read({ accept: 'alice', refuse: ALICE }), ALICE))
  assert.not(accepts(read({ accept: 'alice' }), MALLORY))
  assert.ok(accepts(read({ refuse: MALLORY }), ALICE))
  assert.not(accepts(read({ refuse: MALLORY }), MALLORY))
})

reading.run()
