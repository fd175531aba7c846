import { CLAIMED_MS } from '../../../coordinator/owner/core/claims.js'
import type { Grant, JobId, NodeId } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { turnOf } from '../../support/cores/turns.js'
import { type Course, Grid } from '../grid/grid.js'
import { honestPlan } from '../grid/plan.js'
import { NO_PLANT } from '../grid/plants.js'
import type { Scenario } from '../scenario.js'
import type { Host } from '../world/host.js'
import type { World } from '../world/world.js'

const PEERS = 7
const WORKERS = 5
const UNIT_MS = 250
const JOBS = 4
/** Units of a job, one shard: about a minute's work. */
const UNITS = 576
const HARMS = 6
/** Time between two harms, so that the last owner is back and alike. Unit: ms. */
const PEACE_MS = 15_000
const STOPPED_MS = 60_000
/** Fewest units whose first opinion is an owner's turn for it to be worth harming. */
const SHARE_MIN = 8
/** Longest wait for the next grant of a share. Unit: ms. */
const WAIT_MS = 30_000
const WORK_MS = 3_600_000
const LOOK_MS = 500

/** Bars for the 95th percentile from the harm to the next grant by others of what was the owner's turn. Unit: ms. */
const BARS = { killed: 10_000, stopped: 10_000, refusing: 5_000 } as const
type Harm = keyof typeof BARS

/** What one owner was to grant of one job before the others, when it was harmed. */
interface Share {
  readonly jobId: JobId
  readonly owner: Host
  readonly owners: readonly NodeId[]
  readonly units: ReadonlySet<number>
}

/** How long after the harm others granted an opinion that was its turn, and a first one. Unit: ms. */
interface Taken {
  readonly anyMs: Millis
  readonly firstMs: Millis
}

const plan = honestPlan({
  peers: PEERS,
  unitMs: Array.from({ length: WORKERS }, () => UNIT_MS),
  jobs: Array.from({ length: JOBS }, (_, i) => ({
    name: `load-${i}`,
    units: UNITS,
    policy: { type: 'quorum', quorum: 2 },
  })),
  shardUnits: 1_024,
})

/** One owner after the other is harmed, each time the one with the largest share or any, and what follows is timed. */
class HarmOwners implements Course {
  readonly isFaulty = false
  readonly taken: Taken[] = []
  readonly #harm: Harm
  /** Units that nobody has been granted, by job. */
  readonly #untouched = new Map<JobId, Set<number>>()
  #refusing: Host | undefined
  /** The job that a first opinion was granted of last. */
  #current: JobId | undefined
  #waiting: { readonly share: Share; readonly sinceMs: Millis; anyMs?: Millis; firstMs?: Millis } | undefined
  #nowMs: () => Millis = () => 0

  constructor(harm: Harm) {
    this.#harm = harm
  }

  mayGrant(owner: Host): boolean {
    return owner !== this.#refusing
  }

  granted(owner: Host, { jobId, runs }: Grant): void {
    const untouched = this.#untouched.get(jobId)
    const waiting = this.#waiting
    for (const { first, count, opinion } of runs) {
      if (opinion === 0) this.#current = jobId
      for (let unit = first; unit < first + count; unit++) {
        untouched?.delete(unit)
        if (waiting === undefined || waiting.share.jobId !== jobId || owner === waiting.share.owner) continue
        const { owners, units } = waiting.share
        const tookMs = this.#nowMs() - waiting.sinceMs
        if (turnOf(owners, jobId, unit, opinion) === waiting.share.owner.caller.nodeId) waiting.anyMs ??= tookMs
        if (opinion === 0 && units.has(unit)) waiting.firstMs ??= tookMs
      }
    }
  }

