import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OutputSum } from '../../../client/results/output-sum.js'
import { GridError } from '../../../runtime/errors.js'
import { utf8 } from '../../../runtime/hex.js'

const test = suite('OutputSum')

function sumOf(...outputs: readonly string[]): string {
  const sum = new OutputSum()
  for (const [unit, text] of outputs.entries()) sum.add(unit, utf8(text))
  return sum.text()
}

test('numbers are added in their places, exactly, and words stay', () => {
  assert.is(sumOf('12\n', '30\n'), '42')
  assert.is(sumOf('found 3 in 1.50 s\n', 'found 4 in 0.25 s\n'), 'found 7 in 1.75 s')
  assert.is(sumOf('1 2\n3 4\n', '10  20\n30  40'), '11 22\n33 44')
  assert.is(sumOf('0.1', '0.2', '-0.30'), '0.00')
  assert.is(sumOf('-0.05', '0.01'), '-0.04')
  assert.is(sumOf('9'.repeat(40), '1'), `1${'0'.repeat(40)}`)
  assert.is(sumOf(), '')
})

test('outputs that read differently, or have no number, are refused by the unit', () => {
  for (const [outputs, message] of [
    [['1', '1 2'], /unit 1 does not read like that of unit 0/],
    [['a 1', 'b 1'], /unit 1/],
    [['1', 'one'], /unit 1/],
    [['none'], /unit 0 printed no number/],
    [['1'.repeat(1_001)], /unit 0 printed a number of more than 1000 digits/],
  ] as const)
    assert.throws(
      () => sumOf(...outputs),
      (error: unknown) => error instanceof GridError && error.code === 'invalid' && message.test(error.message),
    )
})

test('integers of any size add up as BigInt has it', () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt(), { minLength: 1 }), (values) => {
      assert.is(sumOf(...values.map(String)), String(values.reduce((sum, value) => sum + value, 0n)))
    }),
  )
})

test.run()
