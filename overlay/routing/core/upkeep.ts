import type { NodeId, Point } from '../../../proto/model.js'
import type { Contact } from '../../../proto/overlay-messages.js'
import type { Millis } from '../../../runtime/clock.js'
import { jitter } from '../../../runtime/jitter.js'
import type { Random } from '../../../runtime/random.js'
import { newerContact } from './contact.js'
import { Graveyard, type GraveyardLimits } from './graveyard.js'
import type { UpkeepEffect, UpkeepEvent } from './messages.js'
import { randomInBucket, sharedBits } from './node-id.js'
import { hostOf, subnetOf } from './subnet.js'
import type { Located, Table } from './table.js'

/** How the table is kept; values and ranges: `OverlayOptions`. */
interface UpkeepLimits extends GraveyardLimits {
  readonly k: number
  /** One round of probes, jittered by ± 20 %. */
  readonly tickMs: Millis
  /** The nearest contacts, probed every tick: they are the co-owners. */
  readonly nearest: number
  /** Of the others, so many of the stalest a tick, if they were not heard for `staleMs`. */
  readonly sweep: number
  readonly staleMs: Millis
  readonly selfLookupMs: Millis
  /** A range of ids in which nothing was looked up for so long is refreshed. */
  readonly bucketIdleMs: Millis
  /** Unanswered requests in a row that evict a contact; the first one already hides it from others. */
  readonly missesMax: number
  /** Pause before a contact that missed is asked again; misses closer together count once. */
  readonly reprobeMs: Millis
  readonly graveProbes: number
  /** Contacts named to others were heard within this time. */
  readonly verifiedMs: Millis
  readonly subnetBucketMax: number
  readonly subnetTableMax: number
  /** Newcomers being checked at a time; more are ignored until they call again. */
  readonly checksMax: number
}

/** A contact in the table and what we know of its health. */
interface Peer extends Located {
  contact: Contact
  /** What it was counted under when it entered; a later record may name other addresses. */
  readonly subnet: string | undefined
  heardAt: Millis
  misses: number
  missedAt: Millis
}

/**
 * Keeps the routing table true. A contact is: unknown -> checked (it called us and is pinged) -> live (it answered a
 * request of ours) -> doubtful (missed once, not named to others, asked again soon) -> buried (missed twice) -> live
 * again, or forgotten. A full bucket keeps its old contacts; newcomers wait as spares.
 */
export class Upkeep {
  readonly #self: NodeId
  readonly #table: Table<Peer>
  readonly #limits: UpkeepLimits
  readonly #random: Random
  readonly #graveyard: Graveyard
  readonly #checking = new Set<NodeId>()
  /** Pings of ours without an outcome so far, so that none is sent twice at a time. */
  readonly #pinging = new Set<NodeId>()
  readonly #reprobeAt = new Map<NodeId, Millis>()
  /** At most `subnetTableMax` each, mostly one: lists take a fifth of the memory of sets. */
  readonly #bySubnet = new Map<string, readonly NodeId[]>()
  readonly #touchedAt = new Map<number, Millis>()
  #tickAt: Millis
  #selfLookupAt: Millis
  #selfLookedUpAt: Millis = Number.NEGATIVE_INFINITY

  constructor(
    self: NodeId,
    createTable: <T extends Located>(self: NodeId, k: number) => Table<T>,
    limits: UpkeepLimits,
    random: Random,
    now: Millis,
  ) {
    this.#self = self
    this.#table = createTable<Peer>(self, limits.k)
    this.#limits = limits
    this.#random = random
    this.#graveyard = new Graveyard(limits)
    this.#tickAt = now + random.next() * limits.tickMs
    this.#selfLookupAt = now + jitter(random, limits.selfLookupMs, 0.2)
  }

  get size(): number {
    return this.#table.size
  }

