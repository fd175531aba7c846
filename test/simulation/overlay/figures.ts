import type { Overlay } from '../../../overlay/index.js'
import type { Key, NodeId } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import type { OverlayGrid } from './overlay-grid.js'

/** What a series of lookups gave. */
export interface LookupFigures {
  readonly lookups: number
  /** How many named exactly the true 3 closest. */
  readonly exact: number
  /** How many named nobody. */
  readonly empty: number
  /** Calls of the network meanwhile by lookup, less those that upkeep makes anyway where the series says how many. */
  readonly rpcsMean: number
  readonly p50Ms: Millis
  readonly p95Ms: Millis
}

interface LookupSeries {
  readonly count: number
  readonly careful?: boolean
  /** Who asks; default: every peer that runs. */
  readonly askers?: readonly Overlay[]
  /** Time between the starts of two lookups. Unit: ms. Default 20. */
  readonly gapMs?: Millis
  /** Calls that upkeep makes in the whole network, to be left out. Unit: calls a second. Default 0. */
  readonly upkeepCallsPerS?: number
}

/**
 * Lookups of random keys from random peers, started one after the other. A lookup whose asker dies is not
 * counted.
 */
export async function measureLookups(
  grid: OverlayGrid,
  {
    count,
    careful = false,
    askers = grid.overlays.filter((overlay) => overlay.joined),
    gapMs = 20,
    upkeepCallsPerS = 0,
  }: LookupSeries,
): Promise<LookupFigures> {
  const { world } = grid
  const elapsed: Millis[] = []
  const before = world.network.counters.calls
  const startMs = world.nowMs
  let exact = 0
  let empty = 0
  const lookUp = async (overlay: Overlay): Promise<void> => {
    const key = grid.randomKey()
    const startedMs = world.nowMs
    const found = await overlay.lookup(key, { count: 3, careful })
    elapsed.push(world.nowMs - startedMs)
    if (found.length === 0) empty++
    if (grid.isExact(key, 3, found.map(nodeIdOf), startedMs)) exact++
  }
  for (let i = 0; i < count; i++) {
    const overlay = world.random.pick(askers)!
    world.scheduler.at(startMs + i * gapMs, 'lookups', () => {
      lookUp(overlay).catch((error: unknown) => world.fail(error))
    })
  }
  const lastMs = startMs + count * gapMs + LOOKUP_MAX_MS
  while (elapsed.length < count && world.nowMs < lastMs) {
    const waitMs = Math.max(100, startMs + count * gapMs - world.nowMs)
    await world.run(Math.min(lastMs, world.nowMs + waitMs))
  }
  const rpcs = world.network.counters.calls - before - (upkeepCallsPerS * (world.nowMs - startMs)) / 1000
  elapsed.sort((a, b) => a - b)
  const at = (share: number) => Math.round(elapsed[Math.floor(share * elapsed.length)] ?? 0)
  const lookups = elapsed.length
  return { lookups, exact, empty, rpcsMean: Math.round((100 * rpcs) / count) / 100, p50Ms: at(0.5), p95Ms: at(0.95) }
}

/** Time within which any lookup ends, by its own bounds. Unit: ms. */
const LOOKUP_MAX_MS: Millis = 25_000

function nodeIdOf({ nodeId }: { readonly nodeId: NodeId }): NodeId {
  return nodeId
}

/** Share of true owners of random keys that name exactly the true `r` owners from their own tables. 0 to 1. */
export function ownersInView(grid: OverlayGrid, r: number, keys: number): number {
  const byId = new Map(grid.overlays.map((overlay) => [overlay.self.nodeId, overlay]))
  let right = 0
  let asked = 0
  for (let i = 0; i < keys; i++) {
    const key: Key = grid.randomKey()
    const truth = grid.closest(key, r)
    for (const nodeId of truth) {
      const seen = byId.get(nodeId)!.ownersSeen(key, r).map(nodeIdOf)
      asked++
      if (seen.join() === truth.join()) right++
    }
  }
  return right / asked
}

/** Calls a second and peer over `forMs` of nothing but upkeep. */
export async function upkeepRate(grid: OverlayGrid, forMs: Millis): Promise<number> {
  const { world } = grid
  const before = world.network.counters.calls
  await world.run(world.nowMs + forMs)
  return (world.network.counters.calls - before) / grid.overlays.length / (forMs / 1000)
}
