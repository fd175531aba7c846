import { Alarm } from '../../runtime/alarm.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { type Decision, decide } from './core/decision.js'

export type { Decision } from './core/decision.js'

/** What a governor steers. */
export interface Governed {
  /** Nothing may be computed, for this reason; undefined: it may go on. */
  setPaused(reason: string | undefined): void
}

export interface GovernorParts {
  readonly clock: Clock
  readonly threads: number
  readonly worker: Governed
}

/** Holds a worker to what its volunteer wants, now and whenever that changes. */
export class Governor {
  readonly #parts: GovernorParts
  readonly #alarm: Alarm
  #pausedUntilMs: Millis | undefined
  #decision: Decision

  constructor(parts: GovernorParts) {
    this.#parts = parts
    this.#alarm = new Alarm(parts.clock, () => this.#apply())
    this.#decision = this.#decide()
  }

  /** What holds now. */
  get decision(): Decision {
    return this.#decision
  }

  /** Whether the volunteer said so, other reasons aside. */
  get isPaused(): boolean {
    return this.#pausedUntilMs !== undefined && this.#pausedUntilMs > this.#parts.clock.wallMs()
  }

  /** Stops all computing at once. `forMs` 0: until {@link resume}. */
  pause(forMs: Millis): void {
    this.#pausedUntilMs = forMs === 0 ? Number.POSITIVE_INFINITY : this.#parts.clock.wallMs() + forMs
    this.#apply()
  }

  /** Undoes {@link pause}; other reasons stand. */
  resume(): void {
    this.#pausedUntilMs = undefined
    this.#apply()
  }

  close(): void {
    this.#alarm.close()
  }

  #decide(): Decision {
    const { threads, clock } = this.#parts
    return decide(threads, { pausedUntilMs: this.#pausedUntilMs }, clock.wallMs())
  }

  #apply(): void {
    const { clock, worker } = this.#parts
    this.#decision = this.#decide()
    const { threads, restraints, nextMs } = this.#decision
    worker.setPaused(threads > 0 ? undefined : (restraints[0]?.reason ?? 'paused'))
    this.#alarm.set(nextMs === undefined ? undefined : clock.now() + Math.max(0, nextMs - clock.wallMs()))
  }
}
