import type { Receipt, ReceiptContext } from '../../job/evidence/receipt.js'
import { idWorkOf, nodeIdOf, type Verifier } from '../../overlay/identity/identity.js'
import { grantCodec, orderCodec, reportCodec, unitOutputCodec } from '../../proto/codec/facts.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import type { ReportFact } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import type { UnitAnswer } from '../results/answer.js'
import { ResultsReader } from '../results/results.js'
import type { GridClient, KnownJob } from '../session/session.js'
import { readShardFacts } from '../session/shard-facts.js'

/** What receipts are checked with, on any machine. `idWorkBits`: what the job's network asks of ids. */
export function receiptContext(sha256: Sha256, verifier: Verifier, idWorkBits: number): ReceiptContext {
  return {
    sha256,
    verifier: {
      verify: (tag, publicKey, { bytes, signature }) => verifier.verify(publicKey, tag, bytes, signature),
      nodeIdOf,
      meetsIdWork: (key, nonce) => idWorkBits === 0 || idWorkOf(key, nonce) >= idWorkBits,
    },
    decoders: {
      decodeSpec: (bytes) => jobSpecCodec.decode(bytes),
      decodeOrder: (bytes) => orderCodec.decode(bytes),
      decodeGrant: (bytes) => grantCodec.decode(bytes),
      decodeReport: (bytes) => reportCodec.decode(bytes),
      decodeOutput: (bytes) => unitOutputCodec.decode(bytes),
      encodeOutput: (output) => unitOutputCodec.encode(output),
    },
  }
}

/**
 * Everything about one settled unit: spec, orders, what all owners have of it, and its output, checked. Rejects with GridError
 * `unavailable` for a unit without a result, else as reading results does.
 */
export async function fetchReceipt(
  client: GridClient,
  job: KnownJob,
  unit: number,
  signal?: AbortSignal,
): Promise<Receipt> {
  const options = signal ? { signal } : {}
  const { orders } = await client.show(job.jobId, false, options)
  let answer: UnitAnswer | undefined
  for await (const one of new ResultsReader(client, job, { units: [{ first: unit, count: 1 }], ...options }))
    answer = one
  if (answer === undefined)
    throw new GridError('unavailable', `unit ${unit} has no result that could be proved`, {
      hint: "'manyhands explain JOB/UNIT' says why",
    })
  const facts: ReportFact[] = []
  const shard = Math.floor(unit / job.spec.shardUnits)
  await readShardFacts(client, job, shard, {
    ...options,
    onFact: (fact, { votes }) => {
      if (job.spec.policy.type === 'confidence' || votes.some((vote) => vote.unit === unit)) facts.push(fact)
    },
  })
  const bearing = orders.filter(({ bytes }) => {
    const { type } = orderCodec.decode(bytes).body
    return type === 'amend' || type === 'rulings'
  })
  const output = answer.outcome === 'wall' ? new Uint8Array(0) : unitOutputCodec.encode(answer.output!)
  return { unit, spec: job.signed, orders: bearing, facts, output }
}
