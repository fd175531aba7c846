import type { Millis, Timer } from '../../../runtime/clock.js'
import type { Scheduler } from './scheduler.js'

const noTimer: Timer = { cancel() {} }

/**
 * One run of a program on a host, from start to crash. Everything that reaches the program comes through
 * {@link deliver}: a stopped process (SIGSTOP) finds it waiting when it continues, a dead one never sees it, and what it
 * awaited stays pending for ever.
 */
export class SimProcess {
  /** Name of the host. */
  readonly host: string
  /** How often the host has started a process, from 1. */
  readonly boot: number
  readonly #scheduler: Scheduler
  #alive = true
  #stopped = false
  #backlog: (() => void)[] = []

  constructor(scheduler: Scheduler, host: string, boot: number) {
    this.#scheduler = scheduler
    this.host = host
    this.boot = boot
  }

  get alive(): boolean {
    return this.#alive
  }

  get stopped(): boolean {
    return this.#stopped
  }

  /** Runs `action` in the process after `delayMs` of virtual time. */
  after(delayMs: Millis, action: () => void): Timer {
    if (!this.#alive) return noTimer
    let cancelled = false
    const timer = this.#scheduler.at(this.#scheduler.nowMs + delayMs, this.host, () => {
      // A stopped process may cancel the timer by what it handles first once it continues.
      this.deliver(() => {
        if (!cancelled) action()
      })
    })
    return {
      cancel() {
        cancelled = true
        timer.cancel()
      },
    }
  }

  /** Runs `action` in the process now, later if it is stopped, never if it is dead. To be called from an event. */
  deliver(action: () => void): void {
    if (!this.#alive) return
    if (this.#stopped) this.#backlog.push(action)
    else action()
  }

  /** SIGSTOP. */
  stop(): void {
    this.#stopped = true
  }

  /** SIGCONT: what came meanwhile is handled in order, one event each. */
  continue(): void {
    if (!this.#stopped) return
    this.#stopped = false
    const backlog = this.#backlog
    this.#backlog = []
    for (const action of backlog) this.after(0, action)
  }

  /** SIGKILL. */
  kill(): void {
    this.#alive = false
    this.#backlog = []
  }
}
