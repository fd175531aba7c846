import type { Codec } from '../../runtime/transport.js'
import { MESSAGE_BYTES_MAX } from '../../runtime/transport.js'
import type {
  FetchFactsReply,
  FetchFactsRequest,
  OfferedFact,
  OfferReply,
  OfferRequest,
  OfferState,
  OutstandingGrant,
  OutstandingReply,
  OutstandingRequest,
  ReconcileReply,
  ReconcileRequest,
  ShardAnswer,
  ShardQuestion,
} from '../exchange-messages.js'
import {
  DURATION_MS_MAX,
  FETCH_FACTS_MAX,
  INLINE_OUTPUT_BYTES_MAX,
  OFFER_FACTS_MAX,
  OUTSTANDING_GRANTS_MAX,
  RECONCILE_SHARDS_MAX,
  REPORT_UNITS_MAX,
} from '../limits.js'
import type { WireMessage } from '../load.js'
import type { Digest } from '../model.js'
import { messageCodec } from './common.js'
import { FACT_BYTES_MAX, readRuns, readShard, readUnit } from './facts.js'
import { type Fields, hexToWire } from './fields.js'
import { rangeReplyToWire, rangeRequestToWire, readRangeReply, readRangeRequest } from './sync.js'

/** States by their number on the wire. */
const STATES: readonly OfferState[] = ['kept', 'unknown', 'refused', 'notNow']

/** Several ids of 32 bytes as one field. */
function idsToWire(ids: readonly string[]): Uint8Array {
  const bytes = Buffer.allocUnsafe(32 * ids.length)
  ids.forEach((id, i) => {
    bytes.write(id, 32 * i, 'hex')
  })
  return bytes
}

function readIds(fields: Fields, name: string, most: number): Digest[] {
  const bytes = fields.view(name, { max: 32 * most })
  if (bytes.length % 32 !== 0) fields.fail(name, 'must be a multiple of 32 bytes')
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
  return Array.from({ length: bytes.length / 32 }, (_, i) => hex.slice(64 * i, 64 * i + 64) as Digest)
}

function offeredToWire({ fact, outputs }: OfferedFact): WireMessage {
  return { fact, outputs }
}

function readOffered(fields: Fields): OfferedFact {
  return {
    fact: fields.bytes('fact', { min: 1, max: FACT_BYTES_MAX }),
    outputs: fields.list('outputs', { max: REPORT_UNITS_MAX }, (output) => ({
      unit: readUnit(output),
      bytes: output.bytes('bytes', { max: INLINE_OUTPUT_BYTES_MAX }),
    })),
  }
}

/** Up to 256 facts with their small outputs; those are checked where they are taken in. */
export const offerRequestCodec: Codec<OfferRequest> = messageCodec(
  'OfferRequest',
  MESSAGE_BYTES_MAX,
  ({ facts }) => ({ facts: facts.map(offeredToWire) }),
  (fields) => ({ facts: fields.list('facts', { min: 1, max: OFFER_FACTS_MAX }, readOffered) }),
)

/** What became of each offered fact, in their order; an unknown word is refused. */
export const offerReplyCodec: Codec<OfferReply> = messageCodec(
  'OfferReply',
  2 * OFFER_FACTS_MAX,
  ({ states }) => ({ states: Uint8Array.from(states, (state) => STATES.indexOf(state)) }),
  (fields) => ({
    states: Array.from(
      fields.view('states', { max: OFFER_FACTS_MAX }),
      (number) => STATES[number] ?? fields.fail('states', `has the unknown state ${number}`),
    ),
  }),
)

/** Prints of what the caller has of up to 512 shards. */
export const reconcileRequestCodec: Codec<ReconcileRequest> = messageCodec(
  'ReconcileRequest',
  MESSAGE_BYTES_MAX,
  ({ shards }) => ({
    shards: shards.map(({ jobId, shard, ranges }) => ({
      jobId: hexToWire(jobId),
      shard,
      ranges: rangeRequestToWire(ranges),
    })),
  }),
  (fields) => ({ shards: fields.list('shards', { min: 1, max: RECONCILE_SHARDS_MAX }, readQuestion) }),
)

