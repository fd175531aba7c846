import { JOB_LIFE_MS_MAX, UNIT_ITEMS_MAX, UNITS_MAX } from '../../proto/limits.js'
import type { JobId, JobSpec, Key } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import { createSplitter } from '../units/splitter.js'
import { groupCount, itemCount, unitCount } from '../units/unit-source.js'
import { donorsNeeded } from '../verdict/rules.js'
import { unitInvocation } from './program.js'
import { compileTemplate } from './template.js'

/** Version of the message `JobSpec` that this program writes and reads. */
const SPEC_FORMAT = 1
/** Version of the rules of `job/verdict/verdict.ts` that this program follows. */
const VERDICT_VERSION = 1
/**
 * Versions of the sandbox rules that this program follows, oldest and newest. The rules themselves are `sandbox/`'s
 * (`PROFILE` of its contract), which this folder does not know: a test holds the two together.
 */
export const PROFILES_KNOWN = Object.freeze({ oldest: 1, newest: 1 })
/** Features that a spec may require (`requires`) and this program has. */
const FEATURES: ReadonlySet<string> = new Set<string>(['judges', 'confidence'])
/** Default life of a job. Unit: ms. */
export const JOB_LIFE_MS = 30 * 24 * 3600 * 1000
/** How far the clock of a submitter may be ahead of ours. Unit: ms. */
const CLOCK_TOLERANCE_MS = 10 * 60 * 1000
/** Every node may grant: the owner radius of a small network. */
export const WHOLE_RADIUS: Key = 'f'.repeat(40) as Key

/**
 * What a spec says unless its submitter wants otherwise. Sources: BOINC's `max_error_results` 3 and `max_total_results` 10,
 * a quorum of 2 as its `min_quorum` suggests for untrusted hosts.
 */
export const specDefaults = {
  format: SPEC_FORMAT,
  verdict: VERDICT_VERSION,
  profile: 0,
  requires: [],
  name: '',
  labels: [],
  perUnit: 1,
  repeat: 1,
  selection: [],
  args: [],
  environment: [],
  seed: 0n,
  inputs: [],
  policy: { type: 'quorum', quorum: 2 },
  maxErrors: 3,
  maxInstances: 10,
  delayBoundMs: 0,
  limits: {
    memoryBytes: 256 * 1024 * 1024,
    outputBytes: 16 * 1024 * 1024,
    stderrBytes: 64 * 1024,
    wallMs: 3600 * 1000,
    fuel: 0n,
  },
  okExit: [],
  maxFails: { type: 'count', value: 0 },
  priority: 0,
  isPublic: false,
  readers: [],
  owners: [],
  workers: [],
  judges: [],
  minGrantors: 1,
  ownerRadius: WHOLE_RADIUS,
  parent: undefined,
} as const satisfies Partial<JobSpec>

/** Where and when a spec is checked. */
interface SpecContext {
  /** Wall clock, ms since 1970; without it, nothing about time is checked but the job's length. */
  readonly nowMs?: number
  /** Name of the network of the checking node. */
  readonly network?: string
}

/** The id of the job that these bytes of a spec are. */
export function jobIdOf(sha256: Sha256, specBytes: Uint8Array): JobId {
  return sha256(specBytes) as string as JobId
}

/**
 * Why this program cannot take a job with this decoded spec, as a sentence, or undefined when it can. Checks how fields
 * fit together; the bounds of each field alone are the codec's (`proto/codec/spec.ts`).
 */
export function checkSpec(spec: JobSpec, context: SpecContext = {}): string | undefined {
  return checkVersions(spec) ?? checkTime(spec, context) ?? checkUnits(spec) ?? checkPolicy(spec) ?? checkArgs(spec)
}

