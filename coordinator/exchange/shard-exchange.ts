import type { Digest, Grant, JobId, NodeId, PublicKey } from '../../proto/model.js'
import type { Clock, Millis, Timer } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import type { Sha256 } from '../../runtime/hash.js'
import { jitter } from '../../runtime/jitter.js'
import type { Logger } from '../../runtime/logger.js'
import type { Random } from '../../runtime/random.js'
import type { Transport } from '../../runtime/transport.js'
import type { OwnerDirectory } from '../directory.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { JobBook } from '../jobs/job-book.js'
import type { CoordinatorOptions } from '../options.js'
import type { OutputFiles } from '../output-files.js'
import type { FactExchange, FactHolding, KeptFact } from '../owner/fact-exchange.js'
import type { OwnerDriver } from '../owner/owner-driver.js'
import type { GroupCommit } from '../store/group-commit.js'
import type { Store } from '../store/store.js'
import { CoOwners } from './co-owners.js'
import { GrantNews } from './grant-news.js'
import type { HeldShard } from './held-shard.js'
import { HeldShards } from './held-shards.js'
import { Replication } from './replication.js'
import { serveExchange } from './service.js'
import { SyncTurns } from './sync-turns.js'

/** Time between two comparisons of everything with a co-owner, varied by 20 %. */
export const SYNC_MS: Millis = 10_000
/** Time between looks at what is due. */
const TICK_MS: Millis = 1_000
/** A co-owner is told what is out this often, which also shows whether it is there; a doubtful one is asked each tick. */
const TELL_MS: Millis = 2_000
/** Others are asked again at each tick for so long when a shard is opened: they may not take this node for an owner yet. */
const ASKING_MS: Millis = 30_000
/** Longest wait for others when this node hands over. */
const HAND_OVER_MS: Millis = 15_000

interface ShardExchangeContext {
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

/**
 * Keeps the owners of a shard alike. Each fact is passed on, raw, as soon as it is on disk here; every ten seconds and on each
 * change of owners all facts are compared by range fingerprints, with who could not be brought a fact in a moment; what is
 * granted is told as soft state. Owners that do not answer, or hand out nothing, lose their turn until they do. A newcomer is
 * given the job and brought up to date by those that were there; a former owner keeps passing on what it has, and deletes it
 * once it has long been superfluous.
 */
export class ShardExchange implements FactExchange {
  readonly #c: ShardExchangeContext
  readonly #shards: HeldShards
  readonly #coOwners: CoOwners
  readonly #replication: Replication
  readonly #syncs: SyncTurns
  readonly #grants: GrantNews
  #tickTimer: Timer | undefined
  #syncDueAt: Millis
  /** Who has what while this node hands over. */
  #handed: Map<HeldShard, Set<NodeId>> | undefined
  #closed = false

