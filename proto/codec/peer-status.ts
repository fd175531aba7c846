import type { Codec } from '../../runtime/transport.js'
import type { StatusReply, StatusRequest } from '../job-messages.js'
import { ADDRESS_BYTES_MAX, messageCodec, SMALL_BYTES_MAX, UINT32_MAX, wholeMs } from './common.js'

const WORKER_VERSIONS_MAX = 16

/** Asks a peer how it does; has no fields. */
export const statusRequestCodec: Codec<StatusRequest> = messageCodec(
  'StatusRequest',
  SMALL_BYTES_MAX,
  () => ({}),
  () => ({}),
)

/** How a peer does, by its own word; versions of up to 16 kinds of workers. */
export const statusReplyCodec: Codec<StatusReply> = messageCodec(
  'StatusReply',
  SMALL_BYTES_MAX,
  (reply) => ({ ...reply, uptimeMs: wholeMs(reply.uptimeMs), wallMs: wholeMs(reply.wallMs) }),
  (fields) => ({
    peers: fields.uint32('peers', { max: UINT32_MAX }),
    workers: fields.uint32('workers', { max: UINT32_MAX }),
    threads: fields.uint32('threads', { max: UINT32_MAX }),
    jobs: fields.uint32('jobs', { max: UINT32_MAX }),
    readyJobs: fields.uint32('readyJobs', { max: UINT32_MAX }),
    settledLastMinute: fields.safeInteger('settledLastMinute'),
    uptimeMs: fields.safeInteger('uptimeMs'),
    version: fields.text('version', { max: 64, controls: 'strip' }),
    address: fields.text('address', { max: ADDRESS_BYTES_MAX, controls: 'strip' }),
    eligible: fields.bool('eligible'),
    shards: fields.uint32('shards', { max: UINT32_MAX }),
    storedBytes: fields.safeInteger('storedBytes'),
    wallMs: fields.safeInteger('wallMs'),
    firstJobs: fields.uint32('firstJobs', { max: UINT32_MAX }),
    firstReadyJobs: fields.uint32('firstReadyJobs', { max: UINT32_MAX }),
    firstSettledLastMinute: fields.safeInteger('firstSettledLastMinute'),
    countedWorkers: fields.list('countedWorkers', { max: WORKER_VERSIONS_MAX }, (count) => ({
      version: count.text('version', { max: 64, controls: 'strip' }),
      workers: count.uint32('workers', { max: UINT32_MAX }),
      threads: count.uint32('threads', { max: UINT32_MAX }),
    })),
  }),
)
