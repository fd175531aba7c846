import type { JobEnd } from '../../client/follow/job-end.js'
import type { JobProgress } from '../../client/follow/watch.js'
import { readJobRecords } from '../../client/submit/job-records.js'
import { formatBytes, formatDuration, parseInteger } from '../../job/quantity.js'
import { formatSelection } from '../../job/units/selection.js'
import { unitCount } from '../../job/units/unit-source.js'
import { confidenceText } from '../../job/verdict/credibility.js'
import { donorsNeeded } from '../../job/verdict/rules.js'
import { UNITS_MAX } from '../../proto/limits.js'
import type { JobId, JobSpec, Policy, Summary, TaskRef, UnitSource } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Connection } from '../grid/connect.js'
import { plural } from '../terminal/output.js'

/** The job that a person meant, looked for on this machine and then in the submitter's list in the network. */
export async function resolveJob({ list, client }: Connection, text: string): Promise<JobId> {
  try {
    return await list.resolve(text)
  } catch (error) {
    if (!(error instanceof GridError) || error.code !== 'notFound') throw error
    const { overlay, sha256, signer } = client.parts
    const listed = await readJobRecords(overlay, sha256, signer.publicKey)
    if (text.trim().toLowerCase() === 'last' && listed[0] !== undefined) return listed[0]
    return list.resolve(text, listed)
  }
}

/** A unit as typed. Throws GridError `invalid` for what no job can have. */
export function readUnit(text: string): number {
  const unit = parseInteger(text)
  if (unit < 0n || unit >= BigInt(UNITS_MAX))
    throw new GridError('invalid', `unit ${text} is outside 0 to ${UNITS_MAX - 1}`)
  return Number(unit)
}

/** Throws GridError `invalid` for a unit that the job does not have. */
export function checkUnit(spec: JobSpec, unit: number): void {
  const units = unitCount(spec)
  if (unit >= units)
    throw new GridError('invalid', `the job has no unit ${unit}`, { hint: `its units are 0 to ${units - 1}` })
}

/** A job id as lists show it: enough to be told apart and typed. */
export function shortId(jobId: JobId): string {
  return jobId.slice(0, 12)
}

/** `primes` or `primes@2`, or the start of a module's digest. */
export function taskText(task: TaskRef): string {
  if (task.type === 'builtin') return task.version === 1 ? task.name : `${task.name}@${task.version}`
  return `module ${task.module.digest.slice(0, 12)}`
}

/** A source as `submit` takes it, where the spec still says. */
export function sourceText(source: UnitSource): string {
  switch (source.type) {
    case 'count':
      return `--count ${source.count}`
    case 'array':
      return `--array ${source.from}-${source.to}${source.step === 1n ? '' : `:${source.step}`}`
    case 'range':
      return `--range ${source.start}..${source.end}${source.step === 1n ? '' : `:${source.step}`}`
    case 'list':
      return `--${source.kind} (${source.itemCount} items)`
  }
}

/** `2 agreeing donors`, `donors believed with 0.999`, or that the first result is taken. */
export function policyText(policy: Policy): string {
  if (policy.type === 'none') return 'the first result is taken'
  if (policy.type === 'confidence')
    return `donors believed with ${confidenceText(policy.errorPpm)}, one to ${donorsNeeded(policy)} of them`
  return policy.quorum === 1 ? 'one donor' : `${policy.quorum} agreeing donors`
}

/** `kept by 3 peers`, or `accepted here, 1 of 2` while fewer have it on disk than make it durable. */
export function durabilityText(holders: number, wanted: number): string {
  return holders >= wanted ? `kept by ${plural(holders, 'peer')}` : `accepted here, ${holders} of ${wanted}`
}

/** `12 settled, 3 open`: the states that have units. */
export function countsText(summary: Summary): string {
  const states = ['settled', 'accepted', 'open', 'disputed', 'held', 'failed'] as const
  const parts = states.filter((state) => summary[state] > 0).map((state) => `${summary[state]} ${state}`)
  return parts.length === 0 ? 'no units' : parts.join(', ')
}

const END_TEXT: Readonly<Record<JobEnd, string>> = {
  finished: 'finished',
  cancelled: 'cancelled',
  removed: 'removed: its results are dropped',
  expired: 'expired',
  stuck: 'stuck: the units left are held by their owners',
  stopped: 'stopped: too many units failed',
}

/** One word or two on where a job is. */
export function stateText({ end, summary, firstGrantAgeMs }: JobProgress): string {
  if (end === 'finished' && summary.failed > 0) return `finished, ${plural(summary.failed, 'unit')} failed`
  if (end !== undefined) return END_TEXT[end]
  return firstGrantAgeMs === undefined ? 'waiting' : 'running'
}

