import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Clock } from '../../../../runtime/clock.js'
import { GridError } from '../../../../runtime/errors.js'
import { silentLogger } from '../../../../runtime/logger.js'
import { PreferenceBook } from '../../../../worker/preferences/book.js'
import { NOTHING_KNOWN } from '../../../../worker/preferences/core/decision.js'
import { parseCpus } from '../../../../worker/preferences/cpus.js'
import { Governor } from '../../../../worker/preferences/governor.js'
import { rejects } from '../../../support/rejects.js'
import { read, withZone } from './samples.js'

/** A clock that moves when it is told to, firing what is due. */
function manualClock(wallMs: number) {
  let now = 0
  const timers = new Set<{ readonly at: number; readonly action: () => void }>()
  const clock: Clock = {
    now: () => now,
    wallMs: () => wallMs + now,
    setTimer(delayMs, action) {
      const timer = { at: now + delayMs, action }
      timers.add(timer)
      return { cancel: () => void timers.delete(timer) }
    },
  }
  const pass = async (ms: number) => {
    const end = now + ms
    for (;;) {
      const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
      if (next === undefined) break
      timers.delete(next)
      now = next.at
      next.action()
      // Sensors are asked, and answer, between two timers.
      await new Promise((resolve) => setImmediate(resolve))
    }
    now = end
  }
  return { clock, pass, timers: () => timers.size }
}

function governed(flags: Readonly<Record<string, string>>, wallMs = Date.UTC(2026, 2, 28, 22, 30)) {
  const { clock, pass } = manualClock(wallMs)
  const said: string[] = []
  const worker = {
    restrain: (reason: string | undefined, share: number, word: string | undefined, stoppedBy: string) => {
      const line = reason === undefined ? `run ${share}` : `${word}: ${reason}${stoppedBy === 'us' ? '' : ' (others)'}`
      if (said.at(-1) !== line) said.push(line)
    },
    prefer: () => {},
    finish: (reason: string, atOnce: boolean) => void said.push(`finish ${atOnce}: ${reason}`),
    computed: 0,
    stoppedPid: undefined as number | undefined,
  }
  const file: { texts?: Record<string, string> } = { texts: {} }
  const book = new PreferenceBook(
    {
      flags: new Map(Object.entries(flags)),
      environment: new Map([['cpu-time', '90%']]),
      readFile: () => {
        const { texts } = file
        delete file.texts
        if (texts?.broken !== undefined) throw new GridError('invalid', 'the file is broken')
        return texts && { texts: new Map(Object.entries(texts)), names: new Map() }
      },
    },
    { share: (cpus) => ({ threads: parseCpus(cpus, 4), memoryBytes: 2 ** 28 }), refusal: () => undefined },
  )
  const localAt = (ms: number) => {
    const date = new Date(ms)
    return { day: date.getDay(), minute: date.getHours() * 60 + date.getMinutes() }
  }
  const machine = { trouble: '' }
  const look = async () => {
    if (machine.trouble !== '') throw new Error(machine.trouble)
    return NOTHING_KNOWN
  }
  const sensors = { refusal: () => undefined, read: look }
  const governor = new Governor({ clock, logger: silentLogger, worker, preferences: read({}), book, sensors, localAt })
  return { governor, said, pass, worker, file, book, machine }
}

const governors = suite('Governor')

governors('it stops and begins with the hours, also in a night in which clocks are put forward', async () => {
  let night: ReturnType<typeof governed> | undefined
  const zone = process.env.TZ
  process.env.TZ = 'Europe/Berlin'
  try {
    night = governed({ hours: '22:00-07:00' })
    await night.governor.start()
    // From 23:30 to 07:00 it is six and a half hours that night, not seven and a half.
    await night.pass(6.5 * 3_600_000 - 1)
    assert.equal(night.said, ['run 0.9'])
    await night.pass(1)
    assert.equal(night.said.slice(1), ['hours: outside 22:00-07:00'])
  } finally {
    if (zone === undefined) delete process.env.TZ
    else process.env.TZ = zone
    night?.governor.close()
  }
  withZone('UTC', (localAt) => assert.is(localAt(0).minute, 0))
})

governors(
  'run time beats flag, flag beats variable, variable beats file; what is taken back uncovers what was below',
  async () => {
    const { governor, file, book, said, pass } = governed({ days: 'sat', hours: '0-24' })
    await governor.start()
    file.texts = { 'cpu-time': '10%', 'max-temp': '70', hours: '1-2' }
    await pass(10_000)
    const origins = () =>
      Object.fromEntries(book.values().map(({ name, value, origin }) => [name, `${value} ${origin}`]))
    assert.is(origins()['cpu-time'], '90% environment')
    assert.is(origins()['max-temp'], '70 file')
    assert.is(origins().hours, '0-24 flag')
    await governor.set([{ name: 'cpu-time', value: '20%' }])
    assert.is(said.at(-1), 'run 0.2')
    await governor.set([{ name: 'cpu-time', value: '' }])
    assert.is(said.at(-1), 'run 0.9')
    governor.close()
  },
)

