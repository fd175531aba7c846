import { ResultsReader } from '../../../client/results.js'
import type { GridClient } from '../../../client/session.js'
import { submitJob } from '../../../client/submit.js'
import { SYNC_MS } from '../../../coordinator/exchange/shard-exchange.js'
import type { Coordinator } from '../../../coordinator/index.js'
import { shardKey } from '../../../job/shard.js'
import { unitCount } from '../../../job/unit-source.js'
import { methods } from '../../../proto/methods.js'
import type { JobId } from '../../../proto/model.js'
import { type Millis, pause } from '../../../runtime/clock.js'
import type { Disk } from '../../../runtime/disk.js'
import { GridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import type { Transport } from '../../../runtime/transport.js'
import { syncedBy } from '../world/disk.js'
import type { FaultKind } from '../world/faults.js'
import type { Host, ProcessContext, Program } from '../world/host.js'
import { linkProfiles } from '../world/network.js'
import type { SeededRandom } from '../world/random.js'
import { SimulationFailure, type World } from '../world/world.js'
import { makeCompute } from './compute.js'
import { type GridDirectory, SimDirectory } from './directory.js'
import { Forger } from './forger.js'
import { GridKeys } from './keys.js'
import { Oracle } from './oracle.js'
import { overlayDirectory } from './overlay-directory.js'
import { type Plan, type PlannedJob, specOf } from './plan.js'
import type { Plant } from './plants.js'
import { makeClient, type ProcessParts, STORE_FILE, startPeer, startWorker } from './processes.js'
import { tapCalls, tapTransport } from './tap.js'

/** Time for peers to find one another before anything is submitted, and how long faults go on after that. Unit: ms. */
const WARM_UP_MS = 10_000
const FAULTY_MS = 45_000
/** All units are settled and seen this long after the last fault: the stated bound. Unit: ms. */
export const LIVENESS_MS = 240_000
/**
 * Owners are alike and producers have offered what they keep this long after that: a stream that went half-open is noticed
 * after 40 s, its owner looked for after 5 s more, and owners compare twice. Unit: ms.
 */
const SYNCED_MS = 50_000 + 2 * SYNC_MS
/** Time between two looks of the oracle at running owners. Unit: ms. */
const LOOK_MS = 3_000
/** Chance that a crash meets an owner between its fsync and its answer, at each fsync while faults are on. */
const SYNC_CRASH = 0.004
/** A stalled worker says nothing for longer than owners wait. Unit: ms. */
const STALL_MS: readonly [Millis, Millis] = [31_000, 40_000]
/** When an owner is cut off from the others, after the first fault, and for how long. Unit: ms. */
const ISLAND_AT_MS: readonly [Millis, Millis] = [1_000, 10_000]
const ISLAND_MS = 8_000
/** What a world says of a condition that was not met in time. */
const UNMET = 'the condition does not hold'
/** Largest step of a wall clock. Unit: ms. */
const CLOCK_JUMP_MS = 120_000

/** A whole grid from one plan: peers, workers, one submitter, and an oracle that watches. */
export class Grid {
  readonly oracle: Oracle
  readonly #world: World
  readonly #plan: Plan
  readonly #plant: Plant
  readonly #keys: GridKeys
  readonly #directory: SimDirectory
  readonly #random: SeededRandom
  readonly #peers: Host[]
  readonly #workers: Host[]
  readonly #client: Host
  readonly #coordinators = new Map<Host, { readonly coordinator: Coordinator; readonly boot: number }>()
  readonly #gone = new Set<Host>()
  #faulty = false
  #epochMs: number | undefined

  constructor(world: World, plan: Plan, plant: Plant) {
    this.#world = world
    this.#plan = plan
    this.#plant = plant
    this.#random = world.random.split('grid')
    this.#keys = new GridKeys(plan.realSignatures ? 'ed25519' : 'keyed')
    this.#directory = new SimDirectory(world)
    this.oracle = new Oracle(world, plan, this.#keys.verifier)
    const add = (name: string, reachable: boolean) => {
      const random = this.#random.split(`host ${name}`)
      return world.addHost(name, {
        reachable,
        identity: (generation) => this.#keys.identity(random.split(`key ${generation}`), `${name}:4000`),
        clock: {
          skewMs: random.between(-30_000, 30_000),
          driftPpm: random.between(-100, 100),
          originMs: random.between(0, 1e6),
        },
      })
    }
    this.#peers = Array.from({ length: plan.peers }, (_, i) => add(`peer-${i}`, true))
    this.#workers = plan.workers.map((_, i) => add(`worker-${i}`, false))
    this.#client = add('client', false)
  }

  /** Runs the whole scenario; rejects at the first thing that is wrong. */
  async run(): Promise<void> {
    const world = this.#world
    const faults = this.#makeFaults()
    for (const [i, peer] of this.#peers.entries()) peer.start(this.#peerProgram(peer, i))
    for (const [i, worker] of this.#workers.entries()) worker.start(this.#workerProgram(worker, i))
    this.#look()
    await world.run(WARM_UP_MS)
    this.#client.start(this.#clientProgram())
    await world.run(() => [...this.oracle.jobs].length === this.#plan.jobs.length, 60_000)
    this.#faulty = true
    faults.start()
    this.#stallWorkers()
    if (this.#plan.owners > 1) this.#isolateOwner()
    await world.run(world.nowMs + FAULTY_MS)
    this.#faulty = false
    faults.stop()
    for (const host of this.#gone) if (!host.running) host.restart()
    await this.#finish()
    await world.run(world.nowMs + SYNCED_MS)
    this.#client.crash('killed')
    this.oracle.readAgain()
    this.#client.restart()
    await this.#finish()
    this.#checkOwners()
    for (const worker of this.#workers) this.oracle.checkLedger(worker)
    this.oracle.checkEnd(this.#peers, (jobId, shard) => this.#trueOwners(jobId, shard))
    // What the last checks found is noted as a failure of the world, which only a run reports.
    await world.run(world.nowMs)
  }

  #makeFaults() {
    const mayHit = (host: Host, kind: FaultKind): boolean => {
      if (kind === 'diskLoss') return this.#mayLoseDisk(host)
      if (kind === 'diskFull' || kind === 'diskSlow') return this.#peers.includes(host) || this.#workers.includes(host)
      return true
    }
    return this.#world.faults({
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
  #mayLoseDisk(host: Host): boolean {
    if (host === this.#client) return false
    const worker = this.#workers.indexOf(host)
    return worker < 0 || this.#plan.workers[worker] === 'honest'
  }

  /** Workers that fall silent for longer than a lease lasts and then report, or vanish until the end. */
  #stallWorkers(): void {
    const { scheduler } = this.#world
    const random = this.#random.split('stalls')
    for (const worker of this.#workers) {
      const fate = random.next()
      const startMs = scheduler.nowMs + random.between(500, 10_000)
      const lengthMs = random.between(...STALL_MS)
      if (fate < 0.25) {
        scheduler.at(startMs, worker.name, () => {
          if (!worker.running || worker.paused) return
          worker.pause()
          this.#world.count('stalled')
          scheduler.at(startMs + lengthMs, worker.name, () => worker.resume())
        })
      } else if (fate < 0.4) {
        scheduler.at(startMs, worker.name, () => {
          if (!worker.running) return
          worker.crash('powerLoss')
          this.#gone.add(worker)
          this.#world.count('vanished')
        })
      }
    }
  }

  /** One owner is left alone with the workers for a while, and then its disk is gone: what it alone had is lost. */
  #isolateOwner(): void {
    const { scheduler, network } = this.#world
    const random = this.#random.split('island')
    const atMs = scheduler.nowMs + random.between(...ISLAND_AT_MS)
    const candidates = this.#peers.filter((peer) => this.#mayLoseDisk(peer))
    const owner = random.pick(candidates)
    if (owner === undefined) return
    scheduler.at(atMs, owner.name, () => {
      const island = network.partition([owner, ...this.#workers])
      scheduler.at(atMs + ISLAND_MS, owner.name, () => {
        if (owner.running && this.#mayLoseDisk(owner)) {
          owner.crash('diskLoss')
          this.#world.count('isolatedAndLost')
          scheduler.at(scheduler.nowMs + 1_000, owner.name, () => {
            if (!owner.running) owner.restart()
          })
        }
        island.heal()
      })
    })
  }

  // ---------------------------------------------------------------------------------------------------------- programs

  #parts(host: Host, context: ProcessContext, changes: Partial<ProcessParts>): ProcessParts {
    const directory: GridDirectory = this.#plan.realOverlay
      ? overlayDirectory(context, this.#keys, host.reachable, this.#peers)
      : this.#directory.open(context.clock, this.#random.split(`view ${context.name} ${context.boot}`))
    return {
      context,
      keys: this.#keys,
      directory,
      transport: context.transport,
      disk: context.disk,
      verifier: this.#keys.verifier,
      ...changes,
    }
  }

  #peerProgram(host: Host, index: number): Program {
    return async (context) => {
      if (context.boot > 1) this.oracle.checkKept(host)
      const isMute = index === this.#plan.mutePeer
      const transport = tapTransport(context.transport, methods.work, {
        served: () => ({
          received: (message) => {
            this.oracle.ownerHeard(host, message)
            return isMute && message.type === 'want' ? [] : [message]
          },
          sent: (message) => this.oracle.ownerSaid(host, message),
        }),
      })
      const disk = this.#crashingDisk(host, context.disk)
      const verifier = this.#plant.verifier?.(this.#keys.verifier) ?? this.#keys.verifier
      const parts = this.#parts(host, context, {
        transport: this.#noteAsked(host, context.boot, this.#plant.transport?.(transport) ?? transport),
        disk: this.#plant.disk?.(disk) ?? disk,
        verifier,
      })
      const { owners } = this.#plan
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
              if (disputed > 0) this.#world.count('disputesSeen')
              const open = coordinator.owner.core.shard(jobId, shard)
              if (open?.finished) this.oracle.shardFinished(host, jobId, open.ranges)
            })
          },
        },
      )
      if (!this.#plan.realOverlay)
        this.#directory.serves(host, { nodeId: context.identity.nodeId, address: context.address })
    }
  }

  /** Tells the oracle which shards another owner has told this one of. */
  #noteAsked(host: Host, boot: number, transport: Transport): Transport {
    return tapCalls(transport, methods.reconcile, ({ shards }, { shards: answers }) => {
      for (const [i, { jobId, shard }] of shards.entries()) {
        const state = answers[i]?.state ?? 'notNow'
        if (state !== 'notNow') this.oracle.othersAsked(host, boot, jobId, shard)
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
        if (event.restarted !== true && awaits()) this.oracle.shardOpened(host, boot, jobId, shard, awaits)
      }
      return handle(event, now)
    }
  }

  /** Now and then the machine loses power when its store has been synced and before the process hears of it. */
  #crashingDisk(host: Host, disk: Disk): Disk {
    const random = this.#random.split(`sync ${host.name} ${host.process?.boot}`)
    return syncedBy(disk, async (file) => {
      const strikes = random.chance(SYNC_CRASH)
      await disk.sync(file)
      if (!strikes || !this.#faulty || file !== STORE_FILE) return
      const { scheduler } = this.#world
      this.#world.count('crashAfterSync')
      host.crash('powerLoss')
      scheduler.at(scheduler.nowMs + random.exponential(2_000), host.name, () => {
        if (!host.running) host.restart()
      })
      await new Promise(() => {})
    })
  }

  #workerProgram(host: Host, index: number): Program {
    const character = this.#plan.workers[index]!
    const random = this.#random.split(`worker ${index}`)
    return async (context) => {
      if (context.boot > 1) this.oracle.checkLedger(host)
      const plants = this.#plant.worker?.()
      const forger = character === 'forger' ? new Forger(this.#keys.signer(context.identity.publicKey)) : undefined
      const transport = tapTransport(context.transport, methods.work, {
        opened: () => ({
          received: (message) => {
            forger?.heard(message)
            this.oracle.workerHeard(host, message)
            return [message, ...(plants?.hears(message) ?? [])]
          },
          sent: (message) => {
            this.oracle.workerSaid(host, message)
            plants?.says(message)
          },
          ...(forger && { more: (message) => forger.forge(message) }),
        }),
      })
      const compute = makeCompute(character, context.identity.publicKey, {
        clock: context.clock,
        random,
        unitMs: this.#plan.unitMs[index]!,
        threads: 1 + (index % 2),
      })
      const disk = this.#plant.workerDisk?.(context.disk) ?? context.disk
      await startWorker(this.#parts(host, context, { transport, disk }), compute, { shardOwners: this.#plan.owners })
    }
  }

  #clientProgram(): Program {
    return (context) => {
      this.#epochMs ??= context.clock.wallMs()
      const client = makeClient(this.#parts(this.#client, context, {}))
      for (const job of this.#plan.jobs) {
        this.#runJob(context, client, job).catch((error: unknown) => this.#world.fail(error))
      }
    }
  }

  /** Submits a job until it is taken, then reads its results until all were seen. */
  async #runJob(context: ProcessContext, client: GridClient, planned: PlannedJob): Promise<void> {
    const { clock } = context
    const spec = specOf(this.#plan, planned, context.identity.publicKey, this.#epochMs!)
    const built = { spec, units: unitCount(spec), blobs: [] }
    for (;;) {
      try {
        const { jobId, holders } = await submitJob(client, built)
        const known = { planned, jobId, spec }
        this.oracle.specAccepted(known, holders)
        const left = new Set(Array.from({ length: planned.units }, (_, unit) => unit))
        while (left.size > 0) {
          const reader = new ResultsReader(client, await client.job(jobId), { order: 'settled', follow: true })
          for await (const answer of reader) {
            left.delete(answer.unit)
            this.oracle.clientSaw(known, answer)
          }
          await pause(clock, 1_000)
        }
        return
      } catch (error) {
        if (!(error instanceof GridError) || error.code === 'internal') throw error
        this.#world.count(`client_${error.code}`)
        await pause(clock, 1_000)
      }
    }
  }

  // ------------------------------------------------------------------------------------------------------------ checks

  #look(): void {
    const { scheduler } = this.#world
    scheduler.at(scheduler.nowMs + LOOK_MS, 'oracle', () => {
      this.#checkOwners()
      this.#look()
    })
  }

  #checkOwners(): void {
    for (const [host, { coordinator, boot }] of this.#coordinators) {
      if (host.process?.boot === boot) this.oracle.checkVerdicts(host, coordinator)
    }
  }

  #trueOwners(jobId: JobId, shard: number): readonly Host[] {
    const key = BigInt(`0x${shardKey(sha256, jobId, shard)}`)
    const distance = (host: Host) => BigInt(`0x${host.caller.nodeId}`) ^ key
    return [...this.#peers].sort((a, b) => (distance(a) < distance(b) ? -1 : 1)).slice(0, this.#plan.owners)
  }

  /** Runs until the client has seen every unit that somebody is left to decide. */
  async #finish(): Promise<void> {
    try {
      await this.#world.run(() => this.oracle.hasSeenAll(), LIVENESS_MS)
    } catch (error) {
      if (!this.oracle.isExhausted(this.#peers, this.#workers)) throw this.#explain(error)
      this.#world.count('donorsExhausted')
    }
  }

  /** `error` with what the owners say of what is missing. */
  #explain(error: unknown): unknown {
    if (!(error instanceof SimulationFailure) || !error.message.includes(UNMET)) return error
    const lines = [`not seen: ${this.oracle.unseen().join(' ') || 'jobs not submitted'}`]
    for (const [host, { coordinator, boot }] of this.#coordinators) {
      if (host.process?.boot !== boot) continue
      for (const job of coordinator.owner.core.jobs()) {
        for (const { shard } of job.shards.values()) {
          const report = coordinator.owner.core.report(job.jobId, shard)
          const text = JSON.stringify(report, (_, value) => (typeof value === 'bigint' ? String(value) : value))
          lines.push(`${host.name}: ${text}`)
          const record =
            this.#plan &&
            [...job.shards.get(shard)!.records()].filter(({ state }) => state !== 'settled' && state !== 'failed')
          for (const { unit, state, votes, held, judgement, reservedFor } of record) {
            lines.push(`  unit ${unit} ${state}, ${held.length} held, reserved ${reservedFor !== undefined}`)
            lines.push(
              `    ${votes.map(({ donor, grantor, outcome, digest }) => [donor, grantor, outcome, digest].map((part) => part.slice(0, 6)).join(' ')).join(', ')}`,
            )
            if (judgement?.state === 'open' || judgement?.state === 'disputed')
              lines.push(
                `    wanted ${judgement.wanted}, spent ${judgement.spentGrantors.map((part) => part.slice(0, 6)).join(' ')}`,
              )
          }
        }
      }
    }
    return new Error(lines.join('\n'), { cause: error })
  }
}
