import { ownersOf } from '../../../overlay/core/ownership.js'
import {
  Overlay,
  type OverlayOptions,
  type PeerMemory,
  type RecordKind,
  resolveOptions,
  type Seed,
} from '../../../overlay/index.js'
import type { Key, NodeId } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { toHex } from '../../../runtime/hex.js'
import { keyedSigner, keyedVerifier } from '../../support/keyed-signatures.js'
import type { Scenario } from '../scenario.js'
import type { CrashKind, Host, ProcessContext } from '../world/host.js'
import type { World } from '../world/world.js'

export interface GridOptions {
  readonly options?: Partial<OverlayOptions>
  readonly recordKinds?: readonly RecordKind[]
  /** One-way delay, uniform between the two. Default: the links of the world. Unit: ms. */
  readonly delayMs?: readonly [Millis, Millis]
}

/** Upkeep so rare that what is measured is the lookups alone. */
export const QUIET_UPKEEP: Partial<OverlayOptions> = { tickMs: 600_000, selfLookupMs: 3_600_000 }

/** Hosts of a world that each run an overlay. */
export class OverlayGrid {
  readonly world: World
  readonly #options: OverlayOptions
  readonly #overlays = new Map<Host, Overlay>()
  readonly #recordKinds: readonly RecordKind[]
  readonly #peers: Host[] = []
  readonly #memories = new Map<Host, string>()

