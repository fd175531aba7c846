import type { NodeId } from '../../../proto/model.js'
import type { Millis } from '../../../runtime/clock.js'
import { jitter } from '../../../runtime/jitter.js'
import type { Random } from '../../../runtime/random.js'
import type { Address } from '../../../runtime/transport.js'
import { hostOf, isPrivateHost } from './subnet.js'

/** A peer to join through. */
export interface Seed {
  readonly address: Address
  /** Who must answer there; without it the first key seen is taken. */
  readonly nodeId?: NodeId
}

interface SeedLimits {
  /** First pause after a failed dial; doubles up to `retryMaxMs`, jittered by ± 20 %. */
  readonly retryMinMs: Millis
  readonly retryMaxMs: Millis
  /** Cap of the pause for loopback and private addresses during `eagerMs` after the start: a boot peer about to start. */
  readonly eagerRetryMaxMs: Millis
  readonly eagerMs: Millis
  /** Configured seeds are dialled again this often for ever, so that a healed network finds together again. */
  readonly redialMs: Millis
  /** Dials open at a time. */
  readonly parallel: number
}

/** What happens to seeds, as past facts. */
export type SeedEvent =
  | { readonly type: 'reached' | 'failed'; readonly address: Address }
  /** No contact is left: every seed is due again. */
  | { readonly type: 'isolated' }
  | { readonly type: 'woken' }

interface DialSeed {
  readonly type: 'dialSeed'
  readonly seed: Seed
}

interface State {
  readonly seed: Seed
  /** Configured: kept for ever. Remembered peers are dropped once the network is reached. */
  readonly lasting: boolean
  dueAt: Millis
  pauseMs: Millis
  dialling: boolean
}

/** When to dial which seed. Seeds are waiting, being dialled, or (remembered ones) forgotten. */
export class Seeds {
  readonly #limits: SeedLimits
  readonly #random: Random
  readonly #states = new Map<Address, State>()
  readonly #eagerUntil: Millis

  constructor(lasting: readonly Seed[], remembered: readonly Seed[], limits: SeedLimits, random: Random, now: Millis) {
    this.#limits = limits
    this.#random = random
    this.#eagerUntil = now + limits.eagerMs
    const add = (seed: Seed, kept: boolean) => {
      if (this.#states.has(seed.address)) return
      this.#states.set(seed.address, { seed, lasting: kept, dueAt: now, pauseMs: limits.retryMinMs, dialling: false })
    }
    for (const seed of lasting) add(seed, true)
    for (const seed of remembered) add(seed, false)
  }

  get size(): number {
    return this.#states.size
  }

  handle(event: SeedEvent, now: Millis): DialSeed[] {
    if (event.type === 'reached') this.#onReached(event.address, now)
    else if (event.type === 'failed') this.#onFailed(event.address, now)
    else if (event.type === 'isolated') this.#onIsolated(now)
    return this.#due(now)
  }

  nextWakeup(): Millis | undefined {
    let at: Millis | undefined
    let open = 0
    for (const state of this.#states.values()) {
      if (state.dialling) open++
      else if (at === undefined || state.dueAt < at) at = state.dueAt
    }
    return open < this.#limits.parallel ? at : undefined
  }

  #onReached(address: Address, now: Millis): void {
    const state = this.#states.get(address)
    if (state === undefined) return
    state.dialling = false
    state.pauseMs = this.#limits.retryMinMs
    state.dueAt = now + jitter(this.#random, this.#limits.redialMs, 0.2)
    for (const [other, { lasting, dialling }] of this.#states) if (!lasting && !dialling) this.#states.delete(other)
  }

  #onFailed(address: Address, now: Millis): void {
    const state = this.#states.get(address)
    if (state === undefined) return
    state.dialling = false
    state.dueAt = now + jitter(this.#random, state.pauseMs, 0.2)
    const eager = now < this.#eagerUntil && isPrivateHost(hostOf(address))
    state.pauseMs = Math.min(2 * state.pauseMs, eager ? this.#limits.eagerRetryMaxMs : this.#limits.retryMaxMs)
  }

  #onIsolated(now: Millis): void {
    for (const state of this.#states.values()) {
      if (!state.dialling) state.dueAt = Math.min(state.dueAt, now + jitter(this.#random, state.pauseMs, 0.2))
    }
  }

  #due(now: Millis): DialSeed[] {
    const effects: DialSeed[] = []
    let open = 0
    for (const state of this.#states.values()) if (state.dialling) open++
    for (const state of this.#states.values()) {
      if (open >= this.#limits.parallel) break
      if (state.dialling || state.dueAt > now) continue
      state.dialling = true
      open++
      effects.push({ type: 'dialSeed', seed: state.seed })
    }
    return effects
  }
}
