import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { GridClient } from '../../../client/session/session.js'
import { amendJob, cancelJob } from '../../../client/submit/orders.js'
import { submitJob } from '../../../client/submit/submit.js'
import type { CoordinatorOptions } from '../../../coordinator/index.js'
import { unitCount } from '../../../job/units/unit-source.js'
import { methods } from '../../../proto/methods.js'
import type { JobId } from '../../../proto/model.js'
import type { CallOptions, Endpoint, Transport, UnaryMethod } from '../../../runtime/transport.js'
import { runHomes } from '../scenarios/homes.js'
import type { Host } from '../world/host.js'
import { World } from '../world/world.js'
import { HomeGrid } from './home-grid.js'

/** Homes compare every ten seconds, give or take a fifth, after a newcomer was noticed. Unit: ms. */
const FILLED_MS = 30_000
/** A home is missed for ten seconds of silence of an owner, and for as long at most by the homes behind it. */
const TAKEN_OVER_MS = 30_000

const homes = suite('the homes of a job')
const worlds: World[] = []

async function gridOf(
  peers: number,
  options: Partial<CoordinatorOptions> = {},
): Promise<{ world: World; grid: HomeGrid }> {
  const world = new World(1)
  worlds.push(world)
  return { world, grid: new HomeGrid(world, peers, options) }
}

homes.after.each(() => {
  for (const world of worlds.splice(0)) world.close()
})

const submit = (grid: HomeGrid, shards = 4) =>
  grid.submitter(async (client, context) => {
    const spec = grid.spec(context, shards)
    return submitJob(client, { spec, units: unitCount(spec), blobs: [] })
  })

const hasShards = (grid: HomeGrid, host: Host, jobId: JobId) =>
  (grid.coordinator(host)?.owner.core.job(jobId)?.shards.size ?? 0) > 0

const kept = (grid: HomeGrid, jobId: JobId) => grid.homes(jobId).filter((host) => grid.ordersAt(host, jobId))

homes('a job is acknowledged by three of them and soon kept by all five, which saw it once', async () => {
  const { world, grid } = await gridOf(7)
  await grid.start()
  const { jobId, holders, wanted } = await submit(grid)
  assert.is(wanted, 3)
  assert.ok(holders.length >= 3)
  for (const holder of holders) {
    const host = grid.peers.find(({ caller }) => caller.nodeId === holder)!
    assert.equal(grid.ordersAt(host, jobId), [])
  }
  await world.run(() => kept(grid, jobId).length === 5, FILLED_MS)
})

homes('show how many of them have the job on disk, as known to the one that is asked', async () => {
  const { world, grid } = await gridOf(7)
  await grid.start()
  const { jobId, shown } = await grid.submitter(async (client, context) => {
    const spec = grid.spec(context, 1)
    const { jobId } = await submitJob(client, { spec, units: unitCount(spec), blobs: [] })
    return { jobId, shown: await client.show(jobId, false) }
  })
  assert.is(shown.wanted, 3)
  assert.ok(shown.holders.length >= 3, `${shown.holders.length}`)
  const holding = () => grid.homes(jobId).map((host) => grid.coordinator(host)?.home.show(jobId, false))
  await world.run(
    () => holding().every((reply) => reply !== undefined && reply.holders.length === 5 && reply.wanted === 3),
    2 * FILLED_MS,
  )
  for (const [i, reply] of holding().entries()) assert.is(reply?.holders[0], grid.homes(jobId)[i]!.caller.nodeId)
})

homes('show that too few have a job, until another is back', async () => {
  const { world, grid } = await gridOf(2)
  await grid.start()
  grid.peers[0]!.crash('killed')
  const { jobId } = await submit(grid, 1)
  const shown = () => {
    const reply = grid.coordinator(grid.peers[1]!)!.home.show(jobId, false)
    return [reply.holders.length, reply.wanted]
  }
  assert.equal(shown(), [1, 2])
  grid.startPeer(grid.peers[0]!)
  await world.run(() => shown()[0] === 2, FILLED_MS)
  assert.equal(shown(), [2, 2])
})

homes('as many keep a job as there are peers, and the submitter is told when they are too few', async () => {
  const alone = await gridOf(1)
  await alone.grid.start()
  const one = await submit(alone.grid)
  assert.is(one.wanted, 1)
  assert.is(one.holders.length, 1)
  alone.world.close()
  const { grid } = await gridOf(2)
  await grid.start()
  const both = await submit(grid)
  assert.equal([both.holders.length, both.wanted], [2, 2])
  // Dead, and not noticed yet.
  grid.peers[0]!.crash('killed')
  const half = await submit(grid)
  assert.equal([half.holders.length, half.wanted], [1, 2])
})

