import type { Key, NodeId } from '../../proto/model.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import type { Logger } from '../../runtime/logger.js'
import type { Endpoint, Transport } from '../../runtime/transport.js'
import type { OwnerDirectory } from '../directory.js'
import type { CoordinatorOptions } from '../options.js'
import type { OwnerDriver } from '../owner/owner-driver.js'
import type { GroupCommit } from '../store/group-commit.js'
import type { Store } from '../store/store.js'
import type { HeldShard } from './held-shard.js'
import type { HeldShards } from './held-shards.js'
import { PeerLink } from './peer-link.js'
import { PeersSeen } from './peers-seen.js'

/** Shards looked at in one tick for a change of owners that no news of neighbours came for. */
const LOOKS_MAX = 64

interface CoOwnersContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly transport: Transport
  readonly directory: OwnerDirectory
  readonly store: Pick<Store, 'meta'>
  readonly commits: GroupCommit
  readonly options: CoordinatorOptions
  readonly owner: () => OwnerDriver
  readonly shards: HeldShards
  /** Whether an owner hands out nothing of what waits for it. */
  readonly isMute: (held: HeldShard, nodeId: NodeId, now: Millis) => boolean
  /** The peer may lack facts of these shards: it owns them anew, or did not answer for a while. */
  readonly onBehind: (nodeId: NodeId, shards: readonly HeldShard[]) => void
}

/** Who owns each shard besides this node, the link to each, and who of them takes turns in granting. */
export class CoOwners {
  readonly #c: CoOwnersContext
  readonly #self: NodeId
  readonly #links = new Map<NodeId, PeerLink>()
  readonly #seen: PeersSeen
  #lookAt = 0
  #closed = false

  constructor(context: CoOwnersContext) {
    this.#c = context
    this.#self = context.directory.self.nodeId
    this.#seen = new PeersSeen(context)
    context.directory.onNeighboursChanged(() => {
      if (this.#closed) return
      for (const held of context.shards.all()) this.look(held)
    })
  }

  /** Reads what was seen before a restart. */
  async start(): Promise<void> {
    await this.#seen.start()
  }

  /** Whether anybody else owns what lies at `key`, or did lately and is not seen yet: after a start nobody is. */
  mayHaveOthers(key: Key): boolean {
    const { directory, options } = this.#c
    if (this.#seen.count > 1) return true
    return directory.ownersSeen(key, options.shardOwners).some(({ nodeId }) => nodeId !== this.#self)
  }

  /** Sees who owns the shard now; who is new is given it and compared with at once. */
  look(held: HeldShard): void {
    const { directory, options, clock } = this.#c
    const near = directory.ownersSeen(held.key, options.shardOwners + options.releaseSlack + 1)
    const owners = near.slice(0, options.shardOwners)
    const others = owners.filter(({ nodeId }) => nodeId !== this.#self)
    const before = held.others
    held.owners = owners
    held.others = others
    this.#seen.saw(others.length + 1)
    for (const endpoint of others) this.link(endpoint).endpoint = endpoint
    if (owners.length < options.shardOwners || near.some(({ nodeId }) => nodeId === this.#self)) {
      held.outsideSince = undefined
      held.cleanSyncs = 0
    } else held.outsideSince ??= clock.now()
    for (const { nodeId } of others)
      if ((held.isOpen || held.isServing) && !before.some((other) => other.nodeId === nodeId))
        this.#c.onBehind(nodeId, [held])
    this.reviewTurns(held)
  }

  /** The next few shards: a change of owners further off brings no news. */
  review(): void {
    this.#seen.review()
    const held = this.#c.shards.all()
    for (let i = 0; i < Math.min(LOOKS_MAX, held.length); i++) this.look(held[this.#lookAt++ % held.length]!)
  }

  /** Tells the core who takes turns in granting: this node if it is an owner, and others as long as they do. */
  reviewTurns(held: HeldShard): void {
    if (!held.isOpen) return
    const now = this.#c.clock.now()
    // Owners tell one another what they grant, and not somebody who is none: to that one all would seem mute.
    const isOwner = held.owners.some(({ nodeId }) => nodeId === this.#self)
    const isPassedOver = (nodeId: NodeId) =>
      this.#links.get(nodeId)?.isSilent === true || (isOwner && this.#c.isMute(held, nodeId, now))
    const granting = held.owners
      .map(({ nodeId }) => nodeId)
      .filter((nodeId) => nodeId === this.#self || !isPassedOver(nodeId))
    const owners = granting.length === 0 ? [this.#self] : granting
    const told = owners.join()
    if (told === held.told) return
    held.told = told
    this.#c.owner().handle({ type: 'ownersChanged', jobId: held.job.jobId, shard: held.shard, owners })
  }

  /** Whether the node is, or was until lately, an owner in this node's view: it may have what open units were answered. */
  isOwner(held: HeldShard, nodeId: NodeId): boolean {
    const { directory, options } = this.#c
    const near = directory.ownersSeen(held.key, options.shardOwners + options.releaseSlack)
    return near.some((owner) => owner.nodeId === nodeId)
  }

  /** Owners that make a fact durable: no more than there are, and have been lately. */
  wanted({ others }: HeldShard): number {
    return Math.min(this.#c.options.shardHolders, Math.max(others.length + 1, this.#seen.count))
  }

  /** The link to a co-owner, made when there is none. */
  link(endpoint: Endpoint): PeerLink {
    let link = this.#links.get(endpoint.nodeId)
    if (link === undefined) {
      const { transport } = this.#c
      link = new PeerLink({ transport, onChange: (changed) => this.#linkChanged(changed) }, endpoint)
      this.#links.set(endpoint.nodeId, link)
    }
    return link
  }

  /** The link to a co-owner, if there is one. */
  linkTo(nodeId: NodeId): PeerLink | undefined {
    return this.#links.get(nodeId)
  }

  get links(): Iterable<PeerLink> {
    return this.#links.values()
  }

  /** A peer fell silent, or is back: then it may lack what came meanwhile. */
  #linkChanged(link: PeerLink): void {
    const { nodeId } = link.endpoint
    this.#c.logger.info(link.isSilent ? 'owner does not answer' : 'owner answers again', { peer: nodeId })
    const shared = this.#c.shards.all().filter(({ others }) => others.some((other) => other.nodeId === nodeId))
    for (const held of shared) this.reviewTurns(held)
    if (!link.isSilent) this.#c.onBehind(nodeId, shared)
  }

  /** Puts the shard into the hands of those that own it once this node is gone. */
  leave(held: HeldShard): void {
    const { directory, options } = this.#c
    const near = directory.ownersSeen(held.key, options.shardOwners + 1)
    held.others = near.filter(({ nodeId }) => nodeId !== this.#self).slice(0, options.shardOwners)
    for (const endpoint of held.others) this.link(endpoint)
  }

  /** Closes the links to peers that nothing is shared with any more, and returns whose they were. */
  forgetLinks(): readonly NodeId[] {
    const needed = new Set<NodeId>()
    for (const { others } of this.#c.shards.all()) for (const { nodeId } of others) needed.add(nodeId)
    const forgotten: NodeId[] = []
    for (const [nodeId, link] of this.#links) {
      if (needed.has(nodeId)) continue
      link.close()
      this.#links.delete(nodeId)
      forgotten.push(nodeId)
    }
    return forgotten
  }

  close(): void {
    this.#closed = true
    for (const link of this.#links.values()) link.close()
  }
}
