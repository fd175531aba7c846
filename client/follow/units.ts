import { clipRanges, count, mergeRanges } from '../../job/units/selection.js'
import { selectedShards, shardUnits } from '../../job/units/shard.js'
import type { ShardStatus, ShowReply, UnitStatus, UnitsRequest } from '../../proto/job-messages.js'
import { MESSAGE_SHARDS_MAX, SHARD_UNITS_MAX } from '../../proto/limits.js'
import { methods } from '../../proto/methods.js'
import type { UnitRange, UnitState } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { consume } from '../../runtime/consume.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { Endpoint } from '../../runtime/transport.js'
import { aborted, type GridClient, type KnownJob } from '../session/session.js'

/** Which units are listed; what is left out bounds nothing. */
export interface UnitsOptions {
  /** Default: all. */
  readonly states?: readonly UnitState[]
  /** Only these units. */
  readonly units?: readonly UnitRange[]
  /** Most that are listed. Default: all. */
  readonly limit?: number
  /** What the home said of the job, with its shards, a moment ago: saves asking it. */
  readonly shown?: Pick<ShowReply, 'summary' | 'shards'>
  readonly signal?: AbortSignal
}

/** A unit with its shard. What it says are claims of an owner. */
export interface ListedUnit extends UnitStatus {
  readonly shard: number
}

/** Shards asked at a time: a shard has up to 16,384 units. */
const SHARDS_AT_ONCE = 8
const SHARDS_AT_ONCE_OF_FEW = 1
const IDLE_MS: Millis = 15_000

/**
 * States of the units of a job, ascending. Shards in which the home counts no unit of the wanted states are not asked, so
 * that a search for few failed units among millions is quick. Units of shards that nobody was given yet are open. Throws
 * GridError: as `GridClient.askAny` for an owner that cannot be reached.
 */
export async function* listUnits(
  client: GridClient,
  job: KnownJob,
  { states, units, limit = Number.POSITIVE_INFINITY, shown, signal }: UnitsOptions = {},
): AsyncGenerator<ListedUnit, void, undefined> {
  const wanted = states && new Set(states)
  const only = units && mergeRanges(units)
  const { summary, shards: told } = shown ?? (await client.show(job.jobId, true, signal ? { signal } : {}))
  if (wanted && [...wanted].every((state) => summary[state] === 0)) return
  const statuses = new Map(told.map((status) => [status.shard, status]))
  // A reply that is not full names every shard that was given to an owner; the others are untouched.
  const homeToldAll = told.length < MESSAGE_SHARDS_MAX
  const shards = selectedShards(job.spec).filter((shard) => {
    if (only && rangesOf(job, shard, only).length === 0) return false
    if (!wanted) return true
    const counts = statuses.get(shard)?.summary
    return counts ? [...wanted].some((state) => counts[state] > 0) : wanted.has('open') || !homeToldAll
  })
  const ahead: Promise<readonly UnitStatus[]>[] = []
  // Whoever wants few units finds them in the first shards or nearly so.
  const atOnce = limit < SHARD_UNITS_MAX ? SHARDS_AT_ONCE_OF_FEW : SHARDS_AT_ONCE
  let next = 0
  let left = limit
  for (const shard of shards) {
    while (next < shards.length && ahead.length < atOnce) {
      const asked = askShard(client, job, shards[next]!, {
        status: statuses.get(shards[next]!),
        homeToldAll,
        wanted,
        page: pageOf(rangesOf(job, shards[next]!, only), shardUnits(job.spec, shards[next]!), wanted, limit),
        signal,
      })
      asked.catch(() => {})
      ahead.push(asked)
      next++
    }
    const ranges = rangesOf(job, shard, only)
    for (const status of await ahead.shift()!) {
      if (left <= 0) return
      if (wanted && !wanted.has(status.state)) continue
      if (only && !ranges.some(({ first, count }) => status.unit >= first && status.unit < first + count)) continue
      left--
      yield { ...status, shard }
    }
  }
}

