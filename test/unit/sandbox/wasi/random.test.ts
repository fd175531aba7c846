import { createCipheriv } from 'node:crypto'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { toHex } from '../../../../runtime/hex.js'
import { chachaBlock, UnitRandom } from '../../../../sandbox/wasi/random.js'

const random = suite('SeededRandom')

function stream(seed: bigint, unit: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  new UnitRandom(seed, unit).fill(bytes)
  return bytes
}

random('has the block function of RFC 8439, section 2.3.2', () => {
  const words = [
    0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, 0x03020100, 0x07060504, 0x0b0a0908, 0x0f0e0d0c, 0x13121110,
    0x17161514, 0x1b1a1918, 0x1f1e1d1c, 0x00000001, 0x09000000, 0x4a000000, 0x00000000,
  ]
  const block = new Uint8Array(64)
  chachaBlock(Uint32Array.from(words), new Uint32Array(16), block)
  assert.is(
    toHex(block),
    '10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e' +
      'd2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e',
  )
})

random('is the key stream of ChaCha20 under seed, unit and the name of the project', () => {
  const key = new Uint8Array(32)
  const view = new DataView(key.buffer)
  view.setBigUint64(0, 0xfedc_ba98_7654_3210n, true)
  view.setBigUint64(8, 12_345_678n, true)
  key.set(new TextEncoder().encode('manyhands.random'), 16)
  const expected = createCipheriv('chacha20', key, new Uint8Array(16)).update(new Uint8Array(1_000))
  assert.is(toHex(stream(0xfedc_ba98_7654_3210n, 12_345_678, 1_000)), toHex(expected))
})

random('never changes from one release to the next', () => {
  assert.is(toHex(stream(0n, 0, 16)), 'b3e183cf865c56e90ec1cc58a6d6cd30')
})

random('gives the same bytes however they are asked for', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(200), { maxLength: 20 }), (sizes) => {
      const source = new UnitRandom(7n, 3)
      const pieces = sizes.map((size) => {
        const bytes = new Uint8Array(size)
        source.fill(bytes)
        return toHex(bytes)
      })
      const total = sizes.reduce((sum, size) => sum + size, 0)
      assert.is(pieces.join(''), toHex(stream(7n, 3, total)))
    }),
  )
})

random('differs between units and between seeds, and takes seeds modulo 2^64', () => {
  const hex = (seed: bigint, unit: number) => toHex(stream(seed, unit, 32))
  assert.is(new Set([hex(0n, 0), hex(0n, 1), hex(1n, 0), hex(0n, 2 ** 32)]).size, 4)
  assert.is(hex(-1n, 0), hex(2n ** 64n - 1n, 0))
})

random.run()
