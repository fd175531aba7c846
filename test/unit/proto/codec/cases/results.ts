import * as results from '../../../../../proto/codec/results.js'
import * as s from '../../../job/samples.js'
import { bytes, type CodecCase, codecCase, digest, jobId } from './case.js'

/** What owners answer about units: their states, results and outputs. */
export const resultsCases: readonly CodecCase[] = [
  codecCase(
    'UnitsRequest',
    results.unitsRequestCodec,
    { jobId, shard: 0, state: 'failed', limit: 100 },
    { jobId, shard: 0, state: undefined, limit: 16_384 },
    { jobId, shard: 7, state: 'open', limit: 200, fromUnit: 458_752 },
  ),
  codecCase('UnitsReply', results.unitsReplyCodec, {
    units: [
      {
        unit: 5,
        state: 'settled',
        instances: 0,
        answers: 2,
        errors: 1,
        result: { digest, outcome: 'exit' },
        waiting: '',
      },
      { unit: 6, state: 'held', instances: 1, answers: 0, errors: 3, result: undefined, waiting: 'three hosts failed' },
    ],
  }),
  codecCase('ResultsRequest', results.resultsRequestCodec, {
    jobId,
    shard: 1,
    units: [{ first: 1, count: 2 }],
    follow: true,
    withOutputs: true,
  }),
  codecCase('ResultsReply', results.resultsReplyCodec, {
    facts: [s.fact],
    settled: [
      { unit: 1, digest, outcome: 'done', output: bytes, outputBytes: 3 },
      { unit: 2, digest, outcome: 'trap', output: undefined, outputBytes: 5_000 },
      { unit: 3, digest, outcome: 'done', output: new Uint8Array(0), outputBytes: 0 },
    ],
    done: true,
  }),
  codecCase('OutputRequest', results.outputRequestCodec, { jobId, shard: 2, unit: 9, digest }),
  codecCase('Chunk', results.chunkCodec, { bytes }, { bytes: new Uint8Array(256 * 1024) }),
]
