import { createHash } from 'node:crypto'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { mersenne } from '../../../tasks/mersenne/index.js'
import { isPrime, lucasLehmer } from '../../../tasks/mersenne/lucas-lehmer.js'
import { FuelExhausted } from '../../../tasks/task.js'
import { reduceOutputs, refusal, runUnit } from '../../support/compute/run-task.js'

/** Exponents of Mersenne primes below 1,300: OEIS A000043. */
const EXPONENTS = [2, 3, 5, 7, 13, 17, 19, 31, 61, 89, 107, 127, 521, 607, 1279]

/** Lowest 64 bits of final residues, from integers of Python 3.11 and its `%`: s = (s * s - 2) % (2**p - 1), p - 2 times from 4. */
const RESIDUES: readonly (readonly [p: number, residue: string])[] = [
  [11, '00000000000006c8'],
  [23, '00000000005d32f7'],
  [29, '000000001b57cb0b'],
  [67, '677d24ee8ae3b2c2'],
  [257, '7addc59710433aa8'],
  [1009, '5c0842eaa6df00c6'],
  [4999, '9116b0be48100d73'],
  [9973, '18157db4bc99e72a'],
]

/** SHA-256 of the lines of all prime exponents up to 1,009, from the same Python program. */
const TABLE_DIGEST = 'c38154d275bdb9c8c00c3bb199b2d661d7105d2c558bb89d10e21491c2ee5c86'

const test = suite('mersenne')

test('finds the published exponents below 1,300 and no others', () => {
  const found: number[] = []
  for (let p = 2; p < 1300; p++) if (isPrime(p) && lucasLehmer(p, () => {}).prime) found.push(p)
  assert.equal(found, EXPONENTS)
})

test('finds larger known primes', () => {
  for (const p of [2203, 2281, 3217, 4253, 4423])
    assert.equal(
      lucasLehmer(p, () => {}),
      { prime: true, residue: 0n },
    )
})

test('leaves the residues that an independent computation leaves', () => {
  for (const [p, residue] of RESIDUES) {
    assert.equal(
      lucasLehmer(p, () => {}),
      { prime: false, residue: BigInt(`0x${residue}`) },
      `exponent ${p}`,
    )
  }
})

test('prints the table that an independent computation prints', async () => {
  const run = await runUnit(mersenne, ['0..1010'])
  assert.is(createHash('sha256').update(run.bytes).digest('hex'), TABLE_DIGEST)
})

test('prints a line for each exponent, and says which are not prime', async () => {
  const run = await runUnit(mersenne, ['7', '11', '12'])
  assert.is(run.text, '7 PRIME 0x0000000000000000\n11 COMPOSITE 0x00000000000006c8\n12 SKIPPED not a prime exponent\n')
})

test('leaves out composites of a span', async () => {
  const run = await runUnit(mersenne, ['0..6', '8..11'])
  assert.is(run.text, '2 PRIME 0x0000000000000000\n3 PRIME 0x0000000000000000\n5 PRIME 0x0000000000000000\n')
})

test('reads exponents from stdin when there are no arguments', async () => {
  assert.is(
    (await runUnit(mersenne, [], { stdin: '7\r\n3\n' })).text,
    '7 PRIME 0x0000000000000000\n3 PRIME 0x0000000000000000\n',
  )
})

test('burns words squared for each iteration and a step for each number', async () => {
  assert.is((await runUnit(mersenne, ['127'])).fuel, 125n * 4n + 1n)
  assert.is((await runUnit(mersenne, ['12'])).fuel, 1n)
  assert.is((await runUnit(mersenne, ['2203'])).fuel, 2201n * 35n * 35n + 1n)
})

test('stops at the fuel limit', async () => {
  let failure: unknown
  await runUnit(mersenne, ['9973'], { fuelLimit: 10_000_000n }).catch((error) => {
    failure = error
  })
  assert.instance(failure, FuelExhausted)
})

test('reduces to the table and the exponents found', async () => {
  const first = '7 PRIME 0x0000000000000000\n'
  const second = '11 COMPOSITE 0x00000000000006c8\n12 SKIPPED not a prime exponent\n'
  assert.is(
    (await reduceOutputs(mersenne, [first, '', second])).text,
    `${first}${second}Mersenne primes: 1, exponents 7\n`,
  )
  assert.is((await reduceOutputs(mersenne, [second])).text, `${second}Mersenne primes: none\n`)
})

test('refuses to reduce what is no table', async () => {
  let message = ''
  await reduceOutputs(mersenne, ['seven\n']).catch((error: Error) => {
    message = error.message
  })
  assert.match(message, 'unit 0 did not print a table')
})

test('says what is wrong with arguments', async () => {
  assert.match(await refusal(mersenne, []), 'needs exponents')
  assert.match(await refusal(mersenne, ['x']), "an exponent must be an integer from 0 to 100000000, not 'x'")
  assert.match(await refusal(mersenne, ['100000001']), 'must be an integer from 0 to 100000000')
  assert.match(await refusal(mersenne, ['9..5']), 'ends before it starts')
  assert.match(await refusal(mersenne, ['5..']), 'the end of a span')
  assert.match(await refusal(mersenne, ['0..2000000']), 'cut 0..2000000 into units')
  assert.match(await refusal(mersenne, ['--p', '5']), 'unknown option --p')
})

test('checks arguments before anything is computed', () => {
  assert.is(mersenne.check!({ args: ['4000'], fileNames: [] }), undefined)
  assert.is(mersenne.check!({ args: [], fileNames: [] }), undefined)
  assert.match(mersenne.check!({ args: ['x'], fileNames: [] })!, 'an exponent')
})

test.run()
