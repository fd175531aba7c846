import type { Codec } from '../../runtime/transport.js'
import type {
  ActivateReply,
  ActivateRequest,
  OrderReply,
  OrderRequest,
  ShardStatus,
  ShowReply,
  ShowRequest,
  SubmitReply,
  SubmitRequest,
  SummarizeReply,
  SummarizeRequest,
} from '../job-messages.js'
import { HOLDERS_MAX, MESSAGE_SHARDS_MAX, ORDERS_MAX, RESULTS_BYTES_MAX, SPEC_BYTES_MAX } from '../limits.js'
import type { WireMessage } from '../load.js'
import type { Digest, NodeId } from '../model.js'
import {
  ADDRESS_BYTES_MAX,
  agoToWire,
  messageCodec,
  optionalHex,
  optionalHexToWire,
  readReason,
  readSigned,
  reasonToWire,
  SIGNED_OVERHEAD_BYTES,
  SMALL_BYTES_MAX,
  signedToWire,
  wholeMs,
} from './common.js'
import { readShard, readSummary, summaryToWire } from './facts.js'
import { type Fields, hexToWire } from './fields.js'

/** A spec with orders, and the status of shards. */
const JOB_BYTES_MAX = SPEC_BYTES_MAX + RESULTS_BYTES_MAX

/** A signed spec; it is read and checked by `codec/spec.ts` and `job/spec/spec.ts`. */
export const submitRequestCodec: Codec<SubmitRequest> = messageCodec(
  'SubmitRequest',
  SPEC_BYTES_MAX + SIGNED_OVERHEAD_BYTES,
  ({ spec }) => ({ spec: signedToWire(spec) }),
  (fields) => ({ spec: fields.message('spec', readSigned) }),
)

/** Who has the job on disk, of how many wanted: up to 32. */
export const submitReplyCodec: Codec<SubmitReply> = messageCodec(
  'SubmitReply',
  SMALL_BYTES_MAX,
  (reply) => ({ jobId: hexToWire(reply.jobId), ...storedToWire(reply) }),
  (fields) => ({ jobId: fields.jobId('jobId'), ...readStored(fields) }),
)

/** A signed order; it is read and checked by `job/facts/orders.ts`. */
export const orderRequestCodec: Codec<OrderRequest> = messageCodec(
  'OrderRequest',
  SPEC_BYTES_MAX + SIGNED_OVERHEAD_BYTES,
  ({ order }) => ({ order: signedToWire(order) }),
  (fields) => ({ order: fields.message('order', readSigned) }),
)

/** Who has the order on disk, of how many wanted: up to 32. */
export const orderReplyCodec: Codec<OrderReply> = messageCodec('OrderReply', SMALL_BYTES_MAX, storedToWire, readStored)

/** Asks a home for a job, with or without its shards. */
export const showRequestCodec: Codec<ShowRequest> = messageCodec(
  'ShowRequest',
  SMALL_BYTES_MAX,
  ({ jobId, withShards }) => ({ jobId: hexToWire(jobId), withShards }),
  (fields) => ({ jobId: fields.jobId('jobId'), withShards: fields.bool('withShards') }),
)

/** A job as a home knows it, with up to 1,024 shards a message. Durations are whole milliseconds; 0 stands for none. */
export const showReplyCodec: Codec<ShowReply> = messageCodec(
  'ShowReply',
  JOB_BYTES_MAX,
  (reply) => ({
    spec: signedToWire(reply.spec),
    orders: reply.orders.map(signedToWire),
    summary: summaryToWire(reply.summary),
    shards: reply.shards.map(shardStatusToWire),
    waiting: reasonToWire(reply.waiting),
    ageMs: wholeMs(reply.ageMs),
    firstGrantAgeMs: agoToWire(reply.firstGrantAgeMs),
    ...storedToWire(reply),
  }),
  (fields) => ({
    spec: fields.message('spec', readSigned),
    orders: fields.list('orders', { max: ORDERS_MAX }, readSigned),
    summary: fields.message('summary', readSummary),
    shards: fields.list('shards', { max: MESSAGE_SHARDS_MAX }, readShardStatus),
    waiting: readReason(fields, 'waiting'),
    ageMs: fields.safeInteger('ageMs'),
    firstGrantAgeMs: fields.safeInteger('firstGrantAgeMs') || undefined,
    ...readStored(fields),
  }),
)

