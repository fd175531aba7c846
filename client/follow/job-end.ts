import { stopReason } from '../../job/stop-rule.js'
import { shardList, shardUnits } from '../../job/units/shard.js'
import { hasAnswer } from '../../job/verdict/judgement.js'
import { methods } from '../../proto/methods.js'
import type { JobId, JobSpec, NodeId, Summary } from '../../proto/model.js'
import { type Millis, pause } from '../../runtime/clock.js'
import { GridError } from '../../runtime/errors.js'
import type { Random } from '../../runtime/random.js'
import type { Endpoint } from '../../runtime/transport.js'
import { aborted, type GridClient, type KnownJob } from '../session/session.js'
import { readShardFacts } from '../session/shard-facts.js'

/**
 * Why nothing more is to be waited for: every unit is settled or failed; cancelled; expired; `stuck`: what remains is held
 * by its owners; `stopped`: too many units failed.
 */
export type JobEnd = 'finished' | 'cancelled' | 'removed' | 'expired' | 'stuck' | 'stopped'

/** Guards asked beside the other homes whether a job has ended, at most. */
const GUARDS_ASKED = 3
/** Deadline of each of them. Unit: ms. */
const ASK_MS: Millis = 3_000
/** Homes hear of an end within some seconds of each other: until then a claim that others deny is asked about again. Unit: ms. */
const LAG_MS: Millis = 10_000
const ASK_AGAIN_MS: Millis = 500
/** Shards, drawn at random, whose facts are read: of a claim that others deny, and where a region guards the job. */
const SHARDS_DENIED = 16
const SHARDS_GUARDED = 2

/** How a job ended by what its home says, if it did. `wallMs`: now, since 1970. */
export function jobEnd({ spec, view }: KnownJob, summary: Summary, wallMs: number): JobEnd | undefined {
  const { units, settled, failed, held } = summary
  if (view.removed) return 'removed'
  if (settled + failed >= units) return 'finished'
  if (view.cancelled) return 'cancelled'
  if (wallMs >= view.expiresAtMs) return 'expired'
  if (isStopped(spec, summary)) return 'stopped'
  if (settled + failed + held >= units) return 'stuck'
  return undefined
}

/** The home grants no more, and what was granted has come to an end. */
function isStopped(spec: JobSpec, summary: Summary): boolean {
  return summary.leased === 0 && stopReason(spec, summary) !== ''
}

interface EndClaim {
  readonly job: KnownJob
  readonly summary: Summary
  readonly end: JobEnd
  /** Who claims it. */
  readonly from: NodeId
}

/**
 * Whether a job has ended as one peer says. Orders and clocks speak for themselves; of the rest another home or guard has to
 * say the same, if one is there, and for jobs with guards, all of whose homes may be one attacker's, the facts of a few shards
 * have to be whole. What others go on denying is true if the facts of its shards, or of some of many, are whole. An honest
 * home's claim takes a round trip; the longest is {@link LAG_MS} and the reading of facts. Rejects with `closed` when aborted.
 */
export async function endHolds(client: GridClient, claim: EndClaim, signal?: AbortSignal): Promise<boolean> {
  const { clock, random } = client.parts
  const { job, end, from } = claim
  if (end !== 'finished' && end !== 'stuck' && end !== 'stopped') return true
  const [homes, guards] = await Promise.all([
    client.homes(job.jobId).catch((): readonly Endpoint[] => []),
    client.guards(job.jobId),
  ])
  const asked = drawn(random, guards.length, GUARDS_ASKED).map((at) => guards[at]!)
  const others = [...homes, ...asked].filter(({ nodeId }) => nodeId !== from)
  const endAt = clock.now() + LAG_MS
  for (;;) {
    const said = await ask(client, claim, others)
    if (signal?.aborted) throw aborted()
    if (said !== 'no') {
      const isGuarded = guards.length > 0 && end === 'finished'
      return !isGuarded || (await hasFacts(client, job, SHARDS_GUARDED, signal)) !== false
    }
    if (clock.now() >= endAt) break
    await pause(clock, ASK_AGAIN_MS, signal)
    if (signal?.aborted) throw aborted()
  }
  return end === 'finished' && (await hasFacts(client, job, SHARDS_DENIED, signal)) === true
}

/** A job as its home shows it, and how it ended if that is no lone peer's word. Rejects as {@link GridClient.show}. */
export async function askEnd(
  client: GridClient,
  jobId: JobId,
): Promise<{ readonly job: KnownJob; readonly summary: Summary; readonly end: JobEnd | undefined }> {
  let from: NodeId | undefined
  const onFrom = ({ nodeId }: Endpoint) => {
    from = nodeId
  }
  const shown = await client.show(jobId, false, { onFrom })
  const { summary } = shown
  const job = client.checkShown(jobId, shown)
  const end = jobEnd(job, summary, client.parts.clock.wallMs())
  const holds = end !== undefined && (await endHolds(client, { job, summary, end, from: from! }))
  return { job, summary, end: holds ? end : undefined }
}

/** `yes` as soon as one of `others` says the same; `no`: all that answer say something else; `nobody` answers. */
function ask(client: GridClient, claim: EndClaim, others: readonly Endpoint[]): Promise<'yes' | 'no' | 'nobody'> {
  let left = others.length
  let answers = 0
  return new Promise((resolve) => {
    const heard = (isSame: boolean | undefined) => {
      if (isSame !== undefined) answers++
      if (isSame) resolve('yes')
      else if (--left <= 0) resolve(answers > 0 ? 'no' : 'nobody')
    }
    if (others.length === 0) heard(undefined)
    for (const other of others)
      saysSame(client, claim, other).then(heard, () => {
        // It does not have the job, is not there, or answers nonsense.
        heard(undefined)
      })
  })
}

async function saysSame(client: GridClient, { job, summary, end }: EndClaim, other: Endpoint): Promise<boolean> {
  const { transport, clock } = client.parts
  const request = { jobId: job.jobId, withShards: false }
  const reply = await transport.call(other, methods.show, request, { deadlineMs: ASK_MS })
  const known = client.checkReply(job.jobId, reply)
  // An end by failures must not pass for one without.
  const isSame = jobEnd(known, reply.summary, clock.wallMs()) === end
  return isSame && (end !== 'finished' || reply.summary.failed === summary.failed)
}

/** Whether facts settle all units of `most` shards, drawn at random; undefined: nobody gives them to this key. */
async function hasFacts(
  client: GridClient,
  job: KnownJob,
  most: number,
  signal: AbortSignal | undefined,
): Promise<boolean | undefined> {
  try {
    const shards = shardList(job.spec)
    for (const at of drawn(client.parts.random, shards.length, most)) {
      const shard = shards.at(at)!
      const { evidence, answered } = await readShardFacts(client, job, shard, signal ? { signal } : {})
      if (answered === 0) return undefined
      for (const { first, count } of shardUnits(job.spec, shard)) {
        for (let unit = first; unit < first + count; unit++) {
          if (!hasAnswer(evidence.judge(unit))) return false
        }
      }
    }
    return true
  } catch (error) {
    if (error instanceof GridError && error.code === 'forbidden') return undefined
    throw error
  }
}

/** `count` different numbers below `bound` at random, or all. */
function drawn(random: Random, bound: number, count: number): number[] {
  if (bound <= count) return Array.from({ length: bound }, (_, at) => at)
  const found = new Set<number>()
  while (found.size < count) found.add(random.int(bound))
  return [...found]
}