governors('a wrong value, at run time or in the file, changes nothing', async () => {
  const { governor, file, book, pass } = governed({})
  await governor.start()
  await governor.set([{ name: 'max-temp', value: '60' }])
  await rejects(
    governor.set([
      { name: 'max-temp', value: '65' },
      { name: 'days', value: 'never' },
    ]),
    'invalid',
  )
  await rejects(governor.set([{ name: 'nice', value: '' }]), 'invalid')
  file.texts = { broken: '' }
  await pass(5_000)
  file.texts = { 'max-temp': '50', days: 'never' }
  await pass(5_000)
  assert.is(book.preferences.temperatureMax, 60)
  assert.is(book.preferences.schedule.days.size, 0)
  governor.close()
})

governors('a pause ends by itself to the moment, and its end is not the end of other reasons', async () => {
  const { governor, said, pass } = governed({ hours: '1-2' }, Date.UTC(2026, 0, 1, 12))
  await governor.start()
  governor.pause(60_000)
  assert.ok(governor.isPaused)
  await pass(59_999)
  assert.is(said.at(-1), 'pause: paused')
  await pass(1)
  assert.not(governor.isPaused)
  assert.match(said.at(-1) ?? '', /^hours: outside/)
  governor.close()
})

governors(
  'who has stopped the compute process by hand is to continue it; what the volunteer says comes first',
  async () => {
    const { governor, said, pass, worker } = governed({})
    await governor.start()
    worker.stoppedPid = 77
    await pass(2_000)
    assert.is(
      said.at(-1),
      "other: the compute process was stopped from outside; 'kill -CONT 77' lets it go on (others)",
    )
    governor.pause(0)
    assert.is(said.at(-1), 'pause: paused')
    governor.resume()
    assert.match(said.at(-1) ?? '', /CONT 77/)
    worker.stoppedPid = undefined
    await pass(2_000)
    assert.is(said.at(-1), 'run 0.9')
    governor.close()
  },
)

governors('a machine that cannot be looked at once is looked at again', async () => {
  const { governor, said, pass, file, machine } = governed({})
  await governor.start()
  machine.trouble = 'no such device'
  await pass(2_000)
  machine.trouble = ''
  file.texts = { hours: '1-2' }
  await pass(4_000)
  assert.match(said.at(-1) ?? '', /^hours: outside/)
  governor.close()
})

governors('units and a time that are asked for while it runs count from then on', async () => {
  const { governor, worker, said, pass } = governed({ for: '1h' })
  await governor.start()
  worker.computed = 500
  await pass(1_800_000)
  await governor.set([
    { name: 'units', value: '3' },
    { name: 'for', value: '45m' },
  ])
  await pass(1_900_000)
  assert.is(said.filter((line) => line.startsWith('finish')).length, 0, 'neither 500 units nor the first hour end it')
  worker.computed = 503
  governor.onComputed()
  assert.is(said.at(-1), 'finish true: 3 units computed')
  governor.close()
})

governors('what was asked for ends it once: units by giving back, time by finishing', async () => {
  const units = governed({ units: '3' })
  await units.governor.start()
  units.worker.computed = 3
  units.governor.onComputed()
  units.governor.onComputed()
  await units.pass(10_000)
  assert.equal(
    units.said.filter((line) => line.startsWith('finish')),
    ['finish true: 3 units computed'],
  )
  units.governor.close()
  const time = governed({ for: '1m' })
  await time.governor.start()
  await time.pass(59_999)
  assert.not(time.said.some((line) => line.startsWith('finish')))
  await time.pass(1)
  assert.equal(
    time.said.filter((line) => line.startsWith('finish')),
    ['finish false: the time asked for is over'],
  )
  time.governor.close()
})

governors('what nobody said is shown as what holds', () => {
  const { book } = governed({ cpus: '2' })
  const shown = (name: string) => book.values().find((one) => one.name === name)
  assert.equal(shown('cpus'), { name: 'cpus', value: '2', origin: 'flag' })
  assert.equal(shown('memory'), { name: 'memory', value: '256 MiB', origin: 'default' })
  assert.equal(shown('disk'), { name: 'disk', value: '8 GiB', origin: 'default' })
  assert.equal(shown('hours'), { name: 'hours', value: '', origin: 'default' })
  // What is shown can be said.
  book.set([{ name: 'memory', value: shown('memory')!.value }])
  assert.is(shown('memory')?.origin, 'prefs')
})

governors.run()
