import type { ClientOverlay } from '../../../client/session/overlay-face.js'
import { GridClient } from '../../../client/session/session.js'
import type { Coordinator, CoordinatorOptions, OwnerDirectory } from '../../../coordinator/index.js'
import { MemoryStore } from '../../../coordinator/store/memory-store.js'
import { checkSpec, specDefaults } from '../../../job/spec/spec.js'
import { homeKey, shardKey } from '../../../job/units/shard.js'
import type { JobId, JobSpec, Point } from '../../../proto/model.js'
import type { Clock, Millis } from '../../../runtime/clock.js'
import { sha256 } from '../../../runtime/hash.js'
import { toHex } from '../../../runtime/hex.js'
import type { Endpoint } from '../../../runtime/transport.js'
import { GridKeys } from '../grid/keys.js'
import { GRID_NETWORK, STORE_FILE, simulatedCoordinator } from '../grid/processes.js'
import type { CrashKind, Host, ProcessContext } from '../world/host.js'
import { SeededRandom } from '../world/random.js'
import type { World } from '../world/world.js'

/** Peers notice a death or a newcomer after this long. Unit: ms. */
const NOTICE_MS: Millis = 4_000
/** What the submitter sends is queued behind this. */
const CLIENT_UPLINK_BYTES_PER_S = 1_000_000
/** Units of a shard of every job, unless a test says otherwise. */
const SHARD_UNITS = 16

/** Peers with real coordinators and a submitter; nobody computes. */
export class HomeGrid {
  readonly peers: readonly Host[]
  readonly client: Host
  readonly #world: World
  readonly #keys = new GridKeys('keyed')
  readonly #options: Partial<CoordinatorOptions>
  readonly #coordinators = new Map<Host, { readonly coordinator: Coordinator; readonly boot: number }>()
  /** Hosts as everybody sees them, some time after the fact. */
  readonly #seen = new Map<Host, Endpoint>()
  readonly #noticed = new Set<() => void>()
  #jobs = 0

  constructor(world: World, count: number, options: Partial<CoordinatorOptions> = {}) {
    this.#world = world
    this.#options = options
    const add = (name: string, reachable: boolean) => {
      const random = world.random.split(`host ${name}`)
      return world.addHost(name, {
        reachable,
        ...(!reachable && { uplinkBytesPerS: CLIENT_UPLINK_BYTES_PER_S }),
        identity: (generation) => this.#keys.identity(random.split(`key ${generation}`), `${name}:4000`),
      })
    }
    this.peers = Array.from({ length: count }, (_, i) => add(`peer-${i}`, true))
    this.client = add('client', false)
  }

  /** Starts all peers but those named, and lets them notice one another. */
  async start(later: readonly Host[] = []): Promise<void> {
    for (const peer of this.peers) if (!later.includes(peer)) this.startPeer(peer)
    await this.#world.run(this.#world.nowMs + 2 * NOTICE_MS)
  }

  startPeer(host: Host): void {
    host.start((context) => this.#peer(host, context))
    this.#noticeLater(host)
  }

  crash(host: Host, kind: CrashKind): void {
    host.crash(kind)
    this.#noticeLater(host)
  }

  /** Runs `act` as the submitter, in a process of its own that ends with it. */
  async submitter<T>(act: (client: GridClient, context: ProcessContext) => Promise<T>): Promise<T> {
    let result: { readonly value: T } | { readonly error: unknown } | undefined
    this.client.start(async (context) => {
      const { clock, random, logger, identity } = context
      const client = new GridClient({
        transport: context.transport,
        overlay: this.#clientOverlay(),
        signer: this.#keys.signer(identity.publicKey),
        verifier: this.#keys.verifier,
        clock,
        random,
        logger,
        sha256,
        network: { name: GRID_NETWORK, idWorkBits: 0 },
      })
      result = await act(client, context).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      )
    })
    try {
      await this.#world.run(() => result !== undefined, 120_000)
    } finally {
      this.client.crash('killed')
    }
    if (result !== undefined && 'value' in result) return result.value
    throw result?.error
  }

