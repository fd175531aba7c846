import type { Signer } from '../../../overlay/identity/identity.js'
import { grantCodec, reportCodec } from '../../../proto/codec/facts.js'
import type { Signed } from '../../../proto/model.js'
import type { OwnerMessage, WorkerMessage } from '../../../proto/work-messages.js'
import { wrongOutput } from './task.js'

/** Reports of a forger that come with a forgery beside them. */
const FORGED_UNITS = 3

/**
 * A worker that, besides honest work, answers units it was never granted: under a grant that names a true owner and
 * carries the signature of another grant.
 */
export class Forger {
  readonly #signer: Signer
  #grant: Signed | undefined

  constructor(signer: Signer) {
    this.#signer = signer
  }

  heard(message: OwnerMessage): void {
    if (message.type === 'grant') this.#grant = message.grant
  }

  /** What goes out after `message`. */
  forge(message: WorkerMessage): readonly WorkerMessage[] {
    if (message.type !== 'report' || this.#grant === undefined) return []
    const genuine = grantCodec.decode(this.#grant.bytes)
    const report = reportCodec.decode(message.fact.report.bytes)
    if (genuine.jobId !== report.jobId || genuine.shard !== report.shard) return []
    const last = report.results.at(-1)!.unit
    const first = Math.max(genuine.shard * 16, last - FORGED_UNITS)
    const units = Array.from({ length: last - first }, (_, i) => first + i)
    if (units.length === 0) return []
    const bytes = grantCodec.encode({ ...genuine, runs: [{ first, count: units.length, opinion: 0 }] })
    const outputs = units.map((unit) => ({ unit, ...wrongOutput(`forged ${unit}`) }))
    const forged = reportCodec.encode({
      ...report,
      results: outputs.map(({ unit, digest, output }) => ({
        unit,
        outcome: 'done' as const,
        digest,
        outputBytes: output.length,
        fuel: 1n,
      })),
    })
    return [
      {
        type: 'report',
        fact: {
          report: { bytes: forged, signature: this.#signer.sign('report', forged) },
          grants: [{ bytes, signature: this.#grant.signature }],
        },
        outputs: outputs.map(({ unit, output }) => ({ unit, bytes: output })),
        wallMs: 1,
      },
    ]
  }
}
