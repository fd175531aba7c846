import type { AuditShares } from '../../job/audit/audit.js'
import type { Millis } from '../../runtime/clock.js'

/**
 * What the dishonest of a scene do. `lone`: each its own wrong answer. `ring`: all the same one. `careful`: the ring's, but
 * only where two of the ring have the unit at one moment and none has told the truth; `mindful`: where two were ever given it. `hoarder`: takes units and never answers.
 */
export type Conduct = 'lone' | 'ring' | 'careful' | 'mindful' | 'hoarder'

/** Who takes part in one job of the simulator. Shares are shares of the keys at the start, each with one thread. */
export interface Scene {
  /** Chance that an honest answer is wrong; each such answer is its own. */
  readonly honestErrors: number
  readonly liars: number
  readonly conduct: Conduct
  /** Time in which liars answer, ms; undefined: as long as honest work takes. */
  readonly answerMs?: Millis
  /** Answers that each liar gives honestly first. */
  readonly honestAnswers?: number
  /** Share of the units that liars lie about; undefined: all. */
  readonly lieShare?: number
  /** A liar that was put out is back within a second, as a new key. */
  readonly returns?: boolean
  /** What the submitter's side computes again, as shares of the units; undefined: nothing, it is away. */
  readonly audit?: AuditShares
  /** One of the owners forges so many votes for the ring's answer on every unit, each by a key of its own. */
  readonly forgedVotes?: number
  /** As many liars as there are keys join at once, this many ideal times after the start; `known` before the job was made. */
  readonly flood?: { readonly at: number; readonly known: boolean }
}

/** Keys at the start and units of the job, unless asked for otherwise. */
export const KEYS = 100
export const UNITS = 10_000
/** Owners of a shard. */
export const OWNERS = 3
/** Share of the honest keys that their owners have first seen after the job was made. */
export const YOUNGER_SHARE = 0.05

/** Time of a unit on a machine of speed 1, ms: lognormal with this mean and spread of the logarithm. */
export const UNIT_MS = 10_000
export const UNIT_SIGMA = 0.5
/** Spread of the logarithm of speeds, whose mean is 1, and of the time of one unit on one machine. */
export const SPEED_SIGMA = 0.4
export const NOISE_SIGMA = 0.1
/** How long volunteers stay and are away, exponential means: they return with the same key. */
export const STAY_MS = 3_600_000
export const AWAY_MS = 600_000
/** From a volunteer to an owner, and between owners. */
export const ONE_WAY_MS = 10

/** The answers there are: the right one, the ring's, and from {@link LONE} on one for each mischance or lone lie. */
export const RIGHT = 0
export const RING = 1
export const LONE = 2

/** Share of the units at which time is taken. */
export const TIMED_SHARE = 0.99

/** What one run of one policy showed. */
export interface Measures {
  readonly units: number
  /** Units with a wrong answer accepted. */
  readonly wrong: number
  /** Units that volunteers could not decide: the submitter has to. And units that a run has left open. */
  readonly disputed: number
  readonly undecided: number
  /** Granted instances a unit. Forged ones are not counted. */
  readonly redundancy: number
  /** Time until 99 % of the units are decided, in times of what the honest need to compute each unit once. */
  readonly time: number
  /** Share of the granted instances that went to the dishonest. */
  readonly captured: number
  /** Honest keys that do not count any more. */
  readonly putOut: number
  /** Units that the submitter computed again, as a share of all. */
  readonly replayed: number
  /** Share of the time of the honest who were there in which they computed nothing. */
  readonly idle: number
}
