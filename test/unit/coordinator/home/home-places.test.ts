import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { HomePlaces } from '../../../../coordinator/home/home-places.js'
import { ShardTrust } from '../../../../coordinator/home/home-trust.js'
import type { BookedJob } from '../../../../coordinator/jobs/booked-job.js'
import { DEFAULT_COORDINATOR_OPTIONS } from '../../../../coordinator/options.js'
import { homeKey } from '../../../../job/units/shard.js'
import type { JobId, Key, NodeId } from '../../../../proto/model.js'
import { GridError } from '../../../../runtime/errors.js'
import { silentLogger } from '../../../../runtime/logger.js'
import type { Endpoint } from '../../../../runtime/transport.js'

const jobId = '00'.repeat(32) as JobId
const idOf = (byte: number) => byte.toString(16).padStart(2, '0').repeat(20) as NodeId
const endpoint = (byte: number): Endpoint => ({ nodeId: idOf(byte), address: `peer${byte}:1` })

/** A node with peers at distances 1, 2, 3 ... from the job; itself at `self`. */
class Neighbourhood {
  now = 1_000
  peers: number[]
  lookups = 0
  lookupFails = false
  isGuard = false
  neighboursChanged = () => {}
  readonly ranks: number[] = []
  readonly directory
  readonly places: HomePlaces
  readonly clock = { now: () => this.now, wallMs: () => this.now, setTimer: () => ({ cancel() {} }) }

  constructor(self: number, peers: number[]) {
    this.peers = peers
    const nearest = (count: number) =>
      [...this.peers]
        .sort((a, b) => a - b)
        .slice(0, count)
        .map(endpoint)
    this.directory = {
      self: endpoint(self),
      owners: async (_: Key, count: number) => {
        this.lookups++
        if (this.lookupFails) throw new GridError('quota', 'too many lookups')
        return nearest(count)
      },
      ownersSeen: (_: Key, count: number) => nearest(count),
      keepers: async (_: Key, count: number) => ({ owners: nearest(count), guards: [] }),
      guards: () => this.isGuard,
      announce() {},
      onNeighboursChanged: (handler: () => void) => {
        this.neighboursChanged = handler
      },
      peerCount: 0,
      eligible: true,
    }
    this.places = new HomePlaces({
      clock: this.clock,
      logger: silentLogger,
      directory: this.directory,
      homeOwners: 5,
      onRanked: (_, { rank }) => this.ranks.push(rank),
    })
  }
}

const places = suite('HomePlaces')

places('tells how many nearer homes seem to be there', () => {
  const at = new Neighbourhood(3, [1, 2, 3, 4, 5, 6])
  at.places.track(jobId)
  at.places.refresh()
  assert.equal(at.ranks, [2])
  assert.equal(at.places.homes(jobId), [1, 2, 3, 4, 5].map(endpoint))
  at.places.missed(idOf(1))
  at.places.missed(idOf(1))
  at.places.missed(idOf(9))
  at.places.missed(idOf(4))
  assert.is(at.ranks.at(-1), 1)
  at.places.missed(idOf(2))
  assert.is(at.ranks.at(-1), 0, 'the nearest that answers')
  at.places.reached(idOf(1))
  assert.is(at.ranks.at(-1), 1)
  assert.is(at.lookups, 0, 'its own routing table tells it all')
})

places('notices that a home does not answer, however many peers have left before', () => {
  const at = new Neighbourhood(3, [1, 2, 3])
  at.places.track(jobId)
  at.places.refresh()
  for (let left = 0; left < 2_000; left++) at.places.missed(left.toString(16).padStart(40, 'f') as NodeId)
  at.places.missed(idOf(1))
  assert.is(at.ranks.at(-1), 1)
})

