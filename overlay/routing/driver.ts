import type { NodeId, Point } from '../../proto/model.js'
import type { Contact } from '../../proto/overlay-messages.js'
import { Alarm } from '../../runtime/alarm.js'
import type { Clock } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { jitter } from '../../runtime/jitter.js'
import type { Logger } from '../../runtime/logger.js'
import type { Random } from '../../runtime/random.js'
import type { Address, Transport } from '../../runtime/transport.js'
import { idWorkOf, type Verifier } from '../identity/identity.js'
import type { OverlayOptions } from '../options.js'
import { CONTACT_RENEWAL_MS, ContactBook } from './core/contact.js'
import { Eligibility } from './core/eligibility.js'
import type { UpkeepEffect, UpkeepEvent } from './core/messages.js'
import { randomInBucket } from './core/node-id.js'
import { OtherSelf } from './core/other-self.js'
import type { Seed } from './core/seeds.js'
import { PRIVATE_ADDRESS_HINT } from './core/subnet.js'
import { Upkeep } from './core/upkeep.js'
import { createTable } from './kademlia.js'
import { Lookups } from './lookups.js'
import { formatPeers, type PeerMemory, parsePeers, type RememberedPeer } from './remembered-peers.js'
import { OverlayRpc } from './rpc.js'
import { noPeerAnswered, SeedDialler } from './seed-dialler.js'
import { type OverlayIdentity, SelfContact } from './self-contact.js'

/** What a process hands to its overlay. */
export interface OverlayDriverDependencies {
  readonly clock: Clock
  readonly random: Random
  readonly transport: Transport
  readonly identity: OverlayIdentity
  readonly verifier: Verifier
  /** Leading zero bits that the network asks of ids. */
  readonly idWorkBits: number
  readonly logger: Logger
  readonly options: OverlayOptions
  /** Keeps peers between starts; without it every start needs a seed. */
  readonly memory?: PeerMemory
  /** Where others reach this node, the preferred address first. Undefined: a leaf, which looks up and dials, but never stands in a table and never owns. */
  readonly listen?: { readonly addresses: readonly Address[]; readonly features: readonly string[] }
}

/** A leaf keeps a table only to start lookups from: a few probes of the stalest are enough. */
const LEAF_SWEEP = 2
const LEAF_SELF_LOOKUP_MS = 10 * 60_000

/**
 * Membership: joins, keeps the routing table, the own contact record and the remembered peers. Owns every timer of the
 * cores it feeds.
 */
export class OverlayDriver {
  readonly rpc: OverlayRpc
  readonly lookups: Lookups
  readonly upkeep: Upkeep
  readonly #d: OverlayDriverDependencies
  readonly #book: ContactBook
  readonly #eligibility: Eligibility
  readonly #selfContact: SelfContact | undefined
  readonly #logger: Logger
  readonly #neighbourHandlers = new Set<() => void>()
  readonly #joinWaiters = new Set<() => void>()
  readonly #upkeepAlarm: Alarm
  readonly #memoryAlarm: Alarm
  readonly #dialBackAlarm: Alarm
  readonly #notifyAlarm: Alarm
  readonly #seeds: SeedDialler
  readonly #otherSelf: OtherSelf
  #joined = false
  #joining = false
  #askingDialBack = false
  #closed = false

