import type { JobId, NodeId } from '../../proto/model.js'
import {
  BOARDS,
  type BoardEntry,
  type BoardUpdate,
  type Contact,
  type WatchingWorker,
} from '../../proto/overlay-messages.js'
import { Alarm } from '../../runtime/alarm.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { jitter } from '../../runtime/jitter.js'
import type { Random } from '../../runtime/random.js'
import type { OverlayRpc } from '../routing/rpc.js'

/** How long the holders of a board are taken for known. */
export const HOLDERS_LIFETIME_MS: Millis = 60_000
/** Pause before a watch that broke is opened again; doubles to the cap. */
const WATCH_RETRY_MIN_MS: Millis = 250
const WATCH_RETRY_MAX_MS: Millis = 10_000
/** Boards whose holders are looked up at a time. */
const BOARDS_SOUGHT_MAX = 4

/** The board whose holders count the workers of the network. */
export const COUNTING_BOARD = 0

/** News of the board for a worker with nothing to do. */
export type BoardNews =
  | { readonly type: 'posted'; readonly entry: BoardEntry }
  | { readonly type: 'withdrawn'; readonly jobId: JobId; readonly owner: NodeId }

/** What a watch of one board shares with those of the others. */
export interface WatchContext {
  readonly clock: Clock
  readonly random: Random
  readonly rpc: OverlayRpc
  readonly self: () => Contact | undefined
  /** Why a contact record is not to be believed. */
  readonly problem: (contact: Contact) => string | undefined
}

interface WatchDependencies {
  readonly holders: (board: number) => Promise<readonly Contact[]>
  /** Forgets the holders of these boards (one bit each), one of which broke. */
  readonly forget: (boards: number) => void
  readonly local: (
    boards: number,
    deliver: (update: BoardUpdate) => void,
    worker: WatchingWorker | undefined,
  ) => (() => void) | undefined
  /** As what whoever watches is to be counted, at the holder of board {@link COUNTING_BOARD}. */
  readonly worker: WatchingWorker | undefined
}

interface Stream {
  readonly holder: NodeId
  boards: number
  close(): void
}

/**
 * One watch of all boards: a stream to one holder of each, shared by the boards that have the same one. Boards without a
 * stream are sought again with back-off; all are sought again every minute, for holders change as peers come and go.
 */
export class BoardWatch {
  readonly #d: WatchContext
  readonly #w: WatchDependencies
  readonly #handler: (news: BoardNews) => void
  readonly #streams = new Map<NodeId, Stream>()
  readonly #alarm: Alarm
  /** Holders whose stream broke, passed over until then. At most one entry a stream that was opened. */
  readonly #brokenUntil = new Map<NodeId, Millis>()
  #pauseMs = WATCH_RETRY_MIN_MS
  #seeking = false
  #closed = false

  constructor(dependencies: WatchContext, handler: (news: BoardNews) => void, watchDependencies: WatchDependencies) {
    this.#d = dependencies
    this.#w = watchDependencies
    this.#handler = handler
    this.#alarm = new Alarm(dependencies.clock, () => void this.#seek())
    this.#alarm.set(dependencies.clock.now())
  }

  seekBy(at: Millis): void {
    this.#alarm.set(at)
  }

  close(): void {
    this.#closed = true
    this.#alarm.close()
    for (const stream of [...this.#streams.values()]) stream.close()
    this.#streams.clear()
  }

  async #seek(): Promise<void> {
    if (this.#closed || this.#seeking) return
    this.#seeking = true
    const startedAt = this.#d.clock.now()
    for (const [holder, until] of this.#brokenUntil) if (until <= startedAt) this.#brokenUntil.delete(holder)
    const wanted = new Map<NodeId, { readonly contact: Contact; boards: number }>()
    let missing = 0
    const boards = Array.from({ length: BOARDS }, (_, board) => board)
    const seekNext = async (): Promise<void> => {
      for (let board = boards.shift(); board !== undefined; board = boards.shift()) {
        const holders = await this.#w.holders(board)
        const contact = holders.find((holder) => !this.#brokenUntil.has(holder.nodeId)) ?? holders[0]
        if (contact === undefined) {
          missing++
          continue
        }
        const known = wanted.get(contact.nodeId) ?? { contact, boards: 0 }
        known.boards |= 1 << board
        wanted.set(contact.nodeId, known)
      }
    }
    await Promise.all(Array.from({ length: BOARDS_SOUGHT_MAX }, seekNext))
    this.#seeking = false
    if (this.#closed) return
    for (const [holder, stream] of this.#streams) if (!wanted.has(holder)) stream.close()
    for (const { contact, boards: mask } of wanted.values()) this.#open(contact, mask)
    const { clock, random } = this.#d
    if (missing > 0) this.#retry()
    else this.#alarm.set(clock.now() + jitter(random, HOLDERS_LIFETIME_MS, 0.2))
  }

  #retry(): void {
    const { clock, random } = this.#d
    this.#alarm.set(clock.now() + jitter(random, this.#pauseMs, 0.2))
    this.#pauseMs = Math.min(2 * this.#pauseMs, WATCH_RETRY_MAX_MS)
  }

  #open(contact: Contact, boards: number): void {
    const { nodeId } = contact
    const known = this.#streams.get(nodeId)
    if (known?.boards === boards) return
    known?.close()
    if (nodeId === this.#d.self()?.nodeId) this.#openLocal(nodeId, boards)
    else this.#openRemote(contact, boards)
  }

  #openLocal(holder: NodeId, boards: number): void {
    const stop = this.#w.local(boards, (update) => this.#deliver(update), this.#counted(boards))
    if (stop === undefined) return
    this.#streams.set(holder, {
      holder,
      boards,
      close: () => {
        this.#streams.delete(holder)
        stop()
      },
    })
  }

  #openRemote(contact: Contact, boards: number): void {
    const { clock } = this.#d
    const abort = new AbortController()
    const stream = this.#d.rpc.watchBoard(contact, abort.signal)
    const entry: Stream = {
      holder: contact.nodeId,
      boards,
      close: () => {
        if (this.#streams.get(contact.nodeId) === entry) this.#streams.delete(contact.nodeId)
        abort.abort()
      },
    }
    this.#streams.set(contact.nodeId, entry)
    const openedAt = clock.now()
    stream.onMessage((update) => this.#deliver(update))
    stream.onEnd(() => stream.end())
    stream.onClose(() => {
      if (this.#streams.get(contact.nodeId) !== entry) return
      this.#streams.delete(contact.nodeId)
      if (this.#closed) return
      const now = clock.now()
      this.#brokenUntil.set(contact.nodeId, now + HOLDERS_LIFETIME_MS)
      this.#w.forget(boards)
      if (now - openedAt > WATCH_RETRY_MAX_MS) this.#pauseMs = WATCH_RETRY_MIN_MS
      this.#retry()
    })
    stream.send({ boards, worker: this.#counted(boards) })
  }

  /** Every watch has one holder of this board: there its worker is counted, once. */
  #counted(boards: number): WatchingWorker | undefined {
    return ((boards >> COUNTING_BOARD) & 1) === 1 ? this.#w.worker : undefined
  }

  #deliver({ entries, withdrawn }: BoardUpdate): void {
    if (this.#closed) return
    for (const entry of entries) {
      if (this.#d.problem(entry.owner) === undefined) this.#handler({ type: 'posted', entry })
    }
    for (const { jobId, owner } of withdrawn) this.#handler({ type: 'withdrawn', jobId, owner })
  }
}
