import {
  announceMethod,
  dialBackMethod,
  findNodeMethod,
  findRecordMethod,
  pingMethod,
  storeRecordMethod,
  watchBoardMethod,
} from '../../proto/codec/overlay.js'
import type { Key, NodeId, Point } from '../../proto/model.js'
import type {
  Announcement,
  BoardUpdate,
  Contact,
  OverlayRecord,
  WatchBoardRequest,
} from '../../proto/overlay-messages.js'
import { protocolGap } from '../../proto/protocol-range.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { stopOfMany } from '../../runtime/stop.js'
import type { Address, Endpoint, MessageStream, Transport, UnaryMethod } from '../../runtime/transport.js'
import type { OverlayOptions } from '../options.js'
import { hostOf, isPrivateHost, PRIVATE_ADDRESS_HINT } from './core/subnet.js'

/** Peers whose round trip and working address are remembered; the one met longest ago leaves first. */
const PEERS_MEASURED_MAX = 4_096
/** Time a peer may take to dial us back: its own deadline twice and the way. */
const DIAL_BACK_DEADLINE_MS: Millis = 6_000
const SEED_DEADLINE_MS: Millis = 5_000

/** Errors that mean that nobody answered; every other error is an answer. */
const SILENT: ReadonlySet<string> = new Set(['unreachable', 'timeout', 'closed'])

interface Measured {
  /** Smoothed round trip as in TCP (RFC 6298): 7/8 old, 1/8 new. */
  roundTripMs: Millis | undefined
  address: Address
}

interface RpcDependencies {
  readonly transport: Transport
  readonly clock: Clock
  readonly options: OverlayOptions
  /** The own contact record, undefined for a leaf. */
  readonly self: () => Contact | undefined
  /** Verified answer of a peer, `contact` being what we knew or, after a ping, what it says now. */
  readonly onAnswered: (contact: Contact) => void
  readonly onMissed: (nodeId: NodeId) => void
  /** A peer holds a contact record with the caller's own id that another process signed. */
  readonly onOther: (contact: Contact) => void
  /** Why a contact record is not to be believed. */
  readonly problem: (contact: Contact) => string | undefined
}

/**
 * Requests to peers. Each has a deadline adapted to the peer, dials only contacts whose record was verified, and reports
 * whether the peer answered. Rejects with GridError.
 */
export class OverlayRpc {
  readonly #d: RpcDependencies
  readonly #measured = new Map<NodeId, Measured>()
  // Every open request listens to it.
  readonly #closing = stopOfMany()

  constructor(dependencies: RpcDependencies) {
    this.#d = dependencies
  }

