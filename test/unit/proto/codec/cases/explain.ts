import * as explain from '../../../../../proto/codec/explain.js'
import type { ExplainReply, UnitSight } from '../../../../../proto/explain-messages.js'
import { type CodecCase, codecCase, jobId, nodeId, summary } from './case.js'

const unitSight: UnitSight = {
  unit: 17,
  shard: 1,
  state: 'open',
  wait: 'drawn',
  sinceMs: 900,
  answers: 1,
  errors: 2,
  instancesMax: 10,
  errorsMax: 3,
  leases: [{ worker: nodeId, sinceMs: 40, movedMs: 4, fuel: 2n ** 60n }],
  drawn: nodeId,
  drawnMs: 30,
  restingMs: 20,
  elsewhere: [{ worker: undefined, sinceMs: 0, movedMs: 0, fuel: 0n }],
}
const explained: ExplainReply = {
  version: '1.2.3',
  wallMs: 1_750_000_000_000,
  uptimeMs: 5_000,
  refusal: 'expired',
  home: {
    rank: 1,
    guarding: 'acting',
    troubles: [
      { nodeId, address: '[::1]:7000', what: 'shard', code: 'quota', reason: 'full', sinceMs: 1, shards: 3 },
      { nodeId, address: '', what: 'silent', code: '', reason: '', sinceMs: 11_000, shards: 1 },
    ],
  },
  shards: [
    {
      shard: 1,
      summary,
      owners: 3,
      minGrantors: 2,
      quietMs: 1_500,
      groups: [{ wait: 'donor', units: 3, examples: [1, 2, 3], sinceMs: 8_000 }],
      lastGrantMs: 7,
      lastAnswerMs: undefined,
    },
  ],
  workers: [
    { bar: 'memory', value: '67108864', workers: 2, threads: 8, examples: [nodeId], sinceMs: 60_000 },
    { bar: 'none', value: '', workers: 1, threads: 1, examples: [], sinceMs: undefined },
  ],
  workersAble: 1,
  donorsAble: 1,
  refusedKeys: [{ nodeId, reason: 'this key already runs', code: 'unsupported', agoMs: 9 }],
  unit: unitSight,
  events: [
    { unit: 17, agoMs: 3, what: 'granted', worker: nodeId, detail: '' },
    { unit: 17, agoMs: 2, what: 'returned', worker: undefined, detail: 'paused' },
  ],
}

/** Explanations. */
export const explainCases: readonly CodecCase[] = [
  codecCase(
    'ExplainRequest',
    explain.explainRequestCodec,
    { jobId, unit: undefined, events: true },
    { jobId, unit: 0, events: false },
  ),
  codecCase('ExplainReply', explain.explainReplyCodec, explained, {
    ...explained,
    home: undefined,
    unit: undefined,
    shards: [],
    workers: [],
    refusedKeys: [],
    events: [],
  }),
]
