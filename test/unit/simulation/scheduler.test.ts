import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { HostClock, processClock } from '../../simulation/world/clock.js'
import { SimProcess } from '../../simulation/world/process.js'
import { Scheduler } from '../../simulation/world/scheduler.js'
import { SimulationFailure, World } from '../../simulation/world/world.js'
import { rejects } from '../../support/rejects.js'

const never = () => false
const test = suite('Scheduler')

test('events run in the order of their instants, ties as scheduled', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(20), { maxLength: 60 }), async (instants) => {
      const scheduler = new Scheduler()
      const seen: [number, number][] = []
      for (const [index, atMs] of instants.entries())
        scheduler.at(atMs, '', () => void seen.push([scheduler.nowMs, index]))
      assert.is(await scheduler.run(never, Number.POSITIVE_INFINITY), 'idle')
      const expected = instants
        .map((atMs, index): [number, number] => [atMs, index])
        .sort((a, b) => a[0] - b[0] || a[1] - b[1])
      assert.equal(seen, expected)
    }),
    { numRuns: 50 },
  )
})

test('every promise chain of an event has run out before the next event', async () => {
  const scheduler = new Scheduler()
  const seen: string[] = []
  const chain = async (name: string) => {
    for (let turn = 0; turn < 100; turn++) await null
    seen.push(name)
  }
  scheduler.at(1, '', () => void chain('first'))
  scheduler.at(1, '', () => void chain('second'))
  scheduler.at(1, '', () => seen.push('third'))
  await scheduler.run(never, 10)
  assert.equal(seen, ['first', 'second', 'third'])
})

test('a run stops at its limit with time standing there, and goes on from it', async () => {
  const scheduler = new Scheduler()
  let ran = 0
  scheduler.at(100, '', () => ran++)
  assert.is(await scheduler.run(never, 50), 'limit')
  assert.is(scheduler.nowMs, 50)
  assert.is(await scheduler.run(() => ran === 1, 200), 'reached')
  assert.is(scheduler.nowMs, 100)
})

test('cancelled events do not run and do not pile up', async () => {
  const scheduler = new Scheduler()
  let ran = 0
  scheduler.at(1_000_000, '', () => ran++)
  for (let count = 0; count < 50_000; count++) {
    const timer = scheduler.at(1_000 + count, '', () => ran++)
    timer.cancel()
    timer.cancel()
  }
  assert.is(scheduler.queueLength, 1)
  assert.is(await scheduler.run(never, 2_000_000), 'idle')
  assert.is(ran, 1)
  assert.is(scheduler.eventCount, 1)
})

test('the first error ends the run', async () => {
  const scheduler = new Scheduler()
  let later = false
  scheduler.at(1, '', () => {
    throw new Error('first')
  })
  scheduler.at(2, '', () => {
    later = true
  })
  await rejects(scheduler.run(never, 10), /first/)
  assert.not.ok(later)
})

test.run()

const clock = suite('processClock')

clock('drift stretches both clocks, skew and jumps only the wall clock', async () => {
  const scheduler = new Scheduler()
  const fast = new HostClock(scheduler, { driftPpm: 100_000, skewMs: 5_000 })
  const wallBefore = fast.wallMs()
  await scheduler.run(never, 1_000)
  scheduler.at(1_000, '', () => {})
  await scheduler.run(never, 1_000)
  assert.ok(Math.abs(fast.now() - 1_100) < 1e-6)
  assert.is(fast.wallMs() - wallBefore, 1_100)
  assert.is(fast.wallErrorMs, 5_100)
  fast.jump(-60_000)
  assert.ok(Math.abs(fast.now() - 1_100) < 1e-6)
  assert.is(fast.wallErrorMs, -54_900)
})

clock('a timer is never early by its own clock, whatever the drift', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.double({ min: 0.001, max: 1e6, noNaN: true }),
      fc.integer({ min: -500, max: 500 }),
      async (delayMs, driftPpm) => {
        const scheduler = new Scheduler()
        const host = new HostClock(scheduler, { driftPpm, originMs: 12_345.678 })
        const own = processClock(host, new SimProcess(scheduler, 'host', 1))
        const dueMs = own.now() + delayMs
        let firedAtMs: number | undefined
        own.setTimer(delayMs, () => {
          firedAtMs = own.now()
        })
        await scheduler.run(never, Number.POSITIVE_INFINITY)
        assert.ok(firedAtMs !== undefined && firedAtMs >= dueMs, `${firedAtMs} before ${dueMs}`)
      },
    ),
    { numRuns: 100 },
  )
})

clock('timers die with their process and wait while it is stopped', async () => {
  const scheduler = new Scheduler()
  const host = new HostClock(scheduler)
  const killed = new SimProcess(scheduler, 'host', 1)
  const stopped = new SimProcess(scheduler, 'host', 2)
  const fired: string[] = []
  processClock(host, killed).setTimer(10, () => fired.push('killed'))
  const own = processClock(host, stopped)
  own.setTimer(10, () => {
    fired.push('stopped 10')
    later.cancel()
  })
  const later = own.setTimer(11, () => fired.push('stopped 11'))
  killed.kill()
  stopped.stop()
  await scheduler.run(never, 20)
  assert.equal(fired, [])
  stopped.continue()
  await scheduler.run(never, 20)
  assert.equal(fired, ['stopped 10'], 'what it cancels when it continues does not fire any more')
})

clock.run()

const world = suite('World')

world('a failure names seed, instant and the command that repeats it', async () => {
  const grid = new World(77, { scenario: 'echo' })
  grid.addHost('a').start(async ({ clock }) => {
    await new Promise<void>((resolve) => clock.setTimer(1_500, resolve))
    throw new Error('assertion of a')
  })
  const failure = (await rejects(grid.run(10_000))) as SimulationFailure
  assert.instance(failure, SimulationFailure)
  assert.is(failure.repeat, 'npm run sim -- --seed 77 --scenario echo')
  for (const part of ['assertion of a', 'seed 77', '1500.000 ms', failure.repeat])
    assert.ok(failure.message.includes(part), part)
})

world('a rejection nobody handles and an error in a callback fail the run', async () => {
  for (const slip of [
    () => void Promise.reject(new Error('slip')),
    () =>
      queueMicrotask(() => {
        throw new Error('slip')
      }),
  ]) {
    const grid = new World(1)
    grid.addHost('a').start(({ clock }) => void clock.setTimer(5, slip))
    await rejects(grid.run(100), /slip/)
  }
})

world('real time and randomness are trapped inside events and left alone outside', async () => {
  const forbidden: (() => unknown)[] = [
    () => Date.now(),
    () => Math.random(),
    () => performance.now(),
    () => setTimeout(() => {}, 1),
    () => AbortSignal.timeout(1),
  ]
  for (const use of forbidden) {
    const grid = new World(1)
    grid.addHost('a').start(async () => {
      await null
      use()
    })
    await rejects(grid.run(10), /inside the simulation/)
    assert.ok(Date.now() > 0 && Math.random() >= 0)
  }
})

world('a condition that never holds fails, saying whether time ran out or nothing was left', async () => {
  const idle = new World(1)
  await rejects(
    idle.run(() => false, 100),
    /nothing is left/,
  )
  const busy = new World(1)
  busy.addHost('a').start(({ clock }) => {
    const again = () => void clock.setTimer(10, again)
    again()
  })
  await rejects(
    busy.run(() => false, 100),
    /waited 100 ms/,
  )
})

world.run()
