import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ByteStore, FixedBytes } from '../../../../sandbox/wasi/byte-store.js'

const store = suite('ByteStore')

type Step =
  | { readonly type: 'write'; readonly at: number; readonly size: number; readonly value: number }
  | { readonly type: 'resize'; readonly length: number }

const LENGTH_MAX = 300_000
const steps = fc.array(
  fc.oneof(
    fc.record({
      type: fc.constant('write' as const),
      at: fc.nat(LENGTH_MAX / 2),
      size: fc.nat(LENGTH_MAX / 2),
      value: fc.integer({ min: 1, max: 255 }),
    }),
    fc.record({ type: fc.constant('resize' as const), length: fc.nat(LENGTH_MAX) }),
  ),
  { maxLength: 8 },
)

function applied(operations: readonly Step[]): { store: ByteStore; model: Uint8Array } {
  const result = new ByteStore()
  const room = new Uint8Array(LENGTH_MAX)
  let length = 0
  for (const step of operations) {
    if (step.type === 'write') {
      const bytes = new Uint8Array(step.size).fill(step.value)
      result.write(bytes, step.at)
      room.set(bytes, step.at)
      if (step.size > 0) length = Math.max(length, step.at + step.size)
    } else {
      result.resize(step.length)
      if (step.length < length) room.fill(0, step.length)
      length = step.length
    }
  }
  return { store: result, model: room.subarray(0, length) }
}

store('holds what an array would hold after any writes and cuts', () => {
  fc.assert(
    fc.property(steps, fc.nat(LENGTH_MAX), fc.nat(100_000), (operations, at, size) => {
      const { store, model } = applied(operations)
      assert.is(store.length, model.length)
      assert.ok(Buffer.from(store.toBytes()).equals(model))
      const target = new Uint8Array(size).fill(255)
      const count = store.read(target, at)
      assert.is(count, Math.max(0, Math.min(size, model.length - at)))
      assert.ok(Buffer.from(target.subarray(0, count)).equals(model.subarray(at, at + count)))
      assert.ok(target.subarray(count).every((byte) => byte === 255))
    }),
    { numRuns: 60 },
  )
})

store('takes a million appends of one byte in linear time', () => {
  const result = new ByteStore()
  const byte = Uint8Array.of(7)
  for (let i = 0; i < 1_000_000; i++) result.write(byte, result.length)
  assert.is(result.length, 1_000_000)
  assert.ok(result.toBytes().every((value) => value === 7))
})

store('takes no memory for what was skipped', () => {
  const before = process.memoryUsage().arrayBuffers
  const result = new ByteStore()
  result.resize(2 ** 40)
  result.write(Uint8Array.of(1), 2 ** 30)
  assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20)
  const target = new Uint8Array(3)
  result.read(target, 2 ** 30 - 1)
  assert.equal([...target], [0, 1, 0])
})

store('reads fixed bytes without changing or copying them', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(5))
  shared.set([1, 2, 3, 4, 5])
  const bytes = new FixedBytes(shared)
  const target = new Uint8Array(3)
  assert.is(bytes.read(target, 3), 2)
  assert.equal([...target], [4, 5, 0])
  assert.is(bytes.read(target, 6), 0)
  assert.is(bytes.length, 5)
})

store.run()
