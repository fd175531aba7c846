import {
  Overlay,
  type OverlayOptions,
  type PeerMemory,
  type RecordKind,
  resolveOptions,
  type Seed,
} from '../../../overlay/index.js'
import { compareDistance } from '../../../overlay/routing/core/node-id.js'
import { keepContacts } from '../../../proto/codec/overlay.js'
import type { Key, NodeId } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { toHex } from '../../../runtime/hex.js'
import { keyedSigner, keyedVerifier } from '../../support/keyed-signatures.js'
import type { CrashKind, Host, ProcessContext } from '../world/host.js'
import type { World } from '../world/world.js'

interface GridOptions {
  readonly options?: Partial<OverlayOptions>
  readonly recordKinds?: readonly RecordKind[]
  /** One-way delay, uniform between the two. Default: the links of the world. Unit: ms. */
  readonly delayMs?: readonly [Millis, Millis]
}

/** Upkeep so rare that what is measured is the lookups alone. */
export const QUIET_UPKEEP: Partial<OverlayOptions> = { tickMs: 600_000, selfLookupMs: 3_600_000 }

/** One life of a peer, as seen from outside. */
interface Life {
  readonly nodeId: NodeId
  readonly overlay: Overlay
  joinedAtMs: Millis | undefined
  diedAtMs: Millis | undefined
}

/** Hosts of a world that each run an overlay. */
export class OverlayGrid {
  readonly world: World
  readonly #options: OverlayOptions
  readonly #overlays = new Map<Host, Overlay>()
  readonly #recordKinds: readonly RecordKind[]
  /** Of peers; leaves own nothing. */
  readonly #lives: Life[] = []
  readonly #current = new Map<Host, Life>()
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
    const life = this.#current.get(host)
    if (life !== undefined) life.diedAtMs = this.world.nowMs
  }

  /** The `count` running peers truly closest to `key`, by brute force. */
  closest(key: Key, count: number): NodeId[] {
    return nearestOf(
      key,
      count,
      this.#lives.filter((life) => life.diedAtMs === undefined),
    )
  }

  /**
   * Whether `found` are the true `count` closest to `key` for a lookup begun at `startedMs` that ends now. Peers that
   * joined or died meanwhile may be in it or not.
   */
  isExact(key: Key, count: number, found: readonly NodeId[], startedMs: Millis): boolean {
    const named = new Set(found)
    const possible = this.#lives.filter((life) => life.diedAtMs === undefined || life.diedAtMs >= startedMs)
    const allowed = possible.filter((life) => named.has(life.nodeId) || isCertain(life, startedMs))
    return nearestOf(key, count, allowed).join() === found.join()
  }

  /** Share of contacts in tables that are dead. 0 to 1. */
  deadShare(): number {
    const running = new Set(this.overlays.map((overlay) => overlay.self.nodeId))
    let dead = 0
    let all = 0
    for (const overlay of this.overlays) {
      for (const { nodeId } of overlay.contacts()) {
        all++
        if (!running.has(nodeId)) dead++
      }
    }
    return all === 0 ? 0 : dead / all
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
    if (!leaf) this.#watch(host, overlay)
    await overlay.start(seeds)
  }

  #watch(host: Host, overlay: Overlay): void {
    const life: Life = { nodeId: host.caller.nodeId, overlay, joinedAtMs: undefined, diedAtMs: undefined }
    this.#lives.push(life)
    this.#current.set(host, life)
    overlay.whenJoined(JOIN_MAX_MS).then(
      () => {
        life.joinedAtMs = this.world.nowMs
      },
      () => {},
    )
  }
}

/** Time after which a peer that has not joined is not expected to be found any more. Unit: ms. */
const JOIN_MAX_MS: Millis = 3_600_000

function isCertain({ joinedAtMs, diedAtMs }: Life, sinceMs: Millis): boolean {
  return diedAtMs === undefined && joinedAtMs !== undefined && joinedAtMs <= sinceMs
}

/** The `count` closest to `key`, closest first. */
function nearestOf(key: Key, count: number, lives: readonly Life[]): NodeId[] {
  const nearest: NodeId[] = []
  for (const { nodeId } of lives) {
    const last = nearest[count - 1]
    if (last !== undefined && compareDistance(key, last, nodeId) < 0) continue
    const at = nearest.findIndex((other) => compareDistance(key, nodeId, other) < 0)
    nearest.splice(at < 0 ? nearest.length : at, 0, nodeId)
    if (nearest.length > count) nearest.pop()
  }
  return nearest
}

/**
 * Starts `count` peers one after the other: the first ones slowly, then one each `gapMs`, each through three that run.
 * Ends once all have joined and refreshed.
 */
export async function buildGrid(grid: OverlayGrid, count: number, gapMs: Millis = 40): Promise<Host[]> {
  const { world } = grid
  const hosts: Host[] = []
  // Each peer has had a few versions of its record, and one object for each is enough for all.
  keepContacts(Math.max(16_384, 8 * count))
  for (let i = 0; i < count; i++) {
    const older = Math.max(1, hosts.length - 100)
    const seeds = [0, 1, 2].flatMap(() => hosts[world.random.int(older)] ?? [])
    hosts.push(grid.add(`peer-${i}`, [...new Set(seeds)]))
    await world.run(world.nowMs + (i < 20 ? 1_000 : gapMs))
  }
  const endMs = world.nowMs + 60_000
  // Asked now and then: asking ten thousand peers between any two events would take longer than the events.
  while (!grid.overlays.every((overlay) => overlay.joined)) {
    world.check(world.nowMs < endMs, 'a peer has not joined within a minute')
    await world.run(world.nowMs + 1_000)
  }
  await world.run(world.nowMs + 15_000)
  return hosts
}
