import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { countPrimes } from '../../../tasks/primes/count.js'
import { primes } from '../../../tasks/primes/index.js'
import { BLOCK_BYTES, countBits, integerSqrt, modulo, SEGMENT_BYTES } from '../../../tasks/primes/sieve.js'
import { FuelExhausted } from '../../../tasks/task.js'
import { reduceOutputs, refusal, runUnit } from '../../support/compute/run-task.js'

/** Primes below 10^k, k = 0 to 9: OEIS A006880. */
const PI_OF_POWERS = [0, 4, 25, 168, 1229, 9592, 78_498, 664_579, 5_761_455, 50_847_534]

/** Half-open ranges and their counts by primesieve 11.0 (`primesieve START END-1`). */
const COUNTED: readonly (readonly [start: bigint, end: bigint, count: bigint])[] = [
  [10n ** 12n, 10n ** 12n + 12_346n, 429n],
  [4_294_967_296n, 4_304_967_297n, 450_562n],
  [10n ** 15n, 10n ** 15n + 10n ** 7n + 1n, 289_394n],
  [9_007_199_254_740_000n, 9_007_199_254_742_001n, 50n],
  [9_007_199_254_740_992n, 9_007_199_255_740_993n, 27_204n],
  [10n ** 16n, 10n ** 16n + 10n ** 6n + 1n, 27_168n],
  [10n ** 16n, 10n ** 16n + 10n ** 7n + 1n, 271_897n],
  [10n ** 18n - 10n ** 5n, 10n ** 18n, 2336n],
]

const isPrime = (n: number) => {
  for (let divisor = 2; divisor * divisor <= n; divisor++) if (n % divisor === 0) return false
  return n > 1
}
const count = (start: bigint, end: bigint) => countPrimes(start, end, () => {})

const test = suite('primes')

test('counts the primes below powers of ten as published', () => {
  for (const [k, expected] of PI_OF_POWERS.entries())
    assert.is(count(0n, 10n ** BigInt(k)), BigInt(expected), `below 10^${k}`)
})

test('counts ranges beyond 2^32 and 2^53, up to 10^18, as primesieve does', () => {
  for (const [start, end, expected] of COUNTED) assert.is(count(start, end), expected, `${start}..${end}`)
})

test('agrees with trial division on every small range', () => {
  const below = [0n]
  for (let n = 0; n < 700; n++) below.push(below[n]! + (isPrime(n) ? 1n : 0n))
  for (let start = 0; start < 140; start++) {
    for (let end = start; end < 700; end += 1 + (end % 7)) {
      assert.is(count(BigInt(start), BigInt(end)), below[end]! - below[start]!, `${start}..${end}`)
    }
  }
})

test('counts the same however a range is cut, also at the edges of bytes, blocks and segments', () => {
  const edges = [30n, 510_510n, BigInt(30 * BLOCK_BYTES), BigInt(30 * SEGMENT_BYTES), 2n ** 30n, 2n ** 31n, 2n ** 40n]
  fc.assert(
    fc.property(
      fc.constantFrom(...edges),
      fc.bigInt(-9000n, 9000n),
      fc.bigInt(0n, 9000n),
      fc.bigInt(0n, 9000n),
      (edge, shift, first, second) => {
        const start = edge + shift < 0n ? 0n : edge + shift
        assert.is(
          count(start, start + first) + count(start + first, start + first + second),
          count(start, start + first + second),
        )
      },
    ),
    { numRuns: 60 },
  )
})

test('sieves several segments of one unit as it sieves them one by one', () => {
  const end = BigInt(30 * SEGMENT_BYTES) + 1_000_000n
  let pieces = 0n
  for (let start = 0n; start < end; start += 10_000_000n)
    pieces += count(start, start + 10_000_000n < end ? start + 10_000_000n : end)
  assert.is(count(0n, end), pieces)
})

test('burns one step for 30 numbers and the base primes, whatever the thread has cached', async () => {
  const args = ['1000000000000', '1000000003000']
  const first = await runUnit(primes, args)
  await runUnit(primes, ['2000000000000', '2000000003000'])
  const second = await runUnit(primes, args)
  // The root of the last number is 10^6: 33,333 steps. The range starts inside byte 33,333,333,333 and touches 101 bytes.
  assert.is(first.fuel, 33_333n + 101n)
  assert.is(second.fuel, first.fuel)
})

test('stops at the fuel limit', async () => {
  let failure: unknown
  await runUnit(primes, ['0', '30000000'], { fuelLimit: 999_999n }).catch((error) => {
    failure = error
  })
  assert.instance(failure, FuelExhausted)
})

test('prints the count of a unit and the sum of all', async () => {
  assert.is((await runUnit(primes, ['0', '100'])).text, '25\n')
  assert.is((await reduceOutputs(primes, ['25\n', undefined, '9007199254740993\n'])).text, '9007199254741018\n')
})

test('refuses to sum an output that is no count', async () => {
  let message = ''
  await reduceOutputs(primes, ['25\n', 'x\n']).catch((error: Error) => {
    message = error.message
  })
  assert.match(message, 'unit 1 did not print a count')
})

test('says what is wrong with arguments', async () => {
  assert.match(await refusal(primes, []), 'takes two arguments, START and END')
  assert.match(await refusal(primes, ['1', '2', '3']), 'not 3')
  assert.match(await refusal(primes, ['-1', '10']), "START must be an integer from 0 to 1000000000000000000, not '-1'")
  assert.match(await refusal(primes, ['0', '1e9']), "END must be an integer from 0 to 1000000000000000000, not '1e9'")
  assert.match(await refusal(primes, ['0', '1000000000000000001']), 'END must be an integer from 0 to')
  assert.match(await refusal(primes, ['10', '9']), 'must not be below START')
  assert.match(await refusal(primes, ['0', '100000000000000']), 'smaller step')
  assert.match(await refusal(primes, ['--fast', '1']), 'unknown option --fast; there are no options')
  assert.is(primes.check!({ args: ['0', '10'], fileNames: [] }), undefined)
})

test('takes exact roots of squares and their neighbours', () => {
  for (const root of [1n, 2n, 46_340n, 94_906_265n, 94_906_267n, 999_999_999n, 10n ** 9n]) {
    assert.is(integerSqrt(root * root), Number(root))
    assert.is(integerSqrt(root * root - 1n), Number(root) - 1)
  }
})

test('takes remainders exactly, of multiples and their neighbours too', () => {
  const check = (value: number, p: number) => assert.is(modulo(value, p, 1 / p), value % p, `${value} modulo ${p}`)
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 2 ** 30 }), fc.maxSafeNat(), (p, random) => {
      const multiple = Math.floor((random % 2 ** 50) / p) * p
      for (const value of [random % 2 ** 50, multiple, multiple + 1, Math.max(0, multiple - 1)]) check(value, p)
    }),
    { numRuns: 5000 },
  )
})

test('counts bits of any length', () => {
  const bits = new Uint8Array(16).fill(0b1011_0001)
  for (let bytes = 0; bytes <= 16; bytes++) assert.is(countBits(bits, bytes), 4 * bytes)
})

test.run()
