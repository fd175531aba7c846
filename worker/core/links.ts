import type { Digest, JobId, NodeId } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import type { Random } from '../../runtime/random.js'
import type { Endpoint } from '../../runtime/transport.js'
import { reconnectWait } from './backoff.js'
import type { WorkerEffect } from './messages.js'

/** Owners a worker is connected to at a time, those of shards it holds reports of aside. */
const LINKS_MAX = 8
/** Of them, owners that have nothing for this worker, and are to know why. */
const UNFIT_LINKS_MAX = 3
/** Owners remembered with ready work while all links are taken; so many that refused, and shards looked for, too. */
const CANDIDATES_MAX = 256
/** Owners of one shard that are connected to. */
const SHARD_OWNERS_MAX = 8
/** A link says something this often, so that an owner can tell a busy worker from a dead one. */
const HEARTBEAT_MS = 5_000
/** A link with nothing in hand, no reports and no ready work is given up after this long. */
const IDLE_LINK_MS = 60_000
/** An owner that cannot be reached for this long is looked for anew by the shards of its reports. */
export const LOST_OWNER_MS = 5_000
/** Owners of a shard that is worked on are looked for this often: all of them have units of their own to grant. */
const SHARD_OWNERS_MS = 30_000
/** An owner that hangs up sooner, as one whose disk is full does on each report, is come back to ever more seldom. */
const STEADY_MS = 10_000
/** An owner that refused this key is not asked again for this long. */
const REFUSED_MS = 20_000

type LinkState = 'connecting' | 'open' | 'waiting'

/** An owner this worker talks to. connecting -> open -> waiting -> connecting ...; waiting -> gone when nothing needs it. */
export interface Link {
  readonly endpoint: Endpoint
  state: LinkState
  /** Since it last stood for {@link STEADY_MS}. */
  attempts: number
  openedAt: Millis
  retryAt: Millis
  lostAt: Millis
  usefulAt: Millis
  heartbeatAt: Millis
  /** Instances in hand from this owner; `WorkInHand` counts them. */
  held: number
  /** The same of each job; none is 0. */
  readonly heldOf: Map<JobId, number>
  /** Instances it was last told are wanted, and whether none for being busy. */
  wanted: number
  /** The most it was told lately that are wanted, and when: its grants answer that, until it has heard of less. */
  asked: { readonly most: number; readonly at: Millis }
  /** Of single jobs, and of a job that is not among them. */
  wantedOf: ReadonlyMap<JobId, number>
  wantedOfNew: number
  /** What it was told along with that: the restraint and the jobs declined. */
  told: object | undefined
  busy: boolean
  /** Which version of the jobs that it offers and this worker declines it was told. */
  declined: number
  /** It was seen with work that this worker may take; else it is there to be told why not. */
  fits: boolean
  /** Reports not settled that this owner is to get; `ReportBook` lists them. */
  readonly reports: Set<Digest>
}

/** A link as people see it. */
export interface LinkNow {
  readonly endpoint: Endpoint
  readonly isOpen: boolean
  /** Instances in hand from this owner. */
  readonly held: number
}

/**
 * Whom a worker talks to. Owners said to have ready work are candidates until there is a link free for them; one that is
 * lost is tried again after growing waits for as long as work or reports need it; one that refuses this key is left alone
 * for a while. Owners of a shard that are asked for by name are linked whatever else there is. What is to be done goes to
 * the end of `effects`.
 */
export class Links {
  readonly #random: Random
  readonly #effects: WorkerEffect[]
  readonly #links = new Map<NodeId, Link>()
  readonly #candidates = new Map<NodeId, { readonly endpoint: Endpoint; readonly fits: boolean }>()
  readonly #refusedUntil = new Map<NodeId, Millis>()
  readonly #seeking = new Map<string, Millis>()
  /** When the owners of shards that are worked on were looked for. */
  readonly #accompanied = new Map<string, Millis>()
  #draining = false

  constructor(random: Random, effects: WorkerEffect[]) {
    this.#random = random
    this.#effects = effects
  }

  get(owner: NodeId): Link | undefined {
    return this.#links.get(owner)
  }

  all(): Iterable<Link> {
    return this.#links.values()
  }

