import { checkSpec, specDefaults } from '../../../job/spec/spec.js'
import type { JobSpec, Policy, PublicKey } from '../../../proto/model.js'
import { toHex } from '../../../runtime/hex.js'
import { SeededRandom } from '../world/random.js'
import { GRID_NETWORK } from './processes.js'
import { GRID_TASK } from './task.js'

/** How a simulated worker behaves. Liars each have their own wrong answers. */
export type Character = 'honest' | 'liar' | 'broken' | 'forger'

/**
 * How an owner behaves. `mute`: takes part in everything and grants nothing. `favourer`: grants to two friends alone.
 * `withholder`: takes facts and outputs and gives none to anybody. `announcer`: claims ready work for ever, of
 * its jobs and of one that does not exist. `claimer`: grants nothing, and tells the other owners for ever that it has every
 * unit out. `flooder`: works like any other, and has the others keep votes of workers that it makes up.
 */
export type OwnerCharacter = 'honest' | 'mute' | 'favourer' | 'withholder' | 'announcer' | 'claimer' | 'flooder'

/** A job of a simulated submitter. */
export interface PlannedJob {
  readonly name: string
  readonly units: number
  readonly policy: Policy
}

/** Everything about a run that its seed decides beforehand. */
export interface Plan {
  /** Owners of a shard. */
  readonly owners: 1 | 3
  readonly realSignatures: boolean
  readonly realOverlay: boolean
  readonly peers: number
  readonly workers: readonly Character[]
  /** Time of a unit on each worker's machine, median. Unit: ms. */
  readonly unitMs: readonly number[]
  readonly jobs: readonly PlannedJob[]
  /** Honest where there is none. At most one is not: with two of three owners nothing could be promised. */
  readonly peerCharacters: readonly OwnerCharacter[]
  /** Bytes that a peer, and a worker or client, can send per second; undefined: any number. */
  readonly uplinks: readonly [number | undefined, number | undefined]
  /** Pairs of hosts of which some cannot reach the other, while faults are on. */
  readonly walls: number
  readonly shardUnits: number
}

/** Honest workers and three owners a shard with good links and no walls: for runs that harm them in one chosen way. */
export function honestPlan(
  own: Pick<Plan, 'peers' | 'unitMs' | 'jobs' | 'shardUnits'> & { readonly realOverlay?: boolean },
): Plan {
  return {
    owners: 3,
    realSignatures: false,
    realOverlay: false,
    workers: own.unitMs.map(() => 'honest'),
    peerCharacters: [],
    uplinks: [undefined, undefined],
    walls: 0,
    ...own,
  }
}

/** The plan of a seed: owners alternate, every fifth seed has real signatures, another fifth the real overlay. */
export function planOf(seed: number): Plan {
  const random = new SeededRandom(`plan ${seed}`)
  const owners = seed % 2 === 0 ? 3 : 1
  const residue = seed % 10
  const workers: Character[] = Array.from({ length: 6 + random.int(3) }, () => 'honest')
  workers[0] = random.chance(0.6) ? 'liar' : 'honest'
  const second = random.pick<Character>(['honest', 'liar', 'broken', 'forger'])!
  // Two of six that lie would often leave a unit with nobody who could decide it.
  workers[1] = second === 'liar' && workers.length < 8 ? 'honest' : second
  const jobs: PlannedJob[] = [
    { name: 'first', units: 32 + random.int(32), policy: { type: 'quorum', quorum: 2 } },
    {
      name: 'second',
      units: 16 + random.int(24),
      policy: random.chance(0.6) ? { type: 'none' } : { type: 'quorum', quorum: 3 },
    },
  ]
  const more = random.split('owners and links')
  return {
    owners,
    realSignatures: residue === 5 || residue === 6,
    realOverlay: residue === 3 || residue === 8,
    peers: 5 + random.int(2),
    workers,
    unitMs: workers.map(() => random.pick([60, 250, 900, 2_500])!),
    jobs,
    peerCharacters: owners === 3 ? charactersOf(random) : [],
    uplinks: more.chance(0.3) ? [more.pick([32_000, 128_000])!, more.pick([8_000, 32_000])!] : [undefined, undefined],
    walls: more.chance(0.4) ? 1 + more.int(3) : 0,
    shardUnits: 16,
  }
}

/** In half the grids one owner of the first three peers is bad. */
function charactersOf(random: SeededRandom): OwnerCharacter[] {
  if (!random.chance(0.5)) return []
  const at = random.int(3)
  const character = random.pick<OwnerCharacter>(['mute', 'favourer', 'withholder', 'announcer'])!
  return Array.from({ length: at + 1 }, (_, i) => (i === at ? character : 'honest'))
}

/** The spec of a planned job; the same bytes whenever its submitter makes it. */
export function specOf(plan: Plan, job: PlannedJob, submitter: PublicKey, epochMs: number): JobSpec {
  const quorum = job.policy.type === 'quorum' ? job.policy.quorum : 1
  const spec: JobSpec = {
    ...specDefaults,
    network: GRID_NETWORK,
    submitter,
    nonce: toHex(new SeededRandom(`nonce ${job.name}`).bytes(16)),
    createdAtMs: epochMs,
    expiresAtMs: epochMs + 24 * 3_600_000,
    name: job.name,
    task: GRID_TASK,
    source: { type: 'count', count: job.units },
    args: [job.name, '{i}'],
    policy: job.policy,
    shardUnits: plan.shardUnits,
    minGrantors: plan.owners === 3 && quorum >= 2 ? 2 : 1,
    maxInstances: 15,
    maxErrors: 5,
    delayBoundMs: 30_000,
  }
  const problem = checkSpec(spec)
  if (problem !== undefined) throw new Error(problem)
  return spec
}
