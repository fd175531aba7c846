import type { JobId, Key, NodeId, PublicKey } from '../../../proto/model.js'
import {
  ANNOUNCEMENT_LIFETIME_MS,
  type Announcement,
  BOARD_UPDATE_MAX,
  type WatchingWorker,
} from '../../../proto/overlay-messages.js'
import type { Millis } from '../../../runtime/clock.js'
import type { Sha256 } from '../../../runtime/hash.js'
import type { Random } from '../../../runtime/random.js'
import { keyOf } from '../../routing/core/node-id.js'

/** How often an owner renews an announcement. */
export const ANNOUNCEMENT_RENEWAL_MS: Millis = 20_000

/** Which board a job stands on: 0 to 15. */
export function boardOf(jobId: JobId): number {
  return Number.parseInt(jobId[0] ?? '0', 16)
}

/** Where a board lies in the id space. */
export function boardKey(board: number, sha256: Sha256): Key {
  return keyOf(sha256, 'board', [Uint8Array.of(board)])
}

/** What a peer keeps of boards for others; values and ranges: `OverlayOptions`. */
export interface BoardLimits {
  readonly announcementsMax: number
  readonly announcementsPerSubmitterMax: number
  readonly announcementsPerHostMax: number
  readonly announcementsPerJobMax: number
  readonly watchersMax: number
  readonly watchersPerHostMax: number
  /** Fewest watchers told of a job, however little work it has. */
  readonly audienceMin: number
}

/** An announcement with the peer that made it. `O` is how its owner is named to watchers. */
interface Posted<O> {
  readonly announcement: Announcement
  readonly owner: O
}

/** Messages to watchers, named by the numbers they were given. */
export type BoardEffect<O> =
  | { readonly type: 'push'; readonly watcher: number; readonly entries: readonly Posted<O>[] }
  | { readonly type: 'withdraw'; readonly watcher: number; readonly jobId: JobId; readonly owner: NodeId }

/** Which limit of {@link BoardLimits} an announcement met. */
type BoardRefusal = 'boardFull' | 'submitterQuota' | 'hostQuota' | 'jobQuota'

/** What became of an announcement. */
type Posting<O> =
  | { readonly ok: true; readonly effects: readonly BoardEffect<O>[] }
  | { readonly ok: false; readonly reason: BoardRefusal }

interface Note<O> {
  posted: Posted<O>
  expiresAt: Millis
  readonly host: string
  readonly ownerId: NodeId
  /** Watchers that were told, so that they hear of changes and of the end. */
  readonly told: Set<number>
}

interface Watcher {
  readonly boards: number
  readonly host: string
  readonly worker: WatchingWorker | undefined
}

/** Versions of workers that are counted apart; the rest are counted as one without a name. */
const VERSIONS_MAX = 16

/** Workers of one version that watch here, and their threads. */
export interface WorkersWatching {
  readonly version: string
  readonly workers: number
  readonly threads: number
}

/**
 * The holder's side of the boards: keeps announcements until they expire and tells a random audience of watchers, sized
 * to the ready work, so that thousands of idle workers do not call one owner at once. Each renewal tells more.
 */
export class Board<O> {
  readonly #limits: BoardLimits
  readonly #random: Random
  /** By job, then owner. */
  readonly #notes = new Map<JobId, Map<NodeId, Note<O>>>()
  readonly #bySubmitter = new Map<PublicKey, number>()
  readonly #byHost = new Map<string, number>()
  readonly #watchers = new Map<number, Watcher>()
  readonly #watchersByHost = new Map<string, number>()
  #size = 0
  #nextWatcher = 1

  constructor(limits: BoardLimits, random: Random) {
    this.#limits = limits
    this.#random = random
  }

  get size(): number {
    return this.#size
  }

  get watchers(): number {
    return this.#watchers.size
  }

  /** The workers that are to be counted here, by version. */
  workersWatching(): WorkersWatching[] {
    const counts = new Map<string, WorkersWatching>()
    for (const { worker } of this.#watchers.values()) {
      if (worker === undefined) continue
      const version = counts.has(worker.version) || counts.size < VERSIONS_MAX - 1 ? worker.version : ''
      const { workers, threads } = counts.get(version) ?? { workers: 0, threads: 0 }
      counts.set(version, { version, workers: workers + 1, threads: threads + worker.threads })
    }
    return [...counts.values()]
  }

