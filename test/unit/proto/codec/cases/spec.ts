import { jobSpecCodec } from '../../../../../proto/codec/spec.js'
import * as s from '../../../job/samples.js'
import { type CodecCase, codecCase } from './case.js'

/** Specs. */
export const specCases: readonly CodecCase[] = [
  codecCase(
    'JobSpec',
    jobSpecCodec,
    s.spec(),
    s.fullSpec,
    s.spec({ source: { type: 'array', from: -3n, to: 10n ** 30n, step: 7n }, policy: { type: 'none' } }),
    s.spec({ policy: { type: 'confidence', errorPpm: 1_000 }, requires: ['confidence'] }),
    s.spec({
      source: { type: 'range', start: 10n ** 16n, end: 10n ** 16n + 10n ** 8n, step: 10n ** 7n },
      maxFails: { type: 'count', value: 5 },
    }),
  ),
]
