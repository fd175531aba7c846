import type { Verifier } from '../../../../overlay/identity/identity.js'
import type { Digest, JobId, JobSpec, NodeId } from '../../../../proto/model.js'
import type { World } from '../../world/world.js'
import type { Plan, PlannedJob } from '../plan.js'
import { type SmallVote, votesOf } from '../small-verdict.js'

/** A job that a client has submitted. */
export interface KnownToOracle {
  readonly planned: PlannedJob
  readonly jobId: JobId
  readonly spec: JobSpec
}

/** What all parts of the oracle know. */
export class Notes {
  readonly world: World
  readonly plan: Plan
  readonly verifier: Verifier
  readonly jobs = new Map<JobId, KnownToOracle>()
  /** Specs by who acknowledged them. */
  readonly specs: { readonly holder: NodeId; readonly jobId: JobId }[] = []
  /** When a withholder last said that it has all that another owner has of a shard. */
  readonly claimedAt = new Map<string, number>()
  readonly #votes = new Map<Digest, readonly SmallVote[]>()

  constructor(world: World, plan: Plan, verifier: Verifier) {
    this.world = world
    this.plan = plan
    this.verifier = verifier
  }

  /** Fails the run unless the condition holds. */
  check(condition: boolean, message: string): void {
    if (!condition) this.world.fail(new Error(`oracle: ${message}`))
  }

  /** The votes of a fact on disk, read once. */
  votesOf(id: Digest, fact: Uint8Array, jobId: JobId): readonly SmallVote[] {
    let votes = this.#votes.get(id)
    if (votes === undefined) {
      votes = votesOf(fact, jobId, this.verifier)
      this.#votes.set(id, votes)
    }
    return votes
  }

  /** Whether a node gives nobody what it has: as far as others can tell, that is gone. */
  withholds(nodeId: NodeId): boolean {
    const at = this.plan.peerCharacters.indexOf('withholder')
    return at >= 0 && this.world.hosts[at]?.caller.nodeId === nodeId
  }
}

export function unitName(jobId: JobId, unit: number): string {
  return `${jobId.slice(0, 8)}/${unit}`
}

/** The set of a key, made where there was none. */
export function setOf<K, V>(table: Map<K, Set<V>>, key: K): Set<V> {
  let set = table.get(key)
  if (set === undefined) {
    set = new Set()
    table.set(key, set)
  }
  return set
}

/** The map of a key, made where there was none. */
export function mapOf<K, L, V>(table: Map<K, Map<L, V>>, key: K): Map<L, V> {
  let map = table.get(key)
  if (map === undefined) {
    map = new Map()
    table.set(key, map)
  }
  return map
}