  constructor(world: World, { options = {}, delayMs, recordKinds = [] }: GridOptions = {}) {
    this.world = world
    this.#recordKinds = recordKinds
    this.#options = resolveOptions('wan', {
      privateAddresses: true,
      eligibleAgeMs: 0,
      dialBacksPerMinute: 1_000,
      ...options,
    })
    if (delayMs !== undefined) {
      const random = world.random.split('delays')
      world.network.travelMs = () => random.between(...delayMs)
    }
  }

  /** The overlays that run, with their hosts. */
  get overlays(): readonly Overlay[] {
    return [...this.#overlays].filter(([host]) => host.running).map(([, overlay]) => overlay)
  }

  overlay(host: Host): Overlay {
    return this.#overlays.get(host)!
  }

  /** Starts a peer that joins through `seeds`; a leaf when `leaf`. */
  add(name: string, seeds: readonly Host[], { leaf = false }: { leaf?: boolean } = {}): Host {
    const host = this.world.addHost(name, { reachable: !leaf })
    this.start(host, seeds, { leaf })
    return host
  }

  /** The same on a host that is there already. */
  start(host: Host, seeds: readonly Host[], { leaf = false }: { leaf?: boolean } = {}): void {
    if (!leaf) this.#peers.push(host)
    const targets: Seed[] = seeds.map(({ address }) => ({ address }))
    host.start((context) => this.#run(host, context, targets, leaf))
  }

  /** Starts a peer again on what it remembers, with no seed named. */
  startAgain(host: Host): void {
    host.start((context) => this.#run(host, context, [], false))
  }

  crash(host: Host, kind: CrashKind): void {
    host.crash(kind)
    this.#overlays.delete(host)
  }

  /** The `count` running peers truly closest to `key`, by brute force. */
  closest(key: Key, count: number): NodeId[] {
    const peers: { nodeId: NodeId; eligible: boolean }[] = []
    for (const host of this.#peers) if (host.running) peers.push({ nodeId: host.caller.nodeId, eligible: true })
    return ownersOf(key, count, peers).map((peer) => peer.nodeId)
  }

  randomKey(): Key {
    return toHex(this.world.random.bytes(20)) as Key
  }

  /** Runs until `promise` settles. */
  async wait<T>(promise: Promise<T>, limitMs: Millis = 120_000): Promise<T> {
    let settled = false
    const settle = () => {
      settled = true
    }
    promise.then(settle, settle)
    await this.world.run(() => settled, limitMs)
    return promise
  }

  async #run(host: Host, context: ProcessContext, seeds: readonly Seed[], leaf: boolean): Promise<void> {
    const { clock, random, transport, logger, identity, address, boot } = context
    const memory: PeerMemory = {
      load: async () => this.#memories.get(host),
      save: async (text) => void this.#memories.set(host, text),
    }
    const overlay = new Overlay({
      clock,
      random,
      transport,
      logger,
      identity: { ...identity, signer: keyedSigner(identity.publicKey), bootId: BigInt(boot) },
      verifier: keyedVerifier,
      idWorkBits: 0,
      options: this.#options,
      memory,
      recordKinds: this.#recordKinds,
      ...(leaf ? {} : { listen: { addresses: [address], features: [] } }),
    })
    this.#overlays.set(host, overlay)
    await overlay.start(seeds)
  }
}

/** What a series of lookups gave. */
export interface LookupFigures {
  readonly lookups: number
  /** How many named exactly the true 3 closest. */
  readonly exact: number
  readonly rpcsMean: number
  readonly p95Ms: Millis
}

/**
 * Starts `count` peers one after the other: the first ones slowly, then 25 a second, each through three that run.
 * Ends once all have joined and refreshed.
 */
export async function buildGrid(grid: OverlayGrid, count: number): Promise<Host[]> {
  const { world } = grid
  const hosts: Host[] = []
  for (let i = 0; i < count; i++) {
    const older = hosts.slice(0, Math.max(1, hosts.length - 100))
    const seeds = [0, 1, 2].flatMap(() => world.random.pick(older) ?? [])
    hosts.push(grid.add(`peer-${i}`, [...new Set(seeds)]))
    await world.run(world.nowMs + (i < 20 ? 1_000 : 40))
  }
  await world.run(() => grid.overlays.every((overlay) => overlay.joined), 60_000)
  await world.run(world.nowMs + 15_000)
  return hosts
}

/** Time between the starts of two measured lookups. Unit: ms. */
const LOOKUP_GAP_MS = 20

/**
 * `count` quick lookups of random keys from random peers, started one after the other. RPCs are all calls of the network
 * meanwhile, so upkeep counts, too, where it is not slowed down.
 */
export async function measureLookups(grid: OverlayGrid, count: number): Promise<LookupFigures> {
  const { world } = grid
  const elapsed: Millis[] = []
  const before = world.network.counters.calls
  let exact = 0
  const lookUp = async (overlay: Overlay): Promise<void> => {
    const key = grid.randomKey()
    const startedMs = world.nowMs
    const found = await overlay.lookup(key, { count: 3 })
    elapsed.push(world.nowMs - startedMs)
    if (found.map((contact) => contact.nodeId).join() === grid.closest(key, 3).join()) exact++
  }
  const overlays = grid.overlays
  for (let i = 0; i < count; i++) {
    const overlay = world.random.pick(overlays)!
    world.scheduler.at(world.nowMs + i * LOOKUP_GAP_MS, 'lookups', () => {
      lookUp(overlay).catch((error: unknown) => world.fail(error))
    })
  }
  await world.run(() => elapsed.length === count, count * LOOKUP_GAP_MS + 30_000)
  const rpcs = world.network.counters.calls - before
  elapsed.sort((a, b) => a - b)
  return { lookups: count, exact, rpcsMean: rpcs / count, p95Ms: elapsed[Math.floor(0.95 * count)] ?? 0 }
}

/** Share of true owners of random keys that name exactly the true `r` owners from their own tables. 0 to 1. */
export function ownersInView(grid: OverlayGrid, r: number, keys: number): number {
  const byId = new Map(grid.overlays.map((overlay) => [overlay.self.nodeId, overlay]))
  let right = 0
  let asked = 0
  for (let i = 0; i < keys; i++) {
    const key = grid.randomKey()
    const truth = grid.closest(key, r)
    for (const nodeId of truth) {
      const seen = byId
        .get(nodeId)!
        .ownersSeen(key, r)
        .map((contact) => contact.nodeId)
      asked++
      if (seen.join() === truth.join()) right++
    }
  }
  return right / asked
}

const PEERS = 50

/** Fifty peers of which some are killed, lose power, leave, come back; leaves beside them. */
export const overlayScenario: Scenario = {
  name: 'overlay',
  promise: 'peers that join, leave and die are found or forgotten: lookups name the true owners, and owners agree',
  mustHappen: ['killed', 'powerLost', 'left', 'rejoined', 'leafLookups'],
  async run(world) {
    const grid = new OverlayGrid(world)
    const hosts = await buildGrid(grid, PEERS)
    const leaf = grid.add('leaf', [hosts[0]!], { leaf: true })
    await world.run(() => grid.overlay(leaf)?.joined === true, 10_000)
    const gone: Host[] = []
    for (const host of hosts) {
      const fate = world.random.int(6)
      if (fate === 0) {
        await grid.wait(grid.overlay(host).close())
        grid.crash(host, 'killed')
        world.count('left')
      } else if (fate < 3) {
        grid.crash(host, fate === 1 ? 'killed' : 'powerLoss')
        world.count(fate === 1 ? 'killed' : 'powerLost')
      }
      if (!host.running) gone.push(host)
    }
    await world.run(world.nowMs + 60_000)
    await expectTrueOwners(grid, 'after the deaths')
    for (const host of gone) {
      grid.startAgain(host)
      world.count('rejoined')
      await world.run(world.nowMs + 500)
    }
    await world.run(world.nowMs + 60_000)
    await expectTrueOwners(grid, 'after the return')
    for (let i = 0; i < 10; i++) {
      const key = grid.randomKey()
      const found = await grid.wait(grid.overlay(leaf).owners(key, 3))
      world.check(
        found.map((contact) => contact.nodeId).join() === grid.closest(key, 3).join(),
        'a leaf finds other owners',
      )
      world.count('leafLookups')
    }
    world.check(
      grid.overlays.every((overlay) => overlay.contacts().every(({ nodeId }) => nodeId !== leaf.caller.nodeId)),
      'a leaf stands in a table',
    )
  },
}

async function expectTrueOwners(grid: OverlayGrid, when: string): Promise<void> {
  const { world } = grid
  const figures = await measureLookups(grid, 30)
  world.check(
    figures.exact === figures.lookups,
    `${when}: ${figures.exact} of ${figures.lookups} lookups found the true owners`,
  )
  const seen = ownersInView(grid, 3, 50)
  world.check(seen === 1, `${when}: ${(100 * seen).toFixed(1)} % of the owners see the true owners`)
}
