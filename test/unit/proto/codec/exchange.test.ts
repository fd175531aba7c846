import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as exchange from '../../../../proto/codec/exchange.js'
import { FETCH_FACTS_MAX, OFFER_FACTS_MAX, RECONCILE_SHARDS_MAX } from '../../../../proto/limits.js'
import { digest, jobId, key } from '../../job/samples.js'
import { exchangeCases } from './cases/exchange.js'
import { homesCases } from './cases/homes.js'
import { refused } from './refused.js'

const test = suite('codecs of Exchange and Homes')

for (const { name, codec, values } of [...exchangeCases, ...homesCases]) {
  test(`${name} comes back as it was`, () => {
    for (const value of values) assert.equal(codec.decode(codec.encode(value)), value)
  })
}

test('refuses messages that are too long', () => {
  const fact = new Uint8Array(3)
  const many = Array.from({ length: OFFER_FACTS_MAX + 1 }, () => ({ fact, outputs: [] }))
  refused('OfferRequest', exchange.offerRequestCodec, { facts: many }, /facts/)
  refused('OfferRequest', exchange.offerRequestCodec, { facts: [] }, /facts/)
  refused('FetchFactsRequest', exchange.fetchFactsRequestCodec, { jobId, factIds: new Uint8Array(33) }, /jobId|factIds/)
  const ids = new Uint8Array(32 * (FETCH_FACTS_MAX + 1))
  const job = new Uint8Array(32).fill(7)
  refused('FetchFactsRequest', exchange.fetchFactsRequestCodec, { jobId: job, factIds: ids }, /factIds|bytes/)
  refused('FetchFactsRequest', exchange.fetchFactsRequestCodec, { jobId: job, factIds: new Uint8Array(33) }, /factIds/)
  const shards = Array.from({ length: RECONCILE_SHARDS_MAX + 1 }, () => ({ state: 1 }))
  refused('ReconcileReply', exchange.reconcileReplyCodec, { shards }, /shards/)
})

test('refuses a state that there is not, and an answer without ranges', () => {
  refused('OfferReply', exchange.offerReplyCodec, { states: new Uint8Array([4]) }, /states/)
  refused('ReconcileReply', exchange.reconcileReplyCodec, { shards: [{ state: 3 }] }, /state/)
  refused('ReconcileReply', exchange.reconcileReplyCodec, { shards: [{ state: 0 }] }, /ranges/)
})

test('refuses grants that name units twice or none', () => {
  const grant = { jobId: new Uint8Array(32), worker: new Uint8Array(32), believedMs: 1 }
  const runs = (firsts: number[], counts: number[], opinions: number[]) => ({
    grants: [{ ...grant, firsts, counts, opinions }],
  })
  refused('OutstandingRequest', exchange.outstandingRequestCodec, runs([5, 5], [1, 1], [0, 0]), /firsts/)
  refused('OutstandingRequest', exchange.outstandingRequestCodec, runs([], [], []), /firsts/)
  assert.is(
    exchange.outstandingRequestCodec.decode(
      exchange.outstandingRequestCodec.encode({
        grants: [
          { jobId, shard: 0, worker: key, runs: [{ first: 5, count: 2, opinion: 1 }], believedMs: 9, kept: false },
        ],
      }),
    ).grants[0]?.runs[0]?.first,
    5,
  )
  assert.ok(digest.length === 64)
})

test.run()
