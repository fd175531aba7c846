import type { Clock, Millis } from '../../runtime/clock.js'
import type { GroupCommit } from '../store/group-commit.js'
import type { Store } from '../store/store.js'

/** What was seen counts for so long after the last of it was: owners that are cut off must not take themselves for alone. */
const REMEMBERED_MS: Millis = 10 * 60_000
const META_NAME = 'owners-seen'
const COUNT_MAX = 255

/** How many owners a shard can have in this network: as many as were seen at once in the last ten minutes, restarts aside. */
export class PeersSeen {
  readonly #c: { readonly clock: Clock; readonly store: Pick<Store, 'meta'>; readonly commits: GroupCommit }
  #count = 1
  #seenAt: Millis
  /** The most seen since the last look, for when the larger number is forgotten. */
  #lately = 1

  constructor(context: { readonly clock: Clock; readonly store: Pick<Store, 'meta'>; readonly commits: GroupCommit }) {
    this.#c = context
    this.#seenAt = context.clock.now()
  }

  /** Reads what was seen before a restart. */
  async start(): Promise<void> {
    const bytes = await this.#c.store.meta(META_NAME)
    this.#count = Math.max(this.#count, bytes?.[0] ?? 1)
    this.#seenAt = this.#c.clock.now()
  }

  get count(): number {
    return this.#count
  }

  /** So many owners of one shard are there, this node included. */
  saw(count: number): void {
    this.#lately = Math.max(this.#lately, Math.min(COUNT_MAX, count))
    if (count < this.#count) return
    this.#seenAt = this.#c.clock.now()
    if (count > this.#count) this.#set(count)
  }

  /** Forgets what has not been seen for long. */
  review(): void {
    if (this.#c.clock.now() - this.#seenAt < REMEMBERED_MS) return
    this.#seenAt = this.#c.clock.now()
    if (this.#lately < this.#count) this.#set(this.#lately)
    this.#lately = 1
  }

  #set(count: number): void {
    this.#count = Math.min(COUNT_MAX, count)
    // Not on disk it is not remembered after a restart, and no harm is done before the network has been joined again.
    void this.#c.commits.commit([{ type: 'meta', name: META_NAME, value: Uint8Array.of(this.#count) }]).catch(() => {})
  }
}
