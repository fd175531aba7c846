import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  clipRanges,
  contains,
  count,
  formatSelection,
  mergeRanges,
  parseSelection,
} from '../../../../job/units/selection.js'
import { GridError } from '../../../../runtime/errors.js'

const test = suite('selections')

test('indices and ranges are merged in ascending order', () => {
  assert.equal(parseSelection('17, 0-9,100..200'), [
    { first: 0, count: 10 },
    { first: 17, count: 1 },
    { first: 100, count: 100 },
  ])
  assert.equal(parseSelection('5-9,0-4,3,7..12'), [{ first: 0, count: 12 }])
  assert.equal(parseSelection('9_999_999'), [{ first: 9_999_999, count: 1 }])
})

test('bad selections are refused', () => {
  for (const text of ['', ',', '1,', 'a', '5-4', '5..5', '-1', '10000000', '1-2-3', '0..10000001']) {
    assert.throws(
      () => parseSelection(text),
      (error: unknown) => error instanceof GridError && error.code === 'invalid',
      text,
    )
  }
  const many = Array.from({ length: 4_097 }, (_, i) => 2 * i).join(',')
  assert.throws(() => parseSelection(many), /4096 ranges/)
})

test('membership, count, clipping and text agree', () => {
  const ranges = parseSelection('0-9,17,100..200')
  const member = Array.from({ length: 250 }, (_, unit) => contains(ranges, unit))
  assert.is(member.filter(Boolean).length, count(ranges))
  assert.equal(
    [0, 9, 10, 17, 18, 99, 100, 199, 200].map((unit) => contains(ranges, unit)),
    [true, true, false, true, false, false, true, true, false],
  )
  assert.equal(clipRanges(ranges, 5, 150), [
    { first: 5, count: 5 },
    { first: 17, count: 1 },
    { first: 100, count: 50 },
  ])
  assert.equal(parseSelection(formatSelection(ranges)), ranges)
  assert.equal(mergeRanges([{ first: 3, count: 0 }]), [])
})

test('any selection holds exactly the units that were named', () => {
  const part = fc.oneof(
    fc.nat({ max: 60 }).map((unit) => ({ text: `${unit}`, units: [unit] })),
    fc.tuple(fc.nat({ max: 60 }), fc.nat({ max: 10 }), fc.boolean()).map(([first, more, isInclusive]) => ({
      text: isInclusive ? `${first}-${first + more}` : `${first}..${first + more + 1}`,
      units: Array.from({ length: more + 1 }, (_, i) => first + i),
    })),
  )
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 12 }),
      fc.nat({ max: 80 }),
      fc.nat({ max: 80 }),
      (parts, first, end) => {
        const named = new Set(parts.flatMap((each) => each.units))
        const ranges = parseSelection(parts.map((each) => each.text).join(','))
        const units = Array.from({ length: 90 }, (_, unit) => unit)
        assert.equal(
          units.filter((unit) => contains(ranges, unit)),
          units.filter((unit) => named.has(unit)),
        )
        assert.is(count(ranges), named.size)
        assert.ok(ranges.every((range, i) => i === 0 || range.first > ranges[i - 1]!.first + ranges[i - 1]!.count))
        const clipped = clipRanges(ranges, first, end)
        assert.equal(
          units.filter((unit) => contains(clipped, unit)),
          units.filter((unit) => named.has(unit) && unit >= first && unit < end),
        )
      },
    ),
  )
})

test.run()
