import type { Key, NodeId, Point } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { compareDistance } from './node-id.js'

/** What ownership needs to know of a peer. */
export interface Candidate {
  readonly nodeId: NodeId
  /** Peers have dialled it back. Others never own. */
  readonly eligible: boolean
  /** The group of addresses it is at (`subnetOf`); undefined: private, and so not counted against others. */
  readonly subnet?: string | undefined
}

/**
 * Peers nearest to a key among which owners are spread over networks. Ids can be ground, addresses have to be held: keys
 * made to lie next to a job come from few networks, and take one place each of these as long as another network has a peer
 * so near. No more, or the few peers of a small network would own everything.
 */
export const SPREAD_PEERS = 8

/**
 * The up to `r` owners of `key` as far as `candidates` tell, in the order in which they are preferred: of the
 * {@link SPREAD_PEERS} nearest eligible peers the nearest of each network, then the others; then all further ones.
 */
export function ownersOf<T extends Candidate>(key: Point, r: number, candidates: Iterable<T>): T[] {
  const most = Math.max(r, SPREAD_PEERS)
  const nearest: T[] = []
  for (const candidate of candidates) {
    if (!candidate.eligible) continue
    let at = nearest.length
    while (at > 0 && compareDistance(key, candidate.nodeId, nearest[at - 1]!.nodeId) < 0) at--
    if (at >= most) continue
    nearest.splice(at, 0, candidate)
    if (nearest.length > most) nearest.pop()
  }
  return spread(nearest).slice(0, r)
}

function spread<T extends Candidate>(nearest: readonly T[]): T[] {
  const first: T[] = []
  const again: T[] = []
  const subnets = new Set<string>()
  for (const candidate of nearest.slice(0, SPREAD_PEERS)) {
    const { subnet } = candidate
    if (subnet !== undefined && subnets.has(subnet)) again.push(candidate)
    else first.push(candidate)
    if (subnet !== undefined) subnets.add(subnet)
  }
  return [...first, ...again, ...nearest.slice(SPREAD_PEERS)]
}

/**
 * The place of `self` in the order of {@link ownersOf}, 0 for the first, so that it owns while this is below r. `subnet`: the
 * network of `self`. It need not be among the candidates, nor eligible.
 */
export function rankOf(key: Point, self: NodeId, candidates: Iterable<Candidate>, subnet?: string): number {
  let nearer = 0
  const others: Candidate[] = []
  for (const candidate of candidates) {
    if (candidate.nodeId === self || !candidate.eligible) continue
    others.push(candidate)
    if (compareDistance(key, candidate.nodeId, self) < 0) nearer++
  }
  if (nearer >= SPREAD_PEERS) return nearer
  const own = { nodeId: self, eligible: true, subnet }
  return ownersOf(key, SPREAD_PEERS, [...others, own]).findIndex(({ nodeId }) => nodeId === self)
}

/** When a former owner may drop what it holds: all three must be met. */
interface ReleaseLimits {
  /** Ranks beyond r at which a former owner still keeps what it holds. */
  readonly slack: number
  /** Syncs with an owner in a row that found no difference. */
  readonly cleanSyncs: number
  readonly idleMs: Millis
}

/** PAST (Rowstron and Druschel 2001) keeps copies past the k closest for the same reason: neighbours flap. */
const DEFAULT_RELEASE: ReleaseLimits = { slack: 2, cleanSyncs: 2, idleMs: 10 * 60_000 }

interface Holding {
  outsideSince: Millis | undefined
  clean: number
}

/**
 * When a former owner may drop what it holds of a key: its rank has been beyond r + slack for `idleMs`, and since then
 * enough syncs with an owner found no difference. A neighbour that flaps causes no copying. Grows with the keys held,
 * which the holder bounds; `forget` a key when its facts are gone.
 */
export class ReleaseWatch {
  readonly #limits: ReleaseLimits
  readonly #holdings = new Map<Key, Holding>()

  constructor(limits: ReleaseLimits = DEFAULT_RELEASE) {
    this.#limits = limits
  }

  /** The own rank for `key` now, see {@link rankOf}, with `r` owners. To be called on each change of neighbours. */
  ranked(key: Key, rank: number, r: number, now: Millis): void {
    const holding = this.#holding(key)
    if (rank <= r + this.#limits.slack) {
      holding.outsideSince = undefined
      holding.clean = 0
    } else {
      holding.outsideSince ??= now
    }
  }

  /** A sync with an owner ended; `clean` when both sides held the same. */
  synced(key: Key, clean: boolean): void {
    const holding = this.#holding(key)
    holding.clean = clean && holding.outsideSince !== undefined ? holding.clean + 1 : 0
  }

  mayDrop(key: Key, now: Millis): boolean {
    const holding = this.#holdings.get(key)
    if (holding?.outsideSince === undefined) return false
    return now - holding.outsideSince >= this.#limits.idleMs && holding.clean >= this.#limits.cleanSyncs
  }

  forget(key: Key): void {
    this.#holdings.delete(key)
  }

  #holding(key: Key): Holding {
    let holding = this.#holdings.get(key)
    if (holding === undefined) {
      holding = { outsideSince: undefined, clean: 0 }
      this.#holdings.set(key, holding)
    }
    return holding
  }
}
