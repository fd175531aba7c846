import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { groupCount, itemCount, unitCount, unitItems } from '../../../../job/units/unit-source.js'
import type { UnitSource } from '../../../../proto/model.js'

const test = suite('unit sources')

const range = (start: bigint, end: bigint, step: bigint): UnitSource => ({ type: 'range', start, end, step })
const array = (from: bigint, to: bigint, step: bigint): UnitSource => ({ type: 'array', from, to, step })

test('items are counted exactly', () => {
  assert.is(itemCount({ type: 'count', count: 7 }), 7n)
  assert.is(itemCount(array(1n, 10n, 1n)), 10n)
  assert.is(itemCount(array(0n, 99n, 10n)), 10n)
  assert.is(itemCount(array(5n, 4n, 1n)), 0n)
  assert.is(itemCount(range(0n, 10n, 3n)), 4n)
  assert.is(itemCount(range(0n, 9n, 3n)), 3n)
  assert.is(itemCount(range(0n, 10n ** 30n, 1n)), 10n ** 30n)
})

test('units are groups of items times repetitions', () => {
  assert.is(unitCount({ source: { type: 'count', count: 10 }, perUnit: 3, repeat: 2 }), 8)
  assert.is(groupCount({ source: range(0n, 10n ** 30n, 1n), perUnit: 1 }), 10n ** 30n)
})

test('a unit of a range is its exact piece, the last one shorter', () => {
  const shape = { source: range(10n ** 16n, 10n ** 16n + 25n, 10n), perUnit: 1, repeat: 1 }
  assert.equal(unitItems(shape, 1), {
    group: 1,
    groups: 3,
    repetition: 0,
    items: { first: 1n, count: 1 },
    start: 10n ** 16n + 10n,
    end: 10n ** 16n + 20n,
  })
  assert.is(unitItems(shape, 2).end, 10n ** 16n + 25n)
})

test('grouped items join into one piece', () => {
  const shape = { source: range(0n, 100n, 10n), perUnit: 4, repeat: 1 }
  assert.equal(
    [0, 1, 2].map((unit) => [
      unitItems(shape, unit).start,
      unitItems(shape, unit).end,
      unitItems(shape, unit).items.count,
    ]),
    [
      [0n, 40n, 4],
      [40n, 80n, 4],
      [80n, 100n, 2],
    ],
  )
  const slurm = { source: array(1n, 10n, 2n), perUnit: 2, repeat: 1 }
  assert.equal([unitItems(slurm, 0).start, unitItems(slurm, 0).end], [1n, 3n])
  assert.equal([unitItems(slurm, 2).start, unitItems(slurm, 2).end], [9n, 9n])
})

test('repetitions of a group stand together', () => {
  const shape = { source: { type: 'count', count: 3 } as const, perUnit: 1, repeat: 2 }
  const seen = [0, 1, 2, 3, 4, 5].map((unit) => [unitItems(shape, unit).group, unitItems(shape, unit).repetition])
  assert.equal(seen, [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
    [2, 0],
    [2, 1],
  ])
})

test.run()