  /** An owner, authenticated as `ownerId` at `host`, announces or (with `ready` 0) withdraws. */
  post(announcement: Announcement, owner: O, ownerId: NodeId, host: string, now: Millis): Posting<O> {
    this.expire(now)
    if (announcement.ready === 0) return { ok: true, effects: this.#remove(announcement.jobId, ownerId) }
    const owners = this.#notes.get(announcement.jobId)
    const known = owners?.get(ownerId)
    const expiresAt = now + Math.min(announcement.expiresInMs, ANNOUNCEMENT_LIFETIME_MS)
    // Quotas are charged to the submitter named first; a changed name is another announcement.
    if (known !== undefined && known.posted.announcement.submitter === announcement.submitter) {
      known.posted = { announcement, owner }
      known.expiresAt = expiresAt
      return { ok: true, effects: this.#tell(known) }
    }
    if (known !== undefined) this.#remove(announcement.jobId, ownerId)
    const refusal = this.#refusal(announcement, host)
    if (refusal !== undefined) return { ok: false, reason: refusal }
    const note: Note<O> = { posted: { announcement, owner }, expiresAt, host, ownerId, told: new Set() }
    const all = this.#notes.get(announcement.jobId) ?? new Map<NodeId, Note<O>>()
    this.#notes.set(announcement.jobId, all.set(ownerId, note))
    this.#size++
    count(this.#bySubmitter, announcement.submitter, 1)
    count(this.#byHost, host, 1)
    return { ok: true, effects: this.#tell(note) }
  }

  /** Adds a watcher of `boards` (one bit each); undefined when there are too many. First tells it of what there is. */
  watch(
    boards: number,
    host: string,
    now: Millis,
    worker?: WatchingWorker,
  ): { watcher: number; effects: BoardEffect<O>[] } | undefined {
    this.expire(now)
    const { watchersMax, watchersPerHostMax } = this.#limits
    if (this.#watchers.size >= watchersMax || (this.#watchersByHost.get(host) ?? 0) >= watchersPerHostMax)
      return undefined
    const watcher = this.#nextWatcher++
    this.#watchers.set(watcher, { boards, host, worker })
    count(this.#watchersByHost, host, 1)
    const standing = this.#shuffled([...this.#all()].filter((note) => isOn(boards, note.posted.announcement.jobId)))
    const entries = standing.slice(0, BOARD_UPDATE_MAX)
    for (const note of entries) note.told.add(watcher)
    return {
      watcher,
      effects: entries.length === 0 ? [] : [{ type: 'push', watcher, entries: entries.map((note) => note.posted) }],
    }
  }

  unwatch(watcher: number): void {
    const known = this.#watchers.get(watcher)
    if (known === undefined) return
    this.#watchers.delete(watcher)
    count(this.#watchersByHost, known.host, -1)
    for (const note of this.#all()) note.told.delete(watcher)
  }

  /** Forgets what was not renewed. Watchers drop it by themselves: they know its lifetime. */
  expire(now: Millis): void {
    for (const note of [...this.#all()]) {
      if (note.expiresAt <= now) this.#delete(note)
    }
  }

  /** Everything that stands. */
  posted(): Posted<O>[] {
    return [...this.#all()].map((note) => note.posted)
  }

  checkInvariants(): void {
    const notes = [...this.#all()]
    if (notes.length !== this.#size || this.#size > this.#limits.announcementsMax)
      throw new Error('bug: board miscounts')
    for (const note of notes) {
      for (const watcher of note.told)
        if (!this.#watchers.has(watcher)) throw new Error('bug: board tells a watcher that left')
    }
    const charged = [...this.#byHost.values()].reduce((sum, value) => sum + value, 0)
    if (charged !== this.#size) throw new Error('bug: board charges hosts wrongly')
  }

  #tell(note: Note<O>): BoardEffect<O>[] {
    const { jobId, ready } = note.posted.announcement
    const audience = Math.max(this.#limits.audienceMin, ready)
    const others = [...this.#watchers].filter(([watcher, { boards }]) => isOn(boards, jobId) && !note.told.has(watcher))
    const fresh = this.#shuffled(
      others.map(([watcher]) => watcher),
      audience,
    )
    const told = [...note.told]
    for (const watcher of fresh) note.told.add(watcher)
    return [...told, ...fresh].map((watcher) => ({ type: 'push', watcher, entries: [note.posted] }))
  }

  #remove(jobId: JobId, ownerId: NodeId): BoardEffect<O>[] {
    const note = this.#notes.get(jobId)?.get(ownerId)
    if (note === undefined) return []
    this.#delete(note)
    return [...note.told].map((watcher) => ({ type: 'withdraw', watcher, jobId, owner: ownerId }))
  }

  #delete(note: Note<O>): void {
    const { jobId, submitter } = note.posted.announcement
    const owners = this.#notes.get(jobId)
    if (!owners?.delete(note.ownerId)) return
    if (owners.size === 0) this.#notes.delete(jobId)
    this.#size--
    count(this.#bySubmitter, submitter, -1)
    count(this.#byHost, note.host, -1)
  }

  #refusal({ jobId, submitter }: Announcement, host: string): BoardRefusal | undefined {
    const { announcementsMax, announcementsPerSubmitterMax, announcementsPerHostMax, announcementsPerJobMax } =
      this.#limits
    if (this.#size >= announcementsMax) return 'boardFull'
    if ((this.#bySubmitter.get(submitter) ?? 0) >= announcementsPerSubmitterMax) return 'submitterQuota'
    if ((this.#byHost.get(host) ?? 0) >= announcementsPerHostMax) return 'hostQuota'
    if ((this.#notes.get(jobId)?.size ?? 0) >= announcementsPerJobMax) return 'jobQuota'
    return undefined
  }

  *#all(): IterableIterator<Note<O>> {
    for (const owners of this.#notes.values()) yield* owners.values()
  }

  /** The first `take` of a random order (Fisher-Yates, only as far as needed). */
  #shuffled<T>(items: T[], take = items.length): T[] {
    const end = Math.min(take, items.length)
    for (let i = 0; i < end; i++) {
      const j = i + this.#random.int(items.length - i)
      const moved = items[i]!
      items[i] = items[j]!
      items[j] = moved
    }
    return items.slice(0, end)
  }
}

function isOn(boards: number, jobId: JobId): boolean {
  return ((boards >>> boardOf(jobId)) & 1) === 1
}

function count<K>(counts: Map<K, number>, key: K, by: number): void {
  const value = (counts.get(key) ?? 0) + by
  if (value > 0) counts.set(key, value)
  else counts.delete(key)
}
