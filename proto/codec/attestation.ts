import type { Codec } from '../../runtime/transport.js'
import type { AttestReply, AttestRequest } from '../job-messages.js'
import { SHARD_UNITS_MAX } from '../limits.js'
import type { Attestation } from '../model.js'
import { messageCodec, readSigned, signedToWire } from './common.js'
import { readShard } from './facts.js'
import { hexToWire, uint64ToWire } from './fields.js'

const BYTES_MAX = 1_024

/** Asks an owner of a shard what the caller's key gave to it. */
export const attestRequestCodec: Codec<AttestRequest> = messageCodec(
  'AttestRequest',
  BYTES_MAX,
  ({ jobId, shard }) => ({ jobId: hexToWire(jobId), shard }),
  (fields) => ({ jobId: fields.jobId('jobId'), shard: readShard(fields) }),
)

/** The {@link Attestation} as it was signed; the signature is not checked here. */
export const attestReplyCodec: Codec<AttestReply> = messageCodec(
  'AttestReply',
  BYTES_MAX,
  ({ attestation }) => ({ attestation: signedToWire(attestation) }),
  (fields) => ({ attestation: fields.message('attestation', readSigned) }),
)

/** What is signed: its bytes are kept as they came, and never encoded anew to be checked. */
export const attestationCodec: Codec<Attestation> = messageCodec(
  'Attestation',
  BYTES_MAX,
  (attestation) => ({
    jobId: hexToWire(attestation.jobId),
    shard: attestation.shard,
    owner: hexToWire(attestation.owner),
    ownerIdNonce: attestation.ownerIdNonce,
    worker: hexToWire(attestation.worker),
    units: attestation.units,
    fuel: uint64ToWire(attestation.fuel),
    attestedAtMs: attestation.attestedAtMs,
  }),
  (fields) => ({
    jobId: fields.jobId('jobId'),
    shard: readShard(fields),
    owner: fields.publicKey('owner'),
    ownerIdNonce: fields.bytes('ownerIdNonce', { length: 8 }),
    worker: fields.publicKey('worker'),
    units: fields.uint32('units', { max: SHARD_UNITS_MAX }),
    fuel: fields.uint64('fuel'),
    attestedAtMs: fields.safeInteger('attestedAtMs'),
  }),
)
