import { deserialize } from 'node:v8'
import { amendJob, cancelJob, type GivenOrder } from '../../../client/submit/orders.js'
import { submitJob } from '../../../client/submit/submit.js'
import type { Write } from '../../../coordinator/store/store.js'
import { unitCount } from '../../../job/units/unit-source.js'
import type { JobId, NodeId } from '../../../proto/model.js'
import { toGridError } from '../../../runtime/errors.js'
import { readRecords } from '../../../runtime/record-log.js'
import { STORE_FILE } from '../grid/processes.js'
import { HomeGrid } from '../home/home-grid.js'
import type { Scenario } from '../scenario.js'
import type { Host } from '../world/host.js'
import type { World } from '../world/world.js'

const PEERS = 8
const ROUNDS = 12
/** Between two things that a submitter does. Unit: ms. */
const ROUND_MS: readonly [number, number] = [500, 12_000]
/** A peer stays away for so long. Unit: ms. */
const DOWN_MS: readonly [number, number] = [500, 15_000]
/** Losses of a disk are as far apart as it takes to make up for one: the repair period. Unit: ms. */
const REPAIR_MS = 40_000
/** All homes have everything so long after the last fault. Unit: ms. */
const ALIKE_MS = 60_000

/** A spec (sequence number 0) or order that these nodes said to have on disk. */
interface Acknowledgement {
  readonly jobId: JobId
  readonly seq: number
  readonly holders: readonly NodeId[]
}

/** What was acknowledged of one job. */
interface Acknowledged {
  readonly jobId: JobId
  /** By sequence number. */
  readonly orders: Set<number>
  cancelled: boolean
}

/**
 * Peers crash, lose disks one after another and are cut off, while a submitter hands in jobs and gives orders. What was
 * acknowledged is with all true homes in the end, every job has its shards owned or is cancelled at its owners, and every
 * home says the same.
 */
export async function runHomes(world: World): Promise<void> {
  const random = world.random.split('homes')
  const grid = new HomeGrid(world, PEERS)
  await grid.start()
  const jobs: Acknowledged[] = []
  const acknowledged: Acknowledgement[] = []
  let lostAt = Number.NEGATIVE_INFINITY
  const away = new Set<Host>()

  const strike = (): void => {
    const victim = random.pick(grid.peers.filter(({ running }) => running))
    if (victim === undefined || away.size >= 2) return
    const { scheduler, network } = world
    const backAt = scheduler.nowMs + random.between(...DOWN_MS)
    away.add(victim)
    if (random.chance(0.3)) {
      world.count('cutOff')
      const cut = network.partition([victim])
      scheduler.at(backAt, victim.name, () => {
        cut.heal()
        away.delete(victim)
      })
      return
    }
    const mayLose = scheduler.nowMs - lostAt > REPAIR_MS && random.chance(0.4)
    if (mayLose) lostAt = backAt
    const kind = mayLose ? 'diskLoss' : random.chance(0.5) ? 'killed' : 'powerLoss'
    world.count(kind)
    grid.crash(victim, kind)
    checkDisk(world, victim, acknowledged)
    scheduler.at(backAt, victim.name, () => {
      away.delete(victim)
      grid.startPeer(victim)
    })
  }

  for (let round = 0; round < ROUNDS; round++) {
    if (random.chance(0.7)) strike()
    await actOnce(world, grid, { jobs, acknowledged }, random.next())
    await world.run(world.nowMs + random.between(...ROUND_MS))
  }
  await world.run(() => away.size === 0, ALIKE_MS)
  await world
    .run(() => jobs.every((job) => isWhole(grid, job)), 2 * ALIKE_MS)
    .catch((error: unknown) => {
      throw new Error(jobs.map((job) => describe(grid, job)).join('\n'), { cause: error })
    })
  for (const { jobId } of jobs) {
    const shown = await grid.submitter((client) => client.show(jobId, true))
    world.check(shown.summary.units > 0, 'a job is shown')
  }
  for (const peer of grid.peers) {
    grid.crash(peer, 'powerLoss')
    checkDisk(world, peer, acknowledged)
  }
}

