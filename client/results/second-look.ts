import { SHARD_UNITS_MAX } from '../../proto/limits.js'
import type { UnitState } from '../../proto/model.js'
import { type Millis, pause } from '../../runtime/clock.js'
import { jitter } from '../../runtime/jitter.js'
import type { Endpoint } from '../../runtime/transport.js'
import { readUnits } from '../follow/units.js'
import type { GridClient, KnownJob } from '../session/session.js'

/** What following other owners of a shard besides the first needs. */
export interface SecondLook {
  readonly client: GridClient
  readonly job: KnownJob
  readonly shard: number
  /** Looks up the owners of the shard other than the one that is followed; they change while it is. */
  readonly others: () => Promise<readonly Endpoint[]>
  /** Whether to go by what an owner says. */
  readonly isTrusted: (owner: Endpoint) => boolean
  /** Whether a unit is asked for, and not proved yet. */
  readonly lacks: (unit: number) => boolean
  /** Follows an owner until it ends or `signal` aborts. */
  readonly follow: (owner: Endpoint, signal: AbortSignal) => Promise<void>
  /** Ends it all. */
  readonly signal: AbortSignal
}

/** First wait for a look at another owner; doubles up to the longest, since owners seldom withhold anything. Unit: ms. */
const LOOK_MS: Millis = 5_000
const LOOK_MAX_MS: Millis = 30_000
/** Time in which results that another owner has are expected from the one that is followed, too. Unit: ms. */
const GRACE_MS: Millis = 3_000
/** Longest time of one look. Unit: ms. */
const LOOK_DEADLINE_MS: Millis = 10_000
/** States of units that have a result. */
const DECIDED: readonly UnitState[] = ['settled', 'failed']

/**
 * Looks now and then at what the other owners of a followed shard have settled, one after the other. What the followed one
 * keeps back for some seconds is read from the other beside it: one other at a time, which the next that has more replaces.
 * The followed stream is never cut for it, so that a slow one does not begin anew. Resolves once `signal` aborts; never
 * rejects.
 */
export async function lookBeside(look: SecondLook): Promise<void> {
  const { client, isTrusted, lacks, follow, signal } = look
  const { clock, random } = client.parts
  let beside: { readonly owner: Endpoint; readonly cut: AbortController; readonly ended: Promise<void> } | undefined
  let waitMs = LOOK_MS
  for (let turn = 0; ; turn++) {
    await pause(clock, jitter(random, waitMs, 0.3), signal)
    if (signal.aborted) break
    waitMs = Math.min(LOOK_MAX_MS, 2 * waitMs)
    const others = await look.others().catch(() => [])
    const owner = others[turn % Math.max(1, others.length)]
    if (owner === undefined || !isTrusted(owner) || beside?.owner.nodeId === owner.nodeId) continue
    const lacking = (await decidedAt(look, owner)).filter(lacks)
    if (lacking.length === 0) continue
    await pause(clock, GRACE_MS, signal)
    if (signal.aborted) break
    if (!lacking.some(lacks)) continue
    beside?.cut.abort()
    await beside?.ended
    const cut = new AbortController()
    const ended = follow(owner, cut.signal).then(
      () => {},
      // The one that is followed goes on, and the next look finds another.
      () => {},
    )
    const opened = { owner, cut, ended }
    beside = opened
    void ended.then(() => {
      if (beside === opened) beside = undefined
    })
  }
  beside?.cut.abort()
  await beside?.ended
}

/** Units that an owner says have a result: a claim. None when it does not answer in time. */
async function decidedAt({ client, job, shard, signal }: SecondLook, owner: Endpoint): Promise<number[]> {
  const cut = new AbortController()
  const onAbort = () => cut.abort()
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = client.parts.clock.setTimer(LOOK_DEADLINE_MS, onAbort)
  const units: number[] = []
  try {
    for (const state of DECIDED) {
      const request = { jobId: job.jobId, shard, state, limit: SHARD_UNITS_MAX }
      for (const { unit } of await readUnits(client, owner, request, cut.signal)) units.push(unit)
    }
  } catch {
    // An owner that does not know the shard, or does not answer, has nothing to add.
  } finally {
    timer.cancel()
    signal.removeEventListener('abort', onAbort)
  }
  return units
}
