import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { RunClock } from '../../../../worker/compute/run-clock.js'

const TICK = 50
const clocks = suite('RunClock')

/** A process that runs and is stopped in turn; `announce`: whoever stops it says so. */
function driven(turns: readonly (readonly [runMs: number, stopMs: number])[], announce: boolean) {
  const clock = new RunClock(TICK, 0)
  let now = 0
  let ran = 0
  let counted = 0
  for (const [runMs, stopMs] of turns) {
    for (let left = runMs; left > 0; left -= TICK) {
      now += Math.min(TICK, left)
      counted = clock.tick(now)
    }
    ran += runMs
    now += stopMs
    if (announce && stopMs > 0) counted = clock.announce(stopMs, now)
  }
  return { clock, now, ran, counted }
}

const turns = fc.array(fc.tuple(fc.integer({ min: 1, max: 2_000 }), fc.integer({ min: 0, max: 3_000 })), {
  maxLength: 300,
})

clocks('time in which the process stood still is not run time, when it is told of to the millisecond', () => {
  fc.assert(
    fc.property(turns, (list) => {
      const { counted, ran } = driven(list, true)
      assert.ok(Math.abs(counted - ran) <= 1e-6, `${counted} of ${ran}`)
    }),
  )
})

clocks('a stop that nobody announced costs a unit two ticks at most', () => {
  fc.assert(
    fc.property(turns, (list) => {
      const { clock, now, ran } = driven(list, false)
      const counted = clock.tick(now)
      assert.ok(counted >= ran - 1e-6 && counted <= ran + list.length * 2 * TICK, `${counted} of ${ran}`)
    }),
  )
})

clocks('how much of a unit was stopped is known however many stops there were', () => {
  const { clock, now } = driven(
    Array.from({ length: 5_000 }, () => [400, 400] as const),
    true,
  )
  for (const fromMs of [0, now / 2, now - 100_000]) {
    const stopped = clock.stoppedBetween(fromMs, now)
    assert.ok(Math.abs(stopped - (now - fromMs) / 2) < (now - fromMs) * 0.05, `${stopped} of ${now - fromMs}`)
  }
})

clocks.run()
