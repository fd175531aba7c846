import { checkTotals, type JobTotals, type Totals, type TotalsContext } from '../../job/evidence/totals.js'
import { selectedShards, shardUnits } from '../../job/units/shard.js'
import { idWorkOf, nodeIdOf, type Verifier } from '../../overlay/identity/identity.js'
import { attestationCodec } from '../../proto/codec/attestation.js'
import { orderCodec } from '../../proto/codec/facts.js'
import { jobSpecCodec } from '../../proto/codec/spec.js'
import { methods } from '../../proto/methods.js'
import type { JobId, JobSpec, Signed } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import { aborted, type GridClient } from '../session/session.js'

/** One owner's answer; a shard that has left its memory is read back first. */
const CALL_MS: Millis = 10_000

/** What totals are checked with, on any machine. `idWorkBits`: what the network of a job asks of ids. */
export function totalsContext(
  sha256: Sha256,
  verifier: Verifier,
  idWorkBits: (spec: JobSpec) => number,
): TotalsContext {
  return {
    sha256,
    verifier: {
      verify: (tag, publicKey, { bytes, signature }) => verifier.verify(publicKey, tag, bytes, signature),
      nodeIdOf,
    },
    meetsIdWork: (spec, key, nonce) => {
      const bits = idWorkBits(spec)
      return bits === 0 || idWorkOf(key, nonce) >= bits
    },
    decoders: {
      decodeSpec: (bytes) => jobSpecCodec.decode(bytes),
      decodeOrder: (bytes) => orderCodec.decode(bytes),
      decodeAttestation: (bytes) => attestationCodec.decode(bytes),
    },
  }
}

interface TotalsRequest {
  /** Jobs that this key worked for. */
  readonly jobIds: readonly JobId[]
  /** Whether this key has given to any of these units; without it every shard of a job is asked for. */
  readonly gave: (jobId: JobId, first: number, count: number) => boolean
  readonly context: TotalsContext
  readonly signal?: AbortSignal
  readonly onJob?: (done: number) => void
}

/** What was collected, and jobs of which nothing could be: their peers forget them a day after they expire. */
interface CollectedTotals {
  readonly jobs: ReadonlyMap<JobId, JobTotals>
  readonly gone: readonly JobId[]
}

/**
 * Asks the owners of the shards that this client's key worked on what they attest, and keeps what {@link checkTotals} takes: shards
 * of which too few owners answer are left out. Rejects with GridError `closed` when aborted.
 */
export async function collectTotals(
  client: GridClient,
  { jobIds, gave, context, signal, onJob }: TotalsRequest,
): Promise<CollectedTotals> {
  const jobs = new Map<JobId, JobTotals>()
  const gone: JobId[] = []
  for (const [i, jobId] of jobIds.entries()) {
    const totals = await collectJob(client, jobId, gave, context, signal).catch((error: unknown) => {
      if (signal?.aborted) throw aborted()
      client.parts.logger.debug('no totals of a job', { jobId, reason: toGridError(error).message })
      return undefined
    })
    if (totals === undefined) gone.push(jobId)
    else jobs.set(jobId, totals)
    onJob?.(i + 1)
  }
  return { jobs, gone }
}

async function collectJob(
  client: GridClient,
  jobId: JobId,
  gave: TotalsRequest['gave'],
  context: TotalsContext,
  signal: AbortSignal | undefined,
): Promise<JobTotals | undefined> {
  const { transport, signer } = client.parts
  const options = signal ? { signal } : {}
  const reply = await client.show(jobId, false, options)
  const { spec } = client.checkShown(jobId, reply)
  const orders = reply.orders.filter(({ bytes }) => orderCodec.decode(bytes).body.type === 'amend')
  const shards: Signed[][] = []
  for (const shard of selectedShards(spec)) {
    if (!shardUnits(spec, shard).some(({ first, count }) => gave(jobId, first, count))) continue
    const attestations: Signed[] = []
    for (const owner of await client.shardOwners(jobId, shard).catch(() => [])) {
      if (signal?.aborted) throw aborted()
      try {
        const call = { deadlineMs: CALL_MS, ...options }
        const { attestation } = await transport.call(owner, methods.attest, { jobId, shard }, call)
        const one: JobTotals = { spec: reply.spec, orders, shards: [[...attestations, attestation]] }
        const isShort = attestations.length + 1 < spec.minGrantors
        const checked = checkTotals({ worker: signer.publicKey, jobs: [one] }, context)
        if (checked.ok || isShort) attestations.push(attestation)
      } catch {
        // An owner that is gone, or has nothing of ours, attests nothing.
      }
    }
    const one: JobTotals = { spec: reply.spec, orders, shards: [attestations] }
    if (checkTotals({ worker: signer.publicKey, jobs: [one] }, context).ok) shards.push(attestations)
  }
  return shards.length === 0 ? undefined : { spec: reply.spec, orders, shards }
}

/** Of two totals of one job the one that proves more. */
export function betterOf(a: JobTotals, b: JobTotals, worker: Totals['worker'], context: TotalsContext): JobTotals {
  const units = (jobs: JobTotals) => {
    const checked = checkTotals({ worker, jobs: [jobs] }, context)
    return checked.ok ? checked.jobs[0]!.units : -1
  }
  return units(b) > units(a) ? b : a
}
