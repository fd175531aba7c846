import { CheckedFacts, type FactContext, factContext, RecentGrants } from '../../job/facts/facts.js'
import { applyOrders, checkOrder, type KnownOrder, type OrdersView } from '../../job/facts/orders.js'
import type { SignatureVerifier } from '../../job/facts/signature.js'
import { type ShardList, shardKey, shardList, shardUnits } from '../../job/units/shard.js'
import { grantCodec, orderCodec, reportCodec } from '../../proto/codec/facts.js'
import type { Digest, Grant, JobId, JobSpec, Key, Signed, UnitRange } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import { utf8 } from '../../runtime/hex.js'
import type { Write } from '../store/store.js'
import { type HeldOrder, keptOrders, lackOfRoom, orderWrites } from './kept-orders.js'

/** Grants remembered of all jobs together: those that were checked, and own ones. Each takes about 1 KiB. */
export const GRANTS_REMEMBERED_MAX = 32_768

/** How far the clock of whoever gave an order may be ahead of ours. Unit: ms. */
const ORDER_AHEAD_MS_MAX = 3_600_000

/** What an entry of a list takes in memory, and how many bytes of memory count for one of a spec's bytes. */
const ENTRY_BYTES = 128
const MEMORY_A_BYTE = 4

/**
 * Bytes of a spec as limits count them: its own, or a quarter of what it takes in memory where that is more. Lists of small
 * entries, two bytes each on the wire, would take fifty times their bytes otherwise.
 */
function countedBytes(bytes: Uint8Array, spec: JobSpec): number {
  const { labels, args, environment, inputs, readers, owners, workers, judges, selection, source, okExit } = spec
  const lists = [labels, args, environment, inputs, readers, owners, workers, judges, selection, okExit]
  if (source.type === 'list') lists.push(source.columns)
  const entries = lists.reduce((sum, list) => sum + list.length, 0)
  return Math.max(bytes.length, Math.ceil((bytes.length + ENTRY_BYTES * entries) / MEMORY_A_BYTE))
}

/** What a peer remembers of the facts of all its jobs, to be quicker: anybody may send it facts of any number of them. */
export class RememberedGrants {
  readonly checked = new CheckedFacts(GRANTS_REMEMBERED_MAX)
  /** Their signature is not checked when they come back with a report. */
  readonly own = new RecentGrants<{ readonly grant: Grant }>(GRANTS_REMEMBERED_MAX)
}

/** A job as this peer holds it: the signed bytes, what they say, and what facts about it are checked against. */
export class BookedJob {
  readonly jobId: JobId
  readonly signed: Signed
  readonly spec: JobSpec
  /** Shards with at least one selected unit, ascending. */
  readonly shards: ShardList
  /** What its spec counts for against the room of a book. */
  readonly countedBytes: number
  /** The address that brought it, as limits count addresses; empty: this machine, or not known since a restart. */
  broughtFrom = ''
  readonly #sha256: Sha256
  readonly #verifier: SignatureVerifier
  #orders: ReadonlyMap<Digest, HeldOrder> = new Map()
  /** What follows from the orders, asked for with every fact. */
  #view: OrdersView | undefined
  readonly #remembered: RememberedGrants
  readonly #ranges = new Map<number, readonly UnitRange[]>()
  #context: FactContext | undefined

  constructor(
    jobId: JobId,
    signed: Signed,
    spec: JobSpec,
    sha256: Sha256,
    verifier: SignatureVerifier,
    remembered: RememberedGrants,
  ) {
    this.jobId = jobId
    this.signed = signed
    this.spec = spec
    this.#sha256 = sha256
    this.#verifier = verifier
    this.#remembered = remembered
    this.shards = shardList(spec)
    this.countedBytes = countedBytes(signed.bytes, spec)
  }

