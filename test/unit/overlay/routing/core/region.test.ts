import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { compareDistance, sharedBits } from '../../../../../overlay/routing/core/node-id.js'
import {
  coversRegion,
  estimateFromNearest,
  GUARDS_MAX,
  guardsOf,
  REGION_NETWORK_MIN,
  REGION_PEERS_MIN,
  regionBits,
  regionProbes,
} from '../../../../../overlay/routing/core/region.js'
import type { Key, NodeId } from '../../../../../proto/model.js'
import { sha256 } from '../../../../../runtime/hash.js'
import { utf8 } from '../../../../../runtime/hex.js'
import { seededRandom } from '../../../../support/seeded-random.js'

const random = seededRandom(7)
const point = () => Buffer.from(random.bytes(20)).toString('hex')
const key = point() as Key
const peer = (id: string) => ({ nodeId: id as NodeId, eligible: true })
/** A peer that shares exactly so many bits with the key. */
const beside = (shared: number) => peer(regionProbes(key, shared, random)[0]!)

const region = suite('region')

region('holds eight to sixteen of the peers expected, and is nothing on small networks', () => {
  assert.is(regionBits(REGION_NETWORK_MIN - 1), undefined)
  for (const peers of [64, 100, 1_000, 10_000, 1_000_000]) {
    const expected = peers / 2 ** regionBits(peers)!
    assert.ok(expected >= REGION_PEERS_MIN && expected < 2 * REGION_PEERS_MIN, `${expected} of ${peers}`)
  }
})

region('has the eligible peers of the region, nearest first, whoever else is told of and however often', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: GUARDS_MAX }), (shared) => {
      const peers = shared.map(beside)
      const found = guardsOf(key, 6, [...peers, ...peers, { ...beside(9), eligible: false }])
      const expected = peers
        .filter(({ nodeId }) => sharedBits(key, nodeId) >= 6)
        .sort((a, b) => compareDistance(key, a.nodeId, b.nodeId))
      assert.equal(
        found.map(({ nodeId }) => nodeId),
        expected.map(({ nodeId }) => nodeId),
      )
    }),
  )
})

region('leaves honest peers their places though a crowd of hundreds lies next to the key', () => {
  const crowd = Array.from({ length: 300 }, () => beside(14))
  const honest = [6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 8, 8].map(beside)
  const found = new Set(guardsOf(key, 6, [...crowd, ...honest]).map(({ nodeId }) => nodeId))
  assert.is(found.size, GUARDS_MAX)
  for (const { nodeId } of honest) assert.ok(found.has(nodeId))
})

region('is looked up in its other parts where a crowd fills the lookup of the key', () => {
  const crowd = Array.from({ length: 20 }, () => beside(14))
  assert.not.ok(coversRegion(key, 6, crowd), 'twenty peers, all of them inside: there may be more')
  assert.ok(coversRegion(key, 6, [...crowd.slice(1), beside(5)]), 'it reached beyond')
  assert.ok(coversRegion(key, 6, crowd.slice(1)), 'these are all there are')
  assert.equal(
    regionProbes(key, 6, random).map((probe) => sharedBits(key, probe)),
    [6, 7, 8],
  )
})

region.run()

const estimate = suite('estimateFromNearest')

estimate('is exact for few peers and near for many', () => {
  const target = sha256(utf8('target')).slice(0, 40) as Key
  const nearest = (count: number) =>
    Array.from({ length: count }, (_, i) => sha256(utf8(`peer ${i}`)).slice(0, 40) as NodeId)
      .sort((a, b) =>
        (BigInt(`0x${a}`) ^ BigInt(`0x${target}`)) < (BigInt(`0x${b}`) ^ BigInt(`0x${target}`)) ? -1 : 1,
      )
      .slice(0, 20)
  assert.is(estimateFromNearest(target, []), 0)
  assert.is(estimateFromNearest(target, nearest(7)), 7)
  const many = estimateFromNearest(target, nearest(5_000))
  assert.ok(many > 2_500 && many < 10_000, `${many}`)
})

estimate.run()
