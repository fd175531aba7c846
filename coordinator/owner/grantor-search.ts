import type { NodeId } from '../../proto/model.js'
import { type Clock, type Millis, pause, type Timer } from '../../runtime/clock.js'
import { fromHex, toHex } from '../../runtime/hex.js'
import type { OwnerDirectory } from '../directory.js'
import type { GroupCommit } from '../store/group-commit.js'
import type { Store } from '../store/store.js'
import type { OwnerEvent } from './core/messages.js'

const META_NAME = 'grantors-met'
const ID_BYTES = 20
/** Owners remembered over a restart; the oldest are forgotten. */
const REMEMBERED_MAX = 1_024
/** Lookups at a time, and those that wait for their turn. Who comes beyond that is not found: anybody can make up any number. */
const AT_ONCE = 4
const WAITING_MAX = 64
/** A peer that is not found is looked for once more, and as long as nobody at all is: after a start the network is joined first. */
const AGAIN_MS: Millis = 1_000
const TRIES = 2
const TRIES_ALONE = 10
/** The nearest peers are noted so often: those that grant units of the same shards, now or later. Unit: ms. */
const NOTE_MS: Millis = 5_000
const NOTED = 20

interface GrantorSearchContext {
  readonly clock: Clock
  readonly directory: Pick<OwnerDirectory, 'self' | 'owners' | 'ownersSeen' | 'peerCount'>
  readonly store: Pick<Store, 'meta'>
  readonly commits: GroupCommit
  readonly handle: (event: OwnerEvent) => void
}

/**
 * Looks up who signed grants: in the routing table, then in the network, one after the other. Who was found is remembered on
 * disk, for owners leave and what they granted stays.
 */
export class GrantorSearch {
  readonly #c: GrantorSearchContext
  readonly #waiting: NodeId[] = []
  readonly #met = new Set<NodeId>()
  readonly #closing = new AbortController()
  #running = 0
  #timer: Timer | undefined

  constructor(context: GrantorSearchContext) {
    this.#c = context
  }

  /** Reads who was met before a restart. */
  async start(): Promise<void> {
    const bytes = (await this.#c.store.meta(META_NAME)) ?? new Uint8Array(0)
    for (let at = 0; at + ID_BYTES <= bytes.length; at += ID_BYTES)
      this.#met.add(toHex(bytes.subarray(at, at + ID_BYTES)) as NodeId)
    if (this.#met.size > 0) this.#c.handle({ type: 'grantorsMet', nodeIds: [...this.#met] })
    this.#note()
  }

  #note(): void {
    if (this.#closing.signal.aborted) return
    const { clock, directory } = this.#c
    this.met(directory.ownersSeen(directory.self.nodeId, NOTED).map(({ nodeId }) => nodeId))
    this.#timer = clock.setTimer(NOTE_MS, () => this.#note())
  }

  /** Looks a grantor up. What comes of it is an event, always. */
  seek(nodeId: NodeId): void {
    if (this.#waiting.length >= WAITING_MAX) {
      // Not at once: whoever asks is in the middle of an event.
      this.#c.clock.setTimer(0, () => this.#missing(nodeId))
      return
    }
    this.#waiting.push(nodeId)
    if (this.#running < AT_ONCE) void this.#run()
  }

  /** These are peers. */
  met(nodeIds: readonly NodeId[]): void {
    if (nodeIds.every((nodeId) => this.#met.has(nodeId))) return
    for (const nodeId of nodeIds) this.#met.add(nodeId)
    for (const old of this.#met) {
      if (this.#met.size <= REMEMBERED_MAX) break
      this.#met.delete(old)
    }
    const value = fromHex([...this.#met].join(''))
    // What is not on disk is looked up again after a restart.
    void this.#c.commits.commit([{ type: 'meta', name: META_NAME, value }]).catch(() => {})
  }

  close(): void {
    this.#closing.abort()
    this.#timer?.cancel()
  }

  async #run(): Promise<void> {
    this.#running++
    for (;;) {
      const nodeId = this.#waiting.shift()
      if (nodeId === undefined) break
      const isFound = await this.#find(nodeId)
      if (this.#closing.signal.aborted) break
      if (isFound) {
        this.met([nodeId])
        this.#c.handle({ type: 'grantorsMet', nodeIds: [nodeId] })
      } else this.#missing(nodeId)
    }
    this.#running--
  }

  async #find(nodeId: NodeId): Promise<boolean> {
    const { clock, directory } = this.#c
    for (let tries = 1; ; tries++) {
      if (this.#met.has(nodeId)) return true
      if (directory.ownersSeen(nodeId, 1)[0]?.nodeId === nodeId) return true
      const found = await directory.owners(nodeId, 1).catch(() => [])
      if (found[0]?.nodeId === nodeId) return true
      if (tries >= (directory.peerCount === 0 ? TRIES_ALONE : TRIES)) return false
      await pause(clock, AGAIN_MS, this.#closing.signal)
      if (this.#closing.signal.aborted) return false
    }
  }

  #missing(nodeId: NodeId): void {
    if (!this.#closing.signal.aborted) this.#c.handle({ type: 'grantorMissing', nodeId })
  }
}
