import type { Contact } from '../../../overlay/index.js'
import { methods } from '../../../proto/methods.js'
import type { Key, NodeId, Point } from '../../../proto/model.js'
import { type Clock, type Millis, pause } from '../../../runtime/clock.js'
import { toGridError } from '../../../runtime/errors.js'
import { toHex } from '../../../runtime/hex.js'
import type { Random } from '../../../runtime/random.js'
import type { Endpoint, Transport } from '../../../runtime/transport.js'
import type { TopEvent } from '../core/messages.js'

/** What is asked of the overlay. */
interface PeersOverlay {
  contacts(): readonly Contact[]
  lookup(key: Point): Promise<readonly Contact[]>
  endpoint(contact: Contact): Endpoint
}

interface PeersSourceContext {
  readonly overlay: PeersOverlay
  readonly self: NodeId
  readonly transport: Pick<Transport, 'call'>
  readonly clock: Clock
  readonly random: Random
  readonly signal: AbortSignal
  emit(event: TopEvent): void
}

/** The routing table is looked at, and while its page is shown the network is searched for more. Unit: ms. */
const LOOK_MS: Millis = 5_000
/** The same as long as searches find peers that were not known, until so many in a row have found none. Unit: ms. */
const MORE_MS: Millis = 200
const FRUITLESS_MAX = 4
/** Peers kept. One that no lookup found for this long has left. Unit of the second: ms. */
const PEERS_MAX = 2_000
const FORGET_MS: Millis = 120_000
/** While the page is shown, each peer is asked again after this time, and at most so many in a second. Unit: ms. */
const AGAIN_MS: Millis = 40_000
const CALLS_PER_SECOND = 5
const CALL_MS: Millis = 3_000
const ID_BYTES = 20

interface Known {
  endpoint: Endpoint
  eligible: boolean
  seenAt: Millis
  askedAt: Millis | undefined
  tripMs: Millis | undefined
}

/**
 * Who is out there. No stream tells of peers: the routing table is read, lookups of random keys find those that are not in
 * it, and each is asked for its status now and then while somebody looks.
 */
export class PeersSource {
  readonly #c: PeersSourceContext
  readonly #known = new Map<NodeId, Known>()
  #isShown = false
  #told = ''
  readonly #sleeping = new Set<AbortController>()

  constructor(context: PeersSourceContext) {
    this.#c = context
  }

  /** Whether the page of the peers is on the screen: statuses are asked for only then. */
  set isShown(isShown: boolean) {
    this.#isShown = isShown
    if (isShown) this.#wake()
  }

  /** Resolves when the signal aborts. Never rejects. */
  async run(): Promise<void> {
    await Promise.all([this.#search(), this.#ask()])
  }

  async #search(): Promise<void> {
    const { overlay, self, random, signal } = this.#c
    let target: Point = self
    let fruitless = 0
    for (let searches = 0; !signal.aborted; searches++) {
      const found = await overlay.lookup(target).catch(() => [])
      fruitless = this.#saw([...overlay.contacts(), ...found]) ? 0 : fruitless + 1
      target = targetOf(searches, random)
      await this.#sleep(fruitless < FRUITLESS_MAX && this.#isShown ? MORE_MS : LOOK_MS)
      // Nobody looks: the routing table, which others keep fresh, is enough for the number of peers.
      while (!this.#isShown && !signal.aborted) {
        this.#saw(overlay.contacts())
        await this.#sleep(LOOK_MS)
      }
    }
  }

  /** @returns whether any of them was not known */
  #saw(contacts: readonly Contact[]): boolean {
    const { overlay, self, clock, emit } = this.#c
    const now = clock.now()
    const before = this.#known.size
    for (const contact of contacts) {
      if (contact.nodeId === self) continue
      const known = this.#known.get(contact.nodeId)
      const seen = { endpoint: overlay.endpoint(contact), eligible: contact.eligible, seenAt: now }
      if (known !== undefined) Object.assign(known, seen)
      else if (this.#known.size < PEERS_MAX)
        this.#known.set(contact.nodeId, { ...seen, askedAt: undefined, tripMs: undefined })
    }
    const isNews = this.#known.size > before
    for (const [nodeId, { seenAt }] of this.#known) if (seenAt < now - FORGET_MS) this.#known.delete(nodeId)
    const peers = [...this.#known.values()].map(({ endpoint, eligible }) => ({ ...endpoint, eligible }))
    const told = peers.map(({ nodeId, eligible }) => `${nodeId}${eligible}`).join()
    if (told !== this.#told) {
      this.#told = told
      emit({ type: 'peersSeen', peers })
    }
    return isNews
  }

  async #ask(): Promise<void> {
    const { clock, signal } = this.#c
    while (!signal.aborted) {
      const due = this.#isShown ? this.#nextDue() : undefined
      if (due === undefined) {
        await this.#sleep(1_000)
        continue
      }
      due.askedAt = clock.now()
      void this.#askOne(due)
      await pause(clock, 1_000 / CALLS_PER_SECOND, signal)
    }
  }

  #nextDue(): Known | undefined {
    const before = this.#c.clock.now() - AGAIN_MS
    let oldest: Known | undefined
    for (const known of this.#known.values()) {
      if (known.askedAt !== undefined && known.askedAt > before) continue
      if (oldest === undefined || (known.askedAt ?? -1) < (oldest.askedAt ?? -1)) oldest = known
    }
    return oldest
  }

  async #askOne(known: Known): Promise<void> {
    const { transport, clock, signal, emit } = this.#c
    const { endpoint } = known
    const call = () => transport.call(endpoint, methods.status, {}, { deadlineMs: CALL_MS, signal })
    try {
      // The first call opens a connection: only what comes after it takes one round trip.
      if (known.tripMs === undefined) await call()
      const startedAt = clock.now()
      const status = await call()
      const tripMs = clock.now() - startedAt
      known.tripMs = tripMs
      known.seenAt = clock.now()
      emit({ type: 'peerAnswered', nodeId: endpoint.nodeId, status, roundTripMs: tripMs })
    } catch (error) {
      known.tripMs = undefined
      if (!signal.aborted) emit({ type: 'peerTroubled', nodeId: endpoint.nodeId, reason: toGridError(error).message })
    }
  }

  /** Waits, or until there is something to do sooner. */
  async #sleep(ms: Millis): Promise<void> {
    const { clock, signal } = this.#c
    const stop = new AbortController()
    const onAbort = () => stop.abort()
    signal.addEventListener('abort', onAbort, { once: true })
    this.#sleeping.add(stop)
    await pause(clock, ms, stop.signal)
    this.#sleeping.delete(stop)
    signal.removeEventListener('abort', onAbort)
  }

  #wake(): void {
    for (const stop of this.#sleeping) stop.abort()
  }
}

/**
 * Where the n-th search looks. The first bits are those of n in reverse order (van der Corput's sequence), so that searches
 * lie evenly between those before; random keys leave gaps in which peers are found late.
 */
function targetOf(n: number, random: Random): Key {
  const key = random.bytes(ID_BYTES)
  for (let bit = 0; bit < 16; bit++) {
    const at = bit >> 3
    const mask = 0x80 >> (bit & 7)
    key[at] = (n >> bit) & 1 ? key[at]! | mask : key[at]! & ~mask
  }
  return toHex(key) as Key
}
