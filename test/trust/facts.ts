import type { CheckedReport, GrantDraft } from '../../coordinator/owner/core/messages.js'
import { checkReportFact, type FactContext, factContext, factId } from '../../job/facts/facts.js'
import type { KnownOrder } from '../../job/facts/orders.js'
import type { Digest, Grant, JobId, JobSpec, NodeId, PublicKey, Report, Ruling, Signed } from '../../proto/model.js'
import { sha256 } from '../../runtime/hash.js'
import { toHex, utf8 } from '../../runtime/hex.js'

const SIGNATURE = new Uint8Array(64)
const NO_SIGNATURE = new Uint8Array(0)
const NONCE = new Uint8Array(8)
/** What a report says of the size of an output and of its steps; the same for all. */
const OUTPUT_BYTES = 100
const FUEL = 100n

export const keyOf = (name: string): PublicKey => sha256(utf8(`key ${name}`)) as string as PublicKey
export const nodeIdOfKey = (key: PublicKey): NodeId => key.slice(0, 40) as NodeId

/**
 * Signed grants and reports of one job, whose bytes are a number that names the message: nothing is encoded and every
 * signature passes. All else of a fact is checked as everywhere, by `job/facts/facts.ts`.
 */
export class JobFacts {
  readonly jobId: JobId
  readonly spec: JobSpec
  readonly #context: FactContext
  readonly #grants = new Map<string, Grant>()
  readonly #reports = new Map<string, Report>()
  #messages = 0

  constructor(jobId: JobId, spec: JobSpec) {
    this.jobId = jobId
    this.spec = spec
    this.#context = factContext({
      spec,
      jobId,
      sha256,
      verifier: { verify: () => true, nodeIdOf: nodeIdOfKey },
      decoders: {
        decodeGrant: (bytes) => this.#grants.get(toHex(bytes))!,
        decodeReport: (bytes) => this.#reports.get(toHex(bytes))!,
      },
    })
  }

  /** A grant as its owner signs it. */
  grant(draft: GrantDraft, grantor: PublicKey): Signed {
    const signed = this.#sign()
    this.#grants.set(toHex(signed.bytes), { ...draft, grantor, grantorIdNonce: NONCE, nonce: toHex(signed.bytes) })
    return signed
  }

  /** What `worker` says of one unit that `grant` gave it; checked. */
  report(worker: PublicKey, unit: number, answer: number, grant: Signed): CheckedReport {
    const { jobId, spec } = this
    const signed = this.#sign()
    const report: Report = {
      jobId,
      shard: Math.floor(unit / spec.shardUnits),
      worker,
      donor: worker,
      donorSignature: NO_SIGNATURE,
      results: [{ unit, outcome: 'done', digest: digestOf(answer), outputBytes: OUTPUT_BYTES, fuel: FUEL }],
    }
    const name = toHex(signed.bytes)
    this.#reports.set(name, report)
    const fact = { report: signed, grants: [grant] }
    const checked = checkReportFact(fact, this.#context)
    if (!checked.ok) throw new Error(`the simulator made a fact that is void: ${checked.reason}`)
    this.#reports.delete(name)
    return { factId: factId(fact, sha256), report, votes: checked.votes }
  }

  /** An order of the submitter with rulings. */
  rulings(rulings: readonly Ruling[], seq: number, createdAtMs: number): KnownOrder {
    const { jobId, spec } = this
    const body = { type: 'rulings' as const, judge: spec.submitter, profile: spec.profile, rulings }
    return { id: sha256(this.#sign().bytes), order: { jobId, seq, createdAtMs, body } }
  }

  #sign(): Signed {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setUint32(4, ++this.#messages)
    return { bytes, signature: SIGNATURE }
  }
}

/** The digest of an answer; never all zero. */
export function digestOf(answer: number): Digest {
  return (answer + 1).toString(16).padStart(64, '0') as Digest
}

/** The answer behind a digest that {@link digestOf} made. */
export function answerOf(digest: Digest): number {
  return Number.parseInt(digest.slice(-12), 16) - 1
}
