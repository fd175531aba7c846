import type { Millis } from '../../../runtime/clock.js'
import { type Course, Grid } from '../grid/grid.js'
import { honestPlan, type Plan } from '../grid/plan.js'
import { NO_PLANT } from '../grid/plants.js'
import type { Scenario } from '../scenario.js'
import type { Host } from '../world/host.js'
import type { World } from '../world/world.js'

const PEERS = 10
const WORKERS = 12
const UNITS = 256
const UNIT_MS = 10_000
const QUORUM = 2
/** Time between two deaths or stops of an owner, how long a dead one is away, and how long a stopped one. Unit: ms. */
const DEATH_MS = 60_000
const AWAY_MS = 12_000
const STOP_EVERY_MS = 120_000
const STOPPED_MS = 60_000
/** When the 30 % go, in the middle of the work. Unit: ms. */
const MASSACRE_MS = 150_000
const MASSACRE_SHARE = 0.3
/** Longest time until all work is done but for its end. Unit: ms. */
const WORK_MS = 3_600_000

/** Instances that may be issued for each that is needed. */
const WASTE_BARS = { deaths: 1.05, massacre: 1.15, stops: 1.05 } as const

/** Honest workers with units of ten seconds, three owners a shard, good links: whatever is issued twice is waste. */
function planOf(world: World): Plan {
  const random = world.random.split('plan')
  return honestPlan({
    peers: PEERS,
    unitMs: Array.from({ length: WORKERS }, () => UNIT_MS * random.between(0.6, 1.4)),
    jobs: [{ name: 'long', units: UNITS, policy: { type: 'quorum', quorum: QUORUM } }],
    shardUnits: 128,
  })
}

/** Does something to one owner, again and again, until the work is nearly done. */
function againAndAgain(everyMs: Millis, harm: (grid: Grid, owner: Host) => void): () => Course {
  return () => ({
    isFaulty: false,
    async run(grid) {
      const { world, peers } = grid
      const random = grid.random.split('course')
      const endAt = world.nowMs + WORK_MS
      while (!grid.oracle.clients.hasSeenAll() && world.nowMs < endAt) {
        await world.run(world.nowMs + everyMs)
        const owner = random.pick(peers.filter((peer) => peer.running && !peer.paused))
        if (owner !== undefined && !grid.oracle.clients.hasSeenAll()) harm(grid, owner)
      }
      for (const peer of peers) if (peer.paused) peer.resume()
    },
  })
}

const deaths = againAndAgain(DEATH_MS, ({ world }, owner) => {
  owner.crash('killed')
  world.count('killed')
  world.scheduler.at(world.nowMs + AWAY_MS, owner.name, () => owner.restart())
})

const stops = againAndAgain(STOP_EVERY_MS, ({ world }, owner) => {
  owner.pause()
  world.count('stopped')
  world.scheduler.at(world.nowMs + STOPPED_MS, owner.name, () => owner.resume())
})

const massacre = (): Course => ({
  isFaulty: false,
  async run({ world, peers, workers, oracle }) {
    await world.run(world.nowMs + MASSACRE_MS)
    for (const group of [peers, workers])
      for (const host of group.slice(0, Math.round(MASSACRE_SHARE * group.length))) host.crash('powerLoss')
    await world.run(() => oracle.clients.hasSeenAll(), WORK_MS)
    for (const host of [...peers, ...workers]) if (!host.running) host.restart()
  },
})

function wasteScenario(kind: keyof typeof WASTE_BARS, courseOf: () => Course, promise: string): Scenario {
  const name = `waste-${kind}`
  return {
    name,
    promise: `${promise}: at most ${WASTE_BARS[kind]} instances issued for each needed`,
    run: async (world) => {
      const grid = new Grid(world, planOf(world), NO_PLANT)
      await grid.run(courseOf())
      const { instances = 0 } = world.counters()
      const ratio = instances / (UNITS * QUORUM)
      world.count('issuedPerMille', Math.round(ratio * 1_000))
      world.check(
        ratio <= WASTE_BARS[kind],
        `${instances} instances were issued for ${UNITS * QUORUM}: ${ratio.toFixed(3)}`,
      )
    },
  }
}

/** Duplicated work while owners die, stop, or many go at once. */
export const wasteScenarios: readonly Scenario[] = [
  wasteScenario('deaths', deaths, 'one owner dies a minute and comes back'),
  wasteScenario('massacre', massacre, '30 % of all peers and workers lose power at once'),
  wasteScenario('stops', stops, 'one owner of ten at a time is stopped for a minute'),
]
