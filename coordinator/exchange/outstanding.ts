import type { OutstandingGrant } from '../../proto/exchange-messages.js'
import { GRANT_RUNS_MAX, GRANT_UNITS_MAX, OUTSTANDING_GRANTS_MAX } from '../../proto/limits.js'
import type { GrantRun, JobId, PublicKey } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import type { Outstanding } from '../owner/core/worker-record.js'

/** What is said to be out is believed for so long, and said again several times within. Unit: ms. */
export const BELIEVED_MS: Millis = 8_000

interface OutAt {
  readonly jobId: JobId
  readonly shard: number
  readonly worker: PublicKey
  readonly kept: boolean
  readonly units: { readonly unit: number; readonly opinion: number }[]
}

/** Everything that is out, in messages of bounded size; `wants` picks the shards. At least one, if only an empty one. */
export function outstandingMessages(
  instances: Iterable<Outstanding>,
  wants: (jobId: JobId, shard: number) => boolean,
): OutstandingGrant[][] {
  const byPlace = new Map<string, OutAt>()
  for (const { shard, worker, record, opinion, isKept: kept = false } of instances) {
    if (!wants(shard.jobId, shard.shard)) continue
    const name = `${shard.jobId}/${shard.shard}/${worker.key}/${kept}`
    let out = byPlace.get(name)
    if (out === undefined) {
      out = { jobId: shard.jobId, shard: shard.shard, worker: worker.key, kept, units: [] }
      byPlace.set(name, out)
    }
    out.units.push({ unit: record.unit, opinion })
  }
  const grants: OutstandingGrant[] = []
  for (const { jobId, shard, worker, kept, units } of byPlace.values()) {
    for (const runs of runsOf(units)) grants.push({ jobId, shard, worker, runs, believedMs: BELIEVED_MS, kept })
  }
  const messages: OutstandingGrant[][] = []
  for (let at = 0; at < grants.length; at += OUTSTANDING_GRANTS_MAX)
    messages.push(grants.slice(at, at + OUTSTANDING_GRANTS_MAX))
  return messages.length === 0 ? [[]] : messages
}

/** Units as ascending runs, cut where a grant would be. */
function runsOf(units: { readonly unit: number; readonly opinion: number }[]): GrantRun[][] {
  units.sort((a, b) => a.unit - b.unit)
  const grants: GrantRun[][] = []
  let runs: { first: number; count: number; opinion: number }[] = []
  let total = 0
  const cut = () => {
    if (runs.length > 0) grants.push(runs)
    runs = []
    total = 0
  }
  for (const { unit, opinion } of units) {
    if (total >= GRANT_UNITS_MAX) cut()
    const last = runs.at(-1)
    total++
    if (last !== undefined && last.opinion === opinion && last.first + last.count === unit) {
      last.count++
      continue
    }
    if (runs.length >= GRANT_RUNS_MAX) cut()
    runs.push({ first: unit, count: 1, opinion })
  }
  cut()
  return grants
}
