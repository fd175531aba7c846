import type { JobId } from '../../proto/model.js'
import {
  ANNOUNCEMENT_LIFETIME_MS,
  type Announcement,
  BOARDS,
  type BoardUpdate,
  type Contact,
  type WatchingWorker,
} from '../../proto/overlay-messages.js'
import { Alarm } from '../../runtime/alarm.js'
import type { Millis } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { sha256 } from '../../runtime/hash.js'
import { jitter } from '../../runtime/jitter.js'
import type { Logger } from '../../runtime/logger.js'
import type { OverlayOptions } from '../options.js'
import { type BoardNews, BoardWatch, COUNTING_BOARD, HOLDERS_LIFETIME_MS, type WatchContext } from './board-watch.js'
import { makesRoom } from './core/announced-share.js'
import {
  ANNOUNCEMENT_RENEWAL_MS,
  type Board,
  type BoardEffect,
  boardKey,
  boardOf,
  type WorkersWatching,
} from './core/board.js'

/** Changes of one announcement are sent at most this often, so that a busy job does not flood its board. */
const CHANGE_PAUSE_MS: Millis = 500
/** Peers behind the holders of a board that are asked for the workers they count: of late they may have been holders. */
const COUNTERS_BEHIND = 2
/** Contacts up to which a change of neighbours is taken to change the holders of boards. */
const SMALL_NETWORK_MAX = 64

interface BoardClientDependencies extends WatchContext {
  readonly options: OverlayOptions
  readonly logger: Logger
  /** The `count` eligible peers closest to a key, this node included where it is one of them. */
  readonly owners: (key: ReturnType<typeof boardKey>, count: number) => Promise<readonly Contact[]>
  /** The board this node keeps for others. */
  readonly board: Board<Contact>
  readonly push: (effects: readonly BoardEffect<Contact>[]) => void
}

interface Announced {
  announcement: Announcement
  dueAt: Millis
  sending: boolean
  /** What the holders were told last; work that begins or ends is told at once. */
  toldReady: number
}

/** The announcing and the watching side of the boards. */
export class BoardClient {
  readonly #d: BoardClientDependencies
  readonly #announced = new Map<JobId, Announced>()
  readonly #holders = new Map<number, { readonly contacts: readonly Contact[]; readonly until: Millis }>()
  readonly #seeking = new Map<number, Promise<readonly Contact[]>>()
  readonly #watches = new Set<BoardWatch>()
  readonly #localWatchers = new Map<number, (update: BoardUpdate) => void>()
  readonly #alarm: Alarm
  #closed = false

  constructor(dependencies: BoardClientDependencies) {
    this.#d = dependencies
    this.#alarm = new Alarm(dependencies.clock, () => this.#sendDue())
  }

  /**
   * Keeps a job on its board until it is withdrawn; call again when its ready work changes. False: there are `announcedMax`
   * already, shared evenly by submitter, so that this one waits; call again later. Throws GridError `unsupported` on a leaf.
   */
  announce(announcement: Announcement): boolean {
    const { clock, options, self } = this.#d
    if (self() === undefined) throw new GridError('unsupported', 'a node that does not listen cannot own jobs')
    const now = clock.now()
    const known = this.#announced.get(announcement.jobId)
    if (known === undefined) {
      if (this.#announced.size >= options.announcedMax) {
        const announced = [...this.#announced.values()].map((each) => each.announcement)
        const jobId = makesRoom(announced, announcement.submitter)
        if (jobId === undefined) return false
        this.withdraw(jobId)
      }
      this.#announced.set(announcement.jobId, { announcement, dueAt: now, sending: false, toldReady: 0 })
    } else {
      known.announcement = announcement
      const urgent = (announcement.ready === 0) !== (known.toldReady === 0)
      known.dueAt = Math.min(known.dueAt, urgent ? now : now + CHANGE_PAUSE_MS)
    }
    this.#alarm.set(this.#announced.get(announcement.jobId)!.dueAt)
    return true
  }

  /** Takes a job off its board. */
  withdraw(jobId: JobId): void {
    const known = this.#announced.get(jobId)
    if (known === undefined) return
    this.#announced.delete(jobId)
    void this.#send({ ...known.announcement, ready: 0 })
  }

  /** Calls `handler` with news of all boards until the returned function is called; counted as `worker` meanwhile. */
  watch(handler: (news: BoardNews) => void, worker?: WatchingWorker): () => void {
    const watch = new BoardWatch(this.#d, handler, {
      worker,
      holders: (board) => this.#holdersOf(board),
      forget: (boards) => {
        for (let board = 0; board < BOARDS; board++) if ((boards >> board) & 1) this.#holders.delete(board)
      },
      local: (boards, deliver, counted) => this.#watchLocally(boards, deliver, counted),
    })
    this.#watches.add(watch)
    return () => {
      watch.close()
      this.#watches.delete(watch)
    }
  }

