import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { PaceMeter } from '../../../client/follow/pace.js'

const pace = suite('PaceMeter')

pace('the range holds the true time left, and narrows', () => {
  const meter = new PaceMeter()
  let last = meter.add(0, 0, 10_000)
  assert.is(last.eta, undefined)
  let width = Number.POSITIVE_INFINITY
  for (let second = 1; second <= 50; second++) last = meter.add(second * 1_000, second * 100, 10_000)
  assert.ok(Math.abs(last.unitsPerSecond - 100) < 1)
  assert.ok(last.eta!.lowMs < 50_000 && last.eta!.highMs > 50_000)
  width = last.eta!.highMs - last.eta!.lowMs
  assert.ok(width < 25_000, `${width}`)
})

pace('the first look guesses from the life of the job, at most a minute of it', () => {
  const first = new PaceMeter().add(5, 300, 900, 30_000)
  assert.ok(Math.abs(first.unitsPerSecond - 10) < 0.1, `${first.unitsPerSecond}`)
  assert.ok(first.eta!.lowMs < 60_000 && first.eta!.highMs > 60_000)
  const old = new PaceMeter()
  old.add(0, 36_000, 100_000, 3_600_000)
  // Ten an hour ago, a hundred a second now: after a minute only what was seen counts.
  let last = old.add(1_000, 36_100, 100_000, 3_601_000)
  for (let second = 2; second <= 62; second++) last = old.add(second * 1_000, 36_000 + second * 100, 100_000)
  assert.ok(Math.abs(last.unitsPerSecond - 100) < 2, `${last.unitsPerSecond}`)
  assert.is(new PaceMeter().add(0, 0, 10, 5_000).eta, undefined)
})

pace('what comes between two looks at next to the same time is no burst', () => {
  const meter = new PaceMeter()
  meter.add(0, 0, 100)
  assert.is(meter.add(26, 4, 100).unitsPerSecond, 4)
})

pace('a home that knows less than the last one does not make it negative', () => {
  const meter = new PaceMeter()
  meter.add(0, 100, 200)
  const { unitsPerSecond, eta } = meter.add(1_000, 50, 200)
  assert.is(unitsPerSecond, 0)
  assert.is(eta, undefined)
  assert.equal(meter.add(2_000, 200, 200).eta, { lowMs: 0, highMs: 0 })
})

pace('many looks a second do not grow its memory or lose the rate', () => {
  const meter = new PaceMeter()
  let last = meter.add(0, 0, 1e6)
  for (let i = 1; i <= 20_000; i++) last = meter.add(i * 10, i, 1e6)
  assert.ok(Math.abs(last.unitsPerSecond - 100) < 2, `${last.unitsPerSecond}`)
})

pace('what a home learns after the first look was not decided in between', () => {
  const meter = new PaceMeter()
  meter.add(0, 0, 1000, 500_000)
  const { unitsPerSecond, eta } = meter.add(300, 500, 1000, 500_300)
  assert.ok(unitsPerSecond > 0.9 && unitsPerSecond < 1.1, String(unitsPerSecond))
  assert.ok(eta!.lowMs > 100_000)
})

pace.run()
