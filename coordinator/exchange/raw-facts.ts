import { reportCodec, reportFactCodec } from '../../proto/codec/facts.js'
import type { OfferedFact } from '../../proto/exchange-messages.js'
import { OFFER_BYTES_MAX, OFFER_FACTS_MAX } from '../../proto/limits.js'
import type { Digest, JobId } from '../../proto/model.js'
import type { Store, StoredFact } from '../store/store.js'

/** A fact read from disk for another owner. */
interface RawFact extends OfferedFact {
  readonly factId: Digest
}

/** Facts of a shard as they are on disk, with their small outputs. */
export async function readRawFacts(
  store: Pick<Store, 'factsById' | 'outputs'>,
  jobId: JobId,
  shard: number,
  ids: readonly Digest[],
): Promise<RawFact[]> {
  const raw: RawFact[] = []
  for (const stored of await store.factsById(jobId, shard, ids))
    raw.push(await withOutputs(store, jobId, shard, stored))
  return raw
}

/** As many of the facts as one message takes, at least one if there is any. */
export async function readMessageOf(
  store: Pick<Store, 'factsById' | 'outputs'>,
  jobId: JobId,
  shard: number,
  ids: readonly Digest[],
): Promise<OfferedFact[]> {
  const facts: OfferedFact[] = []
  let bytes = 0
  for (const { factId: _, ...raw } of await readRawFacts(store, jobId, shard, ids.slice(0, OFFER_FACTS_MAX))) {
    bytes += raw.outputs.reduce((sum, output) => sum + output.bytes.length + 16, raw.fact.length + 16)
    if (facts.length > 0 && bytes > OFFER_BYTES_MAX) break
    facts.push(raw)
  }
  return facts
}

async function withOutputs(
  store: Pick<Store, 'outputs'>,
  jobId: JobId,
  shard: number,
  { factId, fact }: StoredFact,
): Promise<RawFact> {
  const { results } = reportCodec.decode(reportFactCodec.decode(fact).report.bytes)
  const wanted = results.map(({ unit }) => ({ unit, factId }))
  const outputs = await store.outputs(jobId, shard, wanted)
  return { factId, fact, outputs: [...outputs].map(([unit, bytes]) => ({ unit, bytes })) }
}
