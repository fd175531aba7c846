import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  bytesOfPoint,
  compareDistance,
  ID_BITS,
  keyOf,
  keyOfDigest,
  randomInBucket,
  sharedBits,
} from '../../../../../overlay/routing/core/node-id.js'
import type { Digest, NodeId } from '../../../../../proto/model.js'
import { sha256 } from '../../../../../runtime/hash.js'
import { utf8 } from '../../../../../runtime/hex.js'
import { systemRandom } from '../../../../../runtime/random.js'

const point = fc
  .uint8Array({ minLength: 20, maxLength: 20 })
  .map((bytes) => Buffer.from(bytes).toString('hex') as NodeId)

/** XOR distance as the paper defines it. */
const distance = (a: NodeId, b: NodeId) => BigInt(`0x${a}`) ^ BigInt(`0x${b}`)

const distances = suite('distances')

distances('orders points as compareDistance does, and shared bits tell its highest bit', () => {
  fc.assert(
    fc.property(point, point, point, (target, a, b) => {
      const difference = distance(target, a) - distance(target, b)
      assert.is(Math.sign(compareDistance(target, a, b)), difference < 0n ? -1 : difference > 0n ? 1 : 0)
      assert.is(sharedBits(a, b), ID_BITS - (a === b ? 0 : distance(a, b).toString(2).length))
    }),
  )
})

distances.run()

const buckets = suite('randomInBucket')

buckets('gives a point that shares exactly the bits asked for', () => {
  fc.assert(
    fc.property(point, fc.integer({ min: 0, max: ID_BITS - 1 }), (self, shared) => {
      assert.is(sharedBits(self, randomInBucket(self, shared, systemRandom)), shared)
    }),
  )
})

buckets.run()

const keys = suite('keyOf')

keys('tells domains and the borders between parts apart', () => {
  const of = (domain: string, ...parts: string[]) => keyOf(sha256, domain, parts.map(utf8))
  const all = [of('a', 'bc'), of('ab', 'c'), of('a', 'b', 'c'), of('a', 'bc', ''), of('a')]
  assert.is(new Set(all).size, all.length)
  for (const key of all) assert.match(key, /^[0-9a-f]{40}$/)
})

keys('of a digest is its first 160 bits', () => {
  const digest = sha256(utf8('job')) as Digest
  assert.is(keyOfDigest(digest), digest.slice(0, 40))
  assert.is(Buffer.from(bytesOfPoint(keyOfDigest(digest))).toString('hex'), digest.slice(0, 40))
})

keys.run()