function rangesOf({ spec }: KnownJob, shard: number, only: readonly UnitRange[] | undefined): readonly UnitRange[] {
  const selected = shardUnits(spec, shard)
  return only ? selected.flatMap(({ first, count }) => clipRanges(only, first, first + count)) : selected
}

/** What an owner is to leave out by itself: units before the first wanted one, and what goes beyond the limit. */
function pageOf(
  ranges: readonly UnitRange[],
  selected: readonly UnitRange[],
  wanted: ReadonlySet<UnitState> | undefined,
  limit: number,
): { readonly fromUnit: number; readonly limit: number } {
  const fromUnit = ranges[0]?.first ?? 0
  // Of several states, and of units between others, the owner does not know which: it may count none against the limit.
  const isRest = count(ranges) === count(clipRanges(selected, fromUnit, Number.MAX_SAFE_INTEGER))
  const isSeen = (wanted === undefined || wanted.size === 1) && isRest
  return { fromUnit, limit: isSeen ? Math.min(limit, SHARD_UNITS_MAX) : SHARD_UNITS_MAX }
}

interface ShardAsk {
  readonly status: ShardStatus | undefined
  readonly homeToldAll: boolean
  readonly wanted: ReadonlySet<UnitState> | undefined
  readonly page: { readonly fromUnit: number; readonly limit: number }
  readonly signal: AbortSignal | undefined
}

async function askShard(
  client: GridClient,
  job: KnownJob,
  shard: number,
  { status, homeToldAll, wanted, page, signal }: ShardAsk,
): Promise<readonly UnitStatus[]> {
  if (homeToldAll && status === undefined) return untouched(job, shard)
  const [state, ...more] = wanted ?? []
  const request = { jobId: job.jobId, shard, state: more.length === 0 ? state : undefined, ...page }
  // The home says who answers for a shard: asked first, it saves a lookup. Others stand in when it does not answer.
  const hinted: readonly Endpoint[] =
    status && status.ownerAddress !== '' ? [{ nodeId: status.owner, address: status.ownerAddress }] : []
  let attempt = 0
  try {
    return await client.askAny(
      async () => (attempt++ === 0 && hinted.length > 0 ? hinted : await client.shardOwners(job.jobId, shard)),
      (owner) => readUnits(client, owner, request, signal),
      { what: `shard ${shard}`, ...(signal ? { signal } : {}) },
    )
  } catch (error) {
    if (signal?.aborted) throw aborted()
    // Nobody was given the shard yet.
    if (toGridError(error).code === 'notFound' && status === undefined) return untouched(job, shard)
    throw error
  }
}

/** What one owner lists of a shard, ascending. Rejects with GridError as streams do, `corrupt` for more units than a shard has. */
export async function readUnits(
  { parts }: GridClient,
  owner: Endpoint,
  request: UnitsRequest,
  signal: AbortSignal | undefined,
): Promise<readonly UnitStatus[]> {
  const units: UnitStatus[] = []
  const stream = parts.transport.open(owner, methods.listUnits, signal)
  stream.send(request)
  stream.end()
  await consume(stream, { clock: parts.clock, idleMs: IDLE_MS, until: 'close' }, (reply) => {
    units.push(...reply.units)
    if (units.length > SHARD_UNITS_MAX) throw new GridError('corrupt', 'the owner lists more units than a shard has')
  })
  return units.sort((a, b) => a.unit - b.unit)
}

function untouched({ spec }: KnownJob, shard: number): UnitStatus[] {
  const units: UnitStatus[] = []
  for (const { first, count } of shardUnits(spec, shard)) {
    for (let unit = first; unit < first + count; unit++) {
      units.push({
        unit,
        state: 'open',
        instances: 0,
        answers: 0,
        errors: 0,
        result: undefined,
        waiting: 'not started yet',
      })
    }
  }
  return units
}
