import {
  announceMethod,
  dialBackMethod,
  findNodeMethod,
  findRecordMethod,
  pingMethod,
  storeRecordMethod,
  watchBoardMethod,
} from '../proto/codec/overlay.js'
import type { NodeId } from '../proto/model.js'
import {
  BOARD_UPDATE_MAX,
  type BoardUpdate,
  type Contact,
  REPLY_CONTACTS_MAX,
  type WatchBoardRequest,
} from '../proto/overlay-messages.js'
import type { Clock, Millis } from '../runtime/clock.js'
import { GridError } from '../runtime/errors.js'
import type { Address, Caller, MessageStream, Transport } from '../runtime/transport.js'
import { hostGroup } from './address.js'
import type { Board, BoardEffect } from './board/core/board.js'
import type { OverlayOptions } from './options.js'
import { PerMinute } from './per-minute.js'
import type { RecordStore } from './records/core/record.js'
import type { OverlayDriver } from './routing/driver.js'

const MINUTE_MS: Millis = 60_000

/** Times a minute that a watcher may change which boards it watches: each change has it told of all there is. */
const WATCH_CHANGES_PER_MINUTE_MAX = 32

interface ServiceDependencies {
  readonly transport: Transport
  readonly clock: Clock
  readonly options: OverlayOptions
  readonly driver: OverlayDriver
  readonly records: RecordStore
  readonly board: Board<Contact>
  /** Board effects for watchers that are not streams of this service. */
  readonly onLocalBoardEffect: (effect: BoardEffect<Contact>) => void
}

/** Serves the overlay's methods. Everything in a request is taken from an authenticated caller or checked. */
export class OverlayService {
  readonly #d: ServiceDependencies
  readonly #watchers = new Map<number, MessageStream<WatchBoardRequest, BoardUpdate>>()
  /** Watchers whose stream is full. */
  readonly #slow = new Set<number>()
  readonly #dialBacks: PerMinute

