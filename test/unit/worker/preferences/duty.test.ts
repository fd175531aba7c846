import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { DutyCycle } from '../../../../worker/preferences/core/duty.js'

const duty = suite('DutyCycle')

/** Processor time of a thread that always has something to do, over `ms`, with timers up to `lateMs` late. */
function usedBy(share: number, ms: number, lateMs: number, available = 1): number {
  const cycle = new DutyCycle(share, 0)
  let now = 0
  let used = 0
  let random = 7
  let taken = 0
  while (now < ms) {
    const at = cycle.look(now, taken)
    random = (random * 1_103_515_245 + 12_345) % 2 ** 31
    const next = at + (lateMs * random) / 2 ** 31
    assert.ok(next > now, 'it looks again later')
    taken = cycle.isRunning ? (next - now) * available : 0
    used += taken
    now = next
  }
  return used / now
}

duty('whatever the share, and however late timers are, that share is used over a minute', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 1, noNaN: true }), fc.integer({ min: 0, max: 100 }), (share, lateMs) => {
      const used = usedBy(share, 60_000, lateMs)
      assert.ok(Math.abs(used - share) < 0.02, `${used} of ${share}, timers ${lateMs} ms late`)
    }),
    { numRuns: 200 },
  )
})

duty('time that others took is made up for, as far as there is any', () => {
  assert.ok(Math.abs(usedBy(0.5, 60_000, 5, 0.7) - 0.5) < 0.03)
  // Of two fifths of a thread no half can be made.
  assert.ok(Math.abs(usedBy(0.5, 60_000, 5, 0.4) - 0.4) < 0.03)
})

duty('after a long time without anything to do no burst follows', () => {
  const cycle = new DutyCycle(0.5, 0)
  for (let now = 0; now < 100_000; now += 500) cycle.look(now, 0)
  let used = 0
  for (let now = 100_000; now < 110_000; now += 10) {
    cycle.look(now, cycle.isRunning ? 10 : 0)
    if (cycle.isRunning) used += 10
  }
  assert.ok(used < 6_300, `${used} ms of 10 s`)
})

duty('the whole share never stops', () => {
  const cycle = new DutyCycle(1, 0)
  for (let now = 0; now < 10_000; now += 100) {
    cycle.look(now, 150)
    assert.ok(cycle.isRunning)
  }
})

duty.run()
