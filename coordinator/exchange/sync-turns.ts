import type { OfferedFact, OfferState } from '../../proto/exchange-messages.js'
import type { NodeId } from '../../proto/model.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import type { CoordinatorOptions } from '../options.js'
import type { Store } from '../store/store.js'
import type { CoOwners } from './co-owners.js'
import type { CustodySnapshot } from './custody.js'
import type { HeldShard } from './held-shard.js'
import type { HeldShards } from './held-shards.js'
import type { PeerLink } from './peer-link.js'
import { type SyncResult, syncShards } from './sync.js'

/** Shards at rest whose ids are read from disk in one sync. */
const RESTING_READ_MAX = 16
/** A shard opened this lately is not given to an owner that does not keep it: it is about to open it, too. */
const OPENING_MS: Millis = 5_000

interface SyncTurnsContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly store: Pick<Store, 'factsById' | 'outputs'>
  readonly options: CoordinatorOptions
  readonly shards: HeldShards
  readonly coOwners: CoOwners
  /** Takes in a fact from a peer. Never rejects. */
  readonly take: (fact: OfferedFact, from: NodeId) => Promise<OfferState>
  /** The peer has all facts that were here when `snapshot` was taken, and what it had is here. */
  readonly onMet: (held: HeldShard, nodeId: NodeId, snapshot: CustodySnapshot) => void
  /** The peer has answered for the shard: it may be granted from. */
  readonly onAnswered: (held: HeldShard) => void
  /** The peer has answered that it knows nothing of the shard. */
  readonly onNothing: (held: HeldShard, nodeId: NodeId) => void
  /** The peer has answered, and knows more than this node was told, or will. */
  readonly onAhead: (held: HeldShard) => void
}

/** Syncs with one peer: one at a time, and what is to follow. */
interface Turns {
  readonly waiting: Set<HeldShard>
  running: Promise<void> | undefined
}

/** Compares shards with each co-owner, one sync with one peer at a time, and gives them to those that lack them. */
export class SyncTurns {
  readonly #c: SyncTurnsContext
  readonly #turns = new Map<NodeId, Turns>()
  #closed = false

  constructor(context: SyncTurnsContext) {
    this.#c = context
  }

  /** Compares the shards with a peer, after what is under way with it. Never rejects. */
  sync(nodeId: NodeId, shards: readonly HeldShard[]): Promise<void> {
    const link = this.#c.coOwners.linkTo(nodeId)
    if (link === undefined || this.#closed) return Promise.resolve()
    let turns = this.#turns.get(nodeId)
    if (turns === undefined) {
      turns = { waiting: new Set(), running: undefined }
      this.#turns.set(nodeId, turns)
    }
    for (const held of shards) turns.waiting.add(held)
    turns.running ??= this.#run(link, turns).finally(() => {
      turns.running = undefined
    })
    return turns.running
  }

  /** Everything is compared with everybody it is shared with. */
  syncAll(): Promise<unknown> {
    const { shards } = this.#c
    const due: HeldShard[] = []
    let reads = 0
    for (const held of shards.all()) {
      if (held.facts === undefined) {
        if (++reads > RESTING_READ_MAX) continue
        shards.last(held)
      }
      due.push(held)
    }
    return this.syncEach(due)
  }

  /** These shards are compared with everybody they are shared with, as far as they answer. */
  syncEach(shards: readonly HeldShard[]): Promise<unknown> {
    const byPeer = new Map<NodeId, HeldShard[]>()
    for (const held of shards) {
      for (const { nodeId } of held.others) {
        const shared = byPeer.get(nodeId)
        if (shared === undefined) byPeer.set(nodeId, [held])
        else shared.push(held)
      }
    }
    const answering = [...byPeer].filter(([nodeId]) => this.#c.coOwners.linkTo(nodeId)?.isSilent !== true)
    return Promise.all(answering.map(([nodeId, shared]) => this.sync(nodeId, shared)))
  }

  /** The shard is not kept any more. */
  drop(held: HeldShard): void {
    for (const { waiting } of this.#turns.values()) waiting.delete(held)
  }

  /** Nothing is shared with the peer any more. */
  forget(nodeId: NodeId): void {
    this.#turns.delete(nodeId)
  }

  close(): void {
    this.#closed = true
  }

  async #run(link: PeerLink, { waiting }: Turns): Promise<void> {
    const { clock, logger, store, options, shards: held, take } = this.#c
    while (waiting.size > 0 && !this.#closed) {
      const now = clock.wallMs()
      const shards = [...waiting].filter(({ job }) => !job.removed && now < job.expiresAtMs + options.lateFactsMs)
      waiting.clear()
      const results = await syncShards(
        {
          logger,
          store,
          factsOf: (shard) => held.factsOf(shard),
          take: (fact) => take(fact, link.endpoint.nodeId),
        },
        link,
        shards,
      )
      for (const result of results) await this.#synced(link, result)
    }
  }

  async #synced(link: PeerLink, { held, outcome, isEmpty, isClean, isOutsider, snapshot }: SyncResult): Promise<void> {
    const { nodeId } = link.endpoint
    const { clock, logger, shards, onMet, onAnswered, onNothing, onAhead } = this.#c
    if (outcome === 'unknown') {
      // Whoever opens a shard asks its other owners, most of which are about to open it, too.
      const mayBeOpening = !held.isServing && clock.now() - held.openedAt < OPENING_MS
      if (!mayBeOpening && held.others.some((other) => other.nodeId === nodeId)) {
        await link
          .introduce(held.job, held.shard)
          .then(() => this.#turns.get(nodeId)?.waiting.add(held))
          .catch((error: unknown) =>
            logger.debug('shard not passed on', { peer: nodeId, error: toGridError(error).message }),
          )
      }
    }
    if (outcome === 'failed') link.lacks({ jobId: held.job.jobId, shard: held.shard })
    if (outcome === 'equal' || outcome === 'merged' || outcome === 'given') onMet(held, nodeId, snapshot)
    if (isClean && held.outsideSince !== undefined) held.cleanSyncs++
    else held.cleanSyncs = 0
    if (outcome === 'given' || ((outcome === 'equal' || outcome === 'merged') && isOutsider)) onAhead(held)
    else if (outcome === 'unknown' || isEmpty) onNothing(held, nodeId)
    else if (outcome !== 'failed') onAnswered(held)
    shards.forgetIds(held)
  }
}
