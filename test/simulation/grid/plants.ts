import { createHash } from 'node:crypto'
import type { Coordinator, CoordinatorOptions } from '../../../coordinator/index.js'
import type { OwnerEvent } from '../../../coordinator/owner/core/messages.js'
import type { Shard } from '../../../coordinator/owner/core/shard.js'
import type { UnitRecord } from '../../../coordinator/owner/core/unit-record.js'
import { hashedPrints } from '../../../coordinator/sync/core/prints.js'
import { isDeterministic } from '../../../job/facts/digest.js'
import type { Verifier } from '../../../overlay/identity/identity.js'
import { reportCodec } from '../../../proto/codec/facts.js'
import { methods } from '../../../proto/methods.js'
import type { Digest } from '../../../proto/model.js'
import type { OwnerMessage, WorkerMessage } from '../../../proto/work-messages.js'
import type { Disk } from '../../../runtime/disk.js'
import { GridError } from '../../../runtime/errors.js'
import { sha256 } from '../../../runtime/hash.js'
import type { Transport } from '../../../runtime/transport.js'
import { LEDGER_FILE } from '../../../worker/ledger.js'
import { split } from '../overlay/bars.js'
import { syncedBy } from '../world/disk.js'
import type { World } from '../world/world.js'
import { forgedFacts, xorPrints } from './forged-prints.js'
import type { Plan } from './plan.js'
import { STORE_FILE } from './processes.js'

/** What a planted mistake makes of the streams of one worker process. */
export interface WorkerPlant {
  says(message: WorkerMessage): void
  /** Messages that the worker believes to hear after one that came. */
  hears(message: OwnerMessage): readonly OwnerMessage[]
}

/**
 * A mistake put into every process of a grid on purpose, to show that the oracle finds it: by wrapping what a process is
 * handed, or objects of it from outside. The program itself knows nothing of it.
 */
export interface Plant {
  /** As given to `--planted`. */
  readonly name: string
  /** What is wrong, in one sentence. */
  readonly mistake: string
  /** Changes plans so that the mistake has occasions. */
  readonly plan?: (plan: Plan) => Plan
  readonly disk?: (disk: Disk) => Disk
  readonly workerDisk?: (disk: Disk) => Disk
  readonly options?: Partial<CoordinatorOptions>
  /** Changes what owners say. */
  readonly transport?: (transport: Transport) => Transport
  readonly verifier?: (verifier: Verifier) => Verifier
  readonly coordinator?: (coordinator: Coordinator) => void
  readonly worker?: () => WorkerPlant
  /** What the mistake is looked for with, in place of a whole grid. Must pass when it `isPlanted` no more. */
  readonly run?: (world: World, isPlanted: boolean) => Promise<void>
  /** A seed that finds it, where it takes many: quick tests begin with it. */
  readonly knownSeed?: number
}

/** No mistake. */
export const NO_PLANT: Plant = { name: 'none', mistake: 'nothing is wrong' }