/** A machine that has just lost power has on disk what it said to have: it is another node once its disk was lost. */
function checkDisk(world: World, host: Host, acknowledged: readonly Acknowledgement[]): void {
  const kept = new Set<string>()
  for (const payload of readRecords(host.disk.contents(STORE_FILE) ?? new Uint8Array(0)).payloads) {
    for (const write of deserialize(payload) as Write[]) {
      if (write.type === 'spec' && write.role === 'home') kept.add(`${write.jobId} 0`)
      if (write.type === 'order') kept.add(`${write.jobId} ${write.seq}`)
    }
  }
  for (const { jobId, seq, holders } of acknowledged) {
    if (!holders.includes(host.caller.nodeId)) continue
    world.check(kept.has(`${jobId} ${seq}`), `${host.name} said to have order ${seq} of ${jobId.slice(0, 8)} on disk`)
    world.count('keptOnDisk')
  }
}

/** Hands in a job, or gives an order about one. */
async function actOnce(
  world: World,
  grid: HomeGrid,
  { jobs, acknowledged }: { readonly jobs: Acknowledged[]; readonly acknowledged: Acknowledgement[] },
  chance: number,
): Promise<void> {
  const note = ({ seq, holders, wanted }: GivenOrder, job: Acknowledged) => {
    acknowledged.push({ jobId: job.jobId, seq, holders })
    // With one holder an acknowledgement says so, and promises no more.
    if (holders.length >= wanted) job.orders.add(seq)
    world.count(holders.length >= wanted ? 'ordersKept' : 'ordersThin')
  }
  try {
    await grid.submitter(async (client, context) => {
      const job = jobs[Math.floor(chance * 1_000) % Math.max(1, jobs.length)]
      if (job === undefined || chance < 0.3) {
        const spec = grid.spec(context, 1 + Math.floor(chance * 20))
        const { jobId, holders, wanted } = await submitJob(client, { spec, units: unitCount(spec), blobs: [] })
        acknowledged.push({ jobId, seq: 0, holders })
        world.count(holders.length >= wanted ? 'jobsKept' : 'jobsThin')
        if (holders.length >= wanted) jobs.push({ jobId, orders: new Set(), cancelled: false })
      } else if (chance > 0.9) {
        note(await cancelJob(client, job.jobId), job)
        job.cancelled = true
      } else note(await amendJob(client, job.jobId, { priority: Math.floor(chance * 100) }), job)
    })
  } catch (error) {
    world.count(`refused_${toGridError(error).code}`)
  }
}

function isWhole(grid: HomeGrid, { jobId, orders, cancelled }: Acknowledged): boolean {
  const homes = grid.homes(jobId)
  const first = grid.ordersAt(homes[0]!, jobId)?.join()
  return homes.every((host) => {
    const coordinator = grid.coordinator(host)
    if (first === undefined || grid.ordersAt(host, jobId)?.join() !== first) return false
    const seqs = new Set(coordinator!.book.need(jobId).orders.map(({ order }) => order.seq))
    if ([...orders].some((seq) => !seqs.has(seq))) return false
    if (cancelled) return coordinator!.home.core.cancelled(jobId)
    const { shards } = coordinator!.book.need(jobId)
    const active = Math.min(8, shards.length)
    let owned = 0
    for (let i = 0; i < shards.length; i++) {
      const shard = shards.at(i)!
      if (grid.coordinator(grid.owner(jobId, shard))?.owner.core.hasShard(jobId, shard)) owned++
    }
    return owned >= active && coordinator!.home.core.view(jobId, 0, true)!.shards.length >= active
  })
}

function describe(grid: HomeGrid, job: Acknowledged): string {
  const { jobId, orders, cancelled } = job
  const lines = grid.homes(jobId).map((host) => {
    const view = grid.coordinator(host)?.home.core.view(jobId, 0, true)
    return `  ${host.name}: orders ${grid.ordersAt(host, jobId)?.map((id) => id.slice(0, 4)) ?? 'not kept'}, shards ${view?.shards.length}`
  })
  return [
    `job ${jobId.slice(0, 8)}, orders ${[...orders]}, cancelled ${cancelled}, ${isWhole(grid, job)}`,
    ...lines,
  ].join('\n')
}

/** Homes under crashes, losses of disks and partitions. */
export const homesScenario: Scenario = {
  name: 'homes',
  promise: 'acknowledged specs and orders are with all true homes in the end, and their shards are owned',
  mustHappen: ['killed', 'powerLoss', 'diskLoss', 'cutOff', 'ordersKept', 'jobsKept', 'keptOnDisk'],
  run: runHomes,
}
