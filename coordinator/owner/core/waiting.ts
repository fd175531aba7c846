import { barText } from '../../../job/standing.js'
import { lastingBar } from './explain.js'
import type { Shard } from './shard.js'
import type { WorkerRecord } from './worker-record.js'

/** Different reasons of workers that are told. */
const REASONS_MAX = 4

/** What is known about who could work on a shard. */
interface Workforce {
  /** Why the job is not granted at all, or empty. */
  readonly refusal: string
  readonly connected: readonly WorkerRecord[]
  /** Of them, how many may work on the job, and of how many donors. */
  readonly able: number
  readonly donors: number
}

/** Why a shard does not move, in words a submitter can act on. Empty: it moves, or is finished. */
export function waitingReason(shard: Shard, { refusal, connected, able, donors }: Workforce): string {
  if (shard.finished) return ''
  if (refusal !== '') return refusal
  const { policy } = shard.rules
  // Two who agree on unit after unit come to be believed.
  const quorum = policy.type === 'confidence' ? 2 : shard.rules.quorum
  if (able === 0) {
    if (connected.length === 0) return 'no worker is connected'
    const { spec } = shard.job
    const reasons = new Set<string>()
    for (const worker of connected) {
      const bar = lastingBar(worker, shard.job)
      if (bar !== undefined) reasons.add(barText(bar, spec))
      if (reasons.size >= REASONS_MAX) break
    }
    const why = [...reasons].join('; ')
    return `${plural(connected.length, 'worker')} connected, none may take it${why === '' ? '' : `: ${why}`}`
  }
  if (donors < quorum)
    return `${plural(donors, 'worker')} here, ${policy.type === 'confidence' ? 'this confidence needs' : 'quorum needs'} ${quorum}`
  const summary = shard.summary(able, donors, 0)
  const stuck = summary.disputed + summary.held + summary.accepted === shard.openCount
  if (!stuck || summary.leased > 0) return ''
  const parts: string[] = []
  if (summary.disputed > 0) parts.push(`${plural(summary.disputed, 'unit')} disputed: another donor is needed`)
  if (summary.held > 0)
    parts.push(`${plural(summary.held, 'unit')} held after failures of ${shard.rules.maxErrors} hosts`)
  if (summary.accepted > 0) parts.push(`outputs of ${plural(summary.accepted, 'unit')} still to be fetched`)
  return parts.join('; ')
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