  /** All contacts in the table. */
  contacts(): Contact[] {
    return [...this.#table.all()].map((peer) => peer.contact)
  }

  /** When a contact of the table last answered. */
  heardAt(nodeId: NodeId): Millis | undefined {
    return this.#table.get(nodeId)?.heardAt
  }

  contact(nodeId: NodeId): Contact | undefined {
    return this.#table.get(nodeId)?.contact
  }

  /** The contacts closest to `target`: where a lookup starts. Doubtful ones only when there are no others. */
  closest(target: Point, count: number): Contact[] {
    const peers = this.#table.closest(target, count)
    const sound = peers.filter((peer) => peer.misses === 0)
    return (sound.length > 0 ? sound : peers).map((peer) => peer.contact)
  }

  /** The contacts closest to `target`, doubtful ones included: whose place they hold until they are evicted. */
  nearest(target: Point, count: number): Contact[] {
    return this.#table.closest(target, count).map((peer) => peer.contact)
  }

  /** What others may be told: contacts that answered us lately; never the one who asks. */
  closestVerified(target: Point, count: number, now: Millis, asker?: NodeId): Contact[] {
    const { verifiedMs } = this.#limits
    const sound = this.#table
      .closest(target, count + 8)
      .filter((peer) => peer.misses === 0 && now - peer.heardAt <= verifiedMs && peer.nodeId !== asker)
    return sound.slice(0, count).map((peer) => peer.contact)
  }

  handle(event: UpkeepEvent, now: Millis): UpkeepEffect[] {
    switch (event.type) {
      case 'called':
        return this.#onCalled(event.contact, now)
      case 'answered':
        return this.#onAnswered(event.contact, now)
      case 'missed':
        return this.#onMissed(event.nodeId, now)
      case 'lookedUp':
        this.#touchedAt.set(sharedBits(event.target, this.#self), now)
        return []
      case 'woken':
        return this.#onWoken(now)
    }
  }

  nextWakeup(): Millis {
    return Math.min(this.#tickAt, this.#selfLookupAt, ...this.#reprobeAt.values())
  }

  checkInvariants(): void {
    const wrong = (what: string) => {
      throw new Error(`bug: upkeep ${what}`)
    }
    const bySubnet = new Map<string, number>()
    for (const peer of this.#table.all()) {
      if (peer.nodeId === this.#self) wrong('holds itself')
      if (peer.nodeId !== peer.contact.nodeId) wrong('confused two contacts')
      if (peer.misses >= this.#limits.missesMax) wrong('keeps an evicted contact')
      if (this.#graveyard.has(peer.nodeId)) wrong('buried a contact that is in the table')
      if (peer.subnet !== undefined) bySubnet.set(peer.subnet, (bySubnet.get(peer.subnet) ?? 0) + 1)
    }
    for (const count of bySubnet.values())
      if (count > this.#limits.subnetTableMax) wrong('lets one subnet fill the table')
    if (this.#checking.size > this.#limits.checksMax) wrong('checks too many newcomers at a time')
    if (this.#graveyard.size > this.#limits.graveyardMax) wrong('overfills the graveyard')
  }

  #onCalled(contact: Contact, now: Millis): UpkeepEffect[] {
    const { nodeId } = contact
    if (nodeId === this.#self) return []
    const known = this.#table.get(nodeId)
    if (known !== undefined) {
      known.contact = newerContact(known.contact, contact)
      return []
    }
    if (this.#checking.has(nodeId) || this.#crowded(contact)) return []
    if (!this.#table.hasRoom(nodeId)) {
      this.#table.offer(newPeer(contact, now))
      return []
    }
    return this.#check(contact)
  }

  /** Asks a newcomer to answer before it may enter. */
  #check(contact: Contact): UpkeepEffect[] {
    if (this.#checking.size >= this.#limits.checksMax) return []
    this.#checking.add(contact.nodeId)
    return this.#ping(contact)
  }

  #ping(contact: Contact): UpkeepEffect[] {
    if (this.#pinging.has(contact.nodeId)) return []
    this.#pinging.add(contact.nodeId)
    return [{ type: 'ping', contact }]
  }

  #onAnswered(contact: Contact, now: Millis): UpkeepEffect[] {
    const { nodeId } = contact
    this.#settle(nodeId)
    if (nodeId === this.#self) return []
    const known = this.#table.get(nodeId)
    if (known !== undefined) {
      const eligible = known.contact.eligible
      known.contact = newerContact(known.contact, contact)
      known.heardAt = now
      known.misses = 0
      return eligible !== known.contact.eligible && this.#isNeighbour(nodeId) ? [{ type: 'neighboursChanged' }] : []
    }
    if (this.#crowded(contact)) return []
    const risen = this.#graveyard.rise(nodeId)
    const peer = newPeer(contact, now)
    if (this.#table.offer(peer) !== 'stored') return []
    this.#countSubnet(peer, true)
    const effects: UpkeepEffect[] = []
    if (this.#isNeighbour(nodeId)) effects.push({ type: 'neighboursChanged' })
    if (risen) effects.push(...this.#lookUpSelf(now))
    return effects
  }

  #onMissed(nodeId: NodeId, now: Millis): UpkeepEffect[] {
    const { reprobeMs, missesMax } = this.#limits
    this.#settle(nodeId)
    const peer = this.#table.get(nodeId)
    if (peer === undefined) return []
    if (peer.misses === 0 || now - peer.missedAt >= reprobeMs / 2) {
      peer.misses++
      peer.missedAt = now
    }
    if (peer.misses < missesMax) {
      this.#reprobeAt.set(nodeId, now + reprobeMs)
      return []
    }
    return this.#evict(peer, now)
  }

  #evict(peer: Peer, now: Millis): UpkeepEffect[] {
    const near = this.#table.closest(this.#self, this.#limits.nearest).includes(peer)
    const neighbour = this.#isNeighbour(peer.nodeId)
    const spare = this.#table.drop(peer.nodeId)
    this.#countSubnet(peer, false)
    this.#graveyard.bury(peer.contact, now)
    const effects: UpkeepEffect[] = []
    if (neighbour) effects.push({ type: 'neighboursChanged' })
    if (near) effects.push(...this.#lookUpSelf(now))
    if (spare !== undefined) effects.push(...this.#check(spare.contact))
    if (this.#table.size === 0) effects.push({ type: 'isolated' })
    return effects
  }

  #onWoken(now: Millis): UpkeepEffect[] {
    const effects: UpkeepEffect[] = []
    for (const [nodeId, at] of this.#reprobeAt) {
      if (at > now) continue
      this.#reprobeAt.delete(nodeId)
      const peer = this.#table.get(nodeId)
      if (peer !== undefined && peer.misses > 0) effects.push(...this.#ping(peer.contact))
    }
    if (now >= this.#tickAt) effects.push(...this.#tick(now))
    if (now >= this.#selfLookupAt) effects.push(...this.#lookUpSelf(now))
    return effects
  }

  #tick(now: Millis): UpkeepEffect[] {
    const { tickMs, nearest, sweep, staleMs, graveProbes } = this.#limits
    this.#tickAt = now + jitter(this.#random, tickMs, 0.2)
    // Well below the shortest round: who was probed in the last one must not be skipped in this one, or its death goes
    // unnoticed for two.
    const near = this.#table.closest(this.#self, nearest).filter((peer) => now - peer.heardAt >= tickMs / 4)
    const stale = [...this.#table.all()].filter((peer) => now - peer.heardAt > staleMs)
    stale.sort((a, b) => a.heardAt - b.heardAt)
    const probed = [...near, ...stale.slice(0, sweep)].map((peer) => peer.contact)
    const effects = [...probed, ...this.#graveyard.due(graveProbes, now)].flatMap((contact) => this.#ping(contact))
    if (this.#table.size === 0) return [...effects, { type: 'isolated' }]
    if (now >= this.#selfLookupAt) return effects
    return [...effects, ...this.#refreshIdleBucket(now)]
  }

  /** At most once in `reprobeMs`: neighbours that die together are one reason, not eight. */
  #lookUpSelf(now: Millis): UpkeepEffect[] {
    const { reprobeMs, selfLookupMs } = this.#limits
    // The very sum that is waited for: with the difference, rounding could find the time not come for ever.
    const soonestAt = this.#selfLookedUpAt + reprobeMs
    if (now < soonestAt) {
      this.#selfLookupAt = Math.min(this.#selfLookupAt, soonestAt)
      return []
    }
    this.#selfLookedUpAt = now
    this.#selfLookupAt = now + jitter(this.#random, selfLookupMs, 0.2)
    return this.#table.size === 0 ? [] : [{ type: 'lookUp', target: this.#self }]
  }

  /** At most one range a tick, the longest untouched first, so that refreshes do not come in bursts. */
  #refreshIdleBucket(now: Millis): UpkeepEffect[] {
    const [shared, at] = this.ranges()
      .map((range): [number, Millis] => [range, this.#touchedAt.get(range) ?? Number.NEGATIVE_INFINITY])
      .reduce((a, b) => (b[1] < a[1] ? b : a), [0, Number.POSITIVE_INFINITY])
    if (now - at < this.#limits.bucketIdleMs) return []
    this.#touchedAt.set(shared, now)
    return [{ type: 'lookUp', target: randomInBucket(this.#self, shared, this.#random) }]
  }

  /** Ranges of ids worth refreshing, by bits shared with our own: from the far half to where our nearest k lie. */
  ranges(): number[] {
    const near = this.#table.closest(this.#self, this.#limits.k)
    const last = near.at(-1)
    const deepest = last === undefined ? 0 : sharedBits(last.nodeId, this.#self)
    return Array.from({ length: deepest + 1 }, (_, shared) => shared)
  }

  /** Whether too many contacts of its subnet are here already: one address block must not own a bucket. */
  #crowded(contact: Contact): boolean {
    const subnet = subnetOfContact(contact)
    const there = subnet === undefined ? undefined : this.#bySubnet.get(subnet)
    if (there === undefined) return false
    if (there.length >= this.#limits.subnetTableMax) return true
    const shared = sharedBits(contact.nodeId, this.#self)
    let inBucket = 0
    for (const nodeId of there) if (sharedBits(nodeId, this.#self) === shared) inBucket++
    return inBucket >= this.#limits.subnetBucketMax
  }

  /** Counts a contact that entered the table for its subnet, or no longer. */
  #countSubnet(peer: Peer, entered: boolean): void {
    const { subnet, nodeId } = peer
    if (subnet === undefined) return
    const others = this.#bySubnet.get(subnet)?.filter((other) => other !== nodeId) ?? []
    const there = entered ? others.concat(nodeId) : others
    if (there.length > 0) this.#bySubnet.set(subnet, there)
    else this.#bySubnet.delete(subnet)
  }

  #isNeighbour(nodeId: NodeId): boolean {
    return this.#table.closest(this.#self, this.#limits.k).some((peer) => peer.nodeId === nodeId)
  }

  #settle(nodeId: NodeId): void {
    this.#checking.delete(nodeId)
    this.#pinging.delete(nodeId)
    this.#reprobeAt.delete(nodeId)
  }
}

function newPeer(contact: Contact, now: Millis): Peer {
  return { nodeId: contact.nodeId, contact, subnet: subnetOfContact(contact), heardAt: now, misses: 0, missedAt: 0 }
}

function subnetOfContact(contact: Contact): string | undefined {
  return subnetOf(hostOf(contact.addresses[0] ?? ''))
}