  /** All links, for people. */
  list(): LinkNow[] {
    return [...this.#links.values()].map(({ endpoint, state, held }) => ({ endpoint, isOpen: state === 'open', held }))
  }

  /** Those that can be sent to. */
  open(): Link[] {
    return [...this.#links.values()].filter(({ state }) => state === 'open')
  }

  /** No candidate is linked from now on, and what is lost is tried again only where something needs it. */
  drain(): void {
    this.#draining = true
  }

  /** An owner is said to have `ready` instances to grant. `fits`: of a job that this worker may take. */
  seen(owner: Endpoint, ready: number, fits: boolean, now: Millis): void {
    const link = this.#links.get(owner.nodeId)
    if (link !== undefined) {
      if (ready > 0 && fits) {
        link.usefulAt = now
        link.fits = true
      }
      return
    }
    if (ready === 0) {
      this.#candidates.delete(owner.nodeId)
      return
    }
    if (this.#isRefused(owner.nodeId, now) || this.#draining) return
    const isKnown = this.#candidates.get(owner.nodeId)?.fits === true
    this.#candidates.set(owner.nodeId, { endpoint: owner, fits: fits || isKnown })
    if (this.#candidates.size > CANDIDATES_MAX) {
      const { value } = this.#candidates.keys().next()
      if (value !== undefined) this.#candidates.delete(value)
    }
  }

  /** @returns the link that is open now; undefined when it is no longer wanted */
  opened(owner: NodeId, now: Millis): Link | undefined {
    const link = this.#links.get(owner)
    if (link === undefined) return undefined
    link.state = 'open'
    link.openedAt = now
    link.wanted = 0
    link.asked = { most: 0, at: now }
    link.wantedOf = new Map()
    link.wantedOfNew = 0
    link.told = undefined
    link.busy = false
    link.declined = 0
    link.usefulAt = now
    link.heartbeatAt = now + HEARTBEAT_MS
    return link
  }

  /** `lasting`: the owner does not want this key. */
  closed(owner: NodeId, lasting: boolean, now: Millis): void {
    const link = this.#links.get(owner)
    if (link === undefined) return
    if (link.state === 'open') {
      link.lostAt = now
      if (now - link.openedAt >= STEADY_MS) link.attempts = 0
    }
    link.state = 'waiting'
    link.retryAt = now + (lasting ? REFUSED_MS : reconnectWait(link.attempts++, this.#random))
    if (!lasting) return
    for (const [refusing, until] of this.#refusedUntil) if (until <= now) this.#refusedUntil.delete(refusing)
    this.#refusedUntil.set(owner, now + REFUSED_MS)
    if (this.#refusedUntil.size > CANDIDATES_MAX) this.#refusedUntil.delete(this.#refusedUntil.keys().next().value!)
    // Its place is for an owner that takes this worker.
    if (link.held === 0 && link.reports.size === 0) this.#links.delete(owner)
  }

  /** Links to the owners of a shard, made where there are none; those that refused this key are left out. */
  toOwners(owners: readonly Endpoint[], now: Millis): Link[] {
    return owners
      .filter(({ nodeId }) => !this.#isRefused(nodeId, now))
      .slice(0, SHARD_OWNERS_MAX)
      .map((endpoint) => this.#links.get(endpoint.nodeId) ?? this.#connect(endpoint, now))
  }

  /** Asks who owns a shard that is worked on, unless that was asked not long ago. */
  accompany(jobId: JobId, shard: number, now: Millis): void {
    const name = `${jobId}/${shard}`
    if ((this.#accompanied.get(name) ?? Number.NEGATIVE_INFINITY) > now - SHARD_OWNERS_MS) return
    this.#accompanied.set(name, now)
    if (this.#accompanied.size > CANDIDATES_MAX) this.#accompanied.delete(this.#accompanied.keys().next().value!)
    this.seek(jobId, shard, now)
  }

  /** Asks who owns a shard, unless that was asked a moment ago. */
  seek(jobId: JobId, shard: number, now: Millis): void {
    const name = `${jobId}/${shard}`
    if ((this.#seeking.get(name) ?? Number.NEGATIVE_INFINITY) > now - LOST_OWNER_MS) return
    this.#seeking.set(name, now)
    if (this.#seeking.size > CANDIDATES_MAX) this.#seeking.delete(this.#seeking.keys().next().value!)
    this.#effects.push({ type: 'findOwners', jobId, shard })
  }

  /** Whether an owner was asked for a moment ago. */
  get isSeeking(): boolean {
    return this.#seeking.size > 0
  }

  /** Tries lost owners again, gives up those that nothing needs, says to the others that this worker is there. */
  tend(now: Millis): void {
    for (const [name, since] of this.#seeking) if (now - since >= LOST_OWNER_MS) this.#seeking.delete(name)
    for (const [owner, link] of this.#links) {
      const needed = link.held > 0 || link.reports.size > 0
      if (link.state === 'waiting') {
        if (link.retryAt > now) continue
        if (!needed && (this.#draining || now - link.usefulAt > IDLE_LINK_MS)) {
          this.#links.delete(owner)
          continue
        }
        link.state = 'connecting'
        this.#effects.push({ type: 'openLink', owner: link.endpoint })
      } else if (link.state === 'open') {
        if (!needed && now - link.usefulAt > IDLE_LINK_MS && this.#candidates.size > 0) {
          this.#links.delete(owner)
          this.#effects.push({ type: 'closeLink', owner, reason: 'idle' })
          continue
        }
        if (now >= link.heartbeatAt) {
          link.heartbeatAt = now + HEARTBEAT_MS
          this.#effects.push({ type: 'sendHeartbeat', owner })
        }
      }
    }
  }

  /** Gives free links to candidates, drawn at random so that not every worker runs to the same owner. */
  connectCandidates(now: Millis): void {
    if (this.#draining) return
    const isFit = ({ fits }: { readonly fits: boolean }) => fits
    for (let fit = [...this.#candidates.values()].filter(isFit); fit.length > 0; ) {
      if (this.#links.size >= LINKS_MAX && !this.#dropUnfit()) return
      const [{ endpoint }] = fit.splice(this.#random.int(fit.length), 1) as [(typeof fit)[number]]
      this.#connect(endpoint, now)
    }
    // An owner whose work does not suit this worker is to know why: submitters ask it.
    let unfit = [...this.#links.values()].filter((link) => !isFit(link)).length
    for (const { endpoint } of [...this.#candidates.values()]) {
      if (this.#links.size >= LINKS_MAX || unfit++ >= UNFIT_LINKS_MAX) return
      this.#connect(endpoint, now).fits = false
    }
  }

  /** Makes room for an owner with work for this worker. */
  #dropUnfit(): boolean {
    for (const [owner, { fits, held, reports }] of this.#links) {
      if (fits || held > 0 || reports.size > 0) continue
      this.#links.delete(owner)
      this.#effects.push({ type: 'closeLink', owner, reason: 'nothing for this worker' })
      return true
    }
    return false
  }

  /** When {@link tend} has something to do next; infinite: never. */
  nextWakeup(): Millis {
    let wakeAt = Number.POSITIVE_INFINITY
    for (const link of this.#links.values())
      if (link.state !== 'connecting')
        wakeAt = Math.min(wakeAt, link.state === 'waiting' ? link.retryAt : link.heartbeatAt)
    return wakeAt
  }

  #isRefused(owner: NodeId, now: Millis): boolean {
    return (this.#refusedUntil.get(owner) ?? 0) > now
  }

  #connect(endpoint: Endpoint, now: Millis): Link {
    const link: Link = {
      endpoint,
      state: 'connecting',
      attempts: 0,
      openedAt: now,
      retryAt: now,
      lostAt: now,
      usefulAt: now,
      heartbeatAt: now + HEARTBEAT_MS,
      held: 0,
      heldOf: new Map(),
      wanted: 0,
      asked: { most: 0, at: now },
      wantedOf: new Map(),
      wantedOfNew: 0,
      told: undefined,
      busy: false,
      declined: 0,
      fits: true,
      reports: new Set(),
    }
    this.#links.set(endpoint.nodeId, link)
    this.#candidates.delete(endpoint.nodeId)
    this.#effects.push({ type: 'openLink', owner: endpoint })
    return link
  }
}
