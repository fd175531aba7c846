import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ownersOf, ReleaseWatch, rankOf, SPREAD_PEERS } from '../../../../../overlay/routing/core/ownership.js'
import type { Key, NodeId } from '../../../../../proto/model.js'

/** XOR distance as the paper defines it. */
const distance = (a: string, b: string) => BigInt(`0x${a}`) ^ BigInt(`0x${b}`)

const point = fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('hex'))

const owners = suite('ownersOf')

owners('are the eligible peers closest to the key, and rank says who is one', () => {
  fc.assert(
    fc.property(
      point,
      fc.uniqueArray(point, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 8 }),
      (text, ids, r) => {
        const key = text as Key
        const peers = ids.map((id, i) => ({ nodeId: id as NodeId, eligible: i % 3 !== 1 }))
        const sorted = peers
          .filter(({ eligible }) => eligible)
          .sort((a, b) => (distance(key, a.nodeId) < distance(key, b.nodeId) ? -1 : 1))
        const found = ownersOf(key, r, peers)
        assert.equal(found, sorted.slice(0, r))
        for (const peer of sorted) assert.is(rankOf(key, peer.nodeId, peers) < r, found.includes(peer))
      },
    ),
  )
})

owners('take one place a network of the eight nearest, while another network has a peer so near', () => {
  fc.assert(
    fc.property(
      point,
      fc.uniqueArray(point, { minLength: 1, maxLength: 30 }),
      fc.array(fc.constantFrom(undefined, 'a', 'b', 'c'), { minLength: 30, maxLength: 30 }),
      fc.integer({ min: 1, max: 12 }),
      (text, ids, subnets, r) => {
        const key = text as Key
        const peers = ids.map((id, i) => ({ nodeId: id as NodeId, eligible: true, subnet: subnets[i] }))
        const sorted = [...peers].sort((a, b) => (distance(key, a.nodeId) < distance(key, b.nodeId) ? -1 : 1))
        const near = sorted.slice(0, SPREAD_PEERS)
        const isFirst = (peer: (typeof peers)[number]) =>
          peer.subnet === undefined || near.find(({ subnet }) => subnet === peer.subnet) === peer
        const order = [...near.filter(isFirst), ...near.filter((peer) => !isFirst(peer)), ...sorted.slice(SPREAD_PEERS)]
        assert.equal(ownersOf(key, r, peers), order.slice(0, r))
        for (const [place, { nodeId, subnet }] of order.entries())
          assert.is(rankOf(key, nodeId, peers, subnet), place, 'and everybody knows its place')
      },
    ),
  )
})

owners('leave six keys of one network that were ground next to a job one place of three, where others are near', () => {
  const key = '0'.repeat(40) as Key
  const id = (distance: number) => distance.toString(16).padStart(40, '0') as NodeId
  const ground = Array.from({ length: 6 }, (_, i) => ({ nodeId: id(i + 1), eligible: true, subnet: '198.51.100' }))
  const honest = [20, 30].map((distance, i) => ({ nodeId: id(distance), eligible: true, subnet: `203.0.${i}` }))
  assert.equal(
    ownersOf(key, 3, [...ground, ...honest]).map(({ nodeId }) => nodeId),
    [id(1), id(20), id(30)],
  )
})

owners.run()

const release = suite('ReleaseWatch')
const KEY = '0'.repeat(40) as Key
const TEN_MINUTES = 600_000

release('lets a former owner drop after ten minutes outside and two clean syncs, not before', () => {
  const watch = new ReleaseWatch()
  watch.ranked(KEY, 6, 3, 0)
  watch.synced(KEY, true)
  watch.synced(KEY, true)
  assert.not(watch.mayDrop(KEY, TEN_MINUTES - 1))
  assert.ok(watch.mayDrop(KEY, TEN_MINUTES))
  watch.synced(KEY, false)
  assert.not(watch.mayDrop(KEY, TEN_MINUTES))
})

release('starts anew when a neighbour flaps, and never ends within the slack', () => {
  const watch = new ReleaseWatch()
  watch.ranked(KEY, 6, 3, 0)
  watch.ranked(KEY, 5, 3, 1_000)
  watch.ranked(KEY, 6, 3, 2_000)
  watch.synced(KEY, true)
  watch.synced(KEY, true)
  assert.not(watch.mayDrop(KEY, TEN_MINUTES + 1_000))
  assert.ok(watch.mayDrop(KEY, TEN_MINUTES + 2_000))
  watch.forget(KEY)
  assert.not(watch.mayDrop(KEY, 10 * TEN_MINUTES))
})

release.run()
