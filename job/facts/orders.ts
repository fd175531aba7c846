import { EXTENDED_LIFE_MS_MAX } from '../../proto/limits.js'
import type { Digest, JobId, JobSpec, Key, Order, Signed, UnitRange } from '../../proto/model.js'
import type { Sha256 } from '../../runtime/hash.js'
import { applyRulings, type RulingsRefusal, type RulingsView, wrongInRulings } from './rulings.js'
import type { SignatureVerifier } from './signature.js'

/** An order with the SHA-256 of its signed bytes, which breaks ties. Made by {@link checkOrder}. */
export interface KnownOrder {
  readonly id: Digest
  readonly order: Order
}

/** Units that a submitter let go again at one moment. */
interface Release {
  readonly seq: number
  readonly units: readonly UnitRange[]
}

/** A job as spec and orders together have it. */
export interface OrdersView {
  /** Nothing is granted any more. Beats every other order, whatever its seq. */
  readonly cancelled: boolean
  /** Nobody wants what is kept of it any more; it is cancelled then, too. */
  readonly removed: boolean
  /** Results were fetched and verified: owners may drop the bytes a day later. */
  readonly sealed: boolean
  readonly expiresAtMs: number
  readonly priority: number
  readonly maxInstances: number
  readonly ownerRadius: Key
  /** Ascending by seq, then by order id. */
  readonly releases: readonly Release[]
  /** What replays gave; absent: nothing was ruled. */
  readonly rulings?: RulingsView
}

/** What {@link checkOrder} compares an order with. */
interface OrderContext {
  readonly spec: JobSpec
  readonly jobId: JobId
  readonly sha256: Sha256
  readonly verifier: Pick<SignatureVerifier, 'verify'>
  /** Throws GridError `invalid` for bytes that are no order. */
  readonly decodeOrder: (bytes: Uint8Array) => Order
}

/** Why an order does not count. */
type OrderRefusal = 'malformed' | 'otherJob' | 'badSignature' | RulingsRefusal

/** Whether the submitter of the job said this, or a judge that its spec names for rulings. Its place in the job is then for {@link applyOrders} to find. */
export function checkOrder(
  signed: Signed,
  context: OrderContext,
): ({ readonly ok: true } & KnownOrder) | { readonly ok: false; readonly reason: OrderRefusal } {
  let order: Order
  try {
    order = context.decodeOrder(signed.bytes)
  } catch {
    return { ok: false, reason: 'malformed' }
  }
  if (order.jobId !== context.jobId) return { ok: false, reason: 'otherJob' }
  const { body } = order
  let signer = context.spec.submitter
  if (body.type === 'rulings') {
    const wrong = wrongInRulings(body, signed.bytes.length, context.spec)
    if (wrong) return { ok: false, reason: wrong }
    signer = body.judge
  }
  if (!context.verifier.verify('order', signer, signed)) return { ok: false, reason: 'badSignature' }
  return { ok: true, id: context.sha256(signed.bytes), order }
}

/**
 * The job as the set of its orders leaves it; neither their order of arrival nor repetitions matter. Cancel beats all.
 * Expiry, instances and radius only ever widen, so the widest value holds whatever its seq; of priorities the one with the
 * highest seq holds, of equal seqs the one with the smallest order id. An order extends a job to 90 days after itself at
 * most. Releases add up. Rulings: {@link applyRulings}.
 */
export function applyOrders(spec: JobSpec, orders: readonly KnownOrder[]): OrdersView {
  let cancelled = false
  let removed = false
  let sealed = false
  let { expiresAtMs, priority, maxInstances, ownerRadius } = spec
  const releases: Release[] = []
  let prioritySeq = -1
  for (const { order } of inSequence(orders)) {
    const { body, seq } = order
    switch (body.type) {
      case 'cancel':
        cancelled = true
        break
      case 'remove':
        cancelled = true
        removed = true
        break
      case 'seal':
        sealed = true
        break
      case 'release':
        releases.push({ seq, units: body.units })
        break
      case 'amend':
        expiresAtMs = Math.max(expiresAtMs, Math.min(body.expiresAtMs ?? 0, order.createdAtMs + EXTENDED_LIFE_MS_MAX))
        maxInstances = Math.max(maxInstances, body.maxInstances ?? 0)
        if (body.ownerRadius !== undefined && body.ownerRadius > ownerRadius) ownerRadius = body.ownerRadius
        if (body.priority !== undefined && seq > prioritySeq) {
          priority = body.priority
          prioritySeq = seq
        }
        break
      case 'rulings':
        break
      default:
        body satisfies never
    }
  }
  const rulings = applyRulings(spec, orders)
  const view = { cancelled, removed, sealed, expiresAtMs, priority, maxInstances, ownerRadius, releases }
  return rulings === undefined ? view : { ...view, rulings }
}

/**
 * Different hosts that may fail `unit` before its owners hold it: `maxErrors` of the spec, once more for every release
 * that names the unit. So a hold ends by the order, and the next one needs as many new hosts again.
 */
export function errorsAllowed(spec: JobSpec, orders: OrdersView, unit: number): number {
  let rounds = 1
  for (const { units } of orders.releases) {
    if (units.some(({ first, count }) => unit >= first && unit < first + count)) rounds++
  }
  return spec.maxErrors * rounds
}

function inSequence(orders: readonly KnownOrder[]): readonly KnownOrder[] {
  if (orders.length < 2) return orders
  const byId = new Map(orders.map((known) => [known.id, known]))
  return [...byId.values()].sort((a, b) => a.order.seq - b.order.seq || (a.id < b.id ? -1 : 1))
}
