import { ORDERS_MAX } from '../../proto/limits.js'
import type { JobSpec, Order, ReportFact, Signed, UnitOutput } from '../../proto/model.js'
import type { Sha256 } from '../../runtime/hash.js'
import { digestOutput, isDeterministic } from '../facts/digest.js'
import { type FactDecoders, factContext } from '../facts/facts.js'
import { applyOrders, checkOrder, type KnownOrder, type OrdersView } from '../facts/orders.js'
import type { SignatureVerifier } from '../facts/signature.js'
import type { Vote } from '../facts/votes.js'
import { jobIdOf } from '../spec/spec.js'
import { contains } from '../units/selection.js'
import { unitCount } from '../units/unit-source.js'
import { hasAnswer, type Judgement } from '../verdict/judgement.js'
import { verdictRules } from '../verdict/rules.js'
import { ShardEvidence, type UnitEvidence } from './evidence.js'

/** All that shows how one unit of a job came to its result, to be checked far from any network. */
export interface Receipt {
  readonly unit: number
  readonly spec: Signed
  /** The orders that bear on it: amendments and rulings. */
  readonly orders: readonly Signed[]
  /** Reports with the grants they answer; those that contradict the result, too. Under `confidence:P` all of the shard. */
  readonly facts: readonly ReportFact[]
  /** The encoded output; empty for an outcome that has none. */
  readonly output: Uint8Array
}

/** What checking takes: hashes, signatures, and readers of signed bytes. */
export interface ReceiptContext {
  readonly sha256: Sha256
  readonly verifier: SignatureVerifier & {
    verify(tag: string, publicKey: JobSpec['submitter'], signed: Signed): boolean
  }
  readonly decoders: FactDecoders & {
    decodeSpec(bytes: Uint8Array): JobSpec
    decodeOrder(bytes: Uint8Array): Order
    decodeOutput(bytes: Uint8Array): UnitOutput
    encodeOutput(output: UnitOutput): Uint8Array
  }
}

/** What a receipt proves. */
export interface ProvedReceipt {
  readonly ok: true
  readonly jobId: string
  readonly spec: JobSpec
  readonly view: OrdersView
  readonly evidence: Extract<UnitEvidence, { ok: true }>
  readonly judgement: Extract<Judgement, { state: 'accepted' | 'failed' }>
  /** Undefined for an outcome that has no output. */
  readonly output: UnitOutput | undefined
}

/**
 * Checks everything in a receipt: the submitter's signature on the spec, the signatures of orders, reports, donors and grants,
 * and that they were allowed to; that by the verdict these facts give the unit a result; and that the output has its digest.
 * One thing that is wrong or does not belong there, and the receipt is refused, with the reason as a sentence.
 *
 * It proves what its facts say. It does not prove that there are no other facts: whoever made it may have left out votes that
 * contradict the result, or a later ruling.
 */
export function checkReceipt(
  { unit, spec: signedSpec, orders, facts, output }: Receipt,
  { sha256, verifier, decoders }: ReceiptContext,
): ProvedReceipt | { readonly ok: false; readonly reason: string } {
  const refuse = (reason: string) => ({ ok: false as const, reason })
  let spec: JobSpec
  try {
    spec = decoders.decodeSpec(signedSpec.bytes)
  } catch {
    return refuse('the spec cannot be read')
  }
  if (!verifier.verify('spec', spec.submitter, signedSpec)) return refuse('the spec is not signed by its submitter')
  const jobId = jobIdOf(sha256, signedSpec.bytes)
  if (unit >= unitCount(spec) || (spec.selection.length > 0 && !contains(spec.selection, unit)))
    return refuse(`the job has no unit ${unit}`)

  if (orders.length > ORDERS_MAX) return refuse(`there are ${orders.length} orders, a job takes ${ORDERS_MAX}`)
  const known: KnownOrder[] = []
  for (const order of orders) {
    const checked = checkOrder(order, { spec, jobId, sha256, verifier, decodeOrder: decoders.decodeOrder })
    if (!checked.ok) return refuse(`an order is void: ${checked.reason}`)
    if (known.some(({ id }) => id === checked.id)) return refuse('an order stands twice')
    known.push({ id: checked.id, order: checked.order })
  }
  const view = applyOrders(spec, known)
  const evidence = new ShardEvidence({
    ...factContext({ spec, jobId, orders: view, sha256, verifier, decoders }),
    rules: verdictRules(spec, view),
  })
  // Whether a donor is to be believed shows on the other units of the shard.
  const byConfidence = spec.policy.type === 'confidence'
  const inShard = (vote: Vote) => Math.floor(vote.unit / spec.shardUnits) === Math.floor(unit / spec.shardUnits)
  for (const fact of facts) {
    const reception = evidence.add(fact)
    if (reception.type === 'known') return refuse('a report stands twice')
    if (reception.type === 'crowdedOut') continue
    if (reception.type === 'refused') return refuse(`a report is void: ${reception.reason}`)
    const { votes } = reception.fact
    if (!(byConfidence ? votes.every(inShard) : votes.some((vote) => vote.unit === unit)))
      return refuse(`a report does not speak of unit ${unit}`)
  }

  const judgement = evidence.judge(unit)
  if (!hasAnswer(judgement)) return refuse(`these reports leave unit ${unit} ${judgement.state}`)
  const { outcome, digest } = judgement
  const proved = evidence.check({ unit, outcome, digest })
  if (!proved.ok) return refuse(`these reports leave unit ${unit} ${proved.reason}`)
  const result = { ok: true as const, jobId, spec, view, evidence: proved, judgement }
  if (!isDeterministic(outcome)) {
    if (output.length > 0) return refuse('there is an output, and the outcome has none')
    return { ...result, output: undefined }
  }
  let opened: UnitOutput
  try {
    opened = decoders.decodeOutput(output)
  } catch {
    return refuse('the output cannot be read')
  }
  if (digestOutput(sha256, opened) !== digest) return refuse('the output does not have the digest that was agreed on')
  const again = decoders.encodeOutput(opened)
  if (again.length !== output.length || again.some((byte, i) => byte !== output[i]))
    return refuse('the output is not encoded as it should be')
  return { ...result, output: opened }
}
