import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FuelMeter } from '../../../tasks/fuel.js'
import { FuelExhausted } from '../../../tasks/task.js'

const test = suite('FuelMeter')

test('adds steps exactly, beyond 2^53 too', () => {
  const meter = new FuelMeter()
  for (let n = 0; n < 3; n++) meter.burn(Number.MAX_SAFE_INTEGER)
  meter.burn(2n ** 64n)
  meter.burn(1)
  assert.is(meter.used, 2n ** 64n + 3n * (2n ** 53n - 1n) + 1n)
})

test('allows the limit itself and stops one step past it, for good', () => {
  const meter = new FuelMeter(10n)
  meter.burn(10)
  assert.throws(
    () => meter.burn(1),
    (error: unknown) => error instanceof FuelExhausted && error.limit === 10n,
  )
  assert.throws(
    () => meter.burn(0),
    (error: unknown) => error instanceof FuelExhausted,
  )
})

test('stops at the same step as plain bigint addition', () => {
  const steps = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.bigInt(0n, 20n), fc.constantFrom(2 ** 52, 2n ** 60n))
  fc.assert(
    fc.property(
      fc.array(steps, { maxLength: 30 }),
      fc.constantFrom(0n, 50n, 2n ** 53n, 2n ** 61n, undefined),
      (burns, limit) => {
        const meter = new FuelMeter(limit)
        let total = 0n
        for (const burn of burns) {
          total += BigInt(burn)
          if (limit !== undefined && total > limit) {
            assert.throws(() => meter.burn(burn))
            return
          }
          meter.burn(burn)
          assert.is(meter.used, total)
        }
      },
    ),
  )
})

test('refuses step counts that are no exact number', () => {
  for (const steps of [-1, 0.5, Number.NaN, 2 ** 53, -1n])
    assert.throws(() => new FuelMeter().burn(steps), /exact integer >= 0/)
})

test('tells its host of every burn', () => {
  let calls = 0
  const meter = new FuelMeter(undefined, () => calls++)
  meter.burn(1)
  meter.burn(1n)
  assert.is(calls, 2)
})

test.run()
