import type { Key, NodeId } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { compareDistance, type Point } from './node-id.js'

/** What ownership needs to know of a peer. */
export interface Candidate {
  readonly nodeId: NodeId
  /** Peers have dialled it back. Others never own. */
  readonly eligible: boolean
}

/** The `r` eligible peers closest to `key`, closest first: its owners as far as `candidates` tell. */
export function ownersOf<T extends Candidate>(key: Point, r: number, candidates: Iterable<T>): T[] {
  const nearest: T[] = []
  for (const candidate of candidates) {
    if (!candidate.eligible) continue
    let at = nearest.length
    while (at > 0 && compareDistance(key, candidate.nodeId, nearest[at - 1]!.nodeId) < 0) at--
    if (at >= r) continue
    nearest.splice(at, 0, candidate)
    if (nearest.length > r) nearest.pop()
  }
  return nearest
}

/** How many eligible peers are closer to `key` than `self`: 0 for the closest, so `self` owns while this is below r. */
export function rankOf(key: Point, self: NodeId, candidates: Iterable<Candidate>): number {
  let rank = 0
  for (const { nodeId, eligible } of candidates) {
    if (eligible && nodeId !== self && compareDistance(key, nodeId, self) < 0) rank++
  }
  return rank
}

export interface ReleaseLimits {
  /** Ranks beyond r at which a former owner still keeps what it holds. */
  readonly slack: number
  /** Syncs with an owner in a row that found no difference. */
  readonly cleanSyncs: number
  readonly idleMs: Millis
}

/** PAST (Rowstron and Druschel 2001) keeps copies past the k closest for the same reason: neighbours flap. */
export const DEFAULT_RELEASE: ReleaseLimits = { slack: 2, cleanSyncs: 2, idleMs: 10 * 60_000 }

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
