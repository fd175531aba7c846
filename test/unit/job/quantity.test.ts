import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  formatBytes,
  formatDuration,
  parseArray,
  parseBytes,
  parseDuration,
  parseInteger,
  parseRange,
} from '../../../job/quantity.js'
import { GridError } from '../../../runtime/errors.js'

const test = suite('quantities')

function refused(parse: (text: string) => unknown, ...texts: string[]): void {
  for (const text of texts) {
    try {
      parse(text)
    } catch (error) {
      assert.ok(error instanceof GridError)
      assert.is(error.code, 'invalid')
      assert.ok(error.message.includes(`'${text.slice(0, 60)}`), `${error.message} names ${text}`)
      assert.ok(error.hint)
      continue
    }
    assert.unreachable(`${text} was read`)
  }
}

test('integers are exact in every notation', () => {
  const known: [string, bigint][] = [
    ['0', 0n],
    ['1_000_000', 1_000_000n],
    ['10^9', 1_000_000_000n],
    ['1e9', 1_000_000_000n],
    ['1E+3', 1_000n],
    ['2.5e3', 2_500n],
    ['10^16+10^8', 10_000_000_100_000_000n],
    ['2^31-1', 2_147_483_647n],
    ['2^64', 18_446_744_073_709_551_616n],
    ['-5', -5n],
    ['1 - 2 + 10', 9n],
    ['9007199254740993', 9_007_199_254_740_993n],
    ['0^0', 1n],
    ['1^999999', 1n],
  ]
  for (const [text, value] of known) assert.is(parseInteger(text), value, text)
})

test('what is no integer is refused by name, with a hint', () => {
  refused(
    parseInteger,
    '',
    'abc',
    '1.5',
    '1e-3',
    '1__0',
    '_1',
    '1_',
    '+',
    '1+',
    '1++2',
    '2^',
    '^2',
    '2^3^4',
    '1e',
    '0x10',
    '10^40',
    '9^999999999',
    '1e99999',
    '1,000',
    '1..2',
  )
  refused(parseInteger, '1'.repeat(201))
})

test('ranges are half-open with an optional step', () => {
  assert.equal(parseRange('0..10^9:10^7'), { start: 0n, end: 10n ** 9n, step: 10n ** 7n })
  assert.equal(parseRange('10^16..10^16+10^8:10^7'), {
    start: 10n ** 16n,
    end: 10n ** 16n + 10n ** 8n,
    step: 10n ** 7n,
  })
  assert.equal(parseRange('-5..5'), { start: -5n, end: 5n, step: 1n })
  refused(parseRange, '5', '5..5', '6..5', '0..10:0', '0..10:-1', '..', '0-10')
})

test('arrays include their end, as Slurm does', () => {
  assert.equal(parseArray('1-100'), { from: 1n, to: 100n, step: 1n })
  assert.equal(parseArray('0-90:10'), { from: 0n, to: 90n, step: 10n })
  assert.equal(parseArray('7'), { from: 7n, to: 7n, step: 1n })
  refused(parseArray, '', '5-4', '1-', '1..3', '1-3:0', 'a-b')
})

test('sizes are read in binary and decimal units', () => {
  const known: [string, number][] = [
    ['65536', 65_536],
    ['256MiB', 256 * 2 ** 20],
    ['1G', 2 ** 30],
    ['1GB', 1e9],
    ['1.5 GiB', 1.5 * 2 ** 30],
    ['10kb', 10_000],
    ['0', 0],
  ]
  for (const [text, bytes] of known) assert.is(parseBytes(text), bytes, text)
  refused(parseBytes, '', 'G', '1X', '-1', '1e9', '99999999T', '1.G')
})

test('durations are read in one or several units', () => {
  const known: [string, number][] = [
    ['10s', 10_000],
    ['1h', 3_600_000],
    ['30d', 30 * 86_400_000],
    ['1h30m', 5_400_000],
    ['500ms', 500],
    ['1.5h', 5_400_000],
    ['2w', 14 * 86_400_000],
    ['0', 0],
  ]
  for (const [text, ms] of known) assert.is(parseDuration(text), ms, text)
  refused(parseDuration, '', '10', '10x', '30m1h', '1s1s', '-1s', '999999999d', 's')
})

test('sizes are shown with at most one decimal', () => {
  const known: [number, string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1 KiB'],
    [1536, '1.5 KiB'],
    [1024 ** 2 - 1, '1 MiB'],
    [5 * 2 ** 30, '5 GiB'],
  ]
  for (const [bytes, text] of known) assert.is(formatBytes(bytes), text)
})

test('durations are shown with two units at most', () => {
  const known: [number, string][] = [
    [0, '0ms'],
    [350, '350ms'],
    [999.7, '1s'],
    [1_234, '1.2s'],
    [9_960, '10s'],
    [45_000, '45s'],
    [59_999, '1m'],
    [90_000, '1m30s'],
    [5_400_000, '1h30m'],
    [183_600_000, '2d3h'],
  ]
  for (const [ms, text] of known) assert.is(formatDuration(ms), text)
})

test.run()
