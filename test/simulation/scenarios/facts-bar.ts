import type { Digest } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { type Course, Grid } from '../grid/grid.js'
import type { Acknowledged } from '../grid/oracle/reports.js'
import { honestPlan } from '../grid/plan.js'
import { NO_PLANT } from '../grid/plants.js'
import { readStore } from '../grid/store-log.js'
import type { Scenario } from '../scenario.js'

const PEERS = 40
const WORKERS = 16
const UNITS = 384
const UNIT_MS = 1_000
/** When the peers go, in the middle of the work, and how many of them. Unit: ms. */
const KILL_AT_MS = 15_000
const KILLED_SHARE = 0.3
/** Bar: what survives is on all true owners by then. Unit: ms. */
const BAR_MS = 40_000
const LOOK_MS = 1_000
/** Longest time until all work is done. Unit: ms. */
const WORK_MS = 600_000

/** Honest peers over the real overlay and the real exchange. */
const plan = honestPlan({
  realOverlay: true,
  peers: PEERS,
  unitMs: Array.from({ length: WORKERS }, () => UNIT_MS),
  jobs: [{ name: 'long', units: UNITS, policy: { type: 'quorum', quorum: 2 } }],
  shardUnits: 16,
})

/** A third of the peers is gone with their disks, for good; producers live. */
class KillPeers implements Course {
  readonly isFaulty = false
  /** When all that survived was on all true owners; undefined: not in time. Unit: ms after the kill. */
  spreadMs: Millis | undefined
  acknowledged: readonly Acknowledged[] = []
  survived = 0
  lostKept = 0
  lostSettled = 0

  async run(grid: Grid): Promise<void> {
    const { world, peers, oracle } = grid
    await world.run(world.nowMs + KILL_AT_MS)
    const random = grid.random.split('kill')
    const left = [...peers]
    for (let i = 0; i < Math.round(KILLED_SHARE * PEERS); i++)
      left.splice(random.int(left.length), 1)[0]!.crash('diskLoss')
    const killedAtMs = world.nowMs
    // Read once a look: a store is hashed each time.
    const disks = () => new Map(left.map((host) => [host, readStore(host.disk).reports]))
    const isOn = (all: ReturnType<typeof disks>, reportId: Digest) => [...all.values()].some((ids) => ids.has(reportId))
    const atKill = disks()
    this.acknowledged = oracle.reports.acknowledged()
    const surviving = this.acknowledged.filter(({ reportId }) => isOn(atKill, reportId))
    this.survived = surviving.length
    while (this.spreadMs === undefined && world.nowMs < killedAtMs + 2 * BAR_MS) {
      await world.run(world.nowMs + LOOK_MS)
      const now = disks()
      const isEverywhere = surviving.every(({ reportId, jobId, shard }) =>
        grid.trueOwners(jobId, shard).every((owner) => now.get(owner)?.has(reportId) === true),
      )
      if (isEverywhere) this.spreadMs = world.nowMs - killedAtMs
    }
    await world.run(() => oracle.clients.hasSeenAll(), WORK_MS)
    const atEnd = disks()
    for (const { reportId, isKept } of this.acknowledged) {
      if (isOn(atEnd, reportId)) continue
      if (isKept) this.lostKept++
      else this.lostSettled++
    }
  }
}

/**
 * Ownership after 30 % of the peers have died at once. What was settled, and so dropped by its producer, is lost when all
 * of its holders died: a share of 0.3 to the power of 3, whatever is done later.
 */
export const factsBar: Scenario = {
  name: 'bars-facts',
  promise:
    'after 30 % of the peers died every surviving acknowledged fact is on all true owners in 40 s, and none is lost',
  onRequest: true,
  run: async (world) => {
    const course = new KillPeers()
    await new Grid(world, plan, NO_PLANT).run(course)
    const { acknowledged, survived, spreadMs, lostKept, lostSettled } = course
    const figures = { peers: PEERS, acknowledged: acknowledged.length, survived, spreadMs, lostKept, lostSettled }
    console.log(`      facts: ${JSON.stringify(figures)}`)
    world.check(acknowledged.length >= UNITS / 4, `${acknowledged.length} reports were acknowledged before the kill`)
    world.check(
      spreadMs !== undefined && spreadMs <= BAR_MS,
      `on all owners after ${spreadMs ?? 'more than 80,000'} ms`,
    )
    world.check(lostKept === 0, `${lostKept} acknowledged reports are lost that their producers kept`)
  },
}
