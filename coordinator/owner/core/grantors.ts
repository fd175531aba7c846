import type { NodeId } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'

/**
 * What this owner knows of the signer of a grant. `met`: a peer that it has found; `sought`: it is being looked up for the first
 * time; `stranger`: no peer of that id was found.
 */
export type GrantorStanding = 'met' | 'sought' | 'stranger'

/** Grantors kept in mind. Those that were found stay before those that were not. */
const GRANTORS_MAX = 4_096
/** A stranger whose grants are looked at after so long is looked up again: it may have been cut off. Unit: ms. */
const SEEK_AGAIN_MS: Millis = 60_000

/**
 * Which signers of grants are peers that this owner has met: its co-owners, and whoever a lookup has found. Anybody can sign
 * grants with keys that it makes up, and the verdict counts them, as it goes by bytes alone; who acts goes by this.
 */
export class Grantors {
  readonly #met = new Set<NodeId>()
  readonly #others = new Map<NodeId, { standing: 'sought' | 'stranger'; at: Millis }>()
  readonly #seek: (nodeId: NodeId) => void

  /** `seek` has a grantor looked up; what comes of it is to be given to {@link found}. */
  constructor(seek: (nodeId: NodeId) => void) {
    this.#seek = seek
  }

  /** These are peers. */
  meet(nodeIds: Iterable<NodeId>): void {
    for (const nodeId of nodeIds) {
      this.#others.delete(nodeId)
      this.#met.delete(nodeId)
      this.#met.add(nodeId)
    }
    for (const nodeId of this.#met) {
      if (this.#met.size <= GRANTORS_MAX) break
      this.#met.delete(nodeId)
    }
  }

  isMet(nodeId: NodeId): boolean {
    return this.#met.has(nodeId)
  }

  /** What is known of a grantor; one that was never heard of is looked up. */
  standingOf(nodeId: NodeId, now: Millis): GrantorStanding {
    if (this.#met.has(nodeId)) return 'met'
    const known = this.#others.get(nodeId)
    if (known === undefined) {
      this.#note(nodeId, 'sought', now)
      this.#seek(nodeId)
      return 'sought'
    }
    if (known.standing === 'stranger' && now - known.at >= SEEK_AGAIN_MS) {
      known.at = now
      this.#seek(nodeId)
    }
    return known.standing
  }

  /** What a lookup has given. */
  found(nodeId: NodeId, isPeer: boolean, now: Millis): void {
    if (isPeer) this.meet([nodeId])
    else if (!this.#met.has(nodeId)) this.#note(nodeId, 'stranger', now)
  }

  #note(nodeId: NodeId, standing: 'sought' | 'stranger', at: Millis): void {
    this.#others.set(nodeId, { standing, at })
    // One that was sought may have been forgotten before its lookup ended.
    if (this.#others.size > GRANTORS_MAX) this.#others.delete(this.#others.keys().next().value!)
  }
}