  async run(grid: Grid): Promise<void> {
    const { world, oracle } = grid
    this.#nowMs = () => world.nowMs
    for (const { jobId, planned } of oracle.jobs)
      this.#untouched.set(jobId, new Set(Array.from({ length: planned.units }, (_, unit) => unit)))
    for (let i = 0; i < HARMS; i++) {
      await world.run(world.nowMs + PEACE_MS)
      let share: Share | undefined
      while (share === undefined && !oracle.clients.hasSeenAll()) {
        await world.run(world.nowMs + LOOK_MS)
        share = this.#shares(grid).at(i % 2 === 0 ? 0 : -1)
      }
      if (share !== undefined) this.taken.push(await this.#harmOne(world, share))
    }
    await world.run(() => oracle.clients.hasSeenAll(), WORK_MS)
  }

  async #harmOne(world: World, share: Share): Promise<Taken> {
    const { owner } = share
    const sinceMs = world.nowMs
    this.#waiting = { share, sinceMs }
    if (this.#harm === 'killed') owner.crash('killed')
    else if (this.#harm === 'stopped') owner.pause()
    else this.#refusing = owner
    world.count(this.#harm)
    await world.run(() => this.#waiting?.firstMs !== undefined || world.nowMs > sinceMs + WAIT_MS, 2 * WAIT_MS)
    const { anyMs = WAIT_MS, firstMs = WAIT_MS } = this.#waiting
    this.#waiting = undefined
    if (this.#harm === 'killed') owner.restart()
    if (this.#harm === 'stopped') {
      await world.run(sinceMs + STOPPED_MS)
      owner.resume()
    }
    this.#refusing = undefined
    return { anyMs, firstMs }
  }

  /** Shares of the job at hand, the largest first. */
  #shares(grid: Grid): Share[] {
    const jobId = this.#current
    if (jobId === undefined) return []
    const untouched = [...this.#untouched.get(jobId)!]
    const hosts = grid.trueOwners(jobId, 0)
    const owners = hosts.map(({ caller }) => caller.nodeId)
    const shares: Share[] = []
    for (const owner of hosts) {
      const units = new Set(untouched.filter((unit) => turnOf(owners, jobId, unit, 0) === owner.caller.nodeId))
      if (units.size >= SHARE_MIN && owner.running && !owner.paused) shares.push({ jobId, owner, owners, units })
    }
    return shares.sort((a, b) => b.units.size - a.units.size)
  }
}

const p95 = (values: readonly number[]) => values.toSorted((a, b) => a - b)[Math.ceil(0.95 * values.length) - 1]!

function takeoverScenario(harm: Harm, promise: string): Scenario {
  return {
    name: `takeover-${harm}`,
    onRequest: true,
    promise: `${promise}: others grant what was its turn, 95th percentile, within ${BARS[harm] / 1_000} s`,
    run: async (world) => {
      const course = new HarmOwners(harm)
      await new Grid(world, plan, NO_PLANT).run(course)
      const any = course.taken.map(({ anyMs }) => anyMs)
      const first = course.taken.map(({ firstMs }) => firstMs)
      world.count('anyP95Ms', Math.round(p95(any)))
      world.count('firstP95Ms', Math.round(p95(first)))
      const text = course.taken.map(({ anyMs, firstMs }) => `${Math.round(anyMs)}/${Math.round(firstMs)}`).join(' ')
      const { computedAgain = 0 } = world.counters()
      world.check(computedAgain === 0, `${computedAgain} units were computed again by who had answered them`)
      world.check(p95(any) < BARS[harm], `any opinion / a first one after ${text} ms`)
    },
  }
}

const lagPlan = honestPlan({
  peers: 4,
  unitMs: [100, 100, 100],
  jobs: [{ name: 'lagging', units: 192, policy: { type: 'quorum', quorum: 2 } }],
  shardUnits: 256,
})
/** Delay, one way, between the owner that dies and one of the others. Unit: ms. */
const LAG_MS = 700
/** When it dies after the job was submitted, and the bar for what is issued for each instance needed. Unit: ms. */
const DEATH_MS: readonly [Millis, Millis] = [3_000, 5_000]
const ISSUED_MAX = 1.05

/** One owner hears late what another has, that other dies, and comes back when all is done. */
const laggingCourse: Course = {
  isFaulty: false,
  async run(grid) {
    const { world, oracle } = grid
    const random = world.random.split('course')
    const [job] = oracle.jobs
    const owners = job === undefined ? [] : [...grid.trueOwners(job.jobId, 0)]
    const [lost] = owners.splice(random.int(owners.length), 1)
    const late = random.pick(owners)
    if (lost === undefined || late === undefined) throw new Error('the shard has no owners')
    world.network.setLink(lost, late, { baseMs: LAG_MS, jitterMs: 1, loss: 0, duplicate: 0 })
    await world.run(world.nowMs + random.between(...DEATH_MS))
    lost.crash('killed')
    await world.run(() => oracle.clients.hasSeenAll(), WORK_MS)
    lost.restart()
  },
}

const laggingScenario: Scenario = {
  name: 'takeover-lagging',
  onRequest: true,
  promise: `an owner dies of which another has not heard everything: no worker computes what it has answered, ${ISSUED_MAX} issued`,
  run: async (world) => {
    await new Grid(world, lagPlan, NO_PLANT).run(laggingCourse)
    const { instances = 0, computedAgain = 0 } = world.counters()
    const needed = 2 * lagPlan.jobs[0]!.units
    world.check(computedAgain === 0, `${computedAgain} units were computed again by who had answered them`)
    world.check(instances <= ISSUED_MAX * needed, `${instances} instances were issued for ${needed}`)
  },
}

/** Longest time until a job is done of which one of three owners claims everything, for as long as that is believed and then some. */
const CLAIMED_DONE_MS = CLAIMED_MS + 90_000

const claimingScenario: Scenario = {
  name: 'takeover-claimed',
  onRequest: true,
  promise: `one of three owners tells the others for ever that it has all units out: all are done within ${CLAIMED_DONE_MS / 1_000} s`,
  run: async (world) => {
    const peerCharacters = (['honest', 'honest', 'honest'] as const).map((honest, i) =>
      i === world.seed % 3 ? 'claimer' : honest,
    )
    let tookMs = Number.POSITIVE_INFINITY
    const course: Course = {
      isFaulty: false,
      async run({ world: { nowMs }, oracle }) {
        await world.run(() => oracle.clients.hasSeenAll(), WORK_MS)
        tookMs = world.nowMs - nowMs
      },
    }
    await new Grid(world, { ...lagPlan, peers: 3, peerCharacters }, NO_PLANT).run(course)
    world.count('claimedMs', Math.round(tookMs))
    world.check(tookMs <= CLAIMED_DONE_MS, `all was done after ${Math.round(tookMs)} ms`)
  },
}

/** How soon others grant what a lost owner was to. */
export const takeoverScenarios: readonly Scenario[] = [
  takeoverScenario('killed', 'an owner is killed, six times'),
  takeoverScenario('stopped', 'an owner is stopped for a minute, six times'),
  takeoverScenario('refusing', 'an owner refuses to grant, six times'),
  laggingScenario,
  claimingScenario,
]