places('looks again when neighbours have changed, and now and then without', () => {
  const at = new Neighbourhood(3, [1, 2, 3])
  at.places.track(jobId)
  at.places.refresh()
  at.peers = [2, 3]
  at.now += 1_000
  at.places.refresh()
  assert.is(at.ranks.at(-1), 2, 'nobody said so')
  at.neighboursChanged()
  at.places.refresh()
  assert.is(at.ranks.at(-1), 1)
  at.peers = [3]
  at.now += 60_000
  at.places.refresh()
  assert.is(at.ranks.at(-1), 0)
})

places('looks up the homes of a job that others are nearer to, and keeps to what it knew when that fails', async () => {
  const at = new Neighbourhood(20, [1, 2, 3, 4, 5, 6, 7, 8, 9, 20])
  at.places.track(jobId)
  const found = await at.places.current(jobId)
  assert.equal(found, [1, 2, 3, 4, 5].map(endpoint))
  assert.is(at.lookups, 1)
  assert.is(at.places.nearer(jobId), 8, 'farther than it looked')
  assert.equal(at.ranks, [5])
  at.now += 60_000
  at.lookupFails = true
  assert.equal(await at.places.current(jobId), found)
})

places('lists the other homes with the jobs that they share', () => {
  const at = new Neighbourhood(2, [1, 2, 3])
  const other = '11'.repeat(32) as JobId
  at.places.track(jobId)
  at.places.track(other)
  at.places.refresh()
  const peers = at.places.peers()
  assert.equal([...peers.keys()], [idOf(1), idOf(3)])
  assert.equal(peers.get(idOf(1))?.jobIds.sort(), [jobId, other])
  at.places.forget(other)
  assert.equal(at.places.peers().get(idOf(3))?.jobIds, [jobId])
})

places.run()

const trust = suite('ShardTrust')
places('knows a guard, which counts all nearer peers and is one for as long as it lies in the region', () => {
  const at = new Neighbourhood(9, [1, 2, 3, 4, 5, 6, 7, 8, 9])
  at.isGuard = true
  at.places.track(jobId)
  at.places.refresh()
  assert.is(at.ranks.at(-1), 8)
  assert.ok(at.places.isGuard(jobId))
  assert.ok([...at.places.peers().values()].every(({ isGuarded }) => isGuarded))
  at.places.missed(idOf(1))
  assert.is(at.ranks.at(-1), 8, 'that a home does not answer makes no home of it')
  at.peers = [6, 7, 8, 9]
  at.neighboursChanged()
  at.places.refresh()
  assert.not.ok(at.places.isGuard(jobId), 'it is one of five now')
  assert.is(at.lookups, 0, 'its own routing table tells it all')
})

const job = {
  jobId,
  shards: { includes: (shard: number) => shard < 2 },
  shardKey: () => homeKey(jobId),
} as unknown as BookedJob

trust('hears those that a lookup names as owners, and looks into a stranger now and then only', async () => {
  const at = new Neighbourhood(9, [1, 2, 3, 4])
  const options = { ...DEFAULT_COORDINATOR_OPTIONS, shardOwners: 2, shardHolders: 1 }
  const isGuard = () => false
  const owners = new ShardTrust({ clock: at.clock, logger: silentLogger, directory: at.directory, isGuard, options })
  assert.ok(await owners.isOwner(job, 0, idOf(9)), 'this node itself')
  assert.is(at.lookups, 0)
  assert.ok(await owners.isOwner(job, 0, idOf(1)))
  assert.ok(await owners.isOwner(job, 1, idOf(2)), 'named by the same lookup')
  assert.is(at.lookups, 1)
  assert.not(await owners.isOwner(job, 0, idOf(4)))
  assert.not(await owners.isOwner(job, 0, idOf(4)))
  assert.is(at.lookups, 2)
  at.peers = [4]
  at.now += 10_000
  assert.ok(await owners.isOwner(job, 0, idOf(4)))
  assert.not(await owners.isOwner(job, 2, idOf(5)), 'no such shard')
  owners.forget(jobId)
  owners.add(jobId, [endpoint(7)])
  assert.ok(await owners.isOwner(job, 0, idOf(7)))
})

trust.run()