/** Every mistake that must be found within 200 seeds. */
export const plants: readonly Plant[] = [
  {
    name: 'ack-before-fsync',
    mistake: 'an owner acknowledges what is not synced yet',
    plan: oneOwner,
    disk: (disk) => {
      let syncs = 0
      // Every other one is put off until the next.
      return syncedBy(disk, async (file) => {
        if (file !== STORE_FILE || ++syncs % 2 === 0) await disk.sync(file)
      })
    },
  },
  {
    name: 'one-holder',
    mistake: 'with three owners one disk is called durable',
    knownSeed: 2,
    plan: (plan) => ({ ...plan, owners: 3 }),
    options: { shardHolders: 1 },
  },
  {
    name: 'grants-unchecked',
    mistake: 'owners admit reports whose grants nobody signed',
    plan: (plan) => ({ ...plan, workers: plan.workers.map((character, i) => (i === 1 ? 'forger' : character)) }),
    verifier: (verifier) => ({
      ...verifier,
      verify: (key, tag, bytes, signature) => tag === 'grant' || verifier.verify(key, tag, bytes, signature),
    }),
  },
  {
    name: 'first-come',
    mistake: 'the verdict of an owner is the answer that arrived first',
    knownSeed: 2,
    plan: (plan) => ({
      ...plan,
      workers: plan.workers.map((character, i) => (i < 2 ? 'liar' : character)),
      jobs: plan.jobs.map((job) => ({ ...job, policy: { type: 'none' } as const })),
    }),
    coordinator: (coordinator) =>
      eachShard(coordinator, (shard) => {
        const vote = shard.vote.bind(shard)
        shard.vote = (record, votes, now) => {
          const isLate = record.votes.some(({ outcome }) => isDeterministic(outcome))
          return isLate ? { record, before: record.state, after: record.state } : vote(record, votes, now)
        }
      }),
  },
  {
    name: 'drop-on-ack',
    mistake: 'a worker drops its copy of a report once it is acknowledged',
    plan: oneOwner,
    worker: dropOnAck,
  },
  {
    name: 'uncounted',
    mistake: 'a worker drops its copy of a report before what was settled of it is in its ledger on disk',
    knownSeed: 3,
    workerDisk: (disk) => ({
      ...disk,
      append: async (file, bytes) => {
        if (file !== LEDGER_FILE) await disk.append(file, bytes)
      },
    }),
  },
  {
    name: 'issue-again',
    mistake: 'a restarted owner forgets what was accepted and grants it again',
    coordinator: (coordinator) =>
      eachEvent(coordinator, (event) => (event.type === 'reportKept' && !event.live ? undefined : event)),
    plan: oneOwner,
  },
  {
    name: 'settled-thin',
    mistake: 'a producer is told that its unit is settled while only one of three owners has its report',
    plan: (plan) => ({ ...plan, owners: 3 }),
    coordinator: ({ exchange }) => {
      exchange.isSafe = () => true
    },
  },
  {
    name: 'no-sync',
    mistake: 'owners never compare what they have',
    plan: (plan) => ({ ...plan, owners: 3 }),
    transport: (transport) => ({
      call: (to, method, request, options) =>
        method.path === methods.reconcile.path
          ? Promise.reject(new GridError('unavailable', 'planted'))
          : transport.call(to, method, request, options),
      open: (to, method, signal) => transport.open(to, method, signal),
      handleUnary: (method, handler) => transport.handleUnary(method, handler),
      handleStream: (method, handler) => transport.handleStream(method, handler),
      probe: (address, options) => transport.probe(address, options),
    }),
  },
  {
    name: 'serves-unsynced',
    mistake: 'an owner that is given a shard grants from it before it has asked another what it knows',
    plan: (plan) => ({ ...plan, owners: 3 }),
    coordinator: (coordinator) =>
      eachEvent(coordinator, (event) => (event.type === 'shardOpened' ? { ...event, awaitsOthers: false } : event)),
  },
  {
    name: 'drops-at-once',
    mistake: 'an owner that nearer peers have pushed aside drops its shard at once, whatever the others have',
    plan: (plan) => ({ ...plan, owners: 3, peers: 8 }),
    options: { releaseSlack: 0, releaseAfterMs: 0, releaseSyncs: 0 },
    knownSeed: 17,
  },
  {
    name: 'no-bypass',
    mistake: 'units of a stalled owner are left to it for ever',
    plan: (plan) => ({ ...plan, owners: 3, peerCharacters: ['mute'] }),
    coordinator: (coordinator) => eachShard(coordinator, neverBypass),
  },
  {
    name: 'xor-prints',
    mistake: 'the fingerprint of a range is the XOR of its ids, which workers choose',
    run: (world, isPlanted) => forgedFacts(world, isPlanted ? xorPrints : hashedPrints(digestOf)),
  },
  {
    name: 'no-graveyard',
    mistake: 'peers forget at once whom they have lost',
    // The addresses that a peer joins at would unite the halves ten minutes later, where they are on the other side.
    run: (world, isPlanted) =>
      split(world, { peers: 16, lookups: 20 }, () => {}, {
        seedRedialMs: 24 * 3_600_000,
        ...(isPlanted && { graveProbes: 0 }),
      }),
  },
]

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

/** One owner a shard: nobody else can make up for it, and none is mute. */
function oneOwner(plan: Plan): Plan {
  return { ...plan, owners: 1, peerCharacters: [] }
}

/** Has `change` look at every event before the owner's core does; undefined keeps it from it. */
function eachEvent(coordinator: Coordinator, change: (event: OwnerEvent) => OwnerEvent | undefined): void {
  const { core } = coordinator.owner
  const handle = core.handle.bind(core)
  core.handle = (event, now) => {
    const changed = change(event)
    return changed === undefined ? [] : handle(changed, now)
  }
}

/** Has `change` work on every shard as it opens, before any fact reaches it. */
function eachShard(coordinator: Coordinator, change: (shard: Shard) => void): void {
  const { core } = coordinator.owner
  const handle = core.handle.bind(core)
  core.handle = (event, now) => {
    const isNew = event.type === 'shardOpened' && !core.hasShard(event.jobId, event.shard)
    const effects = handle(event, now)
    const shard = isNew ? core.shard(event.jobId, event.shard) : undefined
    if (shard !== undefined) change(shard)
    return effects
  }
}

/** Makes every wait for another owner look as if it had just begun. */
function neverBypass(shard: Shard): void {
  Object.defineProperty(shard, 'starvedSince', { get: () => Number.POSITIVE_INFINITY, set: () => {} })
  const touch = shard.touch.bind(shard)
  const patched = new WeakSet<UnitRecord>()
  shard.touch = (unit, now) => {
    const record = touch(unit, now)
    if (patched.has(record)) return record
    patched.add(record)
    Object.defineProperty(record, 'wantedSince', { get: () => Number.POSITIVE_INFINITY, set: () => {} })
    return record
  }
}

function dropOnAck(): WorkerPlant {
  const sent = new Map<Digest, Extract<OwnerMessage, { type: 'settled' }>>()
  return {
    says(message) {
      if (message.type !== 'report') return
      const { bytes } = message.fact.report
      const { jobId, shard, results } = reportCodec.decode(bytes)
      const agreed = results.map(({ unit }) => unit)
      sent.set(sha256(bytes), { type: 'settled', jobId, shard, agreed, disagreed: [] })
    },
    hears: (message) => (message.type === 'ack' ? message.reports.flatMap((id) => sent.get(id) ?? []) : []),
  }
}
