import type { Clock, Millis } from '../../runtime/clock.js'
import type { Caller } from '../../runtime/transport.js'
import { hostGroup } from '../address.js'
import { type Asker, FairQueue, type FairQueueLimits } from './core/fair-queue.js'

/**
 * Time for calls and messages of others in one turn of the event loop; what is left waits for the next, so that timers,
 * disk and our own streams have their turn in between. Unit: ms.
 */
const TURN_MS: Millis = 4

/** What gRPC spends on a message before its turn, however short: else five bytes each would cost their sender nothing. Unit: ms. */
const READING_MS: Millis = 0.002

/** A key has at most as many calls under way as one connection may have streams, on eight connections. */
const LIMITS: FairQueueLimits = { waitingMax: 16_384, waitingPerAddressMax: 4_096, waitingPerKeyMax: 512 }

/**
 * Serves what others send in turns that are fair by address, then key. While there is time in this turn of the event loop
 * and nobody waits, work is done at once; else it waits for its turn, behind whoever has used less time.
 */
export class Turns {
  readonly #clock: Clock
  readonly #queue = new FairQueue<() => void>(LIMITS)
  readonly #schedule: (action: () => void) => void
  readonly #askers = new WeakMap<Caller, Asker>()
  #spentMs: Millis = 0
  #isScheduled = false

  /** `schedule` calls back in the next turn of the event loop (setImmediate). */
  constructor(clock: Clock, schedule: (action: () => void) => void) {
    this.#clock = clock
    this.#schedule = schedule
  }

  /** Calls and messages that wait for their turn. */
  get waiting(): number {
    return this.#queue.size
  }

  /** Runs `action`, now or in its turn. False, without running it ever: too much of this caller's waits already. */
  run(caller: Caller, action: () => void): boolean {
    const asker = this.#askerOf(caller)
    if (this.#queue.size === 0 && this.#spentMs < TURN_MS) {
      this.#measured(asker, action)
      this.#wake()
      return true
    }
    const offered = this.#queue.offer(asker, () => this.#measured(asker, action))
    this.#wake()
    return offered
  }

  #askerOf(caller: Caller): Asker {
    const known = this.#askers.get(caller)
    if (known !== undefined) return known
    const asker = { address: hostGroup(caller.host), key: caller.nodeId }
    this.#askers.set(caller, asker)
    return asker
  }

  #measured(asker: Asker, action: () => void): void {
    const began = this.#clock.now()
    try {
      action()
    } finally {
      const tookMs = READING_MS + this.#clock.now() - began
      this.#spentMs += tookMs
      this.#queue.charge(asker, tookMs)
    }
  }

  #wake(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#schedule(() => this.#nextTurn())
  }

  #nextTurn(): void {
    this.#isScheduled = false
    this.#spentMs = 0
    while (this.#queue.size > 0 && this.#spentMs < TURN_MS) this.#queue.take()?.()
    if (this.#queue.size > 0) this.#wake()
  }
}
