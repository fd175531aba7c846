import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { DurationStatistics } from '../../../../../coordinator/owner/core/delay-bound.js'
import type { PublicKey } from '../../../../../proto/model.js'

const DAY_MS = 24 * 3_600_000
const donor = (name: string) => name as PublicKey

function after(durations: readonly number[]): DurationStatistics {
  const statistics = new DurationStatistics()
  for (const duration of durations) statistics.answered(duration)
  return statistics
}

const statistics = suite('DurationStatistics')

statistics('has no bound of its own before five reports: the estimate, else a day', () => {
  const early = after([1_000, 1_000, 1_000, 1_000])
  assert.is(early.p95, undefined)
  assert.is(early.delayBound(0), DAY_MS)
  assert.is(early.delayBound(90_000), 90_000)
})

statistics('bounds at three times the 95th percentile from five reports on, whatever was estimated', () => {
  const five = after([20_000, 20_000, 20_000, 20_000, 40_000])
  assert.is(five.delayBound(5), 120_000)
})

statistics('keeps the bound between 30 s and 24 h', () => {
  assert.is(after(Array(10).fill(1)).delayBound(0), 30_000)
  assert.is(after(Array(10).fill(DAY_MS)).delayBound(0), DAY_MS)
})

statistics('follows the newest durations', () => {
  const moved = after(Array(300).fill(1_000))
  for (let i = 0; i < 300; i++) moved.answered(60_000)
  assert.is(moved.delayBound(0), 180_000)
})

statistics('takes the median over donors as the typical time, so that one fast donor does not lower it', () => {
  const mixed = new DurationStatistics()
  for (let i = 0; i < 100; i++) {
    mixed.agreed(donor('liar'), 0.01)
    mixed.agreed(donor('b'), 1_000)
    mixed.agreed(donor('c'), 1_200)
  }
  assert.ok(Math.abs(mixed.unitMs! - 1_000) < 1, `typical ${mixed.unitMs}`)
})

statistics('does not know a typical time before the first agreement', () => {
  assert.is(new DurationStatistics().unitMs, undefined)
})

statistics.run()
