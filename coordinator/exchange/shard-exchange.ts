import { shardKey } from '../../job/shard.js'
import { reportFactCodec } from '../../proto/codec/facts.js'
import type { OfferedFact, OfferState } from '../../proto/exchange-messages.js'
import type { Digest, Grant, JobId, NodeId, PublicKey } from '../../proto/model.js'
import type { Clock, Millis, Timer } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import { jitter } from '../../runtime/jitter.js'
import type { Logger } from '../../runtime/logger.js'
import type { Random } from '../../runtime/random.js'
import type { Endpoint, Transport } from '../../runtime/transport.js'
import type { OwnerDirectory } from '../directory.js'
import type { FactExchange, Holding, KeptFact } from '../fact-exchange.js'
import type { GroupCommit } from '../group-commit.js'
import type { BookedJob, JobBook } from '../job-book.js'
import type { CoordinatorOptions } from '../options.js'
import type { OutputFiles } from '../output-files.js'
import type { OwnerDriver } from '../owner-driver.js'
import type { Store } from '../store.js'
import type { FactSet } from '../sync/core/fact-set.js'
import { newFactSet } from '../sync/fact-set.js'
import { Custody } from './custody.js'
import { GrantNews } from './grant-news.js'
import { type HeldShard, heldName } from './held-shard.js'
import { OutputCopies } from './output-copies.js'
import { PeerLink } from './peer-link.js'
import { PeersSeen } from './peers-seen.js'
import { serveExchange } from './service.js'
import { type SyncResult, syncShards } from './sync.js'

/** Time between two comparisons of everything with a co-owner, varied by 20 %. */
export const SYNC_MS: Millis = 10_000
/** Time between looks at what is due. */
const TICK_MS: Millis = 1_000
/** A co-owner is told what is out this often, which also shows whether it is there; a doubtful one is asked each tick. */
const TELL_MS: Millis = 2_000
/** Longest wait for other owners to have a fact on disk before its worker is told who has. */
const REPLICATE_MS: Millis = 2_000
/** Shards looked at in one tick for a change of owners that no news of neighbours came for. */
const LOOKS_MAX = 64
/** Ids in memory of shards at rest, together: about 25 MB. */
const RESTING_IDS_MAX = 500_000
/** Shards at rest whose ids are read from disk in one sync. */
const RESTING_READ_MAX = 16
/** Longest wait for others when this node hands over. */
const HAND_OVER_MS: Millis = 15_000

export interface ShardExchangeContext {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly sha256: Sha256
  readonly transport: Transport
  readonly directory: OwnerDirectory
  readonly store: Store
  readonly commits: GroupCommit
  readonly outputs: OutputFiles
  readonly book: JobBook
  readonly options: CoordinatorOptions
  /** Asked only once everything is made. */
  readonly owner: () => OwnerDriver
  /** Deletes a shard that other peers own now. */
  readonly dropShard: (job: BookedJob, shard: number) => Promise<void>
}

/** Syncs with one peer: one at a time, and what is to follow. */
interface Syncing {
  readonly waiting: Set<HeldShard>
  running: Promise<void> | undefined
}

/**
 * Keeps the owners of a shard alike. Each fact is passed on, raw, as soon as it is on disk here; every ten seconds and on
 * each change of owners all facts are compared by range fingerprints; what is granted is told as soft state. Owners that do
 * not answer, or hand out nothing, lose their turn until they do. A newcomer is given the job and brought up to date by
 * those that were there; a former owner keeps passing on what it has, and deletes it once it has long been superfluous.
 */
export class ShardExchange implements FactExchange {
  readonly #c: ShardExchangeContext
  readonly #self: NodeId
  readonly #held = new Map<string, HeldShard>()
  readonly #links = new Map<NodeId, PeerLink>()
  readonly #syncs = new Map<NodeId, Syncing>()
  readonly #copies: OutputCopies
  readonly #seen: PeersSeen
  readonly #grants: GrantNews
  #tickTimer: Timer | undefined
  #syncDueAt: Millis
  #lookAt = 0
  #restingIds = 0
  /** Who has what while this node hands over. */
  #handed: Map<HeldShard, Set<NodeId>> | undefined
  #closed = false

