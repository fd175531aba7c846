import { ResultsReader } from '../../../client/results/results.js'
import type { GridClient } from '../../../client/session/session.js'
import { submitJob } from '../../../client/submit/submit.js'
import { SYNC_MS } from '../../../coordinator/exchange/shard-exchange.js'
import type { Coordinator } from '../../../coordinator/index.js'
import type { UnitRecord } from '../../../coordinator/owner/core/unit-record.js'
import { shardKey } from '../../../job/units/shard.js'
import { unitCount } from '../../../job/units/unit-source.js'
import { grantCodec, reportCodec } from '../../../proto/codec/facts.js'
import { methods } from '../../../proto/methods.js'
import type { Grant, JobId, NodeId } from '../../../proto/model.js'
import type { WorkerMessage } from '../../../proto/work-messages.js'
import { pause } from '../../../runtime/clock.js'
import type { Disk } from '../../../runtime/disk.js'
import { GridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import type { Transport } from '../../../runtime/transport.js'
import { syncedBy } from '../world/disk.js'
import type { Host, ProcessContext, Program } from '../world/host.js'
import type { SeededRandom } from '../world/random.js'
import { SimulationFailure, type World } from '../world/world.js'
import { makeCompute } from './compute.js'
import { type GridDirectory, SimDirectory } from './directory.js'
import { floodingTransport } from './flooder.js'
import { Forger } from './forger.js'
import { GridKeys } from './keys.js'
import { Oracle } from './oracle.js'
import { overlayDirectory } from './overlay-directory.js'
import { deafToWants, lyingDirectory, lyingTransport, mayWant } from './owner-lies.js'
import { type Plan, type PlannedJob, specOf } from './plan.js'
import type { Plant } from './plants.js'
import { makeClient, type ProcessParts, STORE_FILE, startPeer, startWorker } from './processes.js'
import { tapCalls, tapTransport } from './tap.js'

/** Time for peers to find one another before anything is submitted. Unit: ms. */
const WARM_UP_MS = 10_000
/** All units are settled and seen this long after the last fault: the stated bound. Unit: ms. */
const LIVENESS_MS = 240_000
/**
 * The same where a shard has one owner: peers that took it for theirs while the network was in pieces tell one another
 * nothing, and each has it computed to the end. Unit: ms.
 */
const LONE_LIVENESS_MS = 480_000
/**
 * Owners are alike and producers have offered what they keep this long after that: a stream that went half-open is noticed
 * after 40 s, its owner looked for after 5 s more, and owners compare twice. Unit: ms.
 */
const SYNCED_MS = 50_000 + 2 * SYNC_MS
/** Time between two looks of the oracle at running owners. Unit: ms. */
const LOOK_MS = 3_000
/** Chance that a crash meets an owner between its fsync and its answer, at each fsync while faults are on. */
const SYNC_CRASH = 0.004
/** What a world says of a condition that was not met in time. */
const UNMET = 'the condition does not hold'
/** What happens to a grid between the submission of its jobs and their end. */
export interface Course {
  /** Whether a crash may meet an owner between its fsync and its answer now. */
  readonly isFaulty: boolean
  /** Sees each grant as its owner sends it. */
  granted?(owner: Host, grant: Grant): void
  /** Whether an owner hears what workers want now. Default: it does. */
  mayGrant?(owner: Host): boolean
  /** Resolves once whatever it does to the grid is over, so that all work can end. */
  run(grid: Grid): Promise<void>
}

/** A whole grid from one plan: peers, workers, one submitter, and an oracle that watches. */
export class Grid {
  readonly oracle: Oracle
  readonly world: World
  readonly plan: Plan
  readonly #plant: Plant
  readonly #keys: GridKeys
  readonly #directory: SimDirectory
  readonly random: SeededRandom
  readonly peers: Host[]
  readonly workers: Host[]
  readonly client: Host
  /** Who floods, once it has begun; after the loss of its disk its host is another peer, and honest. */
  #flooder: NodeId | undefined
  readonly #coordinators = new Map<Host, { readonly coordinator: Coordinator; readonly boot: number }>()
  #course: Course | undefined
  #epochMs: number | undefined

  constructor(world: World, plan: Plan, plant: Plant) {
    this.world = world
    this.plan = plan
    this.#plant = plant
    this.random = world.random.split('grid')
    this.#keys = new GridKeys(plan.realSignatures ? 'ed25519' : 'keyed')
    this.#directory = new SimDirectory(world)
    this.oracle = new Oracle(world, plan, this.#keys.verifier)
    this.oracle.owners.countedFacts = (owner, jobId, shard) =>
      this.#coordinators.get(owner)?.coordinator.owner.core.shard(jobId, shard)?.facts.ids
    const add = (name: string, reachable: boolean, uplinkBytesPerS: number | undefined) => {
      const random = this.random.split(`host ${name}`)
      return world.addHost(name, {
        reachable,
        ...(uplinkBytesPerS !== undefined && { uplinkBytesPerS }),
        identity: (generation) => this.#keys.identity(random.split(`key ${generation}`), `${name}:4000`),
        clock: {
          skewMs: random.between(-30_000, 30_000),
          driftPpm: random.between(-100, 100),
          originMs: random.between(0, 1e6),
        },
      })
    }
    this.peers = Array.from({ length: plan.peers }, (_, i) => add(`peer-${i}`, true, plan.uplinks[0]))
    this.workers = plan.workers.map((_, i) => add(`worker-${i}`, false, plan.uplinks[1]))
    this.client = add('client', false, plan.uplinks[1])
  }

  /** Runs the whole scenario; rejects at the first thing that is wrong. */
  async run(course: Course): Promise<void> {
    const world = this.world
    this.#course = course
    for (const [i, peer] of this.peers.entries()) peer.start(this.#peerProgram(peer, i))
    for (const [i, worker] of this.workers.entries()) worker.start(this.#workerProgram(worker, i))
    this.#look()
    await world.run(WARM_UP_MS)
    this.client.start(this.#clientProgram())
    await world.run(() => [...this.oracle.jobs].length === this.plan.jobs.length, 60_000)
    await course.run(this)
    await this.#finish()
    const seenAtMs = world.nowMs
    // Whoever still computes what was settled without it reports it all the same.
    const quietSince = () => Math.max(seenAtMs, this.oracle.reports.lastSentAtMs)
    await world.run(() => world.nowMs - quietSince() >= SYNCED_MS)
    this.client.crash('killed')
    this.oracle.clients.readAgain()
    this.client.restart()
    await this.#finish()
    this.#checkOwners()
    for (const worker of this.workers) this.oracle.disks.checkLedger(worker)
    const left = this.peers.filter(({ running }) => running)
    this.oracle.disks.checkEnd(left, (jobId, shard) => this.trueOwners(jobId, shard))
    // What the last checks found is noted as a failure of the world, which only a run reports.
    await world.run(world.nowMs)
  }

  // ---------------------------------------------------------------------------------------------------------- programs

  #parts(host: Host, context: ProcessContext, changes: Partial<ProcessParts>): ProcessParts {
    const own: GridDirectory = this.plan.realOverlay
      ? overlayDirectory(context, this.#keys, host.reachable, this.peers)
      : this.#directory.open(context.clock, this.random.split(`view ${context.name} ${context.boot}`))
    const character = this.plan.peerCharacters[this.peers.indexOf(host)] ?? 'honest'
    return {
      context,
      keys: this.#keys,
      directory: character === 'announcer' ? lyingDirectory(own, context) : own,
      transport: context.transport,
      disk: context.disk,
      verifier: this.#keys.verifier,
      ...changes,
    }
  }

  #peerProgram(host: Host, index: number): Program {
    return async (context) => {
      if (context.boot > 1) this.oracle.disks.checkKept(host)
      const character = this.plan.peerCharacters[index] ?? 'honest'
      const transport = tapTransport(context.transport, methods.work, {
        served: (stream) => {
          const hear = deafToWants(
            () => !mayWant(character, stream.caller, this.workers) || this.#course?.mayGrant?.(host) === false,
          )
          return {
            received: (message) => {
              this.oracle.owners.heard(host, message)
              return hear(message)
            },
            sent: (message) => {
              this.oracle.owners.said(host, stream.caller.publicKey, message)
              if (message.type === 'grant') this.#course?.granted?.(host, grantCodec.decode(message.grant.bytes))
            },
          }
        },
      })
      const disk = this.#crashingDisk(host, context.disk)
      const verifier = this.#plant.verifier?.(this.#keys.verifier) ?? this.#keys.verifier
      const parts = this.#parts(host, context, {
        transport: this.#noteAsked(
          host,
          context.boot,
          this.#plant.transport?.(transport) ??
            (character === 'flooder' ? this.#flooding(host, context, transport) : lyingTransport(character, transport)),
        ),
        disk: this.#plant.disk?.(disk) ?? disk,
        verifier,
      })
      const { owners } = this.plan
      await startPeer(
        parts,
        {
          shardOwners: owners,
          shardHolders: owners === 3 ? 2 : 1,
          unloadAfterMs: 20_000,
          ...this.#plant.options,
        },
        {
          watch: (coordinator) => {
            this.#plant.coordinator?.(coordinator)
            this.#coordinators.set(host, { coordinator, boot: context.boot })
            this.#noteOpened(host, context.boot, coordinator)
            coordinator.owner.onShardChanged((jobId, shard) => {
              const disputed = coordinator.owner.core.shard(jobId, shard)?.disputedCount ?? 0
              if (disputed > 0) this.world.count('disputesSeen')
              const open = coordinator.owner.core.shard(jobId, shard)
              if (open?.finished) this.oracle.owners.shardFinished(host, jobId, open.ranges)
            })
          },
        },
      )
      if (!this.plan.realOverlay)
        this.#directory.serves(host, { nodeId: context.identity.nodeId, address: context.address })
    }
  }

  /** Tells the oracle which shards another owner has told this one of. */
  #noteAsked(host: Host, boot: number, transport: Transport): Transport {
    return tapCalls(transport, methods.reconcile, (from, { shards }, { shards: answers }) => {
      for (const [i, { jobId, shard }] of shards.entries()) {
        const state = answers[i]?.state ?? 'notNow'
        if (state !== 'notNow') this.oracle.owners.othersAsked(host, boot, jobId, shard, from.nodeId)
      }
    })
  }

  /** Tells the oracle which shards a process opens that may be known better elsewhere, before any mistake is made with it. */
  #noteOpened(host: Host, boot: number, { owner: { core }, exchange, book }: Coordinator): void {
    const handle = core.handle.bind(core)
    core.handle = (event, now) => {
      if (event.type === 'shardOpened' && !core.hasShard(event.jobId, event.shard)) {
        const { jobId, shard } = event
        const awaits = () => exchange.awaitsOthers(book.need(jobId), shard)
        if (event.restarted !== true && awaits()) this.oracle.owners.shardOpened(host, boot, jobId, shard, awaits)
      }
      return handle(event, now)
    }
  }

  /** Now and then the machine loses power when its store has been synced and before the process hears of it. */
  #crashingDisk(host: Host, disk: Disk): Disk {
    const random = this.random.split(`sync ${host.name} ${host.process?.boot}`)
    return syncedBy(disk, async (file) => {
      const strikes = random.chance(SYNC_CRASH)
      await disk.sync(file)
      if (!strikes || !this.#course?.isFaulty || file !== STORE_FILE) return
      const { scheduler } = this.world
      this.world.count('crashAfterSync')
      host.crash('powerLoss')
      scheduler.at(scheduler.nowMs + random.exponential(2_000), host.name, () => {
        if (!host.running) host.restart()
      })
      await new Promise(() => {})
    })
  }

  /** Two owners that lie alike settle what they like, and two that lie differently leave it disputed: one key alone floods. */
  #flooding(host: Host, context: ProcessContext, transport: Transport): Transport {
    this.#flooder ??= context.identity.nodeId
    if (context.identity.nodeId !== this.#flooder) return transport
    const random = this.random.split(`flood of ${host.name} ${context.boot}`)
    return floodingTransport(transport, context, this.#keys, random, (facts) => this.world.count('floodedFacts', facts))
  }

  #workerProgram(host: Host, index: number): Program {
    const character = this.plan.workers[index]!
    const random = this.random.split(`worker ${index}`)
    return async (context) => {
      if (context.boot > 1) this.oracle.disks.checkLedger(host)
      const plants = this.#plant.worker?.()
      const forger = character === 'forger' ? new Forger(this.#keys.signer(context.identity.publicKey)) : undefined
      const answered = new Set<string>()
      const transport = tapTransport(context.transport, methods.work, {
        opened: () => ({
          received: (message) => {
            forger?.heard(message)
            this.oracle.reports.heard(host, message)
            return [message, ...(plants?.hears(message) ?? [])]
          },
          sent: (message) => {
            this.oracle.reports.said(host, message)
            for (const name of answersIn(message)) answered.add(name)
            plants?.says(message)
          },
          ...(forger && { more: (message) => forger.forge(message) }),
        }),
      })
      const compute = makeCompute(character, context.identity.publicKey, {
        clock: context.clock,
        random,
        unitMs: this.plan.unitMs[index]!,
        threads: 1 + (index % 2),
      })
      const run = compute.run.bind(compute)
      compute.run = (batch) => {
        for (const { unit } of batch.units)
          if (answered.has(`${batch.jobId} ${unit}`)) this.world.count('computedAgain')
        run(batch)
      }
      const disk = this.#plant.workerDisk?.(context.disk) ?? context.disk
      await startWorker(this.#parts(host, context, { transport, disk }), compute, { shardOwners: this.plan.owners })
    }
  }

  #clientProgram(): Program {
    return (context) => {
      this.#epochMs ??= context.clock.wallMs()
      const client = makeClient(this.#parts(this.client, context, {}))
      for (const job of this.plan.jobs) {
        this.#runJob(context, client, job).catch((error: unknown) => this.world.fail(error))
      }
    }
  }

  /** Submits a job until it is taken, then reads its results until all were seen. */
  async #runJob(context: ProcessContext, client: GridClient, planned: PlannedJob): Promise<void> {
    const { clock } = context
    const spec = specOf(this.plan, planned, context.identity.publicKey, this.#epochMs!)
    const built = { spec, units: unitCount(spec), blobs: [] }
    for (;;) {
      try {
        const { jobId, holders } = await submitJob(client, built)
        const known = { planned, jobId, spec }
        this.oracle.clients.specAccepted(known, holders)
        const left = new Set(Array.from({ length: planned.units }, (_, unit) => unit))
        while (left.size > 0) {
          const reader = new ResultsReader(client, await client.job(jobId), { order: 'settled', follow: true })
          for await (const answer of reader) {
            left.delete(answer.unit)
            this.oracle.clients.saw(known, answer)
          }
          await pause(clock, 1_000)
        }
        return
      } catch (error) {
        if (!(error instanceof GridError) || error.code === 'internal') throw error
        this.world.count(`client_${error.code}`)
        await pause(clock, 1_000)
      }
    }
  }

  // ------------------------------------------------------------------------------------------------------------ checks

  #look(): void {
    const { scheduler } = this.world
    scheduler.at(scheduler.nowMs + LOOK_MS, 'oracle', () => {
      this.#checkOwners()
      this.#look()
    })
  }

  #checkOwners(): void {
    for (const [host, { coordinator, boot }] of this.#coordinators) {
      if (host.process?.boot === boot) this.oracle.disks.checkVerdicts(host, coordinator)
    }
  }

  /** Hosts of the running peers nearest to a shard, nearest first, whoever knows of them. */
  trueOwners(jobId: JobId, shard: number): readonly Host[] {
    const key = BigInt(`0x${shardKey(sha256, jobId, shard)}`)
    const distance = (host: Host) => BigInt(`0x${host.caller.nodeId}`) ^ key
    const left = this.peers.filter(({ running }) => running)
    return left.sort((a, b) => (distance(a) < distance(b) ? -1 : 1)).slice(0, this.plan.owners)
  }

  /** Runs until the client has seen every unit that somebody is left to decide. */
  async #finish(): Promise<void> {
    try {
      await this.world.run(
        () => this.oracle.clients.hasSeenAll(),
        this.plan.owners > 1 ? LIVENESS_MS : LONE_LIVENESS_MS,
      )
    } catch (error) {
      if (!this.oracle.clients.isExhausted(this.peers, this.workers)) throw this.#explain(error)
      this.world.count('donorsExhausted')
    }
  }

  /** `error` with what the owners say of what is missing. */
  #explain(error: unknown): unknown {
    if (!(error instanceof SimulationFailure) || !error.message.includes(UNMET)) return error
    const lines = [`not seen: ${this.oracle.clients.unseen().join(' ') || 'jobs not submitted'}`]
    for (const [host, { coordinator, boot }] of this.#coordinators) {
      if (host.process?.boot !== boot) continue
      for (const job of coordinator.owner.core.jobs()) {
        for (const { shard } of job.shards.values()) {
          const report = coordinator.owner.core.report(job.jobId, shard)
          const text = JSON.stringify(report, (_, value) => (typeof value === 'bigint' ? String(value) : value))
          lines.push(`${host.name}: ${text}`, ...[...job.shards.get(shard)!.records()].flatMap(describeOpen))
        }
      }
    }
    return new Error(lines.join('\n'), { cause: error })
  }
}

/** Units that a worker answers with a message, by name; its host's failures are no answers. */
function answersIn(message: WorkerMessage): string[] {
  if (message.type !== 'report') return []
  const { jobId, results } = reportCodec.decode(message.fact.report.bytes)
  return results.filter(({ outcome }) => outcome !== 'host').map(({ unit }) => `${jobId} ${unit}`)
}

/** An undecided unit as its owner sees it; nothing for a decided one. */
function describeOpen({ unit, state, votes, held, judgement, reservedFor }: UnitRecord): string[] {
  if (state === 'settled' || state === 'failed') return []
  const short = (parts: readonly string[]) => parts.map((part) => part.slice(0, 6)).join(' ')
  const voted = votes.map(({ donor, grantor, outcome, digest }) => short([donor, grantor, outcome, digest]))
  const isOpen = judgement?.state === 'open' || judgement?.state === 'disputed'
  return [
    `  unit ${unit} ${state}, ${held.length} held, reserved ${reservedFor !== undefined}`,
    `    ${voted.join(', ')}`,
    ...(isOpen ? [`    wanted ${judgement.wanted}, spent ${short(judgement.spentGrantors)}`] : []),
  ]
}
