import type { NodeId } from '../../../proto/model.js'
import type { Contact } from '../../../proto/overlay-messages.js'
import type { Millis } from '../../../runtime/clock.js'
import type { Address } from '../../../runtime/transport.js'

/** Another process is asked whether it lives at most this often: its four addresses, 5 s for each, have their turn in between. Unit: ms. */
const ASKED_MS: Millis = 20_000
/** It counts as gone when it was not met for so long. Unit: ms. */
const LASTS_MS: Millis = 45_000
/** It is told of this often. Unit: ms. */
const TOLD_MS: Millis = 3_600_000

/**
 * Looks out for another process with our key: one on a copy of the data directory, say. Peers name whose contact record they
 * hold; that may be a former process of this directory, so it is asked before it counts.
 */
export class OtherSelf {
  readonly #nodeId: NodeId
  readonly #bootId: bigint
  #address: Address | undefined
  #metAt: Millis = Number.NEGATIVE_INFINITY
  #toldAt: Millis = Number.NEGATIVE_INFINITY
  #askedAt: Millis = Number.NEGATIVE_INFINITY

  /** The id and the boot id of this process. */
  constructor(nodeId: NodeId, bootId: bigint) {
    this.#nodeId = nodeId
    this.#bootId = bootId
  }

  /** Whether `contact` was signed with the key of this process, by another one; also by a former one. */
  signed({ nodeId, bootId }: Pick<Contact, 'nodeId' | 'bootId'>): boolean {
    return nodeId === this.#nodeId && bootId !== this.#bootId
  }

  /** It lives: it called, or answered. @returns whether to tell of it now */
  met({ addresses }: Pick<Contact, 'addresses'>, now: Millis): boolean {
    this.#address = addresses[0]
    this.#metAt = now
    if (now - this.#toldAt < TOLD_MS) return false
    this.#toldAt = now
    return true
  }

  /** Where it says to be, if it was met lately. */
  address(now: Millis): Address | undefined {
    return now - this.#metAt <= LASTS_MS ? this.#address : undefined
  }

  /** Whether enough time has passed since it was {@link asked}. */
  mayAsk(now: Millis): boolean {
    return now - this.#askedAt >= ASKED_MS
  }

  /** It is being asked. */
  asked(now: Millis): void {
    this.#askedAt = now
  }
}