  constructor(context: ShardExchangeContext) {
    this.#c = context
    const { clock, random, directory, store, commits } = context
    this.#self = directory.self.nodeId
    this.#syncDueAt = clock.now() + jitter(random, SYNC_MS, 0.2)
    this.#seen = new PeersSeen({ clock, store, commits })
    this.#copies = new OutputCopies({
      ...context,
      othersOf: (jobId, shard) => this.#held.get(`${jobId}/${shard}`)?.others ?? [],
      onCopied: (jobId, shard, unit, holder) => {
        const held = this.#held.get(`${jobId}/${shard}`)
        if (held !== undefined) this.#safe(held, held.custody.outputHeld(unit, holder, this.#wanted(held)))
      },
    })
    this.#grants = new GrantNews({
      self: this.#self,
      clock,
      owner: context.owner,
      heldShard: (jobId, shard) => this.#held.get(`${jobId}/${shard}`),
      link: (nodeId) => this.#links.get(nodeId),
      isOwner: (held, nodeId) => this.#isOwner(held, nodeId),
    })
    directory.onNeighboursChanged(() => this.#lookAtAll())
    serveExchange(context.transport, {
      ...context,
      heldShard: (jobId, shard) => this.#held.get(`${jobId}/${shard}`),
      factsOf: (held) => this.#factsOf(held),
      isOwner: (held, nodeId) => this.#isOwner(held, nodeId),
      take: (fact, from) => this.#take(fact, from),
      heardOutstanding: (from, grants) => this.#grants.heard(from, grants),
    })
  }

  async start(): Promise<void> {
    await this.#seen.start()
    this.#tickTimer = this.#c.clock.setTimer(TICK_MS, () => this.#tick())
  }

  // --------------------------------------------------------------------------------------------------- shards held here

  awaitsOthers(job: BookedJob, shard: number): boolean {
    const { directory, options } = this.#c
    const owners = directory.ownersSeen(job.shardKey(shard), options.shardOwners)
    return owners.some(({ nodeId }) => nodeId !== this.#self)
  }

  shardOpened(job: BookedJob, shard: number, restored: boolean): void {
    const held = this.#hold(job, shard, restored)
    if (!held.isOpen) this.#restingIds -= held.facts?.size ?? 0
    held.isOpen = true
    held.isServing = false
    if (held.facts === undefined) {
      held.facts = newFactSet()
      for (const id of this.#c.owner().core.shard(job.jobId, shard)?.facts ?? []) held.facts.add(id)
    }
    held.told = ''
    this.#look(held)
    if (held.others.length === 0) this.#serve(held)
    else for (const { nodeId } of held.others) this.#sync(nodeId, [held])
  }

  shardResting(job: BookedJob, shard: number): void {
    const held = this.#hold(job, shard, true)
    held.isOpen = false
    this.#restingIds += held.facts?.size ?? 0
    this.#forgetIds(held)
  }

  #hold(job: BookedJob, shard: number, restored: boolean): HeldShard {
    const { sha256, clock } = this.#c
    const name = `${job.jobId}/${shard}`
    let held = this.#held.get(name)
    if (held !== undefined) return held
    const key = shardKey(sha256, job.jobId, shard)
    held = {
      job,
      shard,
      key,
      custody: new Custody(this.#self, restored),
      facts: undefined,
      isOpen: false,
      openedAt: clock.now(),
      isServing: false,
      owners: [],
      others: [],
      told: '',
      outsideSince: undefined,
      cleanSyncs: 0,
    }
    this.#held.set(name, held)
    this.#look(held)
    this.#safe(held, held.custody.review(this.#wanted(held)))
    return held
  }

  jobDropped(jobId: JobId): void {
    for (const [name, held] of [...this.#held]) {
      if (held.job.jobId !== jobId) continue
      this.#held.delete(name)
      if (!held.isOpen) this.#restingIds -= held.facts?.size ?? 0
      for (const { waiting } of this.#syncs.values()) waiting.delete(held)
    }
    for (const link of this.#links.values()) link.forgetJob(jobId)
  }

  factKept(jobId: JobId, shard: number, factId: Digest): void {
    this.#held.get(`${jobId}/${shard}`)?.facts?.add(factId)
  }

  /** Ids of the facts of a shard: kept while it is open, read from disk when it is at rest. */
  async #factsOf(held: HeldShard): Promise<FactSet> {
    if (held.facts !== undefined) return held.facts
    const facts = newFactSet()
    for (const id of await this.#c.store.factIds(held.job.jobId, held.shard)) facts.add(id)
    if (held.facts !== undefined) return held.facts
    held.facts = facts
    if (!held.isOpen) this.#restingIds += facts.size
    return facts
  }

  /** Shards at rest give their ids back when there are too many; they are read again when somebody compares. */
  #forgetIds(held: HeldShard): void {
    if (held.isOpen || held.facts === undefined || this.#restingIds <= RESTING_IDS_MAX) return
    this.#restingIds -= held.facts.size
    held.facts = undefined
  }

  // -------------------------------------------------------------------------------------------------------- who owns it

  #lookAtAll(): void {
    if (this.#closed) return
    for (const held of this.#held.values()) this.#look(held)
  }

  /** Sees who owns the shard now; who is new is given it and compared with at once. */
  #look(held: HeldShard): void {
    const { directory, options, clock } = this.#c
    const near = directory.ownersSeen(held.key, options.shardOwners + options.releaseSlack + 1)
    const owners = near.slice(0, options.shardOwners)
    const others = owners.filter(({ nodeId }) => nodeId !== this.#self)
    const before = held.others
    held.owners = owners
    held.others = others
    this.#seen.saw(others.length + 1)
    for (const endpoint of others) this.#link(endpoint).endpoint = endpoint
    if (owners.length < options.shardOwners || near.some(({ nodeId }) => nodeId === this.#self)) {
      held.outsideSince = undefined
      held.cleanSyncs = 0
    } else held.outsideSince ??= clock.now()
    for (const { nodeId } of others)
      if (held.isServing && !before.some((other) => other.nodeId === nodeId)) this.#sync(nodeId, [held])
    this.#tellCore(held)
  }

  /** Tells the core who takes turns in granting: this node if it is an owner, and others as long as they do. */
  #tellCore(held: HeldShard): void {
    if (!held.isOpen) return
    const now = this.#c.clock.now()
    const granting = held.owners
      .map(({ nodeId }) => nodeId)
      .filter(
        (nodeId) =>
          nodeId === this.#self || !(this.#links.get(nodeId)?.isSilent || this.#grants.isMute(held, nodeId, now)),
      )
    const owners = granting.length === 0 ? [this.#self] : granting
    const told = owners.join()
    if (told === held.told) return
    held.told = told
    this.#c.owner().handle({ type: 'ownersChanged', jobId: held.job.jobId, shard: held.shard, owners })
  }

  /** Whether the node is, or was until lately, an owner in this node's view: it may have what open units were answered. */
  #isOwner(held: HeldShard, nodeId: NodeId): boolean {
    const { directory, options } = this.#c
    const near = directory.ownersSeen(held.key, options.shardOwners + options.releaseSlack)
    return near.some((owner) => owner.nodeId === nodeId)
  }

  #link(endpoint: Endpoint): PeerLink {
    let link = this.#links.get(endpoint.nodeId)
    if (link === undefined) {
      const { transport } = this.#c
      link = new PeerLink({ transport, onChange: (changed) => this.#linkChanged(changed) }, endpoint)
      this.#links.set(endpoint.nodeId, link)
    }
    return link
  }

  /** A peer fell silent, or is back: then it may lack what came meanwhile. */
  #linkChanged(link: PeerLink): void {
    const { nodeId } = link.endpoint
    this.#c.logger.info(link.isSilent ? 'owner does not answer' : 'owner answers again', { peer: nodeId })
    const shared = this.#sharedWith(nodeId)
    for (const held of shared) this.#tellCore(held)
    if (!link.isSilent) this.#sync(nodeId, shared)
  }

  #sharedWith(nodeId: NodeId): HeldShard[] {
    return [...this.#held.values()].filter(({ others }) => others.some((other) => other.nodeId === nodeId))
  }

  /** Owners that make a fact durable: no more than there are, and have been lately. */
  #wanted({ others }: HeldShard): number {
    return Math.min(this.#c.options.shardHolders, Math.max(others.length + 1, this.#seen.count))
  }

  // -------------------------------------------------------------------------------------------------------------- facts

  async replicate(job: BookedJob, shard: number, fact: KeptFact): Promise<Holding> {
    const held = this.#held.get(`${job.jobId}/${shard}`)
    const holders: NodeId[] = [this.#self]
    if (held === undefined) return { holders, wanted: 1 }
    const { factId, report, encoded, outputs } = fact
    const { others, custody } = held
    if (others.length > 0) {
      await new Promise<void>((resolve) => {
        let open = others.length
        const timer = this.#c.clock.setTimer(REPLICATE_MS, resolve)
        for (const endpoint of others) {
          const { nodeId } = endpoint
          void this.#link(endpoint)
            .offer(job, shard, { fact: encoded, outputs })
            .then((state) => {
              if (state === 'kept') {
                holders.push(nodeId)
                this.#safe(held, custody.factHeld(factId, nodeId, this.#wanted(held)))
              }
              if (--open > 0 && holders.length < this.#wanted(held)) return
              timer.cancel()
              resolve()
            })
        }
      })
    }
    const wanted = this.#wanted(held)
    if (holders.length < wanted) {
      const units = report.results.map(({ unit }) => unit)
      custody.factThin(factId, report.worker, units, holders)
    }
    return { holders: [...holders], wanted }
  }

  isSafe(jobId: JobId, shard: number, worker: PublicKey, unit: number): boolean {
    return this.#held.get(`${jobId}/${shard}`)?.custody.isSafe(worker, unit) ?? true
  }

  /** Producers of these units may be told now that they are settled. */
  #safe({ job, shard }: HeldShard, units: readonly number[] | 'all'): void {
    if (units.length > 0) this.#c.owner().tellProducers(job.jobId, shard, units)
  }

  /** Takes in a fact from another owner. Never rejects. */
  async #take({ fact, outputs }: OfferedFact, from: NodeId): Promise<OfferState> {
    try {
      const decoded = reportFactCodec.decode(fact)
      const refusal = await this.#c.owner().takeFact(decoded, outputs, 0, undefined)
      if (refusal === undefined) return 'kept'
      if (refusal === 'unknownJob') return 'unknown'
      this.#c.logger.debug('fact of another owner refused', { peer: from, reason: refusal })
      return 'refused'
    } catch (error) {
      const { code, message } = toGridError(error)
      this.#c.logger.debug('fact of another owner not kept', { peer: from, code, message })
      return code === 'invalid' ? 'refused' : 'notNow'
    }
  }

  // --------------------------------------------------------------------------------------------------------------- sync

  /** Compares the shards with a peer, after what is under way with it. */
  #sync(nodeId: NodeId, shards: readonly HeldShard[]): Promise<void> {
    const link = this.#links.get(nodeId)
    if (link === undefined || this.#closed) return Promise.resolve()
    let syncing = this.#syncs.get(nodeId)
    if (syncing === undefined) {
      syncing = { waiting: new Set(), running: undefined }
      this.#syncs.set(nodeId, syncing)
    }
    for (const held of shards) syncing.waiting.add(held)
    syncing.running ??= this.#runSyncs(link, syncing).finally(() => {
      syncing.running = undefined
    })
    return syncing.running
  }

  async #runSyncs(link: PeerLink, { waiting }: Syncing): Promise<void> {
    while (waiting.size > 0 && !this.#closed) {
      const now = this.#c.clock.wallMs()
      const shards = [...waiting].filter(({ job }) => now < job.expiresAtMs + this.#c.options.lateFactsMs)
      waiting.clear()
      const results = await syncShards(
        {
          logger: this.#c.logger,
          store: this.#c.store,
          factsOf: (held) => this.#factsOf(held),
          take: (fact) => this.#take(fact, link.endpoint.nodeId),
        },
        link,
        shards,
      )
      for (const result of results) await this.#synced(link, result)
    }
  }

  async #synced(link: PeerLink, { held, outcome, snapshot }: SyncResult): Promise<void> {
    const { nodeId } = link.endpoint
    const { clock, logger } = this.#c
    if (outcome === 'unknown') {
      // Whoever opens a shard asks its other owners, most of which are about to open it, too.
      const mayBeOpening = !held.isServing && clock.now() - held.openedAt < SYNC_MS / 2
      if (!mayBeOpening && held.others.some((other) => other.nodeId === nodeId)) {
        await link
          .introduce(held.job, held.shard)
          .then(() => this.#syncs.get(nodeId)?.waiting.add(held))
          .catch((error: unknown) =>
            logger.debug('shard not passed on', { peer: nodeId, error: toGridError(error).message }),
          )
      }
    }
    if (outcome === 'equal' || outcome === 'merged') {
      this.#handed?.set(held, (this.#handed.get(held) ?? new Set<NodeId>()).add(nodeId))
      this.#safe(held, held.custody.met(nodeId, snapshot, this.#wanted(held)))
      this.#copies.push(held.job, held.shard, held.custody.thinOutputs)
    }
    if (outcome === 'equal' && held.outsideSince !== undefined) held.cleanSyncs++
    else held.cleanSyncs = 0
    if (outcome !== 'failed') this.#serve(held)
    this.#forgetIds(held)
  }

  /** The shard may be granted from. */
  #serve(held: HeldShard): void {
    if (held.isServing || !held.isOpen) return
    held.isServing = true
    this.#c.owner().handle({ type: 'othersAsked', jobId: held.job.jobId, shard: held.shard })
  }

  /** Everything is compared with everybody it is shared with. */
  #syncAll(): Promise<unknown> {
    const byPeer = new Map<NodeId, HeldShard[]>()
    let reads = 0
    for (const [name, held] of [...this.#held]) {
      if (held.facts === undefined) {
        if (++reads > RESTING_READ_MAX) continue
        // Its turn has been: the others come first next time.
        this.#held.delete(name)
        this.#held.set(name, held)
      }
      for (const { nodeId } of held.others) {
        const shards = byPeer.get(nodeId)
        if (shards === undefined) byPeer.set(nodeId, [held])
        else shards.push(held)
      }
    }
    const links = [...byPeer].filter(([nodeId]) => this.#links.get(nodeId)?.isSilent !== true)
    return Promise.all(links.map(([nodeId, shards]) => this.#sync(nodeId, shards)))
  }

  // --------------------------------------------------------------------------------------------------- what is granted

  granted(job: BookedJob, grant: Grant): void {
    const held = this.#held.get(`${job.jobId}/${grant.shard}`)
    if (held !== undefined) this.#grants.granted(held, grant)
  }

  // ------------------------------------------------------------------------------------------------------------ outputs

  outputKept(job: BookedJob, shard: number, unit: number, digest: Digest, from: NodeId): void {
    const held = this.#held.get(`${job.jobId}/${shard}`)
    if (held === undefined || this.#wanted(held) === 1) return
    held.custody.outputThin(unit)
    if (held.others.some(({ nodeId }) => nodeId === from)) {
      this.#safe(held, held.custody.outputHeld(unit, from, this.#wanted(held)))
      return
    }
    this.#copies.pushOne(job, shard, unit, digest)
  }

  // ------------------------------------------------------------------------------------------------------------- upkeep

  #tick(): void {
    if (this.#closed) return
    const { clock, random } = this.#c
    this.#tickTimer = clock.setTimer(TICK_MS, () => this.#tick())
    const now = clock.now()
    this.#seen.review()
    this.#lookAtSome()
    const needed = new Set<NodeId>()
    for (const held of this.#held.values()) {
      if (!held.isOpen || this.#c.owner().core.shard(held.job.jobId, held.shard)?.finished !== false) continue
      for (const { nodeId } of held.others) needed.add(nodeId)
    }
    for (const [nodeId, link] of this.#links) {
      if (!needed.has(nodeId) && !link.isDoubtful) continue
      if (link.isDoubtful || now - link.toldAt >= TELL_MS) void this.#grants.tell(link, now)
    }
    this.#copies.pull()
    if (now < this.#syncDueAt) return
    this.#syncDueAt = now + jitter(random, SYNC_MS, 0.2)
    void this.#syncAll()
    this.#forgetLinks()
    for (const held of [...this.#held.values()]) {
      this.#safe(held, held.custody.review(this.#wanted(held)))
      this.#release(held, now)
    }
  }

  /** A change of owners further off than the nearest neighbours brings no news; mute owners bring none either. */
  #lookAtSome(): void {
    const held = [...this.#held.values()]
    for (let i = 0; i < Math.min(LOOKS_MAX, held.length); i++) this.#look(held[this.#lookAt++ % held.length]!)
  }

  /** Peers that nothing is shared with any more. */
  #forgetLinks(): void {
    const needed = new Set<NodeId>()
    for (const { others } of this.#held.values()) for (const { nodeId } of others) needed.add(nodeId)
    for (const [nodeId, link] of this.#links) {
      if (needed.has(nodeId)) continue
      link.close()
      this.#links.delete(nodeId)
      this.#syncs.delete(nodeId)
    }
  }

  /** Deletes a shard that this node has long been too far down for, once its owners have shown that they have it all. */
  #release(held: HeldShard, now: Millis): void {
    const { outsideSince, others, cleanSyncs, job, shard } = held
    const { releaseAfterMs, releaseSyncs } = this.#c.options
    if (outsideSince === undefined || now - outsideSince < releaseAfterMs) return
    if (cleanSyncs < releaseSyncs * others.length || this.#c.owner().isListenedTo(job.jobId, shard)) return
    this.#c.dropShard(job, shard).then(
      () => {
        if (!held.isOpen) this.#restingIds -= held.facts?.size ?? 0
        this.#held.delete(heldName(held))
      },
      (error: unknown) => this.#c.logger.warn('a shard of others is still here', { error: toGridError(error).message }),
    )
  }

  async handOver(): Promise<number> {
    const { directory, options, clock } = this.#c
    const handed = new Map<HeldShard, Set<NodeId>>()
    this.#handed = handed
    const byPeer = new Map<NodeId, HeldShard[]>()
    for (const held of this.#held.values()) {
      const near = directory.ownersSeen(held.key, options.shardOwners + 1)
      held.others = near.filter(({ nodeId }) => nodeId !== this.#self).slice(0, options.shardOwners)
      for (const endpoint of held.others) {
        this.#link(endpoint)
        byPeer.set(endpoint.nodeId, [...(byPeer.get(endpoint.nodeId) ?? []), held])
      }
    }
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(HAND_OVER_MS, resolve)
      void Promise.all([...byPeer].map(([nodeId, shards]) => this.#sync(nodeId, shards))).then(() => {
        timer.cancel()
        resolve()
      })
    })
    this.#handed = undefined
    return [...handed].filter(([held, holders]) => holders.size >= Math.min(held.others.length, options.shardHolders))
      .length
  }

  close(): void {
    this.#closed = true
    this.#tickTimer?.cancel()
    this.#grants.close()
    this.#copies.close()
    for (const link of this.#links.values()) link.close()
  }
}
