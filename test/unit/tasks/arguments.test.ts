import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseArguments, parseDecimal, parseInteger, parseNatural, shown } from '../../../tasks/arguments.js'

const test = suite('arguments')

test('takes options in both spellings, and negative numbers as values', () => {
  const parsed = parseArguments(['a', '--x', '-0.5', '--name=b=c', '-1', '--'], ['x', 'name'])
  assert.ok(parsed.ok)
  assert.equal(
    [...parsed.options],
    [
      ['x', '-0.5'],
      ['name', 'b=c'],
    ],
  )
  assert.equal(parsed.positional, ['a', '-1', '--'])
})

test('refuses unknown, repeated and valueless options', () => {
  const message = (...args: string[]) => {
    const parsed = parseArguments(args, ['x'])
    return parsed.ok ? '' : parsed.message
  }
  assert.is(message('--y', '1'), 'unknown option --y; known: --x')
  assert.is(message('--x', '1', '--x=2'), 'option --x is given twice')
  assert.is(message('--x'), 'option --x needs a value')
  assert.is(message('--x='), 'option --x needs a value')
  assert.not.match(message('--\u001b[2J'), '\u001b')
})

test('takes integers and decimals within their limits only', () => {
  assert.equal(parseInteger('n', '-5', -5, 5), { ok: true, value: -5 })
  for (const text of ['6', '1.0', '', ' 1', '1e0', '0x1', '99999999999999999999'])
    assert.not(parseInteger('n', text, -5, 5).ok, text)
  assert.equal(parseDecimal('n', '-1.5e-1', -1, 1), { ok: true, value: -0.15 })
  for (const text of ['1.1', 'NaN', 'Infinity', '', '.', '1e', '1_0', '1 '])
    assert.not(parseDecimal('n', text, -1, 1).ok, text)
  assert.equal(parseNatural('n', '9007199254740993', 10n ** 18n), { ok: true, value: 9_007_199_254_740_993n })
  for (const text of ['-1', '1000000000000000001', '1e3', '']) assert.not(parseNatural('n', text, 10n ** 18n).ok, text)
})

test('shows strange text short and without control characters', () => {
  assert.is(shown('a\u001bb\n'), 'a?b?')
  assert.is(shown('x'.repeat(100)).length, 60)
})

test.run()
