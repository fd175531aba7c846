import { homeKey } from '../../job/units/shard.js'
import type { JobId, NodeId } from '../../proto/model.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import type { Logger } from '../../runtime/logger.js'
import type { Endpoint } from '../../runtime/transport.js'
import type { OwnerDirectory } from '../directory.js'

interface HomePlacesContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly directory: OwnerDirectory
  /** Homes of a job. */
  readonly homeOwners: number
  /** What this node is to the job now. */
  readonly onRanked: (jobId: JobId, place: HomePlace) => void
}

/** What a node is to a job that it keeps. */
interface HomePlace {
  /** So many homes of the job, nearer than this node, seem to be there; of a guard, so many peers that may own. */
  readonly rank: number
  /** It is no home but lies in the region of the job: it keeps the job, and acts where homes do not. */
  readonly isGuard: boolean
}

/** Peers that a guard looks at to know its rank. */
const GUARD_PLACES = 24

/** Places behind the last home that are still looked at, to tell a home that was pushed aside from one that flaps. */
const PLACES_BEHIND = 3
/** A place is looked up anew after this long, or when neighbours have changed. Unit: ms. */
const LOOKUP_AGAIN_MS = 30_000
/** Places looked at by one call of {@link HomePlaces.refresh}, and lookups under way: many jobs take turns. */
const LOOKS_AT_ONCE = 256
const LOOKUPS_AT_ONCE = 8
/** Peers remembered as not answering, those missed last. */
const MISSED_MAX = 1_024

interface Place {
  readonly homes: readonly Endpoint[]
  /** Live peers nearer to the job than this node; as many as were asked for, or more. */
  readonly nearer: number
  readonly isGuard: boolean
  readonly seenAt: Millis
}

/** Another home of jobs kept here. */
interface OtherHome {
  readonly endpoint: Endpoint
  readonly jobIds: JobId[]
  /** Of all of them this node is only a guard. */
  isGuarded: boolean
}

/** Who the homes of each job kept here are, in this node's view, and which of them answer. */
export class HomePlaces {
  readonly #c: HomePlacesContext
  /** Those looked up longest ago first. */
  readonly #places = new Map<JobId, Place | undefined>()
  readonly #lookups = new Map<JobId, Promise<readonly Endpoint[]>>()
  readonly #missed = new Set<NodeId>()
  #changedAt = Number.NEGATIVE_INFINITY

  constructor(context: HomePlacesContext) {
    this.#c = context
    context.directory.onNeighboursChanged(() => {
      this.#changedAt = context.clock.now()
    })
  }

  /** Jobs that are followed. */
  get size(): number {
    return this.#places.size
  }

