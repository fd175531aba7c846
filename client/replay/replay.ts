import { isDeterministic } from '../../job/facts/digest.js'
import { type UnitInvocation, unitInvocation } from '../../job/spec/program.js'
import { contains } from '../../job/units/selection.js'
import { unitCount } from '../../job/units/unit-source.js'
import type { UnitOutput } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Compute } from '../../worker/compute/compute.js'
import type { ResultsSummary, UnitAnswer } from '../results/answer.js'
import { ResultsReader } from '../results/results.js'
import { aborted, type GridClient, type KnownJob } from '../session/session.js'
import { checkReplayBytes, fetchMaterial, type MaterialOptions, runMaterial } from './replay-material.js'
import { ItemReader } from './run-local.js'

/** How one unit is replayed. */
export interface ReplayOptions extends MaterialOptions {
  /** Computes the unit; used by this replay alone while it lasts. */
  readonly compute: Compute
}

/**
 * How a replay compares. `match`: the same digest here. `mismatch`: another one. `undecided`: this machine could not run it,
 * or time decided in one of the places, which depends on how fast a machine is.
 */
export type ReplayVerdict = 'match' | 'mismatch' | 'undecided'

/** What came of a replay. */
export type Replay =
  /** The grid has no result that can be compared: why stands in the summary. */
  | { readonly type: 'missing'; readonly summary: ResultsSummary }
  | {
      readonly type: 'replayed'
      readonly verdict: ReplayVerdict
      /** What the donors agreed on, proved here. */
      readonly accepted: UnitAnswer
      readonly local: UnitAnswer
      /** In what the outputs differ, as words; empty unless `mismatch`. */
      readonly differences: readonly string[]
      /** What the unit was run from, for whoever looks closer. The files are the caller's. */
      readonly invocation: UnitInvocation
      readonly inputPaths: readonly { readonly name: string; readonly path: string }[]
      readonly modulePath: string | undefined
      readonly summary: ResultsSummary
    }

/**
 * Fetches the result of one unit with its facts, proves it, and computes the unit here from the module and the inputs that
 * the spec names by digest. Rejects with GridError `invalid` for a unit that the job does not have, `quota` for inputs of
 * more than 8 GiB, `notFound` or
 * `unreachable` when an input cannot be had, `closed` when aborted.
 */
export async function replayUnit(
  client: GridClient,
  job: KnownJob,
  unit: number,
  { compute, createFile, onFetch, signal }: ReplayOptions,
): Promise<Replay> {
  const { spec } = job
  const units = unitCount(spec)
  if (!(unit >= 0 && unit < units)) throw new GridError('invalid', `unit ${unit} is outside 0 to ${units - 1}`)
  if (spec.selection.length > 0 && !contains(spec.selection, unit))
    throw new GridError('invalid', `unit ${unit} is not among those that the job selects`)
  checkReplayBytes(spec)
  const reader = new ResultsReader(client, job, {
    units: [{ first: unit, count: 1 }],
    ...(signal ? { signal } : {}),
  })
  let accepted: UnitAnswer | undefined
  for await (const answer of reader) accepted = answer
  const { summary } = reader
  if (accepted === undefined) return { type: 'missing', summary }

  const material = await fetchMaterial(client, job, {
    createFile,
    ...(onFetch ? { onFetch } : {}),
    ...(signal ? { signal } : {}),
  })
  const { modulePath, inputPaths, built } = material
  let local: UnitAnswer | undefined
  for await (const answer of runMaterial(client, material, compute, [{ first: unit, count: 1 }], signal)) local = answer
  if (local === undefined) throw aborted()
  const verdict = compare(accepted, local)
  return {
    type: 'replayed',
    verdict,
    accepted,
    local,
    invocation: unitInvocation(
      spec,
      unit,
      spec.source.type === 'list' ? await new ItemReader(spec.source, built).read(spec, unit) : [],
    ),
    inputPaths,
    differences: verdict === 'mismatch' ? differencesOf(accepted, local) : [],
    modulePath,
    summary,
  }
}

function compare(accepted: UnitAnswer, local: UnitAnswer): ReplayVerdict {
  if (isDeterministic(accepted.outcome) && isDeterministic(local.outcome))
    return accepted.digest === local.digest ? 'match' : 'mismatch'
  return accepted.outcome === 'wall' && local.outcome === 'wall' ? 'match' : 'undecided'
}

/** Fields of the digest in which two answers differ, in the order in which the digest covers them. */
function differencesOf(accepted: UnitAnswer, local: UnitAnswer): readonly string[] {
  const found: string[] = []
  if (accepted.outcome !== local.outcome) found.push(`outcome: ${accepted.outcome} there, ${local.outcome} here`)
  const [there, here] = [accepted.output, local.output]
  if (there === undefined || here === undefined) return found
  if (there.exitCode !== here.exitCode) found.push(`exit code: ${there.exitCode} there, ${here.exitCode} here`)
  found.push(...bytesDiffer('standard output', there.stdout, here.stdout))
  found.push(...bytesDiffer('standard error', there.stderr, here.stderr))
  if (there.stderrLength !== here.stderrLength)
    found.push(`length of standard error: ${there.stderrLength} there, ${here.stderrLength} here`)
  found.push(...filesDiffer(there, here))
  return found
}

function filesDiffer(there: UnitOutput, here: UnitOutput): string[] {
  const ours = new Map(here.files.map(({ name, bytes }) => [name, bytes]))
  const found: string[] = []
  for (const { name, bytes } of there.files) {
    const own = ours.get(name)
    if (own === undefined) found.push(`file ${name}: missing here`)
    else found.push(...bytesDiffer(`file ${name}`, bytes, own))
    ours.delete(name)
  }
  for (const name of ours.keys()) found.push(`file ${name}: only here`)
  return found
}

function bytesDiffer(what: string, there: Uint8Array, here: Uint8Array): string[] {
  const shorter = Math.min(there.length, here.length)
  let at = 0
  while (at < shorter && there[at] === here[at]) at++
  if (at === there.length && at === here.length) return []
  const lengths = there.length === here.length ? '' : ` (${there.length} bytes there, ${here.length} here)`
  return [`${what}: differs from byte ${at} on${lengths}`]
}