  /** Asks whether `contact` lives; resolves to its newest record. */
  async ping(contact: Contact): Promise<Contact> {
    const { contact: said, other } = await this.#call(contact, pingMethod, { caller: this.#d.self() }, (reply) =>
      this.#believed(contact, reply.contact),
    )
    if (other !== undefined) this.#d.onOther(other)
    return this.#believed(contact, said)
  }

  /** Who answers under our own id at one of the addresses of `other`; undefined: nobody. */
  async askOtherSelf({ nodeId, addresses }: Contact): Promise<Contact | undefined> {
    const { transport, self } = this.#d
    const options = { deadlineMs: SEED_DEADLINE_MS, signal: this.#closing.signal }
    for (const address of addresses) {
      const reply = await transport
        .call({ nodeId, address }, pingMethod, { caller: self() }, options)
        .catch(() => undefined)
      if (reply?.contact?.nodeId === nodeId) return reply.contact
    }
    return undefined
  }

  /** Dials a seed or a remembered peer, of which only the address is known; resolves to its contact record. */
  async pingSeed(address: Address, nodeId: NodeId | undefined): Promise<Contact> {
    const { transport, self, onAnswered, problem } = this.#d
    const options = { deadlineMs: SEED_DEADLINE_MS, signal: this.#closing.signal }
    const endpoint: Endpoint = nodeId === undefined ? await transport.probe(address, options) : { nodeId, address }
    const { contact } = await transport.call(endpoint, pingMethod, { caller: self() }, options).catch(async (error) => {
      // A channel to a known id does not tell a closed port from another network or another key; the person who typed it should know.
      if (nodeId !== undefined && toGridError(error).code === 'unreachable')
        await transport.probe(`${address}#${nodeId}`, options)
      throw error
    })
    if (contact === undefined || contact.nodeId !== endpoint.nodeId) {
      throw new GridError('invalid', `the node at ${address} does not take part in the overlay`, {
        fields: { address },
      })
    }
    const fault = problem(contact)
    if (fault === 'protocol')
      throw new GridError('unsupported', `the peer at ${address} ${protocolGap(contact)}`, {
        hint: 'update the older of the two',
      })
    if (fault === 'expired' || fault === 'tooFarAhead')
      throw new GridError('invalid', clocksApart(address, fault === 'expired' ? 'behind' : 'ahead of'))
    if (fault !== undefined) throw new GridError('invalid', `the contact record of ${address} is refused: ${fault}`)
    if (!this.dialable(contact)) {
      throw new GridError(
        'invalid',
        `the peer at ${address} says to be dialled at private addresses alone, which nobody does on the public network`,
        {
          hint: PRIVATE_ADDRESS_HINT,
        },
      )
    }
    this.#remember(contact.nodeId, { roundTripMs: undefined, address })
    onAnswered(contact)
    return contact
  }

  /** Asks for the contacts closest to `target`; also resolves to the newest record of the one asked. */
  async findNode(
    contact: Contact,
    target: Point,
  ): Promise<{ readonly contact: Contact; readonly contacts: readonly Contact[] }> {
    const reply = await this.#call(contact, findNodeMethod, { caller: this.#d.self(), target }, (said) =>
      this.#believed(contact, said.contact),
    )
    return {
      contact: this.#believed(contact, reply.contact),
      contacts: reply.contacts.filter((named) => this.dialable(named)),
    }
  }

  async findRecord(contact: Contact, key: Key, kind: string): Promise<readonly OverlayRecord[]> {
    return (await this.#call(contact, findRecordMethod, { caller: this.#d.self(), key, kind })).records
  }

  /** Resolves to whether the peer held no such version before. */
  async storeRecord(contact: Contact, record: OverlayRecord): Promise<boolean> {
    return (await this.#call(contact, storeRecordMethod, { caller: this.#d.self(), record })).newer
  }

  /** Asks `contact` to dial us; resolves to the address at which it reached us. */
  async dialBack(contact: Contact, self: Contact): Promise<Address | undefined> {
    return (await this.#call(contact, dialBackMethod, { caller: self }, undefined, DIAL_BACK_DEADLINE_MS)).reached
  }

  async announce(holder: Contact, self: Contact, announcement: Announcement): Promise<void> {
    await this.#call(holder, announceMethod, { caller: self, announcement })
  }

  /** Opens the stream on which a holder tells of ready work. */
  watchBoard(holder: Contact, signal: AbortSignal): MessageStream<BoardUpdate, WatchBoardRequest> {
    return this.#d.transport.open(this.endpoint(holder), watchBoardMethod, signal)
  }

  /**
   * Where a contact is dialled: where it answered last, else the address it prefers. Throws GridError `unreachable` when
   * none of its addresses may be dialled, unless it is this node.
   */
  endpoint(contact: Contact): Endpoint {
    // Ourselves we do not dial: a first peer at home has none that others on the public network would.
    const [address] = contact.nodeId === this.#d.self()?.nodeId ? contact.addresses : this.#addresses(contact)
    if (address === undefined)
      throw new GridError('unreachable', `${contact.nodeId} has no address that may be dialled`)
    return { nodeId: contact.nodeId, address }
  }

  /** Smoothed round trip to a peer; undefined: not measured. */
  roundTripMs(nodeId: NodeId): Millis | undefined {
    return this.#measured.get(nodeId)?.roundTripMs
  }

  /** Whether we dial the addresses of `contact` at all. */
  dialable(contact: Contact): boolean {
    return this.#d.options.privateAddresses || contact.addresses.some((address) => !isPrivateHost(hostOf(address)))
  }

  close(): void {
    this.#closing.abort()
  }

  async #call<Request, Response>(
    contact: Contact,
    method: UnaryMethod<Request, Response>,
    request: Request,
    newest: (response: Response) => Contact = () => contact,
    deadlineMs?: Millis,
  ): Promise<Response> {
    const { transport, clock, onAnswered, onMissed, problem } = this.#d
    const fault = problem(contact)
    if (fault !== undefined) {
      onMissed(contact.nodeId)
      throw new GridError('invalid', `contact record refused: ${fault}`, { fields: { peer: contact.nodeId } })
    }
    let failure: GridError | undefined
    for (const address of this.#addresses(contact)) {
      const sentAt = clock.now()
      const options = { deadlineMs: deadlineMs ?? this.#deadline(contact.nodeId), signal: this.#closing.signal }
      try {
        const response = await transport.call({ nodeId: contact.nodeId, address }, method, request, options)
        this.#measure(contact.nodeId, address, clock.now() - sentAt)
        onAnswered(newest(response))
        return response
      } catch (error) {
        failure = toGridError(error)
        if (this.#closing.signal.aborted) throw failure
        if (!SILENT.has(failure.code)) {
          onAnswered(contact)
          throw failure
        }
      }
    }
    onMissed(contact.nodeId)
    throw failure ?? new GridError('unreachable', 'the contact has no address that may be dialled')
  }

  /** What a peer says of itself, when it may be believed; else what we knew. */
  #believed(known: Contact, said: Contact | undefined): Contact {
    if (said === undefined || said.nodeId !== known.nodeId || said.seq < known.seq) return known
    return this.#d.problem(said) === undefined ? said : known
  }

  #addresses({ nodeId, addresses }: Contact): readonly Address[] {
    const worked = this.#measured.get(nodeId)?.address
    if (addresses.length === 1 && this.#d.options.privateAddresses) return addresses
    const allowed = addresses.filter((address) => this.#d.options.privateAddresses || !isPrivateHost(hostOf(address)))
    if (worked === undefined || !allowed.includes(worked)) return allowed
    return [worked, ...allowed.filter((address) => address !== worked)]
  }

  #deadline(nodeId: NodeId): Millis {
    const { rpcTimeoutMs, rpcTimeoutMinMs, rpcTimeoutMaxMs } = this.#d.options
    const roundTripMs = this.#measured.get(nodeId)?.roundTripMs
    if (roundTripMs === undefined) return rpcTimeoutMs
    return Math.min(Math.max(4 * roundTripMs, rpcTimeoutMinMs), rpcTimeoutMaxMs)
  }

  #measure(nodeId: NodeId, address: Address, elapsedMs: Millis): void {
    const known = this.#measured.get(nodeId)?.roundTripMs
    this.#remember(nodeId, { roundTripMs: known === undefined ? elapsedMs : (7 * known + elapsedMs) / 8, address })
  }

  #remember(nodeId: NodeId, measured: Measured): void {
    this.#measured.delete(nodeId)
    this.#measured.set(nodeId, measured)
    const [first] = this.#measured.keys()
    if (this.#measured.size > PEERS_MEASURED_MAX && first !== undefined) this.#measured.delete(first)
  }
}

/** Contact records live for an hour, and are signed anew long before: one that is out of date tells of a wrong clock. */
function clocksApart(address: string, where: 'behind' | 'ahead of'): string {
  return `the clock of ${address} is far ${where} the one of this machine: set the one that is wrong`
}
