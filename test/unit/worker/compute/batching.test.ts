import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BatchSize } from '../../../../worker/compute/batch-size.js'
import { Queue } from '../../../../worker/compute/queue.js'
import { RunClock } from '../../../../worker/compute/run-clock.js'
import { Slots } from '../../../../worker/compute/slots.js'

const size = suite('BatchSize')

size('starts at one unit and doubles while units are tiny, up to about 20 ms of work', () => {
  const batch = new BatchSize()
  const seen: number[] = []
  for (let i = 0; i < 14; i++) {
    const units = batch.next(1e6, 1)
    seen.push(units)
    batch.measured(units, units * 0.02)
  }
  assert.equal(seen, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000, 1000, 1000])
})

size('long units go alone and do not wait on a busy thread', () => {
  const batch = new BatchSize()
  assert.not.ok(batch.ahead)
  batch.measured(1, 5000)
  assert.is(batch.next(1000, 2), 1)
  assert.not.ok(batch.ahead)
})

size('shrinks at once when units turn out long', () => {
  const batch = new BatchSize()
  for (let i = 0; i < 12; i++) batch.measured(100, 1)
  assert.ok(batch.next(1e6, 1) > 1000)
  batch.measured(1, 100)
  assert.is(batch.next(1e6, 1), 1)
})

size('the last units are shared by all threads', () => {
  const batch = new BatchSize()
  for (let i = 0; i < 12; i++) batch.measured(100, 1)
  assert.is(batch.next(10, 4), 3)
})

size.run()

const queue = suite('Queue')

/** Fills `real` with ten items and takes one; in a function of its own, whose frame holds no item afterwards. */
function takeOne(real: Queue<object>): WeakRef<object> {
  for (let i = 0; i < 10; i++) real.push({})
  return new WeakRef(real.shift()!)
}

queue('behaves as an array does', () => {
  const command = fc.oneof(
    fc.record({ type: fc.constant('push' as const), count: fc.nat(1500) }),
    fc.record({ type: fc.constant('front' as const), count: fc.nat(5) }),
    fc.record({ type: fc.constant('shift' as const), count: fc.nat(1500) }),
    fc.record({ type: fc.constant('retain' as const), count: fc.integer({ min: 1, max: 5 }) }),
  )
  fc.assert(
    fc.property(fc.array(command, { maxLength: 12 }), (commands) => {
      const real = new Queue<number>()
      let model: number[] = []
      let next = 0
      for (const { type, count } of commands) {
        if (type === 'retain') {
          real.retain((item) => item % count !== 0)
          model = model.filter((item) => item % count !== 0)
        } else if (type === 'front') {
          const items = Array.from({ length: count }, () => next++)
          real.pushFront(items)
          model = [...items, ...model]
        } else {
          for (let i = 0; i < count; i++) {
            if (type === 'push') {
              real.push(next)
              model.push(next++)
            } else {
              assert.is(real.peek(), model[0])
              assert.is(real.shift(), model.shift())
            }
          }
        }
        assert.is(real.length, model.length)
      }
    }),
    { numRuns: 50 },
  )
})

queue('lets go of what was taken from it', async () => {
  const real = new Queue<object>()
  const taken = takeOne(real)
  const waiting = new WeakRef(real.peek()!)
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // A weak reference holds its object until the current turn ends.
  for (let turn = 0; turn < 20 && taken.deref() !== undefined; turn++) {
    await setImmediate()
    collect()
  }
  assert.is(taken.deref(), undefined)
  assert.ok(waiting.deref() !== undefined)
  assert.is(real.length, 9)
})

queue.run()

const clock = suite('RunClock')

clock('counts time between ticks, but not time in which no tick could come', () => {
  const run = new RunClock(50, 1000)
  assert.is(run.tick(1050), 50)
  assert.is(run.tick(1140), 140)
  assert.is(run.tick(5140), 240)
  assert.ok(Math.abs(run.stoppedBetween(0, 10_000) - 3900) < 1e-6)
  assert.ok(Math.abs(run.stoppedBetween(1100, 2240) - 1000) < 1e-6)
  run.skipTo(9000)
  assert.is(run.tick(9010), 250)
})

clock.run()

const slots = suite('Slots')

slots('a batch is either claimed by a thread or taken back, never both', () => {
  const pool = new Slots(2)
  const thread = new Slots(pool.buffer)
  const first = pool.take()!
  const second = pool.take()!
  assert.is(pool.take(), undefined)
  assert.ok(thread.claim(first, 9))
  assert.not.ok(pool.takeBack(first))
  assert.ok(pool.takeBack(second))
  assert.not.ok(thread.claim(second, 9))
  assert.ok(thread.begin(first, 0) && thread.begin(first, 1))
  thread.progress(first, 2n ** 64n - 1n)
  assert.ok(pool.isRunning(first))
  assert.equal(pool.where(first), { threadId: 9, position: 1, fuel: 2n ** 64n - 1n })
  pool.free(first)
  assert.is(pool.take(), first)
  assert.is(pool.where(first).position, 0)
})

slots('a batch that is cut ends with the unit that ran, and one that has moved on is not cut', () => {
  const pool = new Slots(1)
  const thread = new Slots(pool.buffer)
  const slot = pool.take()!
  thread.claim(slot, 9)
  for (const position of [0, 1, 2]) assert.ok(thread.begin(slot, position))
  assert.not.ok(pool.cut(slot, 1))
  assert.ok(pool.cut(slot, 2))
  assert.is(pool.where(slot).position, 2)
  assert.not.ok(thread.begin(slot, 3))
  thread.end(slot, 3)
  assert.is(pool.where(slot).position, 3)
  pool.free(slot)
  assert.is(pool.take(), slot)
  thread.claim(slot, 9)
  assert.ok(thread.begin(slot, 0))
})

slots.run()
