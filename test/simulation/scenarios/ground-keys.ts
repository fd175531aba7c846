import { watchJob } from '../../../client/follow/watch.js'
import { ResultsReader } from '../../../client/results/results.js'
import type { GridClient } from '../../../client/session/session.js'
import { submitJob } from '../../../client/submit/submit.js'
import { jobIdOf } from '../../../job/spec/spec.js'
import { EMPTY_SUMMARY } from '../../../job/summary.js'
import { homeKey } from '../../../job/units/shard.js'
import { compareDistance } from '../../../overlay/routing/core/node-id.js'
import { jobSpecCodec } from '../../../proto/codec/spec.js'
import { methods } from '../../../proto/methods.js'
import type { BootId, JobId, Key, NodeId, Signed } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { GridError, toGridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import type { Caller, Endpoint, Transport } from '../../../runtime/transport.js'
import { makeCompute } from '../grid/compute.js'
import { type GridDirectory, SimDirectory } from '../grid/directory.js'
import { GridKeys } from '../grid/keys.js'
import { honestPlan, specOf } from '../grid/plan.js'
import { makeClient, type ProcessParts, startPeer, startWorker } from '../grid/processes.js'
import type { Scenario } from '../scenario.js'
import { type Host, type ProcessContext, plainIdentity } from '../world/host.js'
import type { SeededRandom } from '../world/random.js'
import type { World } from '../world/world.js'

/** How owners of ground keys behave who have taken all homes of a job. */
export type GroundLie =
  /** They take everything, and know of nothing. */
  | 'deny'
  /** They show the job as it was signed, say that nothing has been done, and give nothing out. */
  | 'stand still'

interface GroundKeys {
  readonly peers: number
  readonly lie: GroundLie
  /** False: as if nobody knew of regions. */
  readonly hasRegions: boolean
}

/** What became of a job. Times since it was submitted; undefined: not within {@link LIMIT_MS}. */
export interface GroundOutcome {
  /** Homes that the attacker has, of five. */
  readonly homesTaken: number
  readonly guards: number
  readonly finishedMs: Millis | undefined
  /** Until whoever watches the job hears that it has finished. */
  readonly seenMs: Millis | undefined
  /** Units, failed ones included, proved by the submitter from another machine, which knows the job's id alone. */
  readonly proved: number
}

const GROUND = 10
const WORKERS = 8
const UNITS = 192
const UNIT_MS = 500
const WARM_UP_MS = 10_000
const LIMIT_MS: Millis = 15 * 60_000
/** Keys tried for each ground one: the nearest of so many. */
const TRIES_PER_PEER = 20

/** A job next to whose key ten keys were ground before it was submitted. */
async function groundKeys(world: World, { peers, lie, hasRegions }: GroundKeys): Promise<GroundOutcome> {
  const grid = new GroundGrid(world, peers, lie, hasRegions)
  await world.run(WARM_UP_MS)
  return grid.run()
}

class GroundGrid {
  readonly #world: World
  readonly #keys = new GridKeys('keyed')
  readonly #directory: SimDirectory
  readonly #random: SeededRandom
  readonly #hasRegions: boolean
  readonly #ground = new Set<NodeId>()
  readonly #client: Host
  readonly #plan = honestPlan({
    peers: 0,
    unitMs: Array.from({ length: WORKERS }, () => UNIT_MS),
    jobs: [{ name: 'wanted', units: UNITS, policy: { type: 'quorum', quorum: 2 } }],
    shardUnits: 16,
  })

  constructor(world: World, peers: number, lie: GroundLie, hasRegions: boolean) {
    this.#world = world
    this.#directory = new SimDirectory(world)
    this.#random = world.random.split('ground keys')
    this.#hasRegions = hasRegions
    for (let i = 0; i < peers; i++) this.#host(`peer-${i}`, true).start((context) => this.#peer(context))
    for (let i = 0; i < WORKERS; i++) this.#host(`worker-${i}`, false).start((context) => this.#worker(context, i))
    this.#client = this.#host('client', false)
    const key = homeKey(this.#job().jobId)
    for (const [i, caller] of this.#grind(key, peers).entries()) {
      this.#ground.add(caller.nodeId)
      const host = world.addHost(`ground-${i}`, { identity: () => caller })
      host.start((context) => this.#liar(context, lie))
    }
  }

  async run(): Promise<GroundOutcome> {
    const world = this.#world
    const { jobId, spec, units } = this.#job()
    const homes = this.#directory.closest(homeKey(jobId), 5)
    const outcome = { guards: 0, finishedMs: undefined, seenMs: undefined, proved: 0 } as {
      -readonly [Field in keyof GroundOutcome]: GroundOutcome[Field]
    }
    let submittedAt: Millis | undefined
    let isOver = false
    const program = async (client: GridClient) => {
      const { guards } = await submitJob(client, { spec, units, blobs: [] })
      outcome.guards = guards
      submittedAt = world.nowMs
      for await (const { end } of watchJob(client, jobId))
        if (end === 'finished') outcome.seenMs = world.nowMs - submittedAt
    }
    this.#client.start((context) => {
      void program(this.#clientOf(context)).catch((error: unknown) => world.count(`client_${toGridError(error).code}`))
    })
    await world.run(() => submittedAt !== undefined, LIMIT_MS)
    const endMs = world.nowMs + LIMIT_MS
    const { caller } = this.#client
    const late = world.addHost('late', { reachable: false, identity: () => caller })
    late.start((context) => {
      void this.#prove(this.#clientOf(context), jobId, outcome, () => submittedAt!).finally(() => {
        isOver = true
      })
    })
    await world.run(() => (isOver && outcome.seenMs !== undefined) || world.nowMs >= endMs, 2 * LIMIT_MS)
    return { ...outcome, homesTaken: homes.filter(({ nodeId }) => this.#ground.has(nodeId)).length }
  }

  /** Fetches the results again and again until all are there. */
  async #prove(
    client: GridClient,
    jobId: JobId,
    outcome: { proved: number; finishedMs: Millis | undefined },
    submittedAt: () => Millis,
  ): Promise<void> {
    const { clock } = client.parts
    const endAt = clock.now() + LIMIT_MS
    while (outcome.proved < UNITS && clock.now() < endAt) {
      try {
        let proved = 0
        const reader = new ResultsReader(client, await client.job(jobId), { order: 'settled', follow: false })
        for await (const _ of reader) proved++
        outcome.proved = proved
      } catch (error) {
        this.#world.count(`late_${toGridError(error).code}`)
      }
      await new Promise((resolve) => clock.setTimer(5_000, () => resolve(undefined)))
    }
    if (outcome.proved === UNITS) outcome.finishedMs = this.#world.nowMs - submittedAt()
  }

  #host(name: string, reachable: boolean): Host {
    const random = this.#random.split(`host ${name}`)
    return this.#world.addHost(name, { reachable, identity: () => this.#keys.identity(random, `${name}:4000`) })
  }

  /** The same bytes whenever it is asked for, so that somebody could have foreseen it. */
  #job() {
    const { publicKey } = this.#client.caller
    const spec = specOf(this.#plan, this.#plan.jobs[0]!, publicKey, this.#client.clock.wallMs() - this.#world.nowMs)
    const bytes = jobSpecCodec.encode(spec)
    const signed: Signed = { bytes, signature: this.#keys.signer(publicKey).sign('spec', bytes) }
    return { spec, signed, units: UNITS, jobId: jobIdOf(sha256, bytes) }
  }

  /** The nearest to `key` of many keys. */
  #grind(key: Key, peers: number): Caller[] {
    const random = this.#random.split('grind')
    const found: Caller[] = []
    for (let i = 0; i < GROUND * peers * TRIES_PER_PEER; i++) {
      const caller = plainIdentity(random, 'ground:4000')
      const last = found[GROUND - 1]
      if (last !== undefined && compareDistance(key, last.nodeId, caller.nodeId) < 0) continue
      found.push(caller)
      found.sort((a, b) => compareDistance(key, a.nodeId, b.nodeId))
      if (found.length > GROUND) found.pop()
    }
    return found
  }

  #parts(context: ProcessContext): ProcessParts {
    const random = this.#random.split(`view ${context.name}`)
    const directory = this.#directory.open(context.clock, random)
    return {
      context,
      keys: this.#keys,
      directory: this.#hasRegions ? directory : withoutRegions(directory),
      transport: context.transport,
      disk: context.disk,
      verifier: this.#keys.verifier,
    }
  }

  async #peer(context: ProcessContext): Promise<void> {
    const { identity, address } = context
    this.#directory.serves(this.#hostOf(context), { nodeId: identity.nodeId, address })
    await startPeer(this.#parts(context), {}, { watch() {} })
  }

  async #worker(context: ProcessContext, index: number): Promise<void> {
    const { clock, identity } = context
    const random = this.#random.split(`worker ${index}`)
    const compute = makeCompute('honest', identity.publicKey, { clock, random, unitMs: UNIT_MS, threads: 1 })
    await startWorker(this.#parts(context), compute, { shardOwners: 3 })
  }

  #clientOf(context: ProcessContext): GridClient {
    return makeClient(this.#parts(context))
  }

  #hostOf({ name }: ProcessContext): Host {
    return this.#world.hosts.find((host) => host.name === name)!
  }

  #liar(context: ProcessContext, lie: GroundLie): void {
    const { identity, address } = context
    this.#directory.serves(this.#hostOf(context), { nodeId: identity.nodeId, address })
    serveLies(context.transport, lie, this.#job(), [...this.#ground])
  }
}

