import { hasAnswer } from '../../job/verdict/judgement.js'
import type { UnitStatus, UnitsRequest } from '../../proto/job-messages.js'
import type { UnitRange } from '../../proto/model.js'
import type { Shard } from '../owner/core/shard.js'
import type { UnitRecord } from '../owner/core/unit-record.js'

/** The selected units of a shard that were asked for, ascending: in one state or all, from one unit on, `limit` at most. */
export function* unitStatuses(shard: Shard, { state, fromUnit = 0, limit }: UnitsRequest): Generator<UnitStatus> {
  let left = limit
  for (const unit of unitsOf(shard.ranges)) {
    if (left === 0) return
    if (unit < fromUnit) continue
    const status = statusOf(shard, unit)
    if (state !== undefined && status.state !== state) continue
    yield status
    left--
  }
}

function* unitsOf(ranges: readonly UnitRange[]): Generator<number> {
  for (const { first, count } of ranges) for (let unit = first; unit < first + count; unit++) yield unit
}

function statusOf(shard: Shard, unit: number): UnitStatus {
  const record = shard.record(unit)
  if (record === undefined)
    return { unit, state: 'open', instances: 0, answers: 0, errors: 0, result: undefined, waiting: '' }
  const { judgement, state } = record
  const settled = hasAnswer(judgement) ? judgement : undefined
  return {
    unit,
    state,
    instances: record.held.length,
    answers: record.votes.filter(({ outcome }) => outcome !== 'host').length,
    errors: judgement?.hostErrors ?? 0,
    result: settled && { digest: settled.digest, outcome: settled.outcome },
    waiting: waitingOf(record),
  }
}

/** What an unfinished unit waits for, in words for a person; empty: nothing in particular. */
function waitingOf(record: UnitRecord): string {
  switch (record.state) {
    case 'held':
      return 'too many hosts failed it'
    case 'disputed':
      return 'answers differ; one more donor is asked'
    case 'accepted':
      return 'its output is being fetched'
    case 'open':
      if (record.reservedFor !== undefined) return 'its next opinion is reserved for a worker'
      return record.votes.length > 0 && record.held.length === 0 ? 'it waits for another donor' : ''
    default:
      return ''
  }
}
