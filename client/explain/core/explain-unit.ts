import { formatDuration } from '../../../job/quantity.js'
import { confidenceText } from '../../../job/verdict/credibility.js'
import { donorsNeeded } from '../../../job/verdict/rules.js'
import type { UnitEventWord, UnitSight } from '../../../proto/explain-messages.js'
import type { NodeId } from '../../../proto/model.js'
import { type JobSight, nameOf, type PeerAnswer } from './job-sight.js'
import { counted } from './unit-findings.js'

/** One line of a unit's past. */
interface TimelineEntry {
  readonly agoMs: number
  /** The owner that remembers it. */
  readonly by: string
  readonly what: UnitEventWord
  readonly worker: NodeId | undefined
  readonly text: string
}

/** One unit as all owners of its shard see it. */
export interface ExplainedUnit {
  /** Undefined: no owner has it. */
  readonly sight: UnitSight | undefined
  /** Where it is, a line an aspect. */
  readonly lines: readonly string[]
  /** Oldest first; what owners still remember. */
  readonly timeline: readonly TimelineEntry[]
}

/** What a unit waits for, and what happened to it. */
export function explainUnit({ answers, spec }: JobSight, unit: number): ExplainedUnit {
  const sights = answers.filter(({ reply }) => reply.unit?.unit === unit)
  const best = [...sights].sort((a, b) => rank(b.reply.unit!) - rank(a.reply.unit!))[0]
  const timeline = sights
    .flatMap((answer) =>
      answer.reply.events.filter((event) => event.unit === unit).map((event) => entry(answer, event)),
    )
    .sort((a, b) => b.agoMs - a.agoMs)
  if (best === undefined)
    return { sight: undefined, lines: ['no owner has it yet: its shard was not given out'], timeline }
  const sight = best.reply.unit!
  const needed = donorsNeeded(spec.policy)
  const lines = [
    `${sight.state}: ${WAITS[sight.wait] ?? sight.wait}${sight.sinceMs === undefined ? '' : ` (for ${formatDuration(sight.sinceMs)})`}`,
  ]
  if (sight.state !== 'settled' && sight.state !== 'failed')
    lines.push(
      `${counted(sight.answers, 'answer')} so far, ${spec.policy.type === 'confidence' ? `enough are needed for a confidence of ${confidenceText(spec.policy.errorPpm)}: ${needed} of donors without agreements in this shard, fewer of those with many` : `${needed} have to agree`}; at most ${sight.instancesMax} are asked for`,
    )
  if (sight.errors > 0) lines.push(`hosts failed ${sight.errors} times; with ${sight.errorsMax} it is held`)
  for (const answer of sights) lines.push(...leaseLines(answer))
  return { sight, lines, timeline }
}

/** Owners that know more come first. */
function rank({ state, leases, answers, wait }: UnitSight): number {
  const decided = state === 'settled' || state === 'failed' ? 8 : state === 'accepted' ? 4 : 0
  return decided + (leases.length > 0 ? 2 : 0) + (wait === 'drawn' ? 1 : 0) + answers / 100
}

function leaseLines({ reply, ...peer }: PeerAnswer): string[] {
  const { leases, drawn, drawnMs, restingMs, state } = reply.unit!
  if (state === 'settled' || state === 'failed') return []
  const lines = leases.map(
    ({ worker, sinceMs, movedMs, fuel }) =>
      `worker ${shortNode(worker)} computes it since ${formatDuration(sinceMs)}, last progress ${formatDuration(movedMs)} ago${fuel > 0n ? `, ${fuel} steps` : ''} (granted by ${nameOf(peer)})`,
  )
  if (drawn !== undefined)
    lines.push(
      `its next opinion is kept for worker ${shortNode(drawn)} since ${formatDuration(drawnMs)} (by ${nameOf(peer)})`,
    )
  if (restingMs > 0) lines.push(`it rests for another ${formatDuration(restingMs)} (by ${nameOf(peer)})`)
  return lines
}

const WAITS: Readonly<Record<UnitSight['wait'], string>> = {
  untouched: 'nobody was given it yet',
  computing: 'it is being computed',
  elsewhere: 'another owner has given it out',
  drawn: 'a worker was drawn for its next opinion and is to fetch it',
  donor: 'it waits for the opinion of another donor, and none is here that has not answered',
  grantor: 'it waits for another owner to ask for an opinion, as each owner counts once',
  doubted: 'only owners that nobody knows had it answered; it is asked about once more',
  again: 'it came back without an answer and waits for whoever asks',
  delay: 'it rests after a host failed',
  disputed: 'its answers differ; one more donor at a time is asked',
  held: 'too many hosts failed at it; it rests for ten minutes',
  bytes: 'its answer is agreed on, the output is still to come',
  limit: 'it has had as many instances as it may',
  done: 'nothing is left to do',
}

const EVENTS: Readonly<Record<UnitEventWord, string>> = {
  granted: 'granted to',
  elsewhere: 'another owner granted it to',
  answered: 'answered by',
  failedHost: 'its host failed at it:',
  returned: 'given back by',
  lost: 'lost by',
  overdue: 'no progress for too long by',
  drawn: 'next opinion drawn:',
  redrawn: 'did not come for it:',
  disputed: 'disputed: the answers differ',
  accepted: 'accepted: enough donors agree',
  settled: 'settled',
  failed: 'failed for good',
  held: 'held: too many hosts failed',
  released: 'released, to be granted again',
  fetching: 'output asked of',
  withdrawn: 'withdrawn from',
}

function entry(answer: PeerAnswer, event: PeerAnswer['reply']['events'][number]): TimelineEntry {
  const { agoMs, what, worker, detail } = event
  const isAboutWorker = worker !== undefined || /(?:to|by|of|from|:)$/.test(EVENTS[what] ?? what)
  const who = isAboutWorker ? ` worker ${shortNode(worker)}` : ''
  return {
    agoMs,
    by: nameOf(answer),
    what,
    worker,
    text: `${EVENTS[what] ?? what}${who}${detail === '' ? '' : ` (${detail})`}`,
  }
}

function shortNode(nodeId: NodeId | undefined): string {
  return nodeId === undefined ? 'unknown here' : nodeId.slice(0, 12)
}
