import { CheckedFacts, type FactDecoders, grantId } from '../../job/facts/facts.js'
import type { SignatureTag, SignatureVerifier } from '../../job/facts/signature.js'
import { grantCodec, reportCodec } from '../../proto/codec/facts.js'
import type { Grant, PublicKey, Report, ReportFact, Signed } from '../../proto/model.js'
import { fromHex } from '../../runtime/hex.js'
import type { GridClient } from './session.js'

/** Fewer facts than this are checked on the spot: handing them to other threads would take longer. */
const ASYNC_FACTS_MIN = 4

/** What another thread found out about one signature. */
interface CheckedSignature {
  readonly tag: SignatureTag
  readonly publicKey: PublicKey
  readonly bytes: Uint8Array
  readonly valid: boolean
}

/**
 * Checks signatures of facts on other threads before `ShardEvidence` asks for them, and remembers what was decoded for
 * that. Whatever was not checked ahead is checked when asked for: the outcome never depends on this class.
 */
export class SignatureChecks {
  readonly checked = new CheckedFacts()
  readonly verifier: SignatureVerifier
  readonly decoders: FactDecoders
  readonly #client: GridClient
  /** By the very array that holds the signature; gone with the message it came in. */
  readonly #signatures = new WeakMap<Uint8Array, CheckedSignature>()
  readonly #reports = new WeakMap<Uint8Array, Report>()
  readonly #grants = new WeakMap<Uint8Array, Grant>()

  constructor(client: GridClient) {
    this.#client = client
    const plain = client.signatureVerifier()
    this.verifier = {
      ...plain,
      verify: (tag, publicKey, signed) => this.#found(tag, publicKey, signed) ?? plain.verify(tag, publicKey, signed),
    }
    this.decoders = {
      decodeReport: (bytes) => memo(this.#reports, bytes, () => reportCodec.decode(bytes)),
      decodeGrant: (bytes) => memo(this.#grants, bytes, () => grantCodec.decode(bytes)),
    }
  }

  /** Resolves when the signatures of `facts` have been checked. Never rejects. */
  async ahead(facts: readonly ReportFact[]): Promise<void> {
    if (facts.length < ASYNC_FACTS_MIN) return
    const { sha256 } = this.#client.parts
    const checks: Promise<void>[] = []
    const asked = new Set<string>()
    for (const fact of facts) {
      const report = attempt(() => this.decoders.decodeReport(fact.report.bytes))
      if (report === undefined) continue
      checks.push(this.#check('report', report.worker, fact.report))
      const { worker, donor, donorSignature } = report
      if (worker !== donor && !this.checked.hasDonor(worker, donor, donorSignature)) {
        checks.push(this.#check('donor', donor, { bytes: fromHex(worker), signature: donorSignature }))
      }
      for (const signed of fact.grants) {
        const id = grantId(signed, sha256)
        if (asked.has(id) || this.checked.grant(id)) continue
        const grant = attempt(() => this.decoders.decodeGrant(signed.bytes))
        if (grant === undefined) continue
        asked.add(id)
        checks.push(this.#check('grant', grant.grantor, signed))
      }
    }
    await Promise.all(checks)
  }

  async #check(tag: SignatureTag, publicKey: PublicKey, { bytes, signature }: Signed): Promise<void> {
    const valid = await this.#client.parts.verifier.verifyAsync(publicKey, tag, bytes, signature)
    this.#signatures.set(signature, { tag, publicKey, bytes, valid })
  }

  #found(tag: SignatureTag, publicKey: PublicKey, { bytes, signature }: Signed): boolean | undefined {
    const checked = this.#signatures.get(signature)
    if (checked === undefined || checked.tag !== tag || checked.publicKey !== publicKey) return undefined
    return sameBytes(checked.bytes, bytes) ? checked.valid : undefined
  }
}

function memo<T>(known: WeakMap<Uint8Array, T>, bytes: Uint8Array, make: () => T): T {
  let value = known.get(bytes)
  if (value === undefined) {
    value = make()
    known.set(bytes, value)
  }
  return value
}

/** Undefined for bytes that are none: whoever judges the fact meets the same error and says so. */
function attempt<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch {
    return undefined
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && a.every((byte, i) => byte === b[i]))
}