  constructor(context: ShardExchangeContext) {
    this.#c = context
    const { clock, random, directory } = context
    const self = directory.self.nodeId
    this.#syncDueAt = clock.now() + jitter(random, SYNC_MS, 0.2)
    const shards = new HeldShards({ ...context, self })
    const coOwners = new CoOwners({
      ...context,
      shards,
      isMute: (held, nodeId, now) => this.#grants.isMute(held, nodeId, now),
      onBehind: (nodeId, behind) => void this.#syncs.sync(nodeId, behind),
    })
    const replication = new Replication({ ...context, self, shards, coOwners })
    this.#shards = shards
    this.#coOwners = coOwners
    this.#replication = replication
    this.#syncs = new SyncTurns({
      ...context,
      shards,
      coOwners,
      take: (fact, from) => replication.take(fact, from),
      onMet: (held, nodeId, snapshot) => {
        this.#handed?.set(held, (this.#handed.get(held) ?? new Set<NodeId>()).add(nodeId))
        replication.met(held, nodeId, snapshot)
      },
      onAnswered: (held) => this.#serve(held),
      onNothing: (held, nodeId) => this.#heardNothing(held, nodeId),
      onAhead: (held) => {
        this.#await(held)
      },
    })
    this.#grants = new GrantNews({
      self,
      clock,
      owner: context.owner,
      heldShard: (jobId, shard) => shards.get(jobId, shard),
      link: (nodeId) => coOwners.linkTo(nodeId),
      isOwner: (held, nodeId) => coOwners.isOwner(held, nodeId),
      onTold: (held) => coOwners.reviewTurns(held),
    })
    serveExchange(context.transport, {
      ...context,
      heldShard: (jobId, shard) => shards.get(jobId, shard),
      factsOf: (held) => shards.factsOf(held),
      isOwner: (held, nodeId) => coOwners.isOwner(held, nodeId),
      take: (fact, offeredBy) => replication.take(fact, offeredBy.nodeId, offeredBy),
      heardOutstanding: (from, grants) => this.#grants.heard(from, grants),
    })
  }

  async start(): Promise<void> {
    await this.#coOwners.start()
    this.#tickTimer = this.#c.clock.setTimer(TICK_MS, () => this.#tick())
  }

  awaitsOthers(job: BookedJob, shard: number): boolean {
    return this.#coOwners.mayHaveOthers(job.shardKey(shard))
  }

  shardOpened(job: BookedJob, shard: number, restored: boolean): void {
    const held = this.#hold(job, shard, restored)
    this.#shards.opened(held, this.#c.owner().core.shard(job.jobId, shard)?.facts.ids ?? [])
    this.#ask(held)
  }

  askOthers(jobId: JobId, shard: number): void {
    const held = this.#shards.get(jobId, shard)
    if (held?.isOpen) this.#ask(held)
  }

  /** Has all other owners asked before the shard is granted from; those not seen yet, once they are. */
  #ask(held: HeldShard): void {
    held.isServing = false
    held.askedAt = this.#c.clock.now()
    held.knowNothing.clear()
    held.told = ''
    held.others = []
    this.#coOwners.look(held)
    for (const { nodeId } of held.others) this.#coOwners.linkTo(nodeId)?.forgive()
    if (!this.#coOwners.mayHaveOthers(held.key)) this.#serve(held)
  }

  shardResting(job: BookedJob, shard: number): void {
    this.#shards.rested(this.#hold(job, shard, true))
  }

  #hold(job: BookedJob, shard: number, restored: boolean): HeldShard {
    const known = this.#shards.get(job.jobId, shard)
    if (known !== undefined) return known
    const held = this.#shards.add(job, shard, restored)
    this.#coOwners.look(held)
    this.#replication.review(held)
    return held
  }

  jobDropped(jobId: JobId): void {
    for (const held of this.#shards.all()) {
      if (held.job.jobId !== jobId) continue
      this.#shards.remove(held)
      this.#syncs.drop(held)
    }
    for (const link of this.#coOwners.links) link.forgetJob(jobId)
  }

  factKept(jobId: JobId, shard: number, factId: Digest): void {
    this.#shards.get(jobId, shard)?.facts?.add(factId)
  }

  factsDropped(jobId: JobId, shard: number, factIds: readonly Digest[]): void {
    const held = this.#shards.get(jobId, shard)
    if (held !== undefined) this.#shards.dropped(held, factIds)
  }

  replicate(job: BookedJob, shard: number, fact: KeptFact): Promise<FactHolding> {
    return this.#replication.replicate(job, shard, fact)
  }

  isSafe(jobId: JobId, shard: number, worker: PublicKey, unit: number): boolean {
    return this.#replication.isSafe(jobId, shard, worker, unit)
  }

  granted(job: BookedJob, grant: Grant): void {
    const held = this.#shards.get(job.jobId, grant.shard)
    if (held !== undefined) this.#grants.granted(held, grant)
  }

  outputKept(job: BookedJob, shard: number, unit: number, digest: Digest, from: NodeId): void {
    this.#replication.outputKept(job, shard, unit, digest, from)
  }

  /** Whoever knows nothing of a shard may be new to it: all that answer have to say so, and never to one that has something. */
  #heardNothing(held: HeldShard, nodeId: NodeId): void {
    held.knowNothing.add(nodeId)
    if (held.isServing || (held.facts?.size ?? 0) > 0) return
    const answering = held.others.filter((other) => this.#coOwners.linkTo(other.nodeId)?.isSilent !== true)
    if (answering.every((other) => held.knowNothing.has(other.nodeId))) this.#serve(held)
  }

  /** The shard may be granted from. */
  #serve(held: HeldShard): void {
    if (held.isServing || !held.isOpen) return
    held.isServing = true
    this.#c.owner().handle({ type: 'othersAsked', jobId: held.job.jobId, shard: held.shard })
  }

  #tick(): void {
    if (this.#closed) return
    const { clock, random } = this.#c
    this.#tickTimer = clock.setTimer(TICK_MS, () => this.#tick())
    const now = clock.now()
    this.#coOwners.review()
    this.#askAgain(now)
    this.#tell(now)
    this.#replication.pullMissing()
    this.#catchUp(now)
    if (now < this.#syncDueAt) return
    this.#syncDueAt = now + jitter(random, SYNC_MS, 0.2)
    void this.#syncs.syncAll()
    for (const nodeId of this.#coOwners.forgetLinks()) this.#syncs.forget(nodeId)
    for (const held of this.#shards.all()) {
      this.#replication.review(held)
      this.#release(held, now)
    }
  }

  /** Asks for shards that are not served yet. */
  #askAgain(now: Millis): void {
    const asking = [...this.#shards.all()].filter(
      (held) => !held.isServing && held.isOpen && now - held.askedAt <= ASKING_MS,
    )
    for (const held of asking) {
      this.#coOwners.look(held)
      if (this.#mayBeTold(held)) this.#await(held)
    }
    void this.#syncs.syncEach(asking)
  }

  /** Whether an owner is still to tell what it knows of a shard that this node has part of: one that answers, or is not seen yet. */
  #mayBeTold({ key, facts, others, knowNothing }: HeldShard): boolean {
    if (facts === undefined || facts.size === 0) return false
    if (others.length === 0) return this.#coOwners.mayHaveOthers(key)
    return others.some(({ nodeId }) => !knowNothing.has(nodeId) && this.#coOwners.linkTo(nodeId)?.isSilent !== true)
  }

  /** The shard is not granted from yet. */
  #await({ isServing, job, shard }: HeldShard): void {
    if (!isServing) this.#c.owner().handle({ type: 'othersAwaited', jobId: job.jobId, shard })
  }

  /** Compares with co-owners that were not brought a fact, without waiting for the turn of everybody. */
  #catchUp(now: Millis): void {
    for (const link of this.#coOwners.links) {
      const behind = link.takeBehind(now).flatMap(({ jobId, shard }) => this.#shards.get(jobId, shard) ?? [])
      if (behind.length > 0) void this.#syncs.sync(link.endpoint.nodeId, behind)
    }
  }

  /** Tells co-owners of shards with work left what is out, and asks doubtful ones whether they are there. */
  #tell(now: Millis): void {
    const needed = new Set<NodeId>()
    for (const held of this.#shards.all()) {
      if (!held.isOpen || this.#c.owner().core.shard(held.job.jobId, held.shard)?.finished !== false) continue
      for (const { nodeId } of held.others) needed.add(nodeId)
    }
    for (const link of this.#coOwners.links) {
      if (!needed.has(link.endpoint.nodeId) && !link.isDoubtful) continue
      if (link.isDoubtful || now - link.toldAt >= TELL_MS) void this.#grants.tell(link, now)
    }
  }

  /** Deletes a shard that this node has long been too far down for, once its owners have shown that they have it all. */
  #release(held: HeldShard, now: Millis): void {
    const { outsideSince, others, cleanSyncs, job, shard } = held
    const { releaseAfterMs, releaseSyncs } = this.#c.options
    if (outsideSince === undefined || now - outsideSince < releaseAfterMs) return
    if (cleanSyncs < releaseSyncs * others.length || this.#c.owner().isListenedTo(job.jobId, shard)) return
    this.#c.dropShard(job, shard).then(
      () => this.#shards.remove(held),
      (error: unknown) => this.#c.logger.warn('a shard of others is still here', { error: toGridError(error).message }),
    )
  }

  async handOver(): Promise<number> {
    const { options, clock } = this.#c
    const handed = new Map<HeldShard, Set<NodeId>>()
    this.#handed = handed
    const byPeer = new Map<NodeId, HeldShard[]>()
    for (const held of this.#shards.all()) {
      this.#coOwners.leave(held)
      for (const { nodeId } of held.others) byPeer.set(nodeId, [...(byPeer.get(nodeId) ?? []), held])
    }
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(HAND_OVER_MS, resolve)
      void Promise.all([...byPeer].map(([nodeId, shards]) => this.#syncs.sync(nodeId, shards))).then(() => {
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
    this.#syncs.close()
    this.#replication.close()
    this.#coOwners.close()
  }
}
