import { agrees, hasAnswer } from '../../job/verdict/judgement.js'
import { attestationCodec } from '../../proto/codec/attestation.js'
import type { AttestReply } from '../../proto/job-messages.js'
import type { PublicKey } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Shard } from '../owner/core/shard.js'
import { isDecided } from '../owner/core/unit-record.js'
import type { GrantSigner } from '../owner/owner-context.js'

const UINT64_MAX = 2n ** 64n - 1n

/** Settled units of a shard on which a worker agreed with the result, and their fuel. */
export function givenBy(shard: Shard, worker: PublicKey): { readonly units: number; readonly fuel: bigint } {
  let units = 0
  let fuel = 0n
  for (const { state, judgement, votes } of shard.records()) {
    if (!isDecided(state)) continue
    if (!hasAnswer(judgement)) continue
    if (!votes.some((vote) => vote.worker === worker && agrees(judgement, vote))) continue
    units++
    fuel += judgement.fuel
  }
  return { units, fuel: fuel > UINT64_MAX ? UINT64_MAX : fuel }
}

/**
 * What this owner attests that `worker` has given to a shard, signed. Throws GridError `notFound` when that is nothing: there
 * is nothing to sign then.
 */
export function attest(shard: Shard, worker: PublicKey, signer: GrantSigner, nowMs: number): AttestReply {
  const given = givenBy(shard, worker)
  if (given.units === 0) throw new GridError('notFound', 'nothing that this key gave to the shard is settled here')
  const bytes = attestationCodec.encode({
    jobId: shard.jobId,
    shard: shard.shard,
    owner: signer.publicKey,
    ownerIdNonce: signer.idNonce,
    worker,
    ...given,
    attestedAtMs: nowMs,
  })
  return { attestation: { bytes, signature: signer.sign('attestation', bytes) } }
}
