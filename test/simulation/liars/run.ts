import { submitJob } from '../../../client/submit/submit.js'
import type { OwnerDriver } from '../../../coordinator/owner/owner-driver.js'
import { checkSpec, specDefaults } from '../../../job/spec/spec.js'
import { hasAnswer } from '../../../job/verdict/judgement.js'
import type { JobId, JobSpec, PublicKey } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { toHex } from '../../../runtime/hex.js'
import { SimDirectory } from '../grid/directory.js'
import { GridKeys } from '../grid/keys.js'
import { GRID_NETWORK, makeClient, type ProcessParts, startPeer, startWorker } from '../grid/processes.js'
import { GRID_TASK, rightOutput } from '../grid/task.js'
import type { Host, ProcessContext } from '../world/host.js'
import type { SeededRandom } from '../world/random.js'
import type { World } from '../world/world.js'
import { makeLiarCompute } from './compute.js'
import { HONEST_WORKERS, type Population } from './populations.js'

/** Time of a unit on a machine of speed 1, mean and spread of its logarithm. Unit: ms. */
const UNIT_MS = 10_000
const UNIT_SIGMA = 0.5
/** Spread of the logarithm of speeds, whose mean is 1, and of the time of one unit on one machine. */
const SPEED_SIGMA = 0.4
const NOISE_SIGMA = 0.1
/** A stalling ring keeps a unit for so long, twice to three times what the slowest of twenty take. Unit: ms. */
const STALL_MS = 90_000
const AT_ONCE_MS = 5
/** A run is over when it has taken so many times the ideal time, whatever is left. */
const GIVE_UP_FACTOR = 5
/** Time for everybody to start. Unit: ms. */
const WARM_UP_MS = 10_000
/** Share of units whose settling is timed. */
const TIMED_SHARE = 0.99
const SHARD_UNITS = 1_024
const SALT = 'liars'

/** What one run showed. */
export interface Measures {
  readonly population: string
  readonly seed: number
  readonly units: number
  readonly honest: number
  readonly liars: number
  /** Units with a wrong answer accepted, and units failed that do not fail. */
  readonly wrong: number
  readonly failed: number
  /** Units not settled when the run ended. */
  readonly undecided: number
  /** Share of all granted instances that went to the dishonest. */
  readonly captured: number
  /** Time until 99 % were settled / (unit times / honest speeds). */
  readonly time: number
  /** Granted instances / units. */
  readonly redundancy: number
}

/** Runs one job of `units` units, submitter away, on 20 honest workers and one population of dishonest ones. */
export async function runLiars(world: World, population: Population, units: number): Promise<Measures> {
  return new LiarRun(world, population, units).run()
}

class LiarRun {
  readonly #world: World
  readonly #population: Population
  readonly #units: number
  readonly #random: SeededRandom
  readonly #keys = new GridKeys('keyed')
  readonly #directory: SimDirectory
  readonly #unitMs: readonly number[]
  readonly #speeds: readonly number[]
  readonly #granted = { honest: 0, liars: 0 }
  readonly #shards = new Map<number, number>()
  /** Units that a key of the ring was given, and by which. */
  readonly #ringUnits = new Map<number, number>()
  #owner: OwnerDriver | undefined
  #jobId: JobId | undefined
  #decided = 0
  #timedAtMs: number | undefined

  constructor(world: World, population: Population, units: number) {
    this.#world = world
    this.#population = population
    this.#units = units
    this.#random = world.random.split('liars')
    this.#directory = new SimDirectory(world)
    const sizes = this.#random.split('units')
    this.#unitMs = Array.from({ length: units }, () => lognormal(sizes, UNIT_MS, UNIT_SIGMA))
    const speeds = this.#random.split('speeds')
    this.#speeds = Array.from({ length: HONEST_WORKERS + population.keys }, () => lognormal(speeds, 1, SPEED_SIGMA))
  }

