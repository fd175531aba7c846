import { keyInTwoPlaces } from '../../client/explain/explain.js'
import type { Restraint, WorkerState } from '../../proto/admin-messages.js'
import type { JobId, PublicKey } from '../../proto/model.js'
import { plural } from '../terminal/output.js'

/** Jobs named in one line; more are counted. */
const JOBS_NAMED = 2
const DAY_MS = 86_400_000

interface WorkLineParts {
  readonly state: WorkerState
  /** The one job that the worker was told to compute. */
  readonly onlyJob: JobId | undefined
  /** Whether any peer was found yet; why not, as far as is known. */
  readonly joined: boolean
  readonly unreached: string
  /** The name that the configuration gives a key. */
  readonly nameOf: (key: PublicKey) => string | undefined
  /** Wall clock. */
  readonly nowMs: number
}

/** What a worker computes and for whom, or why nothing, in one line that claims no more than others have confirmed. */
export function workLine(parts: WorkLineParts): string {
  const { agreed, disagreed, unsettled } = parts.state
  const waiting = unsettled > 0 ? `, ${unsettled} waiting for others` : ''
  const wrong = disagreed > 0 ? `, ${disagreed} not confirmed` : ''
  return `${activity(parts)}${keyTrouble(parts)} | ${agreed} confirmed${wrong}${waiting}`
}

/** That the key runs in another process, too, where the line does not say so already. */
function keyTrouble({ state, nowMs }: WorkLineParts): string {
  const two = keyInTwoPlaces(state, nowMs)
  return two === undefined || isIdleForIt(state, nowMs) ? '' : `; ${two.sentence}`
}

/** Turned away for its key, and nothing of its owner's will keeps it from computing. */
function isIdleForIt(state: WorkerState, nowMs: number): boolean {
  return state.held === 0 && state.restraints.length === 0 && keyInTwoPlaces(state, nowMs)?.turnedAway === 'here'
}

function activity({ state, onlyJob, joined, unreached, nameOf, nowMs }: WorkLineParts): string {
  const { restraints, held, draining, threads, owners, idleReason, cpuTimeShare } = state
  const inHand = held > 0 ? `; ${plural(held, 'unit')} in hand` : ''
  if (draining && held > 0) return `finishing ${plural(held, 'unit')}, then it ends`
  if (restraints.length > 0) return `nothing: ${restraints.map((one) => restraintText(one, nowMs)).join('; ')}${inHand}`
  if (held > 0) {
    const share = cpuTimeShare < 1 ? ` at ${Math.round(cpuTimeShare * 100)} %` : ''
    const busy = jobsOf(threads, nameOf)
    if (busy === '') return `${plural(held, 'unit')} in hand, beginning${share}`
    return `computing ${busy}${share}; ${plural(held, 'unit')} in hand from ${plural(owners.filter((one) => one.held > 0).length, 'owner')}`
  }
  if (isIdleForIt(state, nowMs)) return `nothing: ${keyInTwoPlaces(state, nowMs)!.sentence}`
  if (!joined) return `nothing: no peer found yet${unreached === '' ? '' : `: ${unreached}`}`
  if (onlyJob !== undefined && !owners.some(({ connected }) => connected))
    return `nothing: looking for job ${onlyJob.slice(0, 12)}`
  return `nothing: ${idleReason === '' ? 'no job has work for this machine' : idleReason}`
}

/** `primes@1 for alice on 2 threads`. */
function jobsOf(threads: WorkerState['threads'], nameOf: WorkLineParts['nameOf']): string {
  const byJob = new Map<string, number>()
  for (const { unit } of threads) {
    if (unit === undefined) continue
    const name = unit.jobName === '' ? '' : ` '${unit.jobName}'`
    const what = `${unit.task}${name} for ${nameOf(unit.submitter) ?? unit.submitter.slice(0, 12)}`
    byJob.set(what, (byJob.get(what) ?? 0) + 1)
  }
  const named = [...byJob].slice(0, JOBS_NAMED).map(([what, count]) => `${what} on ${plural(count, 'thread')}`)
  if (byJob.size > JOBS_NAMED) named.push(`${byJob.size - JOBS_NAMED} more`)
  return named.join(', ')
}

/** `on battery`, `paused until 07:00`. */
function restraintText({ reason, untilMs }: Restraint, nowMs: number): string {
  if (untilMs <= nowMs) return reason
  const until = new Date(untilMs)
  const clock = until.toTimeString().slice(0, 5)
  if (untilMs - nowMs < 60_000) return `${reason}, for ${Math.ceil((untilMs - nowMs) / 1_000)} s`
  return `${reason}, until ${untilMs - nowMs < DAY_MS ? clock : `${until.toDateString().slice(0, 10)} ${clock}`}`
}