  /**
   * The nearest contacts changed. In a small network holders move with every peer that comes or goes, and finding them
   * is cheap: both sides look at once instead of after a minute.
   */
  neighboursChanged(contacts: number): void {
    if (contacts > SMALL_NETWORK_MAX) return
    this.#holders.clear()
    const soon = this.#d.clock.now() + CHANGE_PAUSE_MS
    for (const watch of this.#watches) watch.seekBy(soon)
    for (const known of this.#announced.values()) known.dueAt = Math.min(known.dueAt, soon)
    if (this.#announced.size > 0) this.#alarm.set(soon)
  }

  /** Workers counted at the board of this node. */
  workersWatching(): readonly WorkersWatching[] {
    return this.#d.board.workersWatching()
  }

  /** The peers that count workers, the nearest first, with some that did so of late where peers come and go. */
  async workerCounters(): Promise<readonly Contact[]> {
    const { owners, options } = this.#d
    return owners(boardKey(COUNTING_BOARD, sha256), options.boardCopies + COUNTERS_BEHIND)
  }

  /** An effect of the own board for one of {@link watch}. */
  onLocalEffect(effect: BoardEffect<Contact>): void {
    this.#localWatchers.get(effect.watcher)?.(
      effect.type === 'push'
        ? { entries: effect.entries, withdrawn: [] }
        : { entries: [], withdrawn: [{ jobId: effect.jobId, owner: effect.owner }] },
    )
  }

  close(): void {
    this.#closed = true
    this.#alarm.close()
    for (const watch of this.#watches) watch.close()
    this.#watches.clear()
  }

  #watchLocally(
    boards: number,
    deliver: (update: BoardUpdate) => void,
    worker: WatchingWorker | undefined,
  ): (() => void) | undefined {
    const { board, clock, push } = this.#d
    const watched = board.watch(boards, 'local', clock.now(), worker)
    if (watched === undefined) return undefined
    this.#localWatchers.set(watched.watcher, deliver)
    push(watched.effects)
    return () => {
      this.#localWatchers.delete(watched.watcher)
      board.unwatch(watched.watcher)
    }
  }

  #sendDue(): void {
    const { clock, random } = this.#d
    const now = clock.now()
    let next = Number.POSITIVE_INFINITY
    for (const known of this.#announced.values()) {
      if (known.dueAt <= now && !known.sending) {
        known.dueAt = now + jitter(random, ANNOUNCEMENT_RENEWAL_MS, 0.2)
        known.toldReady = known.announcement.ready
        known.sending = true
        void this.#send(known.announcement).finally(() => {
          known.sending = false
          this.#alarm.set(known.dueAt)
        })
      }
      if (!known.sending) next = Math.min(next, known.dueAt)
    }
    this.#alarm.set(Number.isFinite(next) ? next : undefined)
  }

  async #send(announcement: Announcement): Promise<void> {
    const { self, rpc, board, clock, push, logger } = this.#d
    const own = self()
    if (own === undefined || this.#closed) return
    const lasting = { ...announcement, expiresInMs: Math.min(announcement.expiresInMs, ANNOUNCEMENT_LIFETIME_MS) }
    const tell = async (holder: Contact): Promise<void> => {
      if (holder.nodeId === own.nodeId) {
        const posting = board.post(lasting, own, own.nodeId, 'local', clock.now())
        if (posting.ok) push(posting.effects)
        return
      }
      try {
        await rpc.announce(holder, own, lasting)
      } catch (error) {
        this.#holders.delete(boardOf(announcement.jobId))
        logger.debug('announceFailed', {
          jobId: announcement.jobId,
          peer: holder.nodeId,
          reason: toGridError(error).message,
        })
      }
    }
    await Promise.all((await this.#holdersOf(boardOf(announcement.jobId))).map(tell))
  }

  /** The peers that keep a board; empty when nobody was found. */
  async #holdersOf(board: number): Promise<readonly Contact[]> {
    const { clock, owners, options } = this.#d
    const known = this.#holders.get(board)
    if (known !== undefined && known.until > clock.now()) return known.contacts
    let seeking = this.#seeking.get(board)
    if (seeking === undefined) {
      seeking = owners(boardKey(board, sha256), options.boardCopies)
        .catch((): readonly Contact[] => [])
        .finally(() => this.#seeking.delete(board))
      this.#seeking.set(board, seeking)
    }
    const contacts = await seeking
    if (contacts.length > 0) this.#holders.set(board, { contacts, until: clock.now() + HOLDERS_LIFETIME_MS })
    return contacts
  }
}