homes('an order given to one of them reaches all, and the owners of shards', async () => {
  const { world, grid } = await gridOf(7)
  await grid.start()
  const { jobId } = await submit(grid)
  const { holders } = await grid.submitter((client) => cancelJob(client, jobId))
  assert.ok(holders.length >= 3)
  await world.run(
    () => kept(grid, jobId).every((host) => grid.coordinator(host)!.home.core.cancelled(jobId)),
    FILLED_MS,
  )
  await world.run(
    () =>
      grid.peers.every((host) => grid.coordinator(host)?.owner.core.job(jobId)?.view.cancelled ?? true) &&
      grid.peers.some((host) => grid.coordinator(host)?.owner.core.job(jobId) !== undefined),
    FILLED_MS,
  )
})

homes('one that loses its disk is filled again, and so is a newcomer', async () => {
  const { world, grid } = await gridOf(8)
  const late = grid.peers[7]!
  await grid.start([late])
  const { jobId } = await submit(grid)
  await grid.submitter((client) => amendJob(client, jobId, { priority: 7 }))
  await world.run(() => kept(grid, jobId).length === 5, FILLED_MS)
  const victim = grid.homes(jobId)[0]!
  grid.crash(victim, 'diskLoss')
  await world.run(world.nowMs + 1_000)
  grid.startPeer(victim)
  grid.startPeer(late)
  await world.run(() => grid.homes(jobId).every((host) => grid.ordersAt(host, jobId)?.length === 1), 2 * FILLED_MS)
})

homes('when the nearest one and owners of shards die, another has the shards owned again', async () => {
  const { world, grid } = await gridOf(8, { shardOwners: 1, shardHolders: 1 })
  await grid.start()
  const { jobId } = await submit(grid, 6)
  const owned = () =>
    [0, 1, 2, 3, 4, 5].filter((shard) => grid.coordinator(grid.owner(jobId, shard))?.owner.core.hasShard(jobId, shard))
  await world.run(() => owned().length === 6, FILLED_MS)
  grid.crash(grid.homes(jobId)[0]!, 'killed')
  grid.crash(grid.owner(jobId, 0), 'killed')
  assert.ok(owned().length < 6)
  await world.run(() => owned().length === 6, TAKEN_OVER_MS)
  const shown = await grid.submitter((client) => client.show(jobId, true))
  await world.run(world.nowMs + 10_000)
  assert.is(shown.summary.units, 96)
})

homes('take ten million units in one message from a submitter that leaves at once', async () => {
  const { world, grid } = await gridOf(8)
  await grid.start()
  let sentBytes = 0
  let tookMs = 0
  const { jobId, signed, holders } = await grid.submitter((client, context) => {
    const spec = grid.spec(context, 1, { source: { type: 'count', count: 10_000_000 }, shardUnits: 16_384 })
    const { transport } = client.parts
    const counting: Transport = Object.assign(Object.create(transport) as Transport, {
      call: <Request, Response>(
        to: Endpoint,
        method: UnaryMethod<Request, Response>,
        request: Request,
        options: CallOptions,
      ) => {
        sentBytes += method.request.encode(request).length
        return transport.call(to, method, request, options)
      },
    })
    const beganAt = world.nowMs
    const built = { spec, units: unitCount(spec), blobs: [] }
    return submitJob(new GridClient({ ...client.parts, transport: counting }), built).finally(() => {
      tookMs = world.nowMs - beganAt
    })
  })
  assert.ok(holders.length >= 3)
  assert.ok(tookMs < 2_000, `took ${tookMs} ms`)
  assert.ok(sentBytes < 2 * signed.bytes.length, `sent ${sentBytes} of a spec of ${signed.bytes.length} bytes`)
  const active = () => grid.coordinator(grid.homes(jobId)[0]!)!.home.core.view(jobId, 0, true)?.shards.length ?? 0
  await world.run(() => active() >= 8, FILLED_MS)
  assert.is(active(), 8, 'a window of 611 shards')
})

