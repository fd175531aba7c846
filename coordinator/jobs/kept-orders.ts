import type { KnownOrder } from '../../job/facts/orders.js'
import { ORDERS_MAX, RULING_ORDERS_MAX } from '../../proto/limits.js'
import type { Digest, JobId, PublicKey, Signed } from '../../proto/model.js'
import type { Write } from '../store/store.js'

/** An order that was checked, with the bytes it came in. */
export interface HeldOrder {
  readonly signed: Signed
  readonly known: KnownOrder
}

/** Orders with rulings kept of the submitter, and of all judges: some more than count, for those under way meanwhile. */
const RULING_ORDERS_KEPT_MAX = RULING_ORDERS_MAX + 4
const OTHER_ORDERS_MAX = ORDERS_MAX - 2 * RULING_ORDERS_KEPT_MAX

/** Orders for which room is counted together. */
type Kind = 'rulings' | 'judges' | 'others'

const ROOM: Readonly<Record<Kind, number>> = {
  rulings: RULING_ORDERS_KEPT_MAX,
  judges: RULING_ORDERS_KEPT_MAX,
  others: OTHER_ORDERS_MAX,
}

/**
 * Which of all orders known of a job are kept: of each kind as many as there is room for, those that end the job first, then
 * those with the lowest seq, then the smallest id. So peers that heard of the same orders, in whatever order and however often,
 * keep the same ones: `kept(kept(A) + B)` is `kept(A + B)`.
 */
export function keptOrders(submitter: PublicKey, orders: Iterable<HeldOrder>): ReadonlyMap<Digest, HeldOrder> {
  const byKind = new Map<Kind, Map<Digest, HeldOrder>>()
  for (const order of orders) {
    const kind = kindOf(submitter, order)
    const same = byKind.get(kind) ?? new Map<Digest, HeldOrder>()
    byKind.set(kind, same)
    same.set(order.known.id, order)
  }
  const kept = new Map<Digest, HeldOrder>()
  for (const [kind, same] of byKind) {
    const most = ROOM[kind]
    const chosen = same.size <= most ? same.values() : [...same.values()].sort(compare).slice(0, most)
    for (const order of chosen) kept.set(order.known.id, order)
  }
  return kept
}

/** Why an order is not kept beside others, as a sentence. */
export function lackOfRoom(submitter: PublicKey, order: HeldOrder): string {
  return kindOf(submitter, order) === 'others'
    ? `a job takes at most ${OTHER_ORDERS_MAX} orders beside those with rulings`
    : `a job takes at most ${RULING_ORDERS_KEPT_MAX} orders with rulings of its submitter, and of its judges`
}

/** What to write when `fresh` is taken in beside `held`: the new ones, and that those are forgotten which they leave no room. */
export function orderWrites(
  jobId: JobId,
  submitter: PublicKey,
  held: Iterable<HeldOrder>,
  fresh: readonly HeldOrder[],
): readonly Write[] {
  const before = [...held]
  const kept = keptOrders(submitter, [...before, ...fresh])
  const write = (type: 'order' | 'dropOrder', { signed, known }: HeldOrder) =>
    ({ type, jobId, order: signed, seq: known.order.seq }) as const
  return [
    ...fresh.map((order) => write('order', order)),
    ...before.filter(({ known }) => !kept.has(known.id)).map((order) => write('dropOrder', order)),
  ]
}

function kindOf(submitter: PublicKey, { known }: HeldOrder): Kind {
  const { body } = known.order
  if (body.type !== 'rulings') return 'others'
  return body.judge === submitter ? 'rulings' : 'judges'
}

function compare(a: HeldOrder, b: HeldOrder): number {
  return rank(a) - rank(b) || a.known.order.seq - b.known.order.seq || (a.known.id < b.known.id ? -1 : 1)
}

function rank({ known }: HeldOrder): number {
  const { type } = known.order.body
  return type === 'cancel' || type === 'remove' ? 0 : 1
}
