import type { JobId, Key, NodeId, Point } from '../proto/model.js'
import type { Announcement, Contact, OverlayRecord, WatchingWorker } from '../proto/overlay-messages.js'
import type { GridError } from '../runtime/errors.js'
import type { Address, Endpoint } from '../runtime/transport.js'
import { BoardClient } from './board/board-client.js'
import type { BoardNews } from './board/board-watch.js'
import { Board, type WorkersWatching } from './board/core/board.js'
import { type RecordKind, RecordStore } from './records/core/record.js'
import { OwnRecords, type RecordDraft } from './records/own-records.js'
import { compareDistance, sharedBits } from './routing/core/node-id.js'
import { type Candidate, ownersOf, rankOf } from './routing/core/ownership.js'
import type { Seed } from './routing/core/seeds.js'
import { hostOf, subnetOf } from './routing/core/subnet.js'
import { OverlayDriver, type OverlayDriverDependencies as OverlayMembership } from './routing/driver.js'
import { Regions } from './routing/regions.js'
import { unreachedText } from './routing/seed-dialler.js'
import { OverlayService } from './service.js'

export type { Announcement, BoardEntry, Contact, OverlayRecord, RecordBody } from '../proto/overlay-messages.js'
export type { BoardNews } from './board/board-watch.js'
export type { WorkersWatching } from './board/core/board.js'
export { type OverlayOptions, type OverlayProfile, overlayProfiles, resolveOptions } from './options.js'
export type { RecordKind } from './records/core/record.js'
export type { RecordDraft } from './records/own-records.js'
export { keyOf, keyOfDigest } from './routing/core/node-id.js'
export { ReleaseWatch } from './routing/core/ownership.js'
export { estimateFromNearest } from './routing/core/region.js'
export type { Seed } from './routing/core/seeds.js'
export type { PeerMemory, RememberedPeer } from './routing/remembered-peers.js'
export type { OverlayIdentity } from './routing/self-contact.js'

/** What a process hands to its overlay. */
interface OverlayDependencies extends OverlayMembership {
  /** Kinds of record this node stores and believes; others are refused. */
  readonly recordKinds?: readonly RecordKind[]
}

/** What is looked up, and how hard. */
export interface LookupRequest {
  /** All 20 closest must answer instead of 8: outvotes colluding liars at twice the cost. Default false. */
  readonly careful?: boolean
  /** Most contacts wanted. Range: 1 to 20. Default 20. */
  readonly count?: number
}

/** Who keeps what belongs to a key. */
export interface Keepers {
  /** As {@link Overlay.owners}. */
  readonly owners: readonly Endpoint[]
  /** The others of the key's region, nearest first; none on small networks. See `core/region.ts`. */
  readonly guards: readonly Endpoint[]
}

/**
 * Who is out there, who is near a key, and which jobs have ready work. Handlers of the transport are set by the
 * constructor, so construct it before the first connection is accepted.
 */
export class Overlay {
  readonly #driver: OverlayDriver
  readonly #records: OwnRecords
  readonly #board: BoardClient
  readonly #regions: Regions
  readonly #dependencies: OverlayDependencies

