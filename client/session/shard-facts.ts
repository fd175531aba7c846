import { ShardEvidence } from '../../job/evidence/evidence.js'
import type { CheckedFact } from '../../job/facts/facts.js'
import { verdictRules } from '../../job/verdict/rules.js'
import { methods } from '../../proto/methods.js'
import type { ReportFact } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { consume } from '../../runtime/consume.js'
import { toGridError } from '../../runtime/errors.js'
import { aborted, type GridClient, type KnownJob } from './session.js'
import { SignatureChecks } from './signature-checks.js'

/** Longest silence of an owner. */
const IDLE_MS: Millis = 30_000

/** Everything the owners of a shard have, together. */
interface ShardFacts {
  readonly evidence: ShardEvidence
  /** Owners that gave all they have. */
  readonly answered: number
}

interface ShardFactsOptions {
  readonly signal?: AbortSignal
  /** Told of each valid fact, once. */
  readonly onFact?: (fact: ReportFact, checked: CheckedFact) => void
}

/**
 * Reads the facts of a shard from each of its owners, settled units and others, and unites them: an owner that keeps back
 * votes which contradict its friends is of no use to them. Owners that do not answer are left out. Rejects with GridError
 * `forbidden` when these results are not for this reader, `closed` when aborted.
 */
export async function readShardFacts(
  client: GridClient,
  job: KnownJob,
  shard: number,
  { signal, onFact }: ShardFactsOptions = {},
): Promise<ShardFacts> {
  const { jobId, spec, view } = job
  const { transport, clock, logger } = client.parts
  const signatures = new SignatureChecks(client)
  const { verifier, decoders, checked } = signatures
  const evidence = new ShardEvidence({
    ...client.factContext(job, { verifier, decoders }),
    checked,
    rules: verdictRules(spec, view),
  })
  const owners = [...(await client.shardOwners(jobId, shard))]
  let answered = 0
  for (let at = 0; at < owners.length; at++) {
    const owner = owners[at]!
    if (signal?.aborted) throw aborted()
    const stream = transport.open(owner, methods.results, signal ?? new AbortController().signal)
    try {
      const consumed = consume(stream, { clock, idleMs: IDLE_MS, until: 'close' }, async ({ facts }) => {
        await signatures.ahead(facts)
        for (const fact of facts) {
          const reception = evidence.add(fact)
          if (reception.type === 'kept') onFact?.(fact, reception.fact)
        }
      })
      stream.send({ jobId, shard, units: [], follow: false, withOutputs: false })
      stream.end()
      await consumed
      answered++
    } catch (error) {
      const failure = toGridError(error)
      if (signal?.aborted) throw aborted()
      if (failure.code === 'forbidden') throw failure
      logger.debug('owner gave no facts', { jobId, shard, owner: owner.nodeId, reason: failure.message })
    }
    // Peers nearer to the shard may have come since: the home knows who has it.
    if (at === owners.length - 1 && answered === 0) {
      const named = await client.ownersNamed(jobId, shard).catch(() => [])
      owners.push(...named.filter(({ nodeId }) => owners.every((other) => other.nodeId !== nodeId)))
    }
  }
  return { evidence, answered }
}
