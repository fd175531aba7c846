import * as homes from '../../../../../proto/codec/homes.js'
import type { BootId } from '../../../../../proto/model.js'
import * as s from '../../../job/samples.js'
import { type CodecCase, codecCase, digest, jobId, status } from './case.js'

/** Messages between homes. */
export const homesCases: readonly CodecCase[] = [
  codecCase(
    'KeepJobRequest',
    homes.keepJobRequestCodec,
    { spec: s.signed(), orders: [s.signed()], shards: [status, { ...status, ownerAddress: '' }] },
    { spec: s.signed(), orders: [], shards: [] },
  ),
  codecCase('KeepJobReply', homes.keepJobReplyCodec, { orders: [s.signed()] }),
  codecCase('CompareJobsRequest', homes.compareJobsRequestCodec, {
    jobs: [
      { jobId, orders: digest, finished: 7 },
      { jobId, orders: undefined, finished: 0 },
    ],
  }),
  codecCase('CompareJobsReply', homes.compareJobsReplyCodec, { bootId: 'ab'.repeat(8) as BootId, wanted: [jobId] }),
]