  constructor(dependencies: OverlayDependencies) {
    const { clock, random, transport, verifier, identity, logger, options, recordKinds = [] } = dependencies
    this.#dependencies = dependencies
    const driver = new OverlayDriver(dependencies)
    this.#driver = driver
    const store = new RecordStore(recordKinds, options, {
      verify: (publicKey, tag, bytes, signature) => verifier.verify(publicKey, tag, bytes, signature),
    })
    const board = new Board<Contact>(options, random)
    const service = new OverlayService({
      transport,
      clock,
      options,
      driver,
      records: store,
      board,
      onLocalBoardEffect: (effect) => this.#board.onLocalEffect(effect),
    })
    const shared = {
      clock,
      random,
      options,
      logger: logger.child('overlay'),
      rpc: driver.rpc,
      self: () => driver.self(),
    }
    const owners = (key: Key, count: number) => this.owners(key, count)
    this.#records = new OwnRecords({ ...shared, signer: identity.signer, store, owners })
    this.#board = new BoardClient({
      ...shared,
      owners,
      board,
      push: (effects) => service.push(effects),
      problem: (contact) => driver.problem(contact),
    })
    this.#regions = new Regions({
      clock,
      random,
      logger: shared.logger,
      peers: () => driver.upkeep.size,
      lookup: (point, careful) => this.lookup(point, { careful }),
    })
    driver.onNeighboursChanged(() => {
      this.#board.neighboursChanged(driver.upkeep.size)
      // A peer is to know the size when a job comes.
      if (dependencies.listen !== undefined) void this.#regions.bitsSeen
    })
  }

  /** The own id, and the own contact record unless this is a leaf. */
  get self(): { readonly nodeId: NodeId; readonly contact: Contact | undefined } {
    return { nodeId: this.#driver.nodeId, contact: this.#driver.self() }
  }

  /** Whether this node may own: it listens, and peers have dialled it back (or it is alone). */
  get eligible(): boolean {
    return this.#driver.eligible
  }

  /** Whether the network was found, or founded. */
  get joined(): boolean {
    return this.#driver.joined
  }

  /** Why the network was not found, where that is for a person to mend: another network, another version, a private address. */
  get joinProblem(): GridError | undefined {
    return this.#driver.joined ? undefined : this.#driver.joinProblem
  }

  /** Address of another process that runs on the key of this one, met in the last 45 s; undefined: none. */
  get otherSelf(): Address | undefined {
    return this.#driver.otherSelf
  }

  /** Why nobody to join through has answered so far, in one line of at most 360 characters; empty: one has, or none was tried. */
  get unreached(): string {
    return this.#driver.joined ? '' : unreachedText(this.#driver.unreached)
  }

  /** Begins to join through `seeds` and the peers remembered; keeps trying them for ever. Does not wait for any. */
  start(seeds: readonly Seed[]): Promise<void> {
    return this.#driver.start(seeds)
  }

  /** Resolves once joined; rejects with GridError `unreachable`, or {@link joinProblem}, after `timeoutMs`, sooner when no seed can ever answer. */
  whenJoined(timeoutMs: number): Promise<void> {
    return this.#driver.whenJoined(timeoutMs)
  }

  /**
   * The live peers closest to `key`, closest first, this node included where it belongs unless it is a leaf. Rejects
   * with GridError `quota` when too many lookups wait, `closed` after {@link close}.
   */
  async lookup(
    key: Point,
    { careful = false, count = this.#dependencies.options.k }: LookupRequest = {},
  ): Promise<Contact[]> {
    const { contacts } = await this.#driver.lookups.run(key, careful ? 'careful' : 'quick')
    const own = this.#driver.self()
    const all =
      own === undefined ? [...contacts] : [...contacts, own].sort((a, b) => compareDistance(key, a.nodeId, b.nodeId))
    return all.slice(0, count)
  }

  /** The up to `r` owners of `key`, found by a lookup; closest first, but spread over networks: see `core/ownership.ts`. */
  async owners(key: Point, r: number, { careful = false }: Pick<LookupRequest, 'careful'> = {}): Promise<Contact[]> {
    return spreadOwners(key, r, await this.lookup(key, { careful }))
  }

  /** The up to `r` owners of `key` and the guards of its region, found by lookups. */
  async keepers(key: Key, r: number): Promise<Keepers> {
    const { nearest, region } = await this.#regions.around(key)
    const endpoints = (contacts: readonly Contact[]) => contacts.map((contact) => this.endpoint(contact))
    const owners = endpoints(spreadOwners(key, r, nearest))
    const known = new Set(owners.map(({ nodeId }) => nodeId))
    return { owners, guards: endpoints(region.filter(({ nodeId }) => !known.has(nodeId))) }
  }

  /**
   * Whether a peer lies in the region of `key`, or no more than a region's width beside it: two peers may judge the size of
   * the network differently. False on small networks, and until the size is known.
   */
  guards(key: Key, nodeId: NodeId = this.#driver.nodeId): boolean {
    const bits = this.#regions.bitsSeen
    return bits !== undefined && sharedBits(key, nodeId) >= bits - 1
  }

  /** The up to `r` owners of `key` as this node's own table has it, without a request. Only near keys are seen exactly. */
  ownersSeen(key: Point, r: number): Contact[] {
    return spreadOwners(key, r, this.#around(key))
  }

  /** Whether this node is among the `r` owners of `key` in its own view. */
  owns(key: Key, r: number): boolean {
    return this.eligible && this.rank(key) < r
  }

  /** This node's place among the owners of `key` in its own view, 0 for the first. */
  rank(key: Key): number {
    const own = this.#driver.self()
    return rankOf(key, this.#driver.nodeId, this.#around(key).map(candidateOf), own && candidateOf(own).subnet)
  }

  /** Signs a record and stores it near its key, and again as long as this node runs. Resolves to how many hold it. */
  putRecord(draft: RecordDraft): Promise<number> {
    return this.#records.put(draft)
  }

  /** The believable records under a key, one a signer. */
  getRecord(key: Key, kind: string): Promise<OverlayRecord[]> {
    return this.#records.get(key, kind)
  }

  /**
   * Keeps a job on its board until {@link withdraw}; call again when its ready work changes. False: as many are announced
   * as may be; call again later.
   */
  announce(announcement: Announcement): boolean {
    return this.#board.announce(announcement)
  }

  withdraw(jobId: JobId): void {
    this.#board.withdraw(jobId)
  }

  /**
   * Calls `handler` with jobs that have ready work, as far as their boards tell this node, until the result is called. A
   * worker is counted while it watches.
   */
  watchBoard(handler: (news: BoardNews) => void, worker?: WatchingWorker): () => void {
    return this.#board.watch(handler, worker)
  }

  /** Workers that are counted at this peer, by version: each of the network at one of {@link workerCounters}. */
  workersWatching(): readonly WorkersWatching[] {
    return this.#board.workersWatching()
  }

  /** The peers that count the workers of the network, by {@link workersWatching}. */
  workerCounters(): Promise<readonly Contact[]> {
    return this.#board.workerCounters()
  }

  /** Calls `handler` after the nearest contacts changed: ownership may have moved. Returns how to stop. */
  onNeighboursChanged(handler: () => void): () => void {
    return this.#driver.onNeighboursChanged(handler)
  }

  /** The routing table. */
  contacts(): Contact[] {
    return this.#driver.upkeep.contacts()
  }

  /** How the peers of the routing table are doing: `heardAt` on the monotonic clock. */
  health(): { readonly contact: Contact; readonly roundTripMs: number | undefined; readonly heardAt: number }[] {
    const { upkeep, rpc } = this.#driver
    return upkeep.contacts().map((contact) => ({
      contact,
      roundTripMs: rpc.roundTripMs(contact.nodeId),
      heardAt: upkeep.heardAt(contact.nodeId) ?? Number.NEGATIVE_INFINITY,
    }))
  }

  /** Where to dial a contact. */
  endpoint(contact: Contact): Endpoint {
    return this.#driver.rpc.endpoint(contact)
  }

  /** Saves the peers and stops everything. Safe to call twice. */
  async close(): Promise<void> {
    this.#board.close()
    this.#records.close()
    await this.#driver.close()
  }

  #around(key: Point): Contact[] {
    const known = this.#driver.upkeep.nearest(key, this.#dependencies.options.k)
    const own = this.#driver.self()
    return own === undefined ? known : [...known, own]
  }
}

interface ContactCandidate extends Candidate {
  readonly contact: Contact
}

function candidateOf(contact: Contact): ContactCandidate {
  const { nodeId, eligible, addresses } = contact
  return { nodeId, eligible, subnet: subnetOf(hostOf(addresses[0] ?? '')), contact }
}

function spreadOwners(key: Point, r: number, contacts: readonly Contact[]): Contact[] {
  return ownersOf(key, r, contacts.map(candidateOf)).map(({ contact }) => contact)
}