  get orders(): readonly KnownOrder[] {
    return [...this.#orders.values()].map(({ known }) => known)
  }

  get signedOrders(): readonly Signed[] {
    return [...this.#orders.values()].map(({ signed }) => signed)
  }

  /** Names the set of orders; undefined when there are none. */
  get ordersDigest(): Digest | undefined {
    const ids = [...this.#orders.keys()]
    return ids.length === 0 ? undefined : this.#sha256(utf8(ids.sort().join(' ')))
  }

  /** Until when units are granted, orders included. Wall clock, ms. */
  get expiresAtMs(): number {
    return this.#ordered.expiresAtMs
  }

  /** Its submitter wants nothing of it any more: facts are neither taken nor passed on, shards not opened. */
  get removed(): boolean {
    return this.#ordered.removed
  }

  /** Something was ruled on its units. */
  get isRuled(): boolean {
    return this.#ordered.rulings !== undefined
  }

  get #ordered(): OrdersView {
    this.#view ??= applyOrders(this.spec, this.orders)
    return this.#view
  }

  /**
   * Takes an order in after checking it; one that it leaves no room may go (`kept-orders.ts`). False: it was known, or there is
   * no room for it.
   * @throws GridError `invalid` or `forbidden`
   */
  addOrder(signed: Signed): boolean {
    const order = { signed, known: this.#check(signed) }
    const { id } = order.known
    if (this.#orders.has(id)) return false
    const kept = this.#with([order])
    if (!kept.has(id)) return false
    this.#orders = kept
    this.#context = undefined
    this.#view = undefined
    return true
  }

  hasOrder(signed: Signed): boolean {
    return this.#orders.has(this.#sha256(signed.bytes))
  }

  /**
   * Checks an order that somebody gives at `nowMs` of the wall clock, without taking it in.
   * @throws GridError `invalid`, `forbidden` or `quota`
   */
  checkOrder(signed: Signed, nowMs: number): HeldOrder {
    const order = { signed, known: this.#check(signed) }
    if (isAhead(order.known, nowMs))
      throw new GridError('invalid', 'the order is from the future: a clock is wrong, yours or that of this peer')
    if (!this.#with([order]).has(order.known.id)) throw new GridError('quota', lackOfRoom(this.spec.submitter, order))
    return order
  }

  /**
   * Those of a peer's orders that are to be put on disk and then taken in: what is new and has room, one beside the other.
   * What has none, or is from the future, is left out, so that it does not keep the others from being taken.
   * @throws GridError `invalid` or `forbidden` for one that can never count
   */
  newOrders(orders: readonly Signed[], nowMs: number): readonly HeldOrder[] {
    const fresh = new Map<Digest, HeldOrder>()
    for (const signed of orders) {
      if (this.hasOrder(signed)) continue
      const known = this.#check(signed)
      if (!isAhead(known, nowMs)) fresh.set(known.id, { signed, known })
    }
    if (fresh.size === 0) return []
    const kept = this.#with([...fresh.values()])
    return [...fresh.values()].filter(({ known }) => kept.has(known.id))
  }

  /** What to put on disk for orders that {@link newOrders} or {@link checkOrder} gave. */
  orderWrites(fresh: readonly HeldOrder[]): readonly Write[] {
    return orderWrites(this.jobId, this.spec.submitter, this.#orders.values(), fresh)
  }

  #with(fresh: readonly HeldOrder[]): ReadonlyMap<Digest, HeldOrder> {
    return keptOrders(this.spec.submitter, [...this.#orders.values(), ...fresh])
  }

  #check(signed: Signed): KnownOrder {
    const checked = checkOrder(signed, {
      spec: this.spec,
      jobId: this.jobId,
      sha256: this.#sha256,
      verifier: this.#verifier,
      decodeOrder: (bytes) => orderCodec.decode(bytes),
    })
    if (!checked.ok)
      throw new GridError(
        checked.reason === 'badSignature' || checked.reason === 'notAJudge' ? 'forbidden' : 'invalid',
        `order refused: ${checked.reason}`,
      )
    return { id: checked.id, order: checked.order }
  }

  /** Selected units of a shard. Computed once, since facts ask for it with every unit. */
  units(shard: number): readonly UnitRange[] {
    let ranges = this.#ranges.get(shard)
    if (ranges === undefined) {
      ranges = shardUnits(this.spec, shard)
      if (this.#ranges.size > 64) this.#ranges.clear()
      this.#ranges.set(shard, ranges)
    }
    return ranges
  }

  shardKey(shard: number): Key {
    return shardKey(this.#sha256, this.jobId, shard)
  }

  /** What reports are checked against, orders included. */
  get factContext(): FactContext {
    this.#context ??= this.#makeContext(this.#verifier)
    return this.#context
  }

  /** The same for facts read back from our own disk: checked once, before they were written. */
  trustingContext(): FactContext {
    return this.#makeContext({ verify: () => true, nodeIdOf: (key, nonce) => this.#verifier.nodeIdOf(key, nonce) })
  }

  rememberGrant(id: Digest, grant: Grant): void {
    this.#remembered.own.keep(id, { grant })
  }

  /** No shard of it is in memory: what is remembered to be quicker goes, as jobs are kept for a month. */
  rest(): void {
    this.#ranges.clear()
    this.#context = undefined
  }

  #makeContext(verifier: SignatureVerifier): FactContext {
    return factContext({
      spec: this.spec,
      jobId: this.jobId,
      orders: this.#ordered,
      sha256: this.#sha256,
      verifier,
      decoders: {
        decodeGrant: (bytes) => grantCodec.decode(bytes),
        decodeReport: (bytes) => reportCodec.decode(bytes),
      },
      knownGrants: (id) => this.#remembered.own.get(id)?.grant,
      checked: this.#remembered.checked,
    })
  }
}

/** How far an order may extend a job counts from when it says it was given. */
function isAhead({ order }: KnownOrder, nowMs: number): boolean {
  return order.createdAtMs > nowMs + ORDER_AHEAD_MS_MAX
}