function readQuestion(fields: Fields): ShardQuestion {
  return {
    jobId: fields.jobId('jobId'),
    shard: readShard(fields),
    ranges: fields.message('ranges', readRangeRequest),
  }
}

/** One answer a shard, in the order of the questions. */
export const reconcileReplyCodec: Codec<ReconcileReply> = messageCodec(
  'ReconcileReply',
  MESSAGE_BYTES_MAX,
  ({ shards }) => ({ shards: shards.map(answerToWire) }),
  (fields) => ({ shards: fields.list('shards', { max: RECONCILE_SHARDS_MAX }, readAnswer) }),
)

function answerToWire(answer: ShardAnswer): WireMessage {
  if (answer.state !== 'answered') return { state: answer.state === 'unknown' ? 1 : 2 }
  return { state: 0, ranges: rangeReplyToWire(answer.ranges), toOutsider: answer.toOutsider }
}

function readAnswer(fields: Fields): ShardAnswer {
  switch (fields.uint32('state', { max: 2 })) {
    case 0:
      return {
        state: 'answered',
        ranges: fields.message('ranges', readRangeReply),
        toOutsider: fields.bool('toOutsider'),
      }
    case 1:
      return { state: 'unknown' }
    default:
      return { state: 'notNow' }
  }
}

/** Asks for up to 1,024 facts of one shard by id. */
export const fetchFactsRequestCodec: Codec<FetchFactsRequest> = messageCodec(
  'FetchFactsRequest',
  64 + 32 * FETCH_FACTS_MAX,
  ({ jobId, shard, factIds }) => ({ jobId: hexToWire(jobId), shard, factIds: idsToWire(factIds) }),
  (fields) => ({
    jobId: fields.jobId('jobId'),
    shard: readShard(fields),
    factIds: readIds(fields, 'factIds', FETCH_FACTS_MAX),
  }),
)

/** As many of the facts as fit into a message, up to 256. */
export const fetchFactsReplyCodec: Codec<FetchFactsReply> = messageCodec(
  'FetchFactsReply',
  MESSAGE_BYTES_MAX,
  ({ facts }) => ({ facts: facts.map(offeredToWire) }),
  (fields) => ({ facts: fields.list('facts', { max: OFFER_FACTS_MAX }, readOffered) }),
)

/** Up to 1,024 grants that the caller has out. */
export const outstandingRequestCodec: Codec<OutstandingRequest> = messageCodec(
  'OutstandingRequest',
  MESSAGE_BYTES_MAX,
  ({ grants }) => ({ grants: grants.map(outstandingToWire) }),
  (fields) => ({ grants: fields.list('grants', { max: OUTSTANDING_GRANTS_MAX }, readOutstanding) }),
)

function outstandingToWire({ jobId, shard, worker, runs, believedMs, kept }: OutstandingGrant): WireMessage {
  return {
    jobId: hexToWire(jobId),
    shard,
    worker: hexToWire(worker),
    firsts: runs.map(({ first }) => first),
    counts: runs.map(({ count }) => count),
    opinions: runs.map(({ opinion }) => opinion),
    believedMs,
    kept,
  }
}

function readOutstanding(fields: Fields): OutstandingGrant {
  return {
    jobId: fields.jobId('jobId'),
    shard: readShard(fields),
    worker: fields.publicKey('worker'),
    runs: readRuns(fields),
    believedMs: fields.safeInteger('believedMs', { min: 1, max: DURATION_MS_MAX }),
    kept: fields.bool('kept'),
  }
}

/** Says only that it was heard; has no fields. */
export const outstandingReplyCodec: Codec<OutstandingReply> = messageCodec(
  'OutstandingReply',
  64,
  () => ({}),
  () => ({}),
)
