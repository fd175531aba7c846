import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { compareDistance, sharedBits } from '../../../../overlay/routing/core/node-id.js'
import { LOOKUP_FULL } from '../../../../overlay/routing/core/region.js'
import { Regions } from '../../../../overlay/routing/regions.js'
import type { Key, NodeId } from '../../../../proto/model.js'
import type { Contact } from '../../../../proto/overlay-messages.js'
import { toHex } from '../../../../runtime/hex.js'
import { silentLogger } from '../../../../runtime/logger.js'
import { rejects } from '../../../support/rejects.js'
import { seededRandom } from '../../../support/seeded-random.js'
import { contactAt } from './core/contacts.js'

const MINUTE_MS = 60_000

/** A network of peers spread evenly, in which every lookup finds the nearest. */
class Network {
  now = 0
  peers: Contact[]
  lookups: Key[] = []
  fails = false
  readonly random = seededRandom(3)
  readonly regions: Regions

  constructor(peers: number) {
    this.peers = Array.from({ length: peers }, () => contactAt(this.point()))
    this.regions = new Regions({
      clock: { now: () => this.now, wallMs: () => this.now, setTimer: () => ({ cancel() {} }) },
      random: this.random,
      logger: silentLogger,
      peers: () => this.peers.length,
      lookup: async (point) => {
        this.lookups.push(point)
        if (this.fails) throw new Error('nobody answers')
        const nearest = [...this.peers].sort((a, b) => compareDistance(point, a.nodeId, b.nodeId))
        return nearest.slice(0, LOOKUP_FULL)
      },
    })
  }

  point(): Key {
    return toHex(this.random.bytes(20)) as Key
  }

  /** Lets so many estimates of the size come in, a minute apart. */
  async settle(estimates: number): Promise<void> {
    for (let i = 0; i < estimates; i++) {
      await this.regions.around(this.point())
      this.now += MINUTE_MS
    }
  }
}

const regions = suite('Regions')

regions('are unknown until the size was looked up, and take the middle of three estimates', async () => {
  const network = new Network(500)
  assert.is(network.regions.bitsSeen, undefined)
  await network.settle(3)
  const bits = network.regions.bitsSeen!
  assert.ok(bits >= 5 && bits <= 6, `500 peers / 2^${bits}`)
})

regions('there are none on a network too small for them, nor on one that has shrunk', async () => {
  const small = new Network(40)
  await small.settle(3)
  assert.is(small.regions.bitsSeen, undefined)
  const shrunk = new Network(500)
  await shrunk.settle(3)
  shrunk.peers = shrunk.peers.slice(0, 12)
  assert.is(shrunk.regions.bitsSeen, undefined)
  const { nearest, region } = await shrunk.regions.around(shrunk.point())
  assert.equal([nearest.length, region.length], [12, 0])
})

regions('show the honest peers behind a crowd next to the key', async () => {
  const network = new Network(500)
  await network.settle(3)
  const key = network.point()
  const honest = new Set(network.peers.map(({ nodeId }) => nodeId))
  for (let i = 0; i < 40; i++) network.peers.push(contactAt(key.slice(0, 30) + network.point().slice(30)))
  const { nearest, region } = await network.regions.around(key)
  assert.not.ok(nearest.some(({ nodeId }) => honest.has(nodeId)))
  const seen = region.filter(({ nodeId }) => honest.has(nodeId))
  assert.ok(seen.length >= 4, `${seen.length} honest peers`)
  for (const { nodeId } of seen) assert.ok(sharedBits(key, nodeId as NodeId) >= network.regions.bitsSeen!)
})

regions(
  'are looked up without a new estimate where that fails, and without it being asked for again at once',
  async () => {
    const network = new Network(500)
    await network.settle(3)
    const bits = network.regions.bitsSeen
    network.now += 10 * MINUTE_MS
    network.fails = true
    network.lookups = []
    for (let i = 0; i < 5; i++) assert.is(network.regions.bitsSeen, bits)
    assert.is(network.lookups.length, 1)
    await rejects(network.regions.around(network.point()), /nobody answers/)
  },
)

regions.run()
