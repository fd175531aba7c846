import * as exchange from '../../../../../proto/codec/exchange.js'
import * as s from '../../../job/samples.js'
import { bytes, type CodecCase, codecCase, digest, jobId } from './case.js'

const ranges = { prints: [{ prefix: '', prints: new Uint8Array(16) }], wanted: [{ prefix: '0a', after: digest }] }
const answers = { answered: 1, prints: [], ids: [{ prefix: '5e', ids: [digest], complete: true }] }
const offered = { fact: bytes, outputs: [{ unit: 3, bytes }] }

/** Messages between owners. */
export const exchangeCases: readonly CodecCase[] = [
  codecCase('OfferRequest', exchange.offerRequestCodec, { facts: [offered, { fact: bytes, outputs: [] }] }),
  codecCase('OfferReply', exchange.offerReplyCodec, { states: ['kept', 'unknown', 'refused', 'notNow'] }),
  codecCase('ReconcileRequest', exchange.reconcileRequestCodec, { shards: [{ jobId, shard: 4, ranges }] }),
  codecCase('ReconcileReply', exchange.reconcileReplyCodec, {
    shards: [{ state: 'answered', ranges: answers, toOutsider: true }, { state: 'unknown' }, { state: 'notNow' }],
  }),
  codecCase('FetchFactsRequest', exchange.fetchFactsRequestCodec, { jobId, shard: 4, factIds: [digest] }),
  codecCase('FetchFactsReply', exchange.fetchFactsReplyCodec, { facts: [offered] }, { facts: [] }),
  codecCase(
    'OutstandingRequest',
    exchange.outstandingRequestCodec,
    { grants: [{ jobId, shard: 4, worker: s.key, runs: s.grant.runs, believedMs: 8_000, kept: true }] },
    { grants: [] },
  ),
  codecCase('OutstandingReply', exchange.outstandingReplyCodec, {}),
]
