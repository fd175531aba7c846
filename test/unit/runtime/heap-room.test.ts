import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { growthPercent } from '../../../runtime/heap-room.js'

const MIB = 2 ** 20
const room = suite('growthPercent')

room('leaves 64 MiB to a small heap, 128 MiB to a large one, and a quarter of its size to a huge one', () => {
  const roomOf = (mib: number) => (mib * growthPercent(mib * MIB)) / 100
  for (const mib of [1, 15, 40, 64]) assert.ok(Math.abs(roomOf(mib) - 64) < 1, `${mib}: ${roomOf(mib)}`)
  for (const mib of [128, 200, 400]) assert.ok(Math.abs(roomOf(mib) - 128) < 2, `${mib}: ${roomOf(mib)}`)
  assert.is(roomOf(100), 100)
  assert.is(growthPercent(4_000 * MIB), 25)
  assert.is(growthPercent(0), 6_400)
})

room.run()