homes('let go once nearer peers have had everything for ten minutes, and not before', async () => {
  const { world, grid } = await gridOf(14)
  const late = grid.peers.slice(6)
  await grid.start(late)
  const { jobId } = await submit(grid, 1)
  await world.run(() => kept(grid, jobId).length === 5, FILLED_MS)
  const before = grid.homes(jobId)
  for (const host of late) grid.startPeer(host)
  await world.run(() => kept(grid, jobId).length === 5, 2 * FILLED_MS)
  const ranks = grid.homes(jobId, grid.peers.length)
  const outside = before.filter((host) => ranks.indexOf(host) > 7)
  assert.ok(outside.length > 0, 'this seed pushes some aside')
  await world.run(world.nowMs + 9 * 60_000)
  assert.ok(before.every((host) => grid.ordersAt(host, jobId) !== undefined))
  await world.run(() => outside.every((host) => grid.ordersAt(host, jobId) === undefined), 2 * 60_000)
  assert.is(kept(grid, jobId).length, 5)
  const flapping = before.filter((host) => ranks.indexOf(host) <= 7)
  assert.ok(flapping.every((host) => grid.ordersAt(host, jobId) !== undefined))
  // Until it is on disk.
  await world.run(world.nowMs + 1_000)
  for (const host of outside) {
    grid.crash(host, 'powerLoss')
    grid.startPeer(host)
  }
  await world.run(() => outside.every((host) => grid.coordinator(host)?.book.get(jobId) !== undefined), FILLED_MS)
  await world.run(world.nowMs + FILLED_MS)
  assert.ok(
    outside.every((host) => grid.ordersAt(host, jobId) === undefined),
    'a restart does not take it up again',
  )
})

homes('that have all lost it are given the job back by an owner of its shards', async () => {
  const { world, grid } = await gridOf(8, { shardOwners: 1, shardHolders: 1 })
  await grid.start()
  const { jobId } = await submit(grid, 16)
  await grid.submitter((client) => amendJob(client, jobId, { priority: 7 }))
  const lost = grid.homes(jobId)
  const owner = () => grid.peers.find((host) => !lost.includes(host) && hasShards(grid, host, jobId))
  await world.run(() => owner() !== undefined && grid.ordersAt(lost[4]!, jobId)?.length === 1, FILLED_MS)
  await world.run(() => grid.coordinator(owner()!)!.book.need(jobId).orders.length === 1, FILLED_MS)
  for (const host of lost) grid.crash(host, 'diskLoss')
  await world.run(world.nowMs + 2_000)
  for (const host of lost) grid.startPeer(host)
  await world.run(() => grid.homes(jobId).every((host) => grid.ordersAt(host, jobId)?.length === 1), 2 * FILLED_MS)
  await world.run(() => [0, 9].every((shard) => hasShards(grid, grid.owner(jobId, shard), jobId)), FILLED_MS)
})

homes('hear of the shards of a job from its owners alone', async () => {
  const { world, grid } = await gridOf(7, { shardOwners: 1, shardHolders: 1 })
  await grid.start()
  const { jobId } = await submit(grid, 1)
  const [home] = grid.homes(jobId)
  await world.run(() => grid.coordinator(home!)!.home.core.view(jobId, 0, true)?.shards.length === 1, FILLED_MS)
  const view = grid.coordinator(home!)!.home.core.view(jobId, 0, true)!
  const summary = { ...view.summary, open: 0, settled: view.summary.units }
  const { status } = view.shards[0]!
  const to = { nodeId: home!.caller.nodeId, address: home!.address }
  const shards = [
    {
      shard: 0,
      owner: status.owner,
      ownerAddress: status.address,
      summary,
      waiting: '',
      summaryAgeMs: 0,
      firstGrantAgoMs: undefined,
    },
  ]
  await grid.submitter((client) =>
    client.parts.transport.call(to, methods.summarize, { jobId, shards, orders: undefined }, { deadlineMs: 5_000 }),
  )
  const told = { spec: grid.coordinator(home!)!.book.need(jobId).signed, orders: [], shards }
  await grid.submitter((client) => client.parts.transport.call(to, methods.keepJob, told, { deadlineMs: 5_000 }))
  assert.is(grid.coordinator(home!)!.home.core.view(jobId, 0, true)!.summary.settled, 0)
  assert.is(grid.coordinator(home!)!.home.core.finishedCount(jobId), 0)
})

homes('on both sides of a partition take orders, and unite them after it', async () => {
  const { world, grid } = await gridOf(6)
  await grid.start()
  const { jobId } = await submit(grid)
  await world.run(() => kept(grid, jobId).length === 5, FILLED_MS)
  const [near, next] = grid.homes(jobId)
  const cut = world.network.partition([near!, grid.client])
  const mine = await grid.submitter((client) => amendJob(client, jobId, { priority: 3 }))
  assert.equal([mine.holders.length, mine.wanted], [1, 3])
  cut.heal()
  const other = world.network.partition([next!, grid.client])
  await grid.submitter((client) => amendJob(client, jobId, { maxInstances: 30 }))
  other.heal()
  await world.run(() => grid.homes(jobId).every((host) => grid.ordersAt(host, jobId)?.length === 2), 2 * FILLED_MS)
})

for (const seed of [1, 2, 3]) {
  homes(`lose nothing that they acknowledged while peers come and go (seed ${seed})`, async () => {
    const world = new World(seed, { scenario: 'homes' })
    worlds.push(world)
    await runHomes(world)
  })
}

homes.run()
