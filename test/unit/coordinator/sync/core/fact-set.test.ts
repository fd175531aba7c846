import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { newFactSet } from '../../../../../coordinator/sync/fact-set.js'
import type { Digest } from '../../../../../proto/model.js'
import { toHex } from '../../../../../runtime/hex.js'
import { idOf, idsOf, setOf } from '../sets.js'

const factSet = suite('FactSet')

/** Ids that share long prefixes far more often than hashes do. */
const crowdedIds = fc.uniqueArray(
  fc
    .tuple(fc.constantFrom('', '0', 'a'.repeat(5), 'a'.repeat(62), 'f'.repeat(31)), fc.nat({ max: 200 }))
    .map(([prefix, i]) => (prefix + idOf(i)).slice(0, 64) as Digest),
  { maxLength: 400 },
)

factSet('knows what was added, and says whether it is new', () => {
  const set = newFactSet()
  for (const id of idsOf(0, 2_000)) assert.ok(set.add(id))
  for (const id of idsOf(0, 2_000)) assert.not.ok(set.add(id))
  assert.is(set.size, 2_000)
  assert.ok(idsOf(0, 2_000).every((id) => set.has(id)))
  assert.not.ok(idsOf(2_000, 4_000).some((id) => set.has(id)))
})

factSet('counts and lists any range as a sorted list does', () => {
  fc.assert(
    fc.property(
      crowdedIds,
      fc.nat({ max: 63 }),
      fc.nat(),
      fc.integer({ min: 1, max: 50 }),
      (ids, depth, pick, limit) => {
        const set = setOf(ids)
        const sorted = [...ids].sort()
        const some = sorted[pick % Math.max(1, sorted.length)] ?? idOf(0)
        const prefix = some.slice(0, depth)
        const within = sorted.filter((id) => id.startsWith(prefix))
        assert.is(set.size, sorted.length)
        assert.is(set.count(prefix), within.length)
        assert.equal(set.ids(prefix, undefined, limit), within.slice(0, limit))
        const other = sorted[(7 * pick) % Math.max(1, sorted.length)] ?? idOf(1)
        assert.equal(set.ids(prefix, other, limit), within.filter((id) => id > other).slice(0, limit))
      },
    ),
    { numRuns: 200 },
  )
})

factSet('has the same prints in whatever order, and whenever, its ids came', () => {
  fc.assert(
    fc.property(crowdedIds, fc.nat({ max: 62 }), fc.nat(), (ids, depth, pick) => {
      const sorted = setOf([...ids].sort())
      const asked = newFactSet()
      for (const id of ids) {
        asked.add(id)
        asked.print('')
      }
      const prefix = (ids[pick % Math.max(1, ids.length)] ?? idOf(0)).slice(0, depth)
      assert.equal(asked.print(prefix), sorted.print(prefix))
      assert.equal(asked.partPrints(prefix), sorted.partPrints(prefix))
      assert.equal(asked.print(''), setOf([...ids].reverse()).print(''))
    }),
    { numRuns: 60 },
  )
})

factSet('has another print as soon as one id differs, in every range that holds it and in no other', () => {
  const ids = idsOf(0, 5_000)
  const set = setOf(ids)
  const before = new Map<string, string>()
  const prefixes = ['', ...'0123456789abcdef', '00', 'ff', '7a3']
  for (const prefix of prefixes) before.set(prefix, toHex(set.print(prefix)))
  const more = idOf(5_000)
  set.add(more)
  for (const prefix of prefixes)
    assert.is(toHex(set.print(prefix)) !== before.get(prefix), more.startsWith(prefix), `range '${prefix}'`)
})

factSet('prints nothing as zeros, and the parts of a range as what they are by themselves', () => {
  assert.equal(newFactSet().print(''), new Uint8Array(16))
  const set = setOf(idsOf(0, 1_000))
  for (const prefix of ['', '3', '3c', '3c5'])
    assert.equal(
      set.partPrints(prefix),
      Uint8Array.from([...'0123456789abcdef'].flatMap((digit) => [...set.print(prefix + digit)])),
    )
})

factSet('keeps up with a busy owner: 200,000 ids in a second, at no more than 100 bytes each', () => {
  const ids = idsOf(0, 200_000)
  const before = process.memoryUsage().arrayBuffers
  const set = newFactSet()
  const cpuBefore = process.cpuUsage()
  for (const id of ids) set.add(id)
  // Of this process alone: what else the machine does is not counted.
  const elapsedMs = process.cpuUsage(cpuBefore).user / 1_000
  const bytes = process.memoryUsage().arrayBuffers - before
  assert.is(set.size, 200_000)
  // Several times what it takes, so that only another order of growth shows.
  assert.ok(elapsedMs < 5_000, `${elapsedMs} ms`)
  assert.ok(bytes < 110 * 200_000, `${bytes / 200_000} bytes an id`)
})

factSet.run()
