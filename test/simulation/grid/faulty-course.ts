import type { Millis } from '../../../runtime/clock.js'
import type { FaultKind, Faults } from '../world/faults.js'
import type { Host } from '../world/host.js'
import { linkProfiles } from '../world/link.js'
import type { Course, Grid } from './grid.js'

/** How long faults go on. Unit: ms. */
const FAULTY_MS = 45_000
/** A stalled worker says nothing for longer than owners wait. Unit: ms. */
const STALL_MS: readonly [Millis, Millis] = [31_000, 40_000]
/** A stalled owner comes back with what it knew long ago, and streams that others have given up. Unit: ms. */
const OWNER_STALL_MS: readonly [Millis, Millis] = [8_000, 35_000]
/** When an owner is cut off from the others, after the first fault, and for how long. Unit: ms. */
const ISLAND_AT_MS: readonly [Millis, Millis] = [1_000, 10_000]
const ISLAND_MS = 8_000
/** Largest step of a wall clock. Unit: ms. */
const CLOCK_JUMP_MS = 120_000
/** When a wall comes up between two hosts. Unit: ms. */
const WALL_AT_MS: readonly [Millis, Millis] = [0, 15_000]

/** Every fault of the world for a while, and then none. */
export class FaultyCourse implements Course {
  #faulty = false
  readonly #gone = new Set<Host>()

  get isFaulty(): boolean {
    return this.#faulty
  }

  async run(grid: Grid): Promise<void> {
    const { world, plan } = grid
    const faults = makeFaults(grid)
    this.#faulty = true
    faults.start()
    this.#stallWorkers(grid)
    if (plan.owners > 1) {
      isolateOwner(grid)
      stallOwner(grid)
    }
    buildWalls(grid)
    await world.run(world.nowMs + FAULTY_MS)
    this.#faulty = false
    faults.stop()
    for (const host of grid.peers) if (host.paused) host.resume()
    for (const host of this.#gone) if (!host.running) host.restart()
  }

  /** Workers that fall silent for longer than a lease lasts and then report, or vanish until the end. */
  #stallWorkers({ world, workers, random: seeded }: Grid): void {
    const { scheduler } = world
    const random = seeded.split('stalls')
    for (const worker of workers) {
      const fate = random.next()
      const startMs = scheduler.nowMs + random.between(500, 10_000)
      const lengthMs = random.between(...STALL_MS)
      if (fate < 0.25) stall(world, worker, startMs, lengthMs, 'stalled')
      else if (fate < 0.4) {
        scheduler.at(startMs, worker.name, () => {
          if (!worker.running) return
          worker.crash('powerLoss')
          this.#gone.add(worker)
          world.count('vanished')
        })
      }
    }
  }
}

function makeFaults(grid: Grid): Faults {
  const { world, peers, workers } = grid
  const mayHit = (host: Host, kind: FaultKind): boolean => {
    if (kind === 'diskLoss') return mayLoseDisk(grid, host)
    if (kind === 'diskFull' || kind === 'diskSlow') return peers.includes(host) || workers.includes(host)
    return true
  }
  return world.faults({
    profile: linkProfiles.bad,
    downMax: 2,
    repairMs: 4_000,
    clockJumpMaxMs: CLOCK_JUMP_MS,
    mayHit,
    intervals: {
      killed: 6_000,
      powerLoss: 7_000,
      diskLoss: 12_000,
      partition: 15_000,
      streamBreak: 3_000,
      halfOpen: 12_000,
      clockJump: 12_000,
      diskFull: 15_000,
      diskSlow: 12_000,
      pause: 10_000,
    },
  })
}

/** Not the submitter; and a liar with a new key would be a second liar of one mind. */
function mayLoseDisk({ client, workers, plan }: Grid, host: Host): boolean {
  if (host === client) return false
  const worker = workers.indexOf(host)
  return worker < 0 || plan.workers[worker] === 'honest'
}

/** A process that stands still for a while, from `startMs` on. */
function stall(world: Grid['world'], host: Host, startMs: Millis, lengthMs: Millis, counter: string): void {
  const { scheduler } = world
  scheduler.at(startMs, host.name, () => {
    if (!host.running || host.paused) return
    host.pause()
    world.count(counter)
    scheduler.at(startMs + lengthMs, host.name, () => host.resume())
  })
}

function stallOwner({ world, peers, random: seeded }: Grid): void {
  const random = seeded.split('stalled owner')
  if (random.chance(0.5)) return
  const startMs = world.nowMs + random.between(500, 10_000)
  stall(world, random.pick(peers)!, startMs, random.between(...OWNER_STALL_MS), 'stalledOwner')
}

/** One owner is left alone with the workers for a while, and then its disk is gone: what it alone had is lost. */
function isolateOwner(grid: Grid): void {
  const { world, peers, workers, random: seeded } = grid
  const { scheduler, network } = world
  const random = seeded.split('island')
  const atMs = scheduler.nowMs + random.between(...ISLAND_AT_MS)
  const owner = random.pick(peers.filter((peer) => mayLoseDisk(grid, peer)))
  if (owner === undefined) return
  scheduler.at(atMs, owner.name, () => {
    const island = network.partition([owner, ...workers])
    scheduler.at(atMs + ISLAND_MS, owner.name, () => {
      if (owner.running && mayLoseDisk(grid, owner)) {
        owner.crash('diskLoss')
        world.count('isolatedAndLost')
        scheduler.at(scheduler.nowMs + 1_000, owner.name, () => {
          if (!owner.running) owner.restart()
        })
      }
      island.heal()
    })
  })
}

/** Pairs of hosts that cannot reach each other although others reach both, or of which one cannot dial the other. */
function buildWalls({ world, plan, peers, workers, random: seeded }: Grid): void {
  const { scheduler, network } = world
  const random = seeded.split('walls')
  for (let i = 0; i < plan.walls; i++) {
    const to = random.pick(peers)!
    const from = random.pick([...peers, ...workers].filter((host) => host !== to))!
    const isOneWay = random.chance(0.5)
    scheduler.at(scheduler.nowMs + random.between(...WALL_AT_MS), from.name, () => {
      if (isOneWay) network.forbidDials(from, to)
      else network.wall(from, to)
      world.count(isOneWay ? 'oneWay' : 'walls')
    })
  }
}