  /** Follows the homes of a job from now on. */
  track(jobId: JobId): void {
    if (!this.#places.has(jobId)) this.#places.set(jobId, undefined)
  }

  forget(jobId: JobId): void {
    this.#places.delete(jobId)
  }

  /** The homes of a job, nearest first, this node among them where it is one; undefined: not looked up yet. */
  homes(jobId: JobId): readonly Endpoint[] | undefined {
    return this.#places.get(jobId)?.homes
  }

  /** Live peers nearer to the job than this node, of those that were looked at. */
  nearer(jobId: JobId): number {
    return this.#places.get(jobId)?.nearer ?? 0
  }

  /** Whether this node is a guard of a job. */
  isGuard(jobId: JobId): boolean {
    return this.#places.get(jobId)?.isGuard ?? false
  }

  /** Looks the homes of a job up now. Never rejects: what was known before stands in for a lookup that fails. */
  find(jobId: JobId): Promise<readonly Endpoint[]> {
    let lookup = this.#lookups.get(jobId)
    if (lookup === undefined) {
      lookup = this.#find(jobId).finally(() => this.#lookups.delete(jobId))
      this.#lookups.set(jobId, lookup)
    }
    return lookup
  }

  /** The homes of a job kept here as of late, with a lookup only where the routing table cannot tell. Never rejects. */
  async current(jobId: JobId): Promise<readonly Endpoint[]> {
    if (!this.#isFresh(this.#places.get(jobId)) && !this.#look(jobId)) return this.find(jobId)
    return this.homes(jobId) ?? []
  }

  /** To be called every few seconds: looks again at what is known longest, some at a time. */
  refresh(): void {
    let looks = 0
    for (const [jobId, place] of [...this.#places]) {
      if (this.#isFresh(place)) continue
      if (looks++ >= LOOKS_AT_ONCE) return
      if (!this.#look(jobId) && this.#lookups.size < LOOKUPS_AT_ONCE) void this.find(jobId)
    }
  }

  /** A peer answered, or is given another chance. */
  reached(nodeId: NodeId): void {
    if (this.#missed.delete(nodeId)) this.#rankWith(nodeId)
  }

  /** A peer did not answer: until it does, the homes behind it act in its place. */
  missed(nodeId: NodeId): void {
    if (this.#missed.has(nodeId)) return
    this.#missed.add(nodeId)
    this.#rankWith(nodeId)
    // Most of those missed long ago have left and are no homes any more.
    const [longest] = this.#missed
    if (this.#missed.size > MISSED_MAX && longest !== undefined) this.reached(longest)
  }

  /** The other homes, and the jobs kept here that each is a home of. */
  peers(): Map<NodeId, OtherHome> {
    const peers = new Map<NodeId, OtherHome>()
    const { nodeId: self } = this.#c.directory.self
    for (const [jobId, place] of this.#places) {
      for (const endpoint of place?.homes ?? []) {
        if (endpoint.nodeId === self) continue
        const known = peers.get(endpoint.nodeId)
        if (known === undefined) peers.set(endpoint.nodeId, { endpoint, jobIds: [jobId], isGuarded: place!.isGuard })
        else {
          known.jobIds.push(jobId)
          known.isGuarded &&= place!.isGuard
        }
      }
    }
    return peers
  }

  #isFresh(place: Place | undefined): boolean {
    if (place === undefined || place.seenAt <= this.#changedAt) return false
    return this.#c.clock.now() - place.seenAt < LOOKUP_AGAIN_MS
  }

  /** A routing table is exact around its own node: where this one is a home or guard, nobody need be asked. False: it is neither. */
  #look(jobId: JobId): boolean {
    const { directory, homeOwners } = this.#c
    const key = homeKey(jobId)
    const { nodeId: self } = directory.self
    const seen = directory.ownersSeen(key, GUARD_PLACES)
    const isNear = seen.slice(0, homeOwners).some(({ nodeId }) => nodeId === self) || directory.guards(key, self)
    if (isNear && this.#places.has(jobId)) this.#put(jobId, seen)
    return isNear
  }

  async #find(jobId: JobId): Promise<readonly Endpoint[]> {
    const { directory, homeOwners, logger } = this.#c
    try {
      const nearest = await directory.owners(homeKey(jobId), homeOwners + PLACES_BEHIND)
      // A lookup before this node has joined finds nobody: that says nothing.
      if (nearest.length > 0 && this.#places.has(jobId)) this.#put(jobId, nearest)
      return nearest.slice(0, homeOwners)
    } catch (error) {
      logger.debug('homes not found', { jobId, error: toGridError(error).message })
      return this.homes(jobId) ?? []
    }
  }

  #put(jobId: JobId, nearest: readonly Endpoint[]): void {
    const { directory, homeOwners, clock } = this.#c
    const { nodeId: self } = directory.self
    const at = nearest.findIndex(({ nodeId }) => nodeId === self)
    const nearer = at < 0 ? nearest.length : at
    const isGuard = nearer >= homeOwners && directory.guards(homeKey(jobId), self)
    this.#places.delete(jobId)
    this.#places.set(jobId, { homes: nearest.slice(0, homeOwners), nearer, isGuard, seenAt: clock.now() })
    this.#rank(jobId)
  }

  #rankWith(nodeId: NodeId): void {
    for (const [jobId, place] of this.#places)
      if (place?.homes.some((home) => home.nodeId === nodeId)) this.#rank(jobId)
  }

  #rank(jobId: JobId): void {
    const self = this.#c.directory.self.nodeId
    const place = this.#places.get(jobId)
    if (place?.isGuard === true) {
      this.#c.onRanked(jobId, { rank: place.nearer, isGuard: true })
      return
    }
    let rank = 0
    for (const { nodeId } of place?.homes ?? []) {
      if (nodeId === self) break
      if (!this.#missed.has(nodeId)) rank++
    }
    this.#c.onRanked(jobId, { rank, isGuard: false })
  }
}