/** Takes whatever belongs to a job, and makes nothing of it. */
function serveLies(
  transport: Transport,
  lie: GroundLie,
  { jobId, signed, units }: { readonly jobId: JobId; readonly signed: Signed; readonly units: number },
  holders: readonly NodeId[],
): void {
  const shown = () => {
    if (lie === 'deny') throw new GridError('notFound', 'this node is not the home of the job')
    const summary = { ...EMPTY_SUMMARY, units, open: units }
    const shard = { spec: signed, orders: [], summary, shards: [], waiting: 'no worker is here', ageMs: 60_000 }
    return { ...shard, firstGrantAgeMs: undefined, holders: holders.slice(0, 5), wanted: 3 }
  }
  transport.handleUnary(methods.submit, async () => ({ jobId, holders: holders.slice(0, 5), wanted: 3 }))
  transport.handleUnary(methods.keepJob, async () => ({ orders: [] }))
  transport.handleUnary(methods.compareJobs, async () => ({ bootId: '00'.repeat(8) as BootId, wanted: [] }))
  transport.handleUnary(methods.summarize, async () => ({ orders: [], stopped: '' }))
  transport.handleUnary(methods.show, async () => shown())
  transport.handleStream(methods.watch, (stream) => {
    try {
      stream.send(shown())
    } catch (error) {
      stream.cancel(toGridError(error))
    }
  })
}

