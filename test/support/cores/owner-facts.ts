import type { GridClient } from '../../../client/index.js'
import { methods } from '../../../proto/methods.js'
import type { Digest, JobId } from '../../../proto/model.js'
import type { Endpoint } from '../../../runtime/transport.js'

const CALL_MS = 5_000

/** Ids of the facts of a shard that an owner says it has, asked as a co-owner would; undefined: it does not keep the shard. */
export async function factIdsAt(
  { parts }: GridClient,
  owner: Endpoint,
  jobId: JobId,
  shard: number,
): Promise<ReadonlySet<Digest> | undefined> {
  const found = new Set<Digest>()
  for (let after: Digest | undefined; ; ) {
    const ranges = { prints: [], wanted: [{ prefix: '', after }] }
    const request = { shards: [{ jobId, shard, ranges }] }
    const reply = await parts.transport.call(owner, methods.reconcile, request, { deadlineMs: CALL_MS })
    const [answer] = reply.shards
    if (answer?.state === 'unknown') return undefined
    if (answer?.state !== 'answered') throw new Error('the owner cannot look now')
    const [page] = answer.ranges.ids
    for (const id of page?.ids ?? []) found.add(id)
    if (page === undefined || page.complete) return found
    after = page.ids.at(-1)
  }
}
