import * as jobs from '../../../../../proto/codec/jobs.js'
import * as peerStatus from '../../../../../proto/codec/peer-status.js'
import * as s from '../../../job/samples.js'
import { type CodecCase, codecCase, digest, jobId, status, stored, summary } from './case.js'

/** Messages between submitters, homes and owners. */
export const jobsCases: readonly CodecCase[] = [
  codecCase('SubmitRequest', jobs.submitRequestCodec, { spec: s.signed(2_000) }),
  codecCase('SubmitReply', jobs.submitReplyCodec, { jobId, ...stored }),
  codecCase('OrderRequest', jobs.orderRequestCodec, { order: s.signed() }),
  codecCase('OrderReply', jobs.orderReplyCodec, stored),
  codecCase('ShowRequest', jobs.showRequestCodec, { jobId, withShards: true }),
  codecCase(
    'ShowReply',
    jobs.showReplyCodec,
    {
      spec: s.signed(),
      orders: [s.signed()],
      summary,
      shards: [status],
      waiting: '',
      ageMs: 5,
      firstGrantAgeMs: 1,
      ...stored,
    },
    {
      spec: s.signed(),
      orders: [],
      summary,
      shards: [],
      waiting: 'x',
      ageMs: 5,
      firstGrantAgeMs: undefined,
      holders: [],
      wanted: 0,
    },
  ),
  codecCase(
    'ActivateRequest',
    jobs.activateRequestCodec,
    { spec: s.signed(), orders: [s.signed()], shard: 4 },
    { spec: s.signed(), orders: [], shard: 0 },
  ),
  codecCase('ActivateReply', jobs.activateReplyCodec, { summary }),
  codecCase('SummarizeRequest', jobs.summarizeRequestCodec, {
    jobId,
    shards: [status, { ...status, ownerAddress: '' }],
    orders: digest,
  }),
  codecCase('SummarizeRequest', jobs.summarizeRequestCodec, { jobId, shards: [], orders: undefined }),
  codecCase('SummarizeReply', jobs.summarizeReplyCodec, { orders: [s.signed()], stopped: '' }),
  codecCase('StatusRequest', peerStatus.statusRequestCodec, {}),
  codecCase('StatusReply', peerStatus.statusReplyCodec, {
    peers: 3,
    workers: 4,
    threads: 8,
    jobs: 2,
    readyJobs: 1,
    settledLastMinute: 1_000,
    wallMs: 1_750_000_000_000,
    firstJobs: 2,
    firstReadyJobs: 1,
    firstSettledLastMinute: 400,
    countedWorkers: [{ version: '1.2.3', workers: 3, threads: 24 }],
    uptimeMs: 5_000,
    version: '0.1.0',
    address: 'host:7000',
    eligible: true,
    shards: 12,
    storedBytes: 2 ** 40,
  }),
]
