import type { Coordinator } from '../../../../coordinator/index.js'
import type { OutputFiles } from '../../../../coordinator/output-files.js'
import { MemoryStore } from '../../../../coordinator/store/memory-store.js'
import { digestOutput, ZERO_DIGEST } from '../../../../job/facts/digest.js'
import { checkSpec, specDefaults } from '../../../../job/spec/spec.js'
import { shardKey } from '../../../../job/units/shard.js'
import { grantCodec, reportCodec, unitOutputCodec } from '../../../../proto/codec/facts.js'
import { jobSpecCodec } from '../../../../proto/codec/spec.js'
import { methods } from '../../../../proto/methods.js'
import type {
  Digest,
  Grant,
  JobId,
  JobSpec,
  Point,
  Report,
  ReportFact,
  Signed,
  UnitOutput,
} from '../../../../proto/model.js'
import type { Millis } from '../../../../runtime/clock.js'
import { sha256 } from '../../../../runtime/hash.js'
import { utf8 } from '../../../../runtime/hex.js'
import type { Caller, Endpoint } from '../../../../runtime/transport.js'
import { GridKeys } from '../../../simulation/grid/keys.js'
import { GRID_NETWORK, STORE_FILE, simulatedCoordinator } from '../../../simulation/grid/processes.js'
import { readStore, shardName } from '../../../simulation/grid/store-log.js'
import type { Host, ProcessContext } from '../../../simulation/world/host.js'
import { World } from '../../../simulation/world/world.js'

const UNITS = 16
/** Wall clock of a world at its start. */
const WORLD_EPOCH_MS = Date.UTC(2026, 0, 1)

/** Peers with real coordinators that see one another at once, a job of one shard, and whoever makes facts of it. */
export class Owners {
  readonly world: World
  readonly jobId: JobId
  /** Those nearest to the shard come first. */
  readonly peers: readonly Host[]
  readonly spec: JobSpec
  readonly #keys = new GridKeys('keyed')
  readonly #signed: Signed
  readonly #running = new Map<Host, { readonly coordinator: Coordinator; readonly context: ProcessContext }>()
  readonly #outputs = new Map<Host, Map<Digest, Uint8Array>>()
  readonly #told = new Map<Host, Set<() => void>>()
  readonly #announced = new Map<Host, number>()
  readonly #worker: Caller
  /** Peers that the others do not see. */
  readonly #hidden = new Set<Host>()

  constructor(count: number, seed = 1, changes: Partial<JobSpec> = {}) {
    this.world = new World(seed)
    const random = this.world.random.split('owners')
    const submitter = this.#keys.identity(random.split('submitter'), 'submitter:1')
    this.#worker = this.#keys.identity(random.split('worker'), 'worker:1')
    const hosts = Array.from({ length: count }, (_, i) =>
      this.world.addHost(`peer-${i}`, {
        reachable: true,
        identity: (generation) => this.#keys.identity(random.split(`key ${i} ${generation}`), `peer-${i}:4000`),
      }),
    )
    this.spec = {
      ...specDefaults,
      network: GRID_NETWORK,
      submitter: submitter.publicKey,
      nonce: '07'.repeat(16),
      createdAtMs: WORLD_EPOCH_MS,
      expiresAtMs: WORLD_EPOCH_MS + 20 * 24 * 3_600_000,
      task: { type: 'builtin', name: 'sim-hash', version: 1 },
      source: { type: 'count', count: UNITS },
      shardUnits: UNITS,
      policy: { type: 'none' },
      ...changes,
    }
    const bytes = jobSpecCodec.encode(this.spec)
    this.#signed = { bytes, signature: this.#keys.signer(submitter.publicKey).sign('spec', bytes) }
    this.jobId = sha256(bytes) as string as JobId
    const problem = checkSpec(this.spec)
    if (problem !== undefined) throw new Error(problem)
    this.peers = nearest(hosts, shardKey(sha256, this.jobId, 0))
  }