/** Speed and what is left, for behind a bar: `1.2k units/s, 12s-15s left`, or why nothing moves. */
export function paceText({ waiting, unitsPerSecond, eta, summary }: JobProgress): string {
  const parts: string[] = []
  if (unitsPerSecond > 0)
    parts.push(`${unitsPerSecond >= 10 ? Math.round(unitsPerSecond) : unitsPerSecond.toFixed(1)} units/s`)
  if (eta !== undefined && eta.highMs > 0 && eta.highMs < 100 * 86_400_000) {
    const [low, high] = [formatDuration(eta.lowMs), formatDuration(eta.highMs)]
    parts.push(`${low === high ? low : `${low} to ${high}`} left`)
  }
  if (summary.failed > 0) parts.push(`${summary.failed} failed`)
  if (summary.disputed > 0) parts.push(`${summary.disputed} disputed`)
  if (waiting !== '') parts.push(waiting)
  return parts.join(', ')
}

/** What to do about a reason to wait that a submitter can act on, with the flags of a worker; empty: nothing to do. */
export function waitingAdvice(waiting: string, flags: string): string {
  const few = /^(\d+) .*(?:quorum|confidence) needs/.exec(waiting)
  if (few !== null)
    return `start another: manyhands work${flags}; or submit with --quorum ${Math.max(1, Number(few[1]))}`
  if (/no worker/.test(waiting)) return `start one: manyhands work${flags}`
  return ''
}

/** JSON of one look at a job: the same for `show`, `watch`, `wait` and `jobs`. */
export function progressFields({
  job,
  summary,
  shards,
  waiting,
  ageMs,
  firstGrantAgeMs,
  holders,
  wanted,
  end,
  unitsPerSecond,
  eta,
}: JobProgress) {
  const { spec, view, jobId } = job
  return {
    jobId,
    name: spec.name,
    task: taskText(spec.task),
    source: sourceText(spec.source),
    state: end ?? (firstGrantAgeMs === undefined ? 'waiting' : 'running'),
    waiting,
    summary,
    ageMs: Math.round(ageMs),
    firstGrantAgeMs: firstGrantAgeMs === undefined ? null : Math.round(firstGrantAgeMs),
    unitsPerSecond,
    etaMs: eta === undefined ? null : { low: Math.round(eta.lowMs), high: Math.round(eta.highMs) },
    cancelled: view.cancelled,
    expiresAtMs: view.expiresAtMs,
    holders,
    wanted,
    shards,
  }
}

/** Everything the spec says that differs from the plainest job, for `show` and `--dry-run`. */
export function specFacts(spec: JobSpec): (readonly [string, string | number])[] {
  const { limits, selection, labels, inputs, environment, parent } = spec
  return [
    ['name', spec.name],
    ['labels', labels.map(([key, value]) => `${key}=${value}`).join(' ')],
    ['task', taskText(spec.task)],
    ['source', sourceText(spec.source)],
    ['arguments', spec.args.join(' ')],
    ['per unit', spec.perUnit === 1 ? '' : spec.perUnit],
    ['repeat', spec.repeat === 1 ? '' : spec.repeat],
    ['selected', formatSelection(selection).slice(0, 200)],
    ['inputs', inputs.map(({ name, blob }) => `${name} (${formatBytes(blob.size)})`).join(' ')],
    ['environment', environment.map(([key, value]) => `${key}=${value}`).join(' ')],
    ['checked by', policyText(spec.policy)],
    [
      'limits',
      `memory ${formatBytes(limits.memoryBytes)}, output ${formatBytes(limits.outputBytes)}, time ${formatDuration(limits.wallMs)}${limits.fuel === 0n ? '' : `, fuel ${limits.fuel}`}`,
    ],
    ['results for', spec.isPublic ? 'everyone' : 'the submitter'],
    ['retry of', parent === undefined ? '' : shortId(parent)],
  ]
}

/** JSON of what {@link specFacts} tells. */
export function specFields(spec: JobSpec) {
  const { submitter, createdAtMs, args, perUnit, repeat, selection, policy, limits, isPublic, parent } = spec
  return {
    submitter,
    createdAtMs,
    labels: Object.fromEntries(spec.labels),
    args,
    perUnit,
    repeat,
    selected: formatSelection(selection),
    inputs: spec.inputs.map(({ name, blob }) => ({ name, digest: blob.digest, bytes: blob.size })),
    environment: Object.fromEntries(spec.environment),
    policy,
    limits,
    public: isPublic,
    retryOf: parent ?? null,
  }
}
