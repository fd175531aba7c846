import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  compareJobsReplyCodec,
  compareJobsRequestCodec,
  keepJobReplyCodec,
  keepJobRequestCodec,
} from '../../../proto/codec/homes.js'
import { COMPARED_JOBS_MAX } from '../../../proto/home-messages.js'
import type { BootId, Digest, JobId, NodeId, Signed } from '../../../proto/model.js'

const signed = (byte: number): Signed => ({
  bytes: new Uint8Array(40).fill(byte),
  signature: new Uint8Array(64).fill(byte),
})
const jobId = 'ab'.repeat(32) as JobId
const summary = {
  units: 16,
  open: 0,
  accepted: 0,
  settled: 15,
  disputed: 0,
  held: 0,
  failed: 1,
  leased: 0,
  granted: 40,
  answered: 32,
  disagreeing: 1,
  workers: 0,
  donors: 0,
  fuel: 2n ** 63n,
  ready: 0,
}

const homes = suite('messages between homes')

homes('come out as they went in', () => {
  const shard = {
    shard: 3,
    owner: 'cd'.repeat(20) as NodeId,
    ownerAddress: 'host:1',
    summary,
    waiting: '',
    summaryAgeMs: 0,
    firstGrantAgoMs: 5,
  }
  const keep = { spec: signed(1), orders: [signed(2), signed(3)], shards: [shard] }
  assert.equal(keepJobRequestCodec.decode(keepJobRequestCodec.encode(keep)), keep)
  const kept = { orders: [signed(4)] }
  assert.equal(keepJobReplyCodec.decode(keepJobReplyCodec.encode(kept)), kept)
  const compare = {
    jobs: [
      { jobId, orders: 'ef'.repeat(32) as Digest, finished: 7 },
      { jobId, orders: undefined, finished: 0 },
    ],
  }
  assert.equal(compareJobsRequestCodec.decode(compareJobsRequestCodec.encode(compare)), compare)
  const compared = { bootId: '0123456789abcdef' as BootId, wanted: [jobId] }
  assert.equal(compareJobsReplyCodec.decode(compareJobsReplyCodec.encode(compared)), compared)
})

homes('are refused beyond their bounds', () => {
  const jobs = Array.from({ length: COMPARED_JOBS_MAX + 1 }, () => ({ jobId, orders: undefined, finished: 0 }))
  assert.throws(() => compareJobsRequestCodec.decode(compareJobsRequestCodec.encode({ jobs })), /at most 4096/)
  const short = { jobs: [{ jobId: 'ab' as JobId, orders: undefined, finished: 0 }] }
  assert.throws(() => compareJobsRequestCodec.decode(compareJobsRequestCodec.encode(short)), /32/)
  assert.throws(() => compareJobsReplyCodec.decode(new Uint8Array(0)), /bootId/)
})

homes('of so many jobs as one may hold fit one message', () => {
  const digest = 'ef'.repeat(32) as Digest
  const jobs = Array.from({ length: COMPARED_JOBS_MAX }, () => ({ jobId, orders: digest, finished: 600_000 }))
  assert.is(compareJobsRequestCodec.decode(compareJobsRequestCodec.encode({ jobs })).jobs.length, COMPARED_JOBS_MAX)
})

homes.run()
