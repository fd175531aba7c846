import { formatBytes, formatDuration } from '../../job/quantity.js'
import { OUTPUT_BYTES_MAX } from '../../proto/limits.js'
import type {
  Digest,
  Limits,
  NodeId,
  Outcome,
  PublicKey,
  ReportFact,
  UnitOutput,
  UnitRange,
} from '../../proto/model.js'
import { DEPTH_SLOTS } from '../../sandbox/contract.js'
import type { Problem } from './shard-results.js'

/** The result of one unit, the same from the grid and from `run-local`. */
export interface UnitAnswer {
  readonly unit: number
  /** `failed`: a deterministic failure on which the quorum agreed. */
  readonly state: 'done' | 'failed'
  readonly outcome: Outcome
  readonly digest: Digest
  /** Undefined only where the caller asked to skip it. */
  readonly output: UnitOutput | undefined
  /** Bytes of the encoded output. */
  readonly outputBytes: number
  readonly fuel: bigint
  /** Time it took, for a unit computed here. Unit: ms. */
  readonly wallMs?: number
  /** Who agreed on it, one a vote; empty for a unit computed here. */
  readonly donors: readonly PublicKey[]
  /** Different owners whose grants stand behind it. */
  readonly grantors: readonly NodeId[]
  /** SHA-256 of the agreeing reports, in the order of `donors`. */
  readonly reports: readonly Digest[]
  /** Why it failed and which limit to raise; empty when done. */
  readonly reason: string
  /** The signed facts behind it, as they came; none for a unit computed here. */
  proof(): readonly ReportFact[]
}

/**
 * Why a unit has no result. `open`: not settled yet. `disputed`: valid votes contradict each other. `unproved`: an owner says
 * it is settled and cannot prove it. `bytes`: its result is proved, but no owner gave bytes with that digest.
 * `unreachable`: no owner of the shard answered.
 */
export type MissingReason = 'open' | 'disputed' | 'unproved' | 'bytes' | 'unreachable'

/** Units without a proved result, and why. */
export interface MissingUnits {
  readonly reason: MissingReason
  readonly count: number
  /** Ascending; cut off after 4,096 ranges. */
  readonly units: readonly UnitRange[]
}

/** A result that was pinned by an earlier fetch, or proved earlier in this one, and that the facts prove no more. */
export interface OverturnedUnit {
  readonly unit: number
  readonly pinned: Digest
  /** What is proved instead; undefined: nothing. */
  readonly now: Digest | undefined
}

/** What came of reading results; `units`, `proved` and the donors count what was checked here. */
export interface ResultsSummary {
  readonly units: number
  readonly proved: number
  /** Fewest and most donors behind a proved unit; 0 when none is proved. */
  readonly donorsMin: number
  readonly donorsMax: number
  /** Fewest grantors behind a proved unit; 0 when none is proved. */
  readonly grantorsMin: number
  readonly done: number
  readonly failed: number
  readonly missing: readonly MissingUnits[]
  readonly missingCount: number
  readonly overturned: readonly OverturnedUnit[]
  /** Signed reports that counted, and facts that were void. */
  readonly reports: number
  readonly voidFacts: number
  /** Bytes of outputs, those skipped not counted. */
  readonly outputBytes: number
  readonly skipped: number
  /** The first hundred. */
  readonly problems: readonly Problem[]
  readonly problemCount: number
}

/** One line for people: `500 of 500 units: 2 agreeing donors each, checked here`. */
export function describeEvidence(
  summary: Pick<ResultsSummary, 'units' | 'proved' | 'donorsMin' | 'donorsMax'>,
): string {
  const { units, proved, donorsMin, donorsMax } = summary
  const counted = `${proved} of ${units} ${units === 1 ? 'unit' : 'units'}`
  if (proved === 0) return `${counted} proved`
  const donors = donorsMin === donorsMax ? `${donorsMin}` : `${donorsMin} to ${donorsMax}`
  const noun = donorsMax === 1 ? 'donor' : 'agreeing donors'
  return `${counted}: ${donors} ${noun}${proved === 1 ? '' : ' each'}, checked here`
}

/**
 * How a failure reads: the limit it hit with its value, and the flag that raises it. Empty for `done`. A crash without any fuel
 * is a program that never began: its arguments could not be made, or the profile does not allow it; its stderr says which.
 */
export function failureReason(
  { outcome, exitCode, fuel }: { readonly outcome: Outcome; readonly exitCode: number; readonly fuel: bigint },
  limits: Limits,
): string {
  switch (outcome) {
    case 'done':
      return ''
    case 'exit':
      return `exit code ${exitCode} (--ok-exit ${exitCode} would accept it)`
    case 'trap':
      return fuel === 0n ? 'the program was not started' : 'the program crashed'
    case 'fuel':
      return `out of fuel: the limit is ${limits.fuel} steps (raise --fuel)`
    case 'memory':
      return `out of memory: the limit is ${formatBytes(limits.memoryBytes)} (raise --memory)`
    case 'output':
      return limits.outputBytes < OUTPUT_BYTES_MAX
        ? `too much output: the limit is ${formatBytes(limits.outputBytes)} (raise --output-limit)`
        : `too much output: the limit is ${formatBytes(limits.outputBytes)}, the most there is (cut the work into smaller units)`
    case 'depth':
      return `calls nested too deeply: the limit is ${DEPTH_SLOTS} slots on every machine, and no flag raises it`
    case 'wall':
      return `took too long: the limit is ${formatDuration(limits.wallMs)} (raise --wall)`
    case 'host':
      return 'this machine could not run it'
  }
}