  async run(): Promise<Measures> {
    const world = this.#world
    const { keys, placesPerKey, name } = this.#population
    const peer = this.#host('peer', 'peer', true)
    const client = this.#host('client', 'client', false)
    peer.start((context) => this.#runPeer(context))
    for (let index = 0; index < HONEST_WORKERS; index++) {
      const name = `honest-${index}`
      this.#host(name, name, false).start((context) => this.#runWorker(context, index))
    }
    for (let key = 0; key < keys; key++) {
      for (let place = 0; place < placesPerKey; place++) {
        const host = this.#host(`liar-${key}-${place}`, `liar-${key}`, false)
        host.start((context) => this.#runWorker(context, HONEST_WORKERS + key))
      }
    }
    await world.run(WARM_UP_MS)
    const startedAtMs = world.nowMs
    client.start((context) => this.#submit(context))
    const honestSpeed = this.#speeds.slice(0, HONEST_WORKERS).reduce((sum, speed) => sum + speed, 0)
    const idealMs = this.#unitMs.reduce((sum, ms) => sum + ms, 0) / honestSpeed
    const endMs = startedAtMs + GIVE_UP_FACTOR * idealMs
    await world.run(() => this.#decided === this.#units || world.nowMs >= endMs, 2 * GIVE_UP_FACTOR * idealMs)
    this.#owner?.core.checkInvariants()
    const { honest, liars } = this.#granted
    return {
      population: name,
      seed: world.seed,
      units: this.#units,
      honest: HONEST_WORKERS,
      liars: keys,
      ...this.#judge(),
      undecided: this.#units - this.#decided,
      captured: liars / (honest + liars),
      time: (this.#timedAtMs ?? world.nowMs) / idealMs - startedAtMs / idealMs,
      redundancy: (honest + liars) / this.#units,
    }
  }

  /** Hosts with one `keyName` have one key. */
  #host(name: string, keyName: string, reachable: boolean): Host {
    const random = this.#random.split(`key ${keyName}`)
    return this.#world.addHost(name, { reachable, identity: () => this.#keys.identity(random, `${name}:4000`) })
  }

  #parts(context: ProcessContext): ProcessParts {
    return {
      context,
      keys: this.#keys,
      directory: this.#directory.open(context.clock, this.#random.split(`view ${context.name}`)),
      transport: context.transport,
      disk: context.disk,
      verifier: this.#keys.verifier,
    }
  }

  async #runPeer(context: ProcessContext): Promise<void> {
    const watch = ({ owner }: { readonly owner: OwnerDriver }) => {
      this.#owner = owner
      owner.onShardChanged((jobId, shard) => {
        if (this.#shards.has(shard)) return
        this.#shards.set(shard, 0)
        owner.listen(jobId, shard, { decided: () => this.#count(jobId, shard), closed: () => {} })
      })
    }
    await startPeer(this.#parts(context), {}, { watch })
    this.#directory.serves(this.#world.hosts[0]!, { nodeId: context.identity.nodeId, address: context.address })
  }

  /** A unit may come undone again, so each shard is counted anew. */
  #count(jobId: JobId, number: number): void {
    const shard = this.#owner?.core.shard(jobId, number)
    if (shard === undefined) return
    const decided = shard.settledCount + shard.failedCount
    this.#decided += decided - this.#shards.get(number)!
    this.#shards.set(number, decided)
    if (this.#decided >= TIMED_SHARE * this.#units) this.#timedAtMs ??= this.#world.nowMs
  }

  async #runWorker(context: ProcessContext, index: number): Promise<void> {
    const { conduct, threads, answerMs } = this.#population
    const isHonest = index < HONEST_WORKERS
    const random = this.#random.split(`work ${context.name}`)
    const noise = random.split('noise')
    const compute = makeLiarCompute({
      clock: context.clock,
      random: random.split('errors'),
      name: context.name,
      conduct: isHonest ? 'honest' : conduct,
      threads: isHonest ? 1 : threads,
      costMs: (unit) => {
        if (!isHonest && answerMs !== undefined) return answerMs
        if (!isHonest && conduct === 'stalling') return this.#stallMs(unit, index)
        return (this.#unitMs[unit]! * lognormal(noise.split(String(unit)), 1, NOISE_SIGMA)) / this.#speeds[index]!
      },
      granted: () => {
        if (isHonest) this.#granted.honest++
        else this.#granted.liars++
      },
    })
    await startWorker(this.#parts(context), compute, { shardOwners: 1 })
  }

  #stallMs(unit: number, key: number): Millis {
    const first = this.#ringUnits.get(unit) ?? key
    this.#ringUnits.set(unit, first)
    return first === key ? STALL_MS : AT_ONCE_MS
  }

  async #submit(context: ProcessContext): Promise<void> {
    const client = makeClient(this.#parts(context))
    const spec = specOf(this.#units, context.identity.publicKey, context.clock.wallMs())
    const { jobId } = await submitJob(client, { spec, units: this.#units, blobs: [] })
    this.#jobId = jobId
  }

  #judge(): { readonly wrong: number; readonly failed: number } {
    let wrong = 0
    let failed = 0
    for (const number of this.#shards.keys()) {
      for (const { unit, state, judgement } of this.#owner!.core.shard(this.#jobId!, number)?.records() ?? []) {
        if (!hasAnswer(judgement)) continue
        const right = rightOutput(SALT, unit)
        if (judgement.outcome === right.outcome && judgement.digest === right.digest) continue
        if (state === 'failed') failed++
        else wrong++
      }
    }
    return { wrong, failed }
  }
}

function specOf(units: number, submitter: PublicKey, createdAtMs: number): JobSpec {
  const spec: JobSpec = {
    ...specDefaults,
    network: GRID_NETWORK,
    submitter,
    nonce: toHex(new Uint8Array(16)),
    createdAtMs,
    expiresAtMs: createdAtMs + 24 * 3_600_000,
    name: SALT,
    task: GRID_TASK,
    source: { type: 'count', count: units },
    args: [SALT, '{i}'],
    policy: { type: 'quorum', quorum: 2 },
    shardUnits: SHARD_UNITS,
  }
  const problem = checkSpec(spec)
  if (problem !== undefined) throw new Error(problem)
  return spec
}

/** Lognormal with this mean. */
function lognormal(random: SeededRandom, mean: number, sigma: number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next())
  return mean * Math.exp(sigma * normal - (sigma * sigma) / 2)
}