  constructor(dependencies: ServiceDependencies) {
    this.#d = dependencies
    const { transport, driver, records, clock, options } = dependencies
    this.#dialBacks = new PerMinute(clock, options.dialBacksPerMinute)
    transport.handleUnary(pingMethod, (request, caller) => {
      const known = driver.upkeep.contact(caller.nodeId)
      this.#meet(request.caller, caller)
      const isOther = known !== undefined && request.caller !== undefined && known.bootId !== request.caller.bootId
      return { contact: driver.self(), other: isOther ? known : undefined }
    })
    transport.handleUnary(findNodeMethod, (request, caller) => {
      this.#meet(request.caller, caller)
      const contacts = driver.upkeep.closestVerified(request.target, REPLY_CONTACTS_MAX, clock.now(), caller.nodeId)
      return { contacts, contact: driver.self() }
    })
    transport.handleUnary(findRecordMethod, (request, caller) => {
      this.#meet(request.caller, caller)
      return { records: records.get(request.key, request.kind, clock.wallMs()) }
    })
    transport.handleUnary(storeRecordMethod, (request, caller) => {
      this.#meet(request.caller, caller)
      const stored = records.put(request.record, clock.wallMs())
      if (!stored.ok) throw recordRefused(stored.reason)
      return { newer: stored.newer }
    })
    transport.handleUnary(dialBackMethod, async (request, caller) => {
      const contact = this.#authentic(request.caller, caller)
      this.#countDialBack(caller.host)
      return { reached: await this.#dial(contact) }
    })
    transport.handleUnary(announceMethod, (request, caller) => {
      const contact = this.#authentic(request.caller, caller)
      this.#meet(contact, caller)
      const posting = this.#d.board.post(
        request.announcement,
        contact,
        caller.nodeId,
        hostGroup(caller.host),
        clock.now(),
      )
      if (!posting.ok) throw new GridError('quota', `announcement refused: ${posting.reason}`)
      this.push(posting.effects)
      return {}
    })
    transport.handleStream(watchBoardMethod, (stream) => this.#onWatch(stream))
  }

  /** Tells watchers what the board asks for. */
  push(effects: readonly BoardEffect<Contact>[]): void {
    for (const effect of effects) {
      const stream = this.#watchers.get(effect.watcher)
      if (stream === undefined) this.#d.onLocalBoardEffect(effect)
      // A watcher that does not read misses news; renewals repeat them.
      else if (!this.#slow.has(effect.watcher)) this.#send(effect, stream)
    }
  }

  #send(effect: BoardEffect<Contact>, stream: MessageStream<WatchBoardRequest, BoardUpdate>): void {
    const { watcher } = effect
    const update: BoardUpdate =
      effect.type === 'push'
        ? { entries: effect.entries.slice(0, BOARD_UPDATE_MAX), withdrawn: [] }
        : { entries: [], withdrawn: [{ jobId: effect.jobId, owner: effect.owner }] }
    if (stream.send(update)) return
    this.#slow.add(watcher)
    void stream.drained().then(() => this.#slow.delete(watcher))
  }

  #onWatch(stream: MessageStream<WatchBoardRequest, BoardUpdate>): void {
    let watching: number | undefined
    let watched = 0
    let changes = 0
    let changesSince = Number.NEGATIVE_INFINITY
    stream.onMessage(({ boards, worker }) => {
      const { clock, board } = this.#d
      if (watching !== undefined && boards === watched) return
      if (clock.now() - changesSince >= MINUTE_MS) {
        changes = 0
        changesSince = clock.now()
      }
      if (++changes > WATCH_CHANGES_PER_MINUTE_MAX)
        return stream.cancel(new GridError('quota', `more than ${WATCH_CHANGES_PER_MINUTE_MAX} changes a minute`))
      if (watching !== undefined) this.#unwatch(watching)
      watched = boards
      const added = board.watch(boards, hostGroup(stream.caller.host), clock.now(), worker)
      watching = added?.watcher
      if (added === undefined) return stream.cancel(new GridError('quota', 'too many watchers of the board'))
      this.#watchers.set(added.watcher, stream)
      this.push(added.effects)
    })
    stream.onEnd(() => stream.end())
    stream.onClose(() => {
      if (watching !== undefined) this.#unwatch(watching)
    })
  }

  #unwatch(watcher: number): void {
    this.#watchers.delete(watcher)
    this.#slow.delete(watcher)
    this.#d.board.unwatch(watcher)
  }

  /** Takes note of a caller that listens. A record that is not believed (a clock far off, say) is just not used. */
  #meet(contact: Contact | undefined, caller: Caller): void {
    if (contact === undefined) return
    this.#ownedBy(contact, caller.nodeId)
    const { driver } = this.#d
    driver.meetOtherSelf(contact)
    if (driver.problem(contact) === undefined && driver.rpc.dialable(contact)) driver.feed({ type: 'called', contact })
  }

  #authentic(contact: Contact, caller: Caller): Contact {
    this.#ownedBy(contact, caller.nodeId)
    const fault = this.#d.driver.problem(contact)
    if (fault !== undefined) throw new GridError('invalid', `your contact record is refused: ${fault}`)
    return contact
  }

  /** A caller speaks for itself only: otherwise it could put another node's id at its own address. */
  #ownedBy(contact: Contact, nodeId: NodeId): void {
    if (contact.nodeId !== nodeId) throw new GridError('forbidden', 'the contact record is not that of the caller')
  }

  #countDialBack(host: string): void {
    const { dialBacksPerMinute } = this.#d.options
    if (!this.#dialBacks.take(host))
      throw new GridError('quota', `more than ${dialBacksPerMinute} dial-backs a minute to ${host}`)
  }

  async #dial(contact: Contact): Promise<Address | undefined> {
    const { rpc } = this.#d.driver
    if (!rpc.dialable(contact)) return undefined
    try {
      await rpc.ping(contact)
      return rpc.endpoint(contact).address
    } catch {
      return undefined
    }
  }
}

function recordRefused(reason: string): GridError {
  const quota = ['signerQuota', 'keyFull', 'full']
  return new GridError(quota.includes(reason) ? 'quota' : 'invalid', `record refused: ${reason}`, {
    fields: { reason },
  })
}
