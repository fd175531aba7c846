import * as attest from '../../../../../proto/codec/attestation.js'
import * as facts from '../../../../../proto/codec/facts.js'
import * as s from '../../../job/samples.js'
import { type CodecCase, codecCase, digest, jobId, nodeId, summary } from './case.js'

const attestation = {
  jobId,
  shard: 7,
  owner: s.otherKey,
  ownerIdNonce: new Uint8Array(8).fill(4),
  worker: s.otherKey,
  units: 16_384,
  fuel: 2n ** 64n - 1n,
  attestedAtMs: 1_700_000_000_000,
}

/** Facts and what else is signed. */
export const factCases: readonly CodecCase[] = [
  codecCase('Attestation', attest.attestationCodec, attestation, { ...attestation, units: 0, fuel: 0n }),
  codecCase('AttestRequest', attest.attestRequestCodec, { jobId, shard: 7 }),
  codecCase('AttestReply', attest.attestReplyCodec, { attestation: s.signed() }),
  codecCase('Grant', facts.grantCodec, s.grant, { ...s.grant, age: 'older' }),
  codecCase('Report', facts.reportCodec, s.report(1), s.report(64), {
    ...s.report(),
    donor: s.otherKey,
    donorSignature: new Uint8Array(0),
  }),
  codecCase('ReportFact', facts.reportFactCodec, s.fact),
  codecCase(
    'Order',
    facts.orderCodec,
    ...(
      [
        { type: 'cancel' },
        { type: 'seal' },
        { type: 'remove' },
        { type: 'release', units: [{ first: 3, count: 4 }] },
        {
          type: 'amend',
          expiresAtMs: 5,
          priority: -3,
          maxInstances: 7,
          ownerRadius: s.nodeId as string as typeof s.fullSpec.ownerRadius,
        },
        {
          type: 'rulings',
          judge: s.otherKey,
          profile: 1,
          rulings: [
            { unit: 0, outcome: 'done', digest, convicted: [], rightGrantors: [], wrongGrantors: [] },
            {
              unit: 9_999_999,
              outcome: 'trap',
              digest,
              convicted: [s.key, s.otherKey],
              rightGrantors: [nodeId, nodeId],
              wrongGrantors: [nodeId],
            },
          ],
        },
        { type: 'amend', expiresAtMs: undefined, priority: 0, maxInstances: undefined, ownerRadius: undefined },
      ] as const
    ).map((body) => ({ jobId, seq: 2 ** 50, createdAtMs: 1_750_000_000_000, body })),
  ),
  codecCase('UnitOutput', facts.unitOutputCodec, s.output, { ...s.output, outcome: 'exit', exitCode: -1, files: [] }),
  codecCase('Summary', facts.summaryCodec, summary),
]