/** A home hands a shard to an owner, with all that the owner must know of the job. */
export const activateRequestCodec: Codec<ActivateRequest> = messageCodec(
  'ActivateRequest',
  JOB_BYTES_MAX,
  ({ spec, orders, shard }) => ({ spec: signedToWire(spec), orders: orders.map(signedToWire), shard }),
  (fields) => ({
    spec: fields.message('spec', readSigned),
    orders: fields.list('orders', { max: ORDERS_MAX }, readSigned),
    shard: readShard(fields),
  }),
)

/** How far the shard is at that owner. */
export const activateReplyCodec: Codec<ActivateReply> = messageCodec(
  'ActivateReply',
  SMALL_BYTES_MAX,
  ({ summary }) => ({ summary: summaryToWire(summary) }),
  (fields) => ({ summary: fields.message('summary', readSummary) }),
)

/** An owner tells a home how far up to 1,024 shards are, and which orders it has, by one digest. */
export const summarizeRequestCodec: Codec<SummarizeRequest> = messageCodec(
  'SummarizeRequest',
  RESULTS_BYTES_MAX,
  ({ jobId, shards, orders }) => ({
    jobId: hexToWire(jobId),
    shards: shards.map(shardStatusToWire),
    orders: optionalHexToWire(orders),
  }),
  (fields) => ({
    jobId: fields.jobId('jobId'),
    shards: fields.list('shards', { max: MESSAGE_SHARDS_MAX }, readShardStatus),
    orders: optionalHex<Digest>(fields, 'orders', 32),
  }),
)

/** Orders that the owner lacks, and why nothing more is to be granted; empty: it goes on. */
export const summarizeReplyCodec: Codec<SummarizeReply> = messageCodec(
  'SummarizeReply',
  RESULTS_BYTES_MAX,
  ({ orders, stopped }) => ({ orders: orders.map(signedToWire), stopped: reasonToWire(stopped) }),
  (fields) => ({
    orders: fields.list('orders', { max: ORDERS_MAX }, readSigned),
    stopped: readReason(fields, 'stopped'),
  }),
)

// --------------------------------------------------------------------------------------------------------------- parts

function storedToWire({ holders, wanted }: OrderReply): WireMessage {
  return { holders: holders.map(hexToWire), wanted }
}

function readStored(fields: Fields): OrderReply {
  return {
    holders: fields.hexList('holders', { max: HOLDERS_MAX }, 20) as NodeId[],
    wanted: fields.uint32('wanted', { max: HOLDERS_MAX }),
  }
}

/** A shard as a field; durations as whole milliseconds. */
export function shardStatusToWire(status: ShardStatus): WireMessage {
  return {
    shard: status.shard,
    owner: hexToWire(status.owner),
    ownerAddress: status.ownerAddress,
    summary: summaryToWire(status.summary),
    waiting: reasonToWire(status.waiting),
    summaryAgeMs: wholeMs(status.summaryAgeMs),
    firstGrantAgoMs: agoToWire(status.firstGrantAgoMs),
  }
}

/** Reads what {@link shardStatusToWire} wrote; an address with control characters is refused. */
export function readShardStatus(fields: Fields): ShardStatus {
  return {
    shard: readShard(fields),
    owner: fields.nodeId('owner'),
    ownerAddress: fields.text('ownerAddress', { max: ADDRESS_BYTES_MAX, controls: 'refuse' }),
    summary: fields.message('summary', readSummary),
    waiting: readReason(fields, 'waiting'),
    summaryAgeMs: fields.safeInteger('summaryAgeMs'),
    firstGrantAgoMs: fields.safeInteger('firstGrantAgoMs') || undefined,
  }
}