function checkVersions(spec: JobSpec): string | undefined {
  if (spec.format !== SPEC_FORMAT)
    return `spec format ${spec.format} is not known here (this program knows ${SPEC_FORMAT})`
  if (spec.verdict !== VERDICT_VERSION) {
    return `verdict version ${spec.verdict} is not known here (this program knows ${VERDICT_VERSION})`
  }
  const missing = spec.requires.find((feature) => !FEATURES.has(feature))
  if (missing !== undefined) return `the job requires '${missing}', which this program does not have`
  // Who does not know rulings would give another verdict.
  if (spec.judges.length > 0 && !spec.requires.includes('judges')) return "a job with judges requires 'judges'"
  if (spec.policy.type === 'confidence' && !spec.requires.includes('confidence'))
    return "a job checked by confidence requires 'confidence'"
  if (spec.task.type === 'module' && spec.profile === 0) return 'a WebAssembly task needs a sandbox profile'
  if (spec.task.type === 'builtin' && spec.profile !== 0) return 'a built-in task has no sandbox profile'
  const { oldest, newest } = PROFILES_KNOWN
  if (spec.task.type === 'module' && (spec.profile < oldest || spec.profile > newest)) {
    return `sandbox profile ${spec.profile} is not known here (this program knows ${oldest === newest ? newest : `${oldest} to ${newest}`})`
  }
  return undefined
}

function checkTime(spec: JobSpec, { nowMs, network }: SpecContext): string | undefined {
  if (network !== undefined && spec.network !== network) {
    return `the job is for the network '${spec.network}', this is '${network}'`
  }
  const lifeMs = spec.expiresAtMs - spec.createdAtMs
  if (lifeMs <= 0) return 'the job expires before it was created'
  if (lifeMs > JOB_LIFE_MS_MAX) return 'the job expires more than 30 days after it was created'
  if (nowMs === undefined) return undefined
  if (spec.expiresAtMs <= nowMs) return 'the job has expired'
  if (spec.createdAtMs > nowMs + CLOCK_TOLERANCE_MS) return 'the job was created in the future: a clock is wrong'
  return undefined
}

function checkUnits(spec: JobSpec): string | undefined {
  const { source, selection } = spec
  if (itemCount(source) === 0n) return 'the source is empty: there are no units'
  const units = groupCount(spec) * BigInt(spec.repeat)
  if (units > BigInt(UNITS_MAX))
    return `the job has ${units} units, at most ${UNITS_MAX} are allowed; raise the step or the items a unit`
  const last = selection.at(-1)
  if (last && BigInt(last.first + last.count) > units) {
    return `unit ${last.first + last.count - 1} is selected, but the last unit is ${units - 1n}`
  }
  if (source.type !== 'list') return undefined
  if (Math.min(spec.perUnit, source.itemCount) > UNIT_ITEMS_MAX)
    return `a unit has more than ${UNIT_ITEMS_MAX} items of the list`
  const groups = Math.ceil(source.itemCount / source.indexEvery)
  if (source.index.size !== 8 * (groups + 1))
    return 'the index of the list does not have one offset for each group of items'
  if (source.kind === 'csv' ? source.columns.length === 0 : source.columns.length > 0) {
    return 'columns belong to a CSV source, and to no other'
  }
  return refusal(() => createSplitter(source.kind, source.separator))
}

function checkPolicy(spec: JobSpec): string | undefined {
  const { policy, maxInstances, minGrantors } = spec
  if (policy.type === 'quorum' && policy.quorum > maxInstances) {
    return `quorum ${policy.quorum} cannot be reached with at most ${maxInstances} instances a unit`
  }
  if (policy.type === 'quorum' && policy.quorum < 1) return 'a quorum is 1 or more'
  const needed = donorsNeeded(policy)
  if (policy.type === 'confidence' && needed > maxInstances)
    return `this confidence takes ${needed} donors at first, and at most ${maxInstances} instances a unit are allowed`
  if (minGrantors > needed) {
    return `grants of ${minGrantors} owners are wanted behind each result, more than results agree`
  }
  return undefined
}

/** The template compiles, and the first and the last unit have arguments; items of lists are not at hand here. */
function checkArgs(spec: JobSpec): string | undefined {
  return refusal(() => {
    compileTemplate(spec.args, spec.source)
    if (spec.source.type === 'list') return
    // A template that was compiled is kept for as long as its spec: whoever only checks one has no use for that.
    const passing = { ...spec }
    for (const unit of [0, unitCount(spec) - 1]) unitInvocation(passing, unit, [])
  })
}

function refusal(check: () => void): string | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    if (!(error instanceof GridError)) throw error
    return error.hint === undefined ? error.message : `${error.message}. ${error.hint}`
  }
}