  /** Starts peers; everybody sees them at once. */
  async start(...hosts: readonly Host[]): Promise<void> {
    for (const host of hosts) if (!host.running) host.start((context) => this.#peer(host, context))
    await this.world.run(() => hosts.every((host) => this.#running.has(host)), 10_000)
    this.#tellAll()
  }

  /** A peer is gone with its disk; everybody sees that at once. */
  lose(host: Host): void {
    host.crash('diskLoss')
    this.#running.delete(host)
    this.#outputs.delete(host)
    this.#tellAll()
  }

  /** A peer is gone, and comes back with its disk. */
  kill(host: Host): void {
    host.crash('killed')
    this.#running.delete(host)
    this.#tellAll()
  }

  /** From now on nobody else sees a peer, running or not. */
  hide(host: Host): void {
    this.#hidden.add(host)
  }

  /** Everybody sees the peer again; nobody is told so. */
  show(host: Host): void {
    this.#hidden.delete(host)
  }

  /** A home would do this: the shard is given to these peers. */
  async activate(...hosts: readonly Host[]): Promise<void> {
    for (const host of hosts) {
      await this.at(host, ({ transport, address, identity }) => {
        const self = { nodeId: identity.nodeId, address }
        const request = { spec: this.#signed, orders: [], shard: 0 }
        return transport.call(self, methods.activate, request, { deadlineMs: 5_000 })
      })
    }
  }

  /** The submitter gives the job to a home. */
  async submit(host: Host): Promise<void> {
    await this.at(host, (_, { home }) => home.submit(this.#signed, 'submitter'))
  }

  /** Runs `act` in the process of a peer, and the world until it has ended. */
  async at<T>(host: Host, act: (context: ProcessContext, coordinator: Coordinator) => Promise<T> | T): Promise<T> {
    const { context, coordinator } = this.#running.get(host)!
    let result: { readonly value: T } | { readonly error: unknown } | undefined
    const { scheduler } = this.world
    scheduler.at(scheduler.nowMs, host.name, () => {
      void (async () => {
        try {
          result = { value: await act(context, coordinator) }
        } catch (error) {
          result = { error }
        }
      })()
    })
    await this.world.run(() => result !== undefined, 120_000)
    if (result !== undefined && 'value' in result) return result.value
    throw result?.error
  }

  coordinator(host: Host): Coordinator {
    return this.#running.get(host)!.coordinator
  }

  /** Ids of the facts on the disk of a peer; undefined: it does not keep the shard. */
  factsAt(host: Host): readonly Digest[] | undefined {
    const facts = readStore(host.disk).facts.get(shardName(this.jobId, 0))
    return facts && [...facts.keys()].sort()
  }

  /** Instances that the board has from a peer as ready. */
  announced(host: Host): number {
    return this.#announced.get(host) ?? 0
  }

  /** Lets virtual time pass. */
  async pass(ms: Millis): Promise<void> {
    await this.world.run(this.world.nowMs + ms)
  }

  /** What a unit would write, and how votes name it. */
  output(unit: number, bytes: number): { readonly encoded: Uint8Array; readonly digest: Digest } {
    const output: UnitOutput = {
      outcome: 'done',
      exitCode: 0,
      stdout: utf8(`unit ${unit} `.padEnd(bytes, '.')),
      stderr: new Uint8Array(0),
      stderrLength: 0,
      files: [],
    }
    return { encoded: unitOutputCodec.encode(output), digest: digestOutput(sha256, output) }
  }

  /** Somebody who runs no peer. */
  stranger(name: string): { readonly caller: Caller } {
    return { caller: this.#keys.identity(this.world.random.split(name), 'nowhere:1') }
  }

  /** A report of the worker on one unit, granted by a peer or whoever else has a key. */
  fact(grantor: { readonly caller: Caller }, unit: number, bytes = 20): ReportFact {
    const { publicKey, idNonce } = grantor.caller
    const worker = this.#worker.publicKey
    const grant: Grant = {
      jobId: this.jobId,
      shard: 0,
      grantor: publicKey,
      grantorIdNonce: idNonce,
      worker,
      age: 'older',
      nonce: '01'.repeat(8),
      runs: [{ first: unit, count: 1, opinion: 0 }],
      durationMs: 1_000,
    }
    const { encoded, digest } = this.output(unit, bytes)
    const report: Report = {
      jobId: this.jobId,
      shard: 0,
      worker,
      donor: worker,
      donorSignature: new Uint8Array(0),
      results: [{ unit, outcome: 'done', digest: digest ?? ZERO_DIGEST, outputBytes: encoded.length, fuel: 1n }],
    }
    const grantBytes = grantCodec.encode(grant)
    const reportBytes = reportCodec.encode(report)
    return {
      report: { bytes: reportBytes, signature: this.#keys.signer(worker).sign('report', reportBytes) },
      grants: [{ bytes: grantBytes, signature: this.#keys.signer(publicKey).sign('grant', grantBytes) }],
    }
  }

  /** Puts facts with small outputs on the disk of one peer, as if others had told it. */
  async give(host: Host, ...units: readonly number[]): Promise<void> {
    await this.at(host, async (_, { owner }) => {
      for (const unit of units) {
        const outputs = [{ unit, bytes: this.output(unit, 20).encoded }]
        const refusal = await owner.takeFact(this.fact(host, unit), outputs, 0, undefined)
        if (refusal !== undefined) throw new Error(`refused: ${refusal}`)
      }
    })
  }

  close(): void {
    this.world.close()
  }

  #tellAll(): void {
    for (const [host, handlers] of this.#told) {
      if (!this.#running.has(host)) continue
      const { scheduler } = this.world
      for (const tell of handlers) scheduler.at(scheduler.nowMs, host.name, tell)
    }
  }

  async #peer(host: Host, context: ProcessContext): Promise<void> {
    const { identity, address } = context
    const kept = this.#outputs.get(host) ?? new Map<Digest, Uint8Array>()
    this.#outputs.set(host, kept)
    const outputs: OutputFiles = {
      bytesUsed: 0,
      keep: async (digest, bytes) => void kept.set(digest, bytes),
      extend: async () => {},
      remove: async (digest) => void kept.delete(digest),
      read: async (digest, start, length) => kept.get(digest)?.subarray(start, start + length),
    }
    const self: Endpoint = { nodeId: identity.nodeId, address }
    const ownersSeen = (key: Point, count: number) =>
      nearest([...[...this.#running.keys()].filter((peer) => peer !== host && !this.#hidden.has(peer)), host], key)
        .slice(0, count)
        .map((peer) => ({ nodeId: peer.caller.nodeId, address: peer.address }))
    const told = new Set<() => void>()
    this.#told.set(host, told)
    const running = this.#running
    const coordinator = simulatedCoordinator(context, this.#keys, {
      store: await MemoryStore.open(context.disk, STORE_FILE),
      outputs,
      directory: {
        self,
        owners: async (key, count) => ownersSeen(key, count),
        ownersSeen,
        keepers: async (key, count) => ({ owners: ownersSeen(key, count), guards: [] }),
        guards: () => false,
        announce: ({ ready }) => void this.#announced.set(host, ready),
        onNeighboursChanged: (handler) => void told.add(handler),
        get peerCount() {
          return running.size
        },
        eligible: true,
      },
    })
    await coordinator.start()
    this.#running.set(host, { coordinator, context })
  }
}

function nearest(hosts: readonly Host[], key: Point): Host[] {
  const target = BigInt(`0x${key}`)
  const distance = (host: Host) => BigInt(`0x${host.caller.nodeId}`) ^ target
  return [...hosts].sort((a, b) => (distance(a) < distance(b) ? -1 : 1))
}