  constructor(dependencies: OverlayDriverDependencies) {
    const { clock, random, identity, verifier, idWorkBits, options, listen, logger, transport } = dependencies
    this.#d = dependencies
    this.#logger = logger.child('overlay')
    this.#book = new ContactBook({
      verify: (publicKey, tag, bytes, signature) => verifier.verify(publicKey, tag, bytes, signature),
      enoughIdWork: (publicKey, idNonce) => idWorkBits === 0 || idWorkOf(publicKey, idNonce) >= idWorkBits,
    })
    this.#eligibility = new Eligibility(options, clock.now())
    this.#otherSelf = new OtherSelf(identity.nodeId, identity.bootId)
    this.#selfContact = listen && new SelfContact(identity, clock, listen.addresses, listen.features)
    const limits = listen ? options : { ...options, nearest: 0, sweep: LEAF_SWEEP, selfLookupMs: LEAF_SELF_LOOKUP_MS }
    this.upkeep = new Upkeep(identity.nodeId, createTable, limits, random, clock.now())
    this.rpc = new OverlayRpc({
      transport,
      clock,
      options,
      self: () => this.self(),
      problem: (contact) => this.problem(contact),
      onAnswered: (contact) => this.feed({ type: 'answered', contact }),
      onMissed: (nodeId) => this.feed({ type: 'missed', nodeId }),
      onOther: (contact) => void this.#look(contact),
    })
    this.lookups = new Lookups({
      clock,
      options,
      rpc: this.rpc,
      self: identity.nodeId,
      seeds: (target) => this.upkeep.closest(target, options.k),
    })
    this.#upkeepAlarm = new Alarm(clock, () => this.feed({ type: 'woken' }))
    this.#seeds = new SeedDialler({
      clock,
      random,
      options,
      logger: this.#logger,
      rpc: this.rpc,
      reached: (contact, address) => this.#seedReached(contact, address),
      hopeless: () => this.#settleJoinWaiters(),
    })
    this.#memoryAlarm = new Alarm(clock, () => void this.#remember())
    this.#dialBackAlarm = new Alarm(clock, () => void this.#askDialBack())
    this.#notifyAlarm = new Alarm(clock, () => {
      for (const handler of [...this.#neighbourHandlers]) handler()
    })
  }

  get nodeId(): NodeId {
    return this.#d.identity.nodeId
  }

  /** The own contact record; undefined for a leaf. */
  self(): Contact | undefined {
    return this.#selfContact?.get(this.eligible)
  }

  get eligible(): boolean {
    return this.#selfContact !== undefined && this.#eligibility.eligible(this.#d.clock.now())
  }

  /** Whether the first lookup of the own id has ended, or there was nobody to join. */
  get joined(): boolean {
    return this.#joined
  }

  /** Why a seed was not taken, where a person can mend that. */
  get joinProblem(): GridError | undefined {
    return this.unreached.find(({ hint }) => hint !== undefined)
  }

  /** Why a contact record is not to be believed now. */
  problem(contact: Contact): string | undefined {
    return this.#book.problem(contact, this.#d.clock.wallMs())
  }

  /** Begins to dial seeds and remembered peers; does not wait for them. */
  async start(seeds: readonly Seed[]): Promise<void> {
    const { memory } = this.#d
    const text = await memory?.load().catch(() => undefined)
    if (this.#closed) return
    const remembered = text === undefined ? [] : parsePeers(text).filter((peer) => peer.nodeId !== this.nodeId)
    this.#upkeepAlarm.set(this.upkeep.nextWakeup())
    const self = this.self()
    if (self !== undefined && !this.rpc.dialable(self))
      this.#logger.warn('privateAddressesOnly', { addresses: self.addresses, hint: PRIVATE_ADDRESS_HINT })
    if (seeds.length + remembered.length === 0 && this.#selfContact !== undefined) {
      this.#eligibility.founded()
      this.#nowJoined()
    }
    this.#seeds.start(seeds, remembered)
  }

  /** Where another process with our key says to be, as long as it was met lately. */
  get otherSelf(): Address | undefined {
    return this.#otherSelf.address(this.#d.clock.now())
  }

  /** Why seeds did not answer the last time, in the order in which they were first dialled. */
  get unreached(): readonly GridError[] {
    return this.#seeds.failures
  }

  /**
   * Resolves once joined; rejects with GridError `unreachable` after `timeoutMs`, sooner when every seed gave an answer that will
   * stay (it is of another network, say), `closed` when closed meanwhile.
   */
  whenJoined(timeoutMs: number): Promise<void> {
    if (this.#joined) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const settle = () => {
        timer.cancel()
        this.#joinWaiters.delete(settle)
        if (this.#joined) resolve()
        else if (this.#closed) reject(new GridError('closed', 'the overlay was closed'))
        else reject(this.joinProblem ?? noPeerAnswered(this.unreached))
      }
      const timer = this.#d.clock.setTimer(timeoutMs, settle)
      this.#joinWaiters.add(settle)
      if (this.#seeds.isHopeless) settle()
    })
  }

  /** Calls `handler` after the nearest contacts changed, once for changes that come together. Returns how to stop. */
  onNeighboursChanged(handler: () => void): () => void {
    this.#neighbourHandlers.add(handler)
    return () => void this.#neighbourHandlers.delete(handler)
  }

  /** Gives an event to upkeep and performs what it asks for. */
  feed(event: UpkeepEvent): void {
    if (this.#closed) return
    const { clock } = this.#d
    const before = this.upkeep.size
    const effects = this.upkeep.handle(event, clock.now())
    if (this.upkeep.size !== before) this.#eligibility.contacts(this.upkeep.size)
    if (before === 0 && this.upkeep.size > 0) void this.#join()
    for (const effect of effects) this.#perform(effect)
    this.#upkeepAlarm.set(this.upkeep.nextWakeup())
  }

  /** Saves the peers and stops. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#closed) return
    await this.#remember()
    this.#closed = true
    const alarms = [this.#upkeepAlarm, this.#memoryAlarm, this.#dialBackAlarm, this.#notifyAlarm]
    for (const alarm of alarms) alarm.close()
    this.#seeds.close()
    this.lookups.close()
    this.rpc.close()
    this.#settleJoinWaiters()
  }

  #perform(effect: UpkeepEffect): void {
    switch (effect.type) {
      case 'ping':
        // The outcome reaches upkeep through `answered` and `missed`.
        void this.rpc.ping(effect.contact).catch(() => {})
        break
      case 'lookUp':
        void this.#refresh(effect.target, 'careful')
        break
      case 'neighboursChanged':
        this.#notifyAlarm.set(this.#d.clock.now())
        break
      case 'isolated':
        this.#seeds.isolated()
        break
    }
  }

  /** @throws GridError `exists` when the seed has the key of this node */
  #seedReached(contact: Contact, address: Address): void {
    if (this.meetOtherSelf(contact))
      throw new GridError('exists', `the peer at ${address} has the key of this one`, { hint: NEW_KEY_HINT })
    if (contact.nodeId === this.nodeId && this.upkeep.size === 0) this.#nowJoined()
  }

  #settleJoinWaiters(): void {
    for (const settle of [...this.#joinWaiters]) settle()
  }

  /** Takes note of whoever called or answered, if it is another process with our key. @returns whether it is */
  meetOtherSelf(contact: Contact): boolean {
    if (!this.#otherSelf.signed(contact)) return false
    if (this.#otherSelf.met(contact, this.#d.clock.now()))
      this.#logger.warn('keyInTwoPlaces', { address: contact.addresses[0], hint: NEW_KEY_HINT })
    return true
  }

  /** Somebody holds a record of ours that we did not sign: a former process of this data directory, or one that runs. */
  async #look(contact: Contact): Promise<void> {
    const now = this.#d.clock.now()
    if (this.#closed || !this.#otherSelf.signed(contact) || !this.#otherSelf.mayAsk(now)) return
    if (this.problem(contact) !== undefined || !this.rpc.dialable(contact)) return
    this.#otherSelf.asked(now)
    const found = await this.rpc.askOtherSelf(contact)
    if (found !== undefined) this.meetOtherSelf(found)
  }

  /** The first contact is in the table: get dialled back, find the own neighbourhood, refresh outward. */
  async #join(): Promise<void> {
    if (this.#joining) return
    this.#joining = true
    try {
      await this.#askDialBack()
      const leaf = this.#selfContact === undefined
      await this.#refresh(this.nodeId, leaf ? 'quick' : 'join')
      if (this.#closed || this.upkeep.size === 0) return
      this.#nowJoined()
      if (leaf) return
      for (const shared of this.upkeep.ranges()) {
        if (this.#closed) return
        await this.#refresh(randomInBucket(this.nodeId, shared, this.#d.random), 'quick')
      }
    } finally {
      this.#joining = false
    }
  }

  #nowJoined(): void {
    if (!this.#joined) this.#logger.info('joined', { contacts: this.upkeep.size, eligible: this.eligible })
    this.#joined = true
    this.#settleJoinWaiters()
    this.#memoryAlarm.set(this.#d.clock.now())
  }

  async #refresh(target: Point, strength: 'quick' | 'careful' | 'join'): Promise<void> {
    try {
      await this.lookups.run(target, strength)
      this.feed({ type: 'lookedUp', target })
    } catch (error) {
      this.#logger.debug('refreshFailed', { reason: toGridError(error).message })
    }
  }

  /** Asks a near contact to dial us; again later, sooner while nobody has reached us. */
  async #askDialBack(): Promise<void> {
    const self = this.self()
    if (self === undefined || this.#askingDialBack || this.#closed) return
    const candidates = this.upkeep.closest(this.nodeId, this.#d.options.k)
    const contact = candidates[this.#d.random.int(Math.max(1, candidates.length))]
    this.#askingDialBack = true
    const wasEligible = this.eligible
    try {
      if (contact === undefined) return
      const address = await this.rpc.dialBack(contact, self)
      this.#eligibility.dialledBack(address !== undefined)
      if (address === undefined)
        this.#logger.warn('notDialledBack', { peer: contact.nodeId, addresses: self.addresses })
    } catch (error) {
      this.#logger.debug('dialBackFailed', { peer: contact?.nodeId, reason: toGridError(error).message })
    } finally {
      this.#askingDialBack = false
      const pauseMs = this.#eligibility.reachable ? CONTACT_RENEWAL_MS : this.#d.options.tickMs
      this.#dialBackAlarm.set(this.#d.clock.now() + jitter(this.#d.random, pauseMs, 0.2))
      if (this.eligible !== wasEligible) this.#notifyAlarm.set(this.#d.clock.now())
    }
  }

  async #remember(): Promise<void> {
    const { memory, clock, random, options } = this.#d
    if (memory === undefined || this.#closed) return
    this.#memoryAlarm.set(clock.now() + jitter(random, options.rememberEveryMs, 0.2))
    const contacts = this.upkeep.closest(this.nodeId, options.rememberedPeersMax)
    const peers: RememberedPeer[] = contacts.map(({ nodeId, addresses }) => ({ nodeId, address: addresses[0]! }))
    if (peers.length === 0) return
    try {
      await memory.save(formatPeers(peers))
    } catch (error) {
      this.#logger.warn('peersNotSaved', { reason: toGridError(error).message })
    }
  }
}

const NEW_KEY_HINT = 'stop one of the two, or give it a key of its own there: manyhands id new'