  /** A job of so many shards. */
  spec({ clock, identity }: ProcessContext, shards: number, changes: Partial<JobSpec> = {}): JobSpec {
    const spec: JobSpec = {
      ...specDefaults,
      network: GRID_NETWORK,
      submitter: identity.publicKey,
      nonce: toHex(new SeededRandom(`nonce ${this.#jobs++}`).bytes(16)),
      createdAtMs: clock.wallMs(),
      expiresAtMs: clock.wallMs() + 24 * 3_600_000,
      task: { type: 'builtin', name: 'sim-hash', version: 1 },
      source: { type: 'count', count: shards * SHARD_UNITS },
      shardUnits: SHARD_UNITS,
      ...changes,
    }
    const problem = checkSpec(spec)
    if (problem !== undefined) throw new Error(problem)
    return spec
  }

  coordinator(host: Host): Coordinator | undefined {
    const running = this.#coordinators.get(host)
    return host.running && host.process?.boot === running?.boot ? running?.coordinator : undefined
  }

  /** The running peers that are the homes of a job in truth, nearest first. */
  homes(jobId: JobId, count = 5): Host[] {
    return this.#nearest(homeKey(jobId)).slice(0, count)
  }

  /** The running peer nearest to a shard. */
  owner(jobId: JobId, shard: number): Host {
    return this.#nearest(shardKey(sha256, jobId, shard))[0]!
  }

  /** Ids of the orders that a host has of a job; undefined: it is no home of it. */
  ordersAt(host: Host, jobId: JobId): readonly string[] | undefined {
    const coordinator = this.coordinator(host)
    if (coordinator?.home.core.has(jobId) !== true) return undefined
    return coordinator.book
      .need(jobId)
      .orders.map(({ id }) => id)
      .sort()
  }

  #nearest(key: Point): Host[] {
    const target = BigInt(`0x${key}`)
    const distance = (host: Host) => BigInt(`0x${host.caller.nodeId}`) ^ target
    return this.peers.filter(({ running }) => running).sort((a, b) => (distance(a) < distance(b) ? -1 : 1))
  }

  async #peer(host: Host, context: ProcessContext): Promise<void> {
    const { clock, identity, address, boot } = context
    const coordinator = simulatedCoordinator(context, this.#keys, {
      store: await MemoryStore.open(context.disk, STORE_FILE),
      outputs: noOutputs,
      directory: this.#directory({ nodeId: identity.nodeId, address }, clock),
      options: this.#options,
    })
    this.#coordinators.set(host, { coordinator, boot })
    await coordinator.start()
  }

  #noticeLater(host: Host): void {
    const { scheduler } = this.#world
    scheduler.at(scheduler.nowMs + NOTICE_MS, host.name, () => {
      const before = this.#seen.get(host)?.nodeId
      if (host.running) this.#seen.set(host, { nodeId: host.caller.nodeId, address: host.address })
      else this.#seen.delete(host)
      if (this.#seen.get(host)?.nodeId !== before) for (const tell of [...this.#noticed]) tell()
    })
  }

  #seenNear(key: Point, count: number, self?: Endpoint): Endpoint[] {
    const target = BigInt(`0x${key}`)
    const distance = ({ nodeId }: Endpoint) => BigInt(`0x${nodeId}`) ^ target
    const others = [...this.#seen.values()].filter(({ nodeId }) => nodeId !== self?.nodeId)
    return [...others, ...(self === undefined ? [] : [self])]
      .sort((a, b) => (distance(a) < distance(b) ? -1 : 1))
      .slice(0, count)
  }

  #directory(self: Endpoint, clock: Clock): OwnerDirectory {
    const seen = this.#seen
    return {
      self,
      owners: async (key, count) => this.#seenNear(key, count, self),
      ownersSeen: (key, count) => this.#seenNear(key, count, self),
      keepers: async (key, count) => ({ owners: this.#seenNear(key, count, self), guards: [] }),
      guards: () => false,
      announce() {},
      onNeighboursChanged: (handler) => {
        // A timer of the process: one that has ended is told nothing.
        this.#noticed.add(() => void clock.setTimer(0, handler))
      },
      get peerCount() {
        return seen.size
      },
      eligible: true,
    }
  }

  #clientOverlay(): ClientOverlay {
    return {
      owners: async (key, count) => this.#seenNear(key, count),
      keepers: async (key, count) => ({ owners: this.#seenNear(key, count), guards: [] }),
      putRecord: async () => 1,
      getRecord: async () => [],
      estimatePeers: async () => this.#seen.size,
    }
  }
}

/** Nobody computes anything here. */
const noOutputs = {
  bytesUsed: 0,
  keep: async () => {},
  extend: async () => {},
  remove: async () => {},
  read: async () => undefined,
}
