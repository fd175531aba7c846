import type { NodeId, Point } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { compareDistance } from './node-id.js'
import type { Located, Shortlist } from './table.js'

/** Strength and bounds of one lookup. */
export interface LookupLimits {
  /** Contacts the list holds: what survives a mass kill is its width, so it is k, not the number wanted. */
  readonly width: number
  /** Requests open at a time (Kademlia's alpha), slow ones not counted. */
  readonly parallel: number
  /** After this a request no longer counts as open and another starts beside it. */
  readonly softTimeoutMs: Millis
  /** How many of the closest must have answered. 8 is quick; 20 is careful and outvotes colluding liars. */
  readonly need: number
  readonly requestsMax: number
  readonly durationMaxMs: Millis
  /** Contacts taken from one reply; more are ignored. */
  readonly replyMax: number
  /** A peer that named this many contacts which failed is not believed any more. */
  readonly blame: number
}

/** What has happened to a lookup: one `replied` or `failed` for each `ask`. */
export type LookupEvent<T extends Located> =
  /** `contact` is what the peer says of itself now. */
  | { readonly type: 'replied'; readonly contact: T; readonly contacts: readonly T[] }
  | { readonly type: 'failed'; readonly from: NodeId }
  | { readonly type: 'woken' }

/** What a lookup wants done. */
export type LookupEffect<T extends Located> =
  | { readonly type: 'ask'; readonly contact: T }
  /** The end; nothing follows. */
  | { readonly type: 'found'; readonly result: LookupResult<T> }

/** Whom a lookup found. */
export interface LookupResult<T extends Located> {
  /** Who answered, closest to the target first; at most `width`. */
  readonly contacts: readonly T[]
  readonly requests: number
  /** False when a bound ended it before the closest `need` had answered. */
  readonly complete: boolean
}

/**
 * One iterative lookup (Kademlia paper, section 2.3). Running until `found`; then it ignores everything.
 * Beyond the paper: every contact heard of is remembered, so that invented near ones cannot push honest ones out for
 * good (refill), and a peer that named several dead ones takes its other suggestions with it (blame).
 */
export class Lookup<T extends Located> {
  readonly #target: Point
  readonly #limits: LookupLimits
  readonly #list: Shortlist<T>
  /** Contacts heard of and not known to be bad. Bounded by requestsMax x replyMax + seeds. */
  readonly #heard = new Map<NodeId, T>()
  /** Who named each of them and is believed, the first one first, as long as it did not answer. Seeds need nobody. */
  readonly #vouchers = new Map<NodeId, Set<NodeId>>()
  readonly #blame = new Map<NodeId, number>()
  readonly #bad = new Set<NodeId>()
  readonly #answered = new Set<NodeId>()
  /** Requests without an answer so far. */
  readonly #pending = new Set<NodeId>()
  /** Those of them that are not slow yet, by when they began. */
  readonly #fast = new Map<NodeId, Millis>()
  readonly #asked = new Set<NodeId>()
  #startedAt: Millis | undefined
  #finished = false

  /** `self` is never asked and never in the result. */
  constructor(target: Point, self: NodeId, list: Shortlist<T>, limits: LookupLimits) {
    this.#target = target
    this.#limits = limits
    this.#list = list
    this.#bad.add(self)
  }

  /** Begins with the contacts known closest to the target. Call once. */
  start(seeds: readonly T[], now: Millis): LookupEffect<T>[] {
    this.#startedAt = now
    for (const seed of seeds) this.#hear(seed)
    return this.#proceed(now)
  }