function withoutRegions(directory: GridDirectory): GridDirectory {
  const keepers = async (key: Key, count: number) => ({ owners: await directory.owners(key, count), guards: [] })
  return {
    ...directory,
    client: { ...directory.client, keepers },
    asOwner: (self: Endpoint) => {
      const owner = directory.asOwner(self)
      return {
        ...owner,
        keepers,
        guards: () => false,
        get peerCount() {
          return owner.peerCount
        },
      }
    },
  }
}

function check(world: World, { homesTaken, guards, finishedMs, seenMs, proved }: GroundOutcome, lie: GroundLie): void {
  const figures = { lie, homesTaken, guards, finishedMs, seenMs, proved }
  console.log(`      ground keys: ${JSON.stringify(figures)}`)
  world.check(homesTaken === 5, `the attacker has ${homesTaken} of 5 homes`)
}

/** Ten keys next to a job's key, in a network of a thousand peers; without regions as well, to know what they are for. */
export const groundKeysScenario: Scenario = {
  name: 'ground-keys',
  promise: 'a job is found and completed though ten keys ground next to its key have all its homes, on 1,000 peers',
  onRequest: true,
  run: async (world) => {
    const lie: GroundLie = world.seed % 2 === 0 ? 'deny' : 'stand still'
    const isControl = world.seed % 4 >= 2
    const outcome = await groundKeys(world, { peers: 1_000, lie, hasRegions: !isControl })
    check(world, outcome, lie)
    const isWhole = outcome.finishedMs !== undefined && outcome.seenMs !== undefined
    world.check(isWhole !== isControl, isControl ? 'without regions it would have been lost' : 'found and completed')
  },
}
