import type { Codec } from '../../runtime/transport.js'
import {
  COMPARED_JOBS_MAX,
  type CompareJobsReply,
  type CompareJobsRequest,
  type KeepJobReply,
  type KeepJobRequest,
} from '../home-messages.js'
import { MESSAGE_SHARDS_MAX, ORDERS_MAX, RESULTS_BYTES_MAX, SHARDS_MAX, SPEC_BYTES_MAX } from '../limits.js'
import type { BootId, Digest, JobId } from '../model.js'
import { messageCodec, optionalHex, optionalHexToWire, readSigned, signedToWire } from './common.js'
import { hexToWire } from './fields.js'
import { readShardStatus, shardStatusToWire } from './jobs.js'

/** A job for another home to keep: spec, orders, and what is known of up to 1,024 shards. */
export const keepJobRequestCodec: Codec<KeepJobRequest> = messageCodec(
  'KeepJobRequest',
  SPEC_BYTES_MAX + RESULTS_BYTES_MAX,
  ({ spec, orders, shards }) => ({
    spec: signedToWire(spec),
    orders: orders.map(signedToWire),
    shards: shards.map(shardStatusToWire),
  }),
  (fields) => ({
    spec: fields.message('spec', readSigned),
    orders: fields.list('orders', { max: ORDERS_MAX }, readSigned),
    shards: fields.list('shards', { max: MESSAGE_SHARDS_MAX }, readShardStatus),
  }),
)

/** Orders that the other home has. */
export const keepJobReplyCodec: Codec<KeepJobReply> = messageCodec(
  'KeepJobReply',
  RESULTS_BYTES_MAX,
  ({ orders }) => ({ orders: orders.map(signedToWire) }),
  (fields) => ({ orders: fields.list('orders', { max: ORDERS_MAX }, readSigned) }),
)

/** Jobs that the caller keeps, with what tells whether the other home has less of them. */
export const compareJobsRequestCodec: Codec<CompareJobsRequest> = messageCodec(
  'CompareJobsRequest',
  RESULTS_BYTES_MAX,
  ({ jobs }) => ({
    jobs: jobs.map(({ jobId, orders, finished }) => ({
      jobId: hexToWire(jobId),
      orders: optionalHexToWire(orders),
      finished,
    })),
  }),
  (fields) => ({
    jobs: fields.list('jobs', { max: COMPARED_JOBS_MAX }, (job) => ({
      jobId: job.jobId('jobId'),
      orders: optionalHex<Digest>(job, 'orders', 32),
      finished: job.uint32('finished', { max: SHARDS_MAX }),
    })),
  }),
)

/** Jobs that the other home wants sent. */
export const compareJobsReplyCodec: Codec<CompareJobsReply> = messageCodec(
  'CompareJobsReply',
  RESULTS_BYTES_MAX,
  ({ bootId, wanted }) => ({ bootId: hexToWire(bootId), wanted: wanted.map(hexToWire) }),
  (fields) => ({
    bootId: fields.hex('bootId', 8) as BootId,
    wanted: fields.hexList('wanted', { max: COMPARED_JOBS_MAX }, 32) as JobId[],
  }),
)
