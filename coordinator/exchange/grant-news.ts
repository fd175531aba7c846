import type { OutstandingGrant } from '../../proto/exchange-messages.js'
import { methods } from '../../proto/methods.js'
import type { Grant, JobId, NodeId } from '../../proto/model.js'
import type { Clock, Millis, Timer } from '../../runtime/clock.js'
import type { OwnerDriver } from '../owner/owner-driver.js'
import type { HeldShard } from './held-shard.js'
import { BELIEVED_MS, outstandingMessages } from './outstanding.js'
import type { PeerLink } from './peer-link.js'

/** Deadline for telling what is out: an owner that does not answer two of these is silent. */
const TELL_DEADLINE_MS: Millis = 2_000
/** What has just been granted is told after this long, together. */
const TELL_SOON_MS: Millis = 200
/** Grants of one message of what has just been granted. */
const NEWS_GRANTS_MAX = 256
/**
 * An owner that hands out nothing new for this long, while units wait for it and this one hands out its own, is passed over.
 * A little longer than any owner waits before it grants one opinion out of turn.
 */
const MUTE_MS: Millis = 2_500
/**
 * So many instances this owner must have handed out meanwhile. Workers share what they ask for evenly between the owners of
 * a shard; where units are long they ask seldom, and the next few may well all have come here.
 */
const MUTE_INSTANCES = 8
/** Units that one message of what is out may name; more is not listened to. */
const HEARD_UNITS_MAX = 65_536

interface GrantNewsContext {
  readonly self: NodeId
  readonly clock: Clock
  readonly owner: () => OwnerDriver
  readonly heldShard: (jobId: JobId, shard: number) => HeldShard | undefined
  readonly link: (nodeId: NodeId) => PeerLink | undefined
  /** Whether the word of a node on a shard is heard. */
  readonly isOwner: (held: HeldShard, nodeId: NodeId) => boolean
  /** This node has handed out more of the shard: others may be {@link GrantNews.isMute} now. */
  readonly onTold: (held: HeldShard) => void
}

/** Who hands out units of one shard. */
interface Issued {
  /** Instances that this node has handed out, and when last. */
  own: number
  ownAt: Millis
  /** When each other owner was last heard of an instance that is new, and how many this one had handed out by then. */
  readonly others: Map<NodeId, { readonly at: Millis; readonly own: number }>
}

/** What owners of a shard have handed out, as they tell one another: soft state, said again and again while it is so. */
export class GrantNews {
  readonly #c: GrantNewsContext
  readonly #telling = new Set<NodeId>()
  readonly #issued = new WeakMap<HeldShard, Issued>()
  #news: { readonly held: HeldShard; readonly grant: Grant }[] = []
  #newsTimer: Timer | undefined
  #closed = false

  constructor(context: GrantNewsContext) {
    this.#c = context
  }

  /** This node has granted instances: co-owners are told soon. */
  granted(held: HeldShard, grant: Grant): void {
    if (this.#closed || held.others.length === 0) return
    const issued = this.#issuedOf(held)
    issued.own += grant.runs.reduce((sum, { count }) => sum + count, 0)
    issued.ownAt = this.#c.clock.now()
    this.#news.push({ held, grant })
    this.#newsTimer ??= this.#c.clock.setTimer(TELL_SOON_MS, () => {
      this.#newsTimer = undefined
      const news = this.#news.splice(0)
      this.#tellNews(news)
      for (const shard of new Set(news.map((one) => one.held))) this.#c.onTold(shard)
    })
  }

  /** Tells co-owners what was granted a moment ago; what does not arrive is told with everything else. */
  #tellNews(news: readonly { readonly held: HeldShard; readonly grant: Grant }[]): void {
    const byPeer = new Map<NodeId, OutstandingGrant[]>()
    for (const { held, grant } of news) {
      const { jobId, shard, worker, runs } = grant
      for (const { nodeId } of held.others) {
        const grants = byPeer.get(nodeId) ?? []
        byPeer.set(nodeId, grants)
        grants.push({ jobId, shard, worker, runs, believedMs: BELIEVED_MS, kept: false })
      }
    }
    for (const [nodeId, grants] of byPeer) {
      const link = this.#c.link(nodeId)
      if (link === undefined || link.isDoubtful) continue
      for (let at = 0; at < grants.length; at += NEWS_GRANTS_MAX) {
        const request = { grants: grants.slice(at, at + NEWS_GRANTS_MAX) }
        void link.call(methods.outstanding, request, TELL_DEADLINE_MS).catch(() => {})
      }
    }
  }

  /** Tells a co-owner all that is out, if only that nothing is. */
  async tell(link: PeerLink, now: Millis): Promise<void> {
    const { nodeId } = link.endpoint
    if (this.#telling.has(nodeId)) return
    link.toldAt = now
    this.#telling.add(nodeId)
    try {
      const isShared = (jobId: JobId, shard: number) =>
        this.#c.heldShard(jobId, shard)?.others.some((other) => other.nodeId === nodeId) === true
      for (const grants of outstandingMessages(this.#c.owner().core.outstanding(), isShared))
        await link.call(methods.outstanding, { grants }, TELL_DEADLINE_MS)
    } catch {
      // The link counts it.
    } finally {
      this.#telling.delete(nodeId)
    }
  }

  /** Another owner says what it has out. */
  heard(from: NodeId, grants: readonly OutstandingGrant[]): void {
    const heard = new Map<HeldShard, boolean>()
    let units = 0
    for (const { jobId, shard, worker, runs, believedMs, kept } of grants) {
      const held = this.#c.heldShard(jobId, shard)
      if (held === undefined || !held.isOpen) continue
      const isOwner = heard.get(held) ?? this.#c.isOwner(held, from)
      heard.set(held, isOwner)
      units += runs.reduce((sum, { count }) => sum + count, 0)
      if (!isOwner || units > HEARD_UNITS_MAX) continue
      // What is only said again, or kept for a worker, shows no more than that the owner lives.
      if (!kept && this.#c.owner().core.isNews(jobId, shard, from, worker, runs)) {
        const issued = this.#issuedOf(held)
        issued.others.set(from, { at: this.#c.clock.now(), own: issued.own })
      }
      this.#c.owner().handle({
        type: 'otherGranted',
        grantor: from,
        jobId,
        shard,
        worker,
        runs,
        durationMs: believedMs,
        isKept: kept,
      })
    }
  }

  /** Whether an owner hands out nothing of what waits for it, while this one does hand out its own. */
  isMute(held: HeldShard, nodeId: NodeId, now: Millis): boolean {
    const { own, ownAt, others } = this.#issuedOf(held)
    const theirs = others.get(nodeId) ?? { at: held.openedAt, own: 0 }
    if (now - ownAt > MUTE_MS || now - theirs.at < MUTE_MS || own - theirs.own < MUTE_INSTANCES) return false
    // Once passed over nothing waits for it any more; it is heard again when it hands something out.
    if (held.told !== '' && !held.told.includes(nodeId)) return true
    return this.#c.owner().core.waitsFor(nodeId, held.job.jobId, held.shard)
  }

  #issuedOf(held: HeldShard): Issued {
    let issued = this.#issued.get(held)
    if (issued === undefined) {
      issued = { own: 0, ownAt: Number.NEGATIVE_INFINITY, others: new Map() }
      this.#issued.set(held, issued)
    }
    return issued
  }

  close(): void {
    this.#closed = true
    this.#newsTimer?.cancel()
  }
}
