import { formatDuration } from '../../../job/quantity.js'
import type { UnitGroup, UnitWait } from '../../../proto/explain-messages.js'
import type { CommandWords, Finding } from './findings.js'
import { type JobSight, type MergedShard, names, owners, unitsWaiting } from './job-sight.js'

/** Waits shorter than this are part of any job that moves. Unit: ms. */
const PATIENCE_MS = 3_000

/** What units wait for that have been given out once, or are being computed. */
export function unitFindings(sight: JobSight, shards: readonly MergedShard[], words: CommandWords): Finding[] {
  const findings: Finding[] = []
  const by = names(owners(sight))
  const lastAnswer = Math.min(
    ...owners(sight).flatMap(({ reply }) => reply.shards.map(({ lastAnswerMs }) => lastAnswerMs ?? Infinity)),
  )
  const computing = unitsWaiting(shards, 'computing')
  const isMoving = computing !== undefined || lastAnswer < PATIENCE_MS
  const add = (group: UnitGroup | undefined, make: (group: UnitGroup) => Omit<Finding, 'sinceMs' | 'by' | 'value'>) => {
    if (group === undefined || group.units === 0) return
    const { blocks, ...rest } = make(group)
    findings.push({
      ...rest,
      blocks: blocks && !isMoving,
      sinceMs: group.sinceMs,
      by,
      value: `${group.units === 1 ? 'unit' : 'units'} ${group.examples.join(', ')}${group.units > group.examples.length ? ' ...' : ''}`,
    })
  }
  const isOld = (group: UnitGroup | undefined) =>
    group !== undefined && (!isMoving || (group.sinceMs ?? 0) >= PATIENCE_MS) ? group : undefined

  add(isOld(unitsWaiting(shards, 'donor', 'drawn', 'grantor', 'doubted')), (group) => ({
    code: 'second-opinion',
    blocks: true,
    sentence: `${counted(group.units, 'unit')} ${group.units === 1 ? 'has' : 'have'} an answer and ${group.units === 1 ? 'waits' : 'wait'} for that of another donor: ${OPINION_WAITS[group.wait] ?? 'one is sought'}`,
    cure:
      group.wait === 'donor'
        ? `start a worker on a key of its own: manyhands work${words.flags}`
        : 'nothing: if the one that was drawn does not come within a minute, another is drawn',
  }))
  add(unitsWaiting(shards, 'disputed'), (group) => ({
    code: 'disputed',
    blocks: true,
    sentence: `the answers for ${counted(group.units, 'unit')} differ: one more donor at a time is asked until enough agree, by grants of different owners`,
    cure: `more workers of other donors: manyhands work${words.flags}; which answer is right, you see with: manyhands replay ${words.job} ${group.examples[0] ?? 'UNIT'}`,
  }))
  add(unitsWaiting(shards, 'held'), (group) => ({
    code: 'held',
    blocks: true,
    sentence: `${counted(group.units, 'unit')} ${group.units === 1 ? 'is' : 'are'} held: so many hosts failed at ${group.units === 1 ? 'it' : 'them'} that ${group.units === 1 ? 'it rests' : 'they rest'} for ten minutes`,
    cure: `start a worker on another machine; then: manyhands retry ${words.job} --held, or wait`,
  }))
  add(unitsWaiting(shards, 'limit'), (group) => ({
    code: 'instances-used-up',
    blocks: true,
    sentence: `${counted(group.units, 'unit')} had as many instances as one may, without enough agreement`,
    cure: `compute it yourself: manyhands replay ${words.job} ${group.examples[0] ?? 'UNIT'}; or submit with more --max-instances`,
  }))
  add(unitsWaiting(shards, 'delay'), (group) => ({
    code: 'resting',
    blocks: true,
    sentence: `${counted(group.units, 'unit')} ${group.units === 1 ? 'rests' : 'rest'} after a host failed: up to a minute, longer with each failure`,
    cure: `why: manyhands explain ${words.job}/${group.examples[0] ?? 'UNIT'}`,
  }))
  add(isOld(unitsWaiting(shards, 'bytes')), (group) => ({
    code: 'output-missing',
    blocks: true,
    sentence: `${counted(group.units, 'unit')} ${group.units === 1 ? 'is' : 'are'} agreed on, and the output is still to come from a worker that has it`,
    cure: 'keep the workers that computed it running; after 20 s without it, it is computed once more',
  }))
  if (computing !== undefined)
    findings.push({
      code: 'computing',
      blocks: false,
      sentence: `${counted(computing.units, 'unit')} ${computing.units === 1 ? 'is' : 'are'} being computed${Number.isFinite(lastAnswer) ? `; the last answer came ${formatDuration(lastAnswer)} ago` : ''}`,
      sinceMs: computing.sinceMs,
      by,
      value: `units ${computing.examples.join(', ')}${computing.units > computing.examples.length ? ' ...' : ''}`,
      cure: '',
    })
  return findings
}

const OPINION_WAITS: Readonly<Partial<Record<UnitWait, string>>> = {
  donor: 'none is here that has not answered already',
  drawn: 'a worker was drawn for it and is to fetch it',
  doubted: 'only owners that nobody knows had it answered',
  grantor: 'another owner has to ask for it, as each owner counts once',
}

/** `1 unit`, `3 units`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