  handle(event: LookupEvent<T>, now: Millis): LookupEffect<T>[] {
    if (this.#finished) return []
    if (event.type === 'replied') this.#onReplied(event.contact, event.contacts)
    else if (event.type === 'failed') this.#onFailed(event.from)
    return this.#proceed(now)
  }

  /** When to send `woken`; undefined after the end. */
  nextWakeup(): Millis | undefined {
    if (this.#finished || this.#startedAt === undefined) return undefined
    let at = this.#startedAt + this.#limits.durationMaxMs
    for (const since of this.#fast.values()) at = Math.min(at, since + this.#limits.softTimeoutMs)
    return at
  }

  checkInvariants(): void {
    const wrong = (what: string) => {
      throw new Error(`bug: lookup ${what}`)
    }
    if (this.#fast.size > this.#limits.parallel) wrong('has more requests open than allowed')
    if (this.#asked.size > this.#limits.requestsMax) wrong('asked more peers than allowed')
    if (this.#list.entries().some((entry) => this.#bad.has(entry.nodeId))) wrong('lists a contact that failed')
  }

  #hear(contact: T, voucher?: NodeId): void {
    const { nodeId } = contact
    if (this.#bad.has(nodeId)) return
    const known = this.#heard.has(nodeId)
    if (voucher !== undefined && !known) this.#vouchers.set(nodeId, new Set([voucher]))
    else if (voucher !== undefined) this.#vouchers.get(nodeId)?.add(voucher)
    if (known) return
    this.#heard.set(nodeId, contact)
    this.#list.insert(contact)
  }

  #onReplied(contact: T, contacts: readonly T[]): void {
    const from = contact.nodeId
    if (!this.#settle(from) || this.#bad.has(from)) return
    this.#answered.add(from)
    this.#vouchers.delete(from)
    // Forgotten while its answer was under way, it is back.
    if (!this.#heard.has(from)) this.#list.insert(contact)
    this.#heard.set(from, contact)
    for (const named of contacts.slice(0, this.#limits.replyMax)) this.#hear(named, from)
  }

  #onFailed(from: NodeId): void {
    if (!this.#settle(from)) return
    const [voucher] = this.#vouchers.get(from) ?? []
    this.#bad.add(from)
    this.#forget(from)
    if (voucher !== undefined) this.#blameFor(voucher)
    for (const contact of this.#heard.values()) this.#list.insert(contact)
  }

  /** Ends one request; false when it was not open, so that a double answer counts once. */
  #settle(from: NodeId): boolean {
    if (!this.#pending.delete(from)) return false
    this.#fast.delete(from)
    return true
  }

  /**
   * Takes back what only `voucher` named, once too much of it was dead. After many peers died at once honest peers name
   * dead ones, too, so what another names as well stays, and what another names later comes back.
   */
  #blameFor(voucher: NodeId): void {
    const count = (this.#blame.get(voucher) ?? 0) + 1
    this.#blame.set(voucher, count)
    if (count !== this.#limits.blame) return
    for (const [nodeId, by] of this.#vouchers) {
      if (by.delete(voucher) && by.size === 0) this.#forget(nodeId)
    }
  }

  #forget(nodeId: NodeId): void {
    const contact = this.#heard.get(nodeId)
    this.#vouchers.delete(nodeId)
    if (contact === undefined) return
    this.#heard.delete(nodeId)
    this.#list.remove(contact)
  }

  #proceed(now: Millis): LookupEffect<T>[] {
    const { parallel, softTimeoutMs, requestsMax, durationMaxMs, need } = this.#limits
    for (const [nodeId, since] of this.#fast) if (now >= since + softTimeoutMs) this.#fast.delete(nodeId)
    const nearest = this.#list.entries().slice(0, need)
    const complete = nearest.every((entry) => this.#answered.has(entry.nodeId))
    const late = now >= this.#startedAt! + durationMaxMs
    const effects: LookupEffect<T>[] = []
    while (!complete && !late && this.#fast.size < parallel && this.#asked.size < requestsMax) {
      const contact = this.#list.next()
      if (contact === undefined) break
      if (this.#asked.has(contact.nodeId)) continue
      this.#asked.add(contact.nodeId)
      this.#pending.add(contact.nodeId)
      this.#fast.set(contact.nodeId, now)
      effects.push({ type: 'ask', contact })
    }
    if (!complete && !late && this.#pending.size > 0) return effects
    this.#finished = true
    return [{ type: 'found', result: { contacts: this.#result(), requests: this.#asked.size, complete } }]
  }

  #result(): T[] {
    const answered = [...this.#answered].map((nodeId) => this.#heard.get(nodeId)!)
    answered.sort((a, b) => compareDistance(this.#target, a.nodeId, b.nodeId))
    return answered.slice(0, this.#limits.width)
  }
}
