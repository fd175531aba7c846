import type { Clock, Millis, Timer } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import { DutyCycle } from './core/duty.js'

/** What a throttle acts on. */
interface Throttled {
  /** Stops computing. Throws GridError `unsupported` where the platform cannot. Safe to call twice. */
  pause(): void
  resume(): void
  /** Processor time taken since it started; undefined: unknown. Unit: ms. */
  cpuMs?(): Millis | undefined
}

/** Stops and continues computing from outside, for as long as a pause lasts, and for its share of the time otherwise. */
export class Throttle {
  readonly #clock: Clock
  readonly #compute: Throttled
  readonly #busyThreads: () => number
  #paused = false
  #share = 1
  #cycle: DutyCycle | undefined
  #cpuMs: Millis | undefined
  #timer: Timer | undefined
  #canStop = true

  /** `busyThreads`: how many threads have something to compute. */
  constructor(clock: Clock, compute: Throttled, busyThreads: () => number) {
    this.#clock = clock
    this.#compute = compute
    this.#busyThreads = busyThreads
  }

  /** @returns false: this platform cannot stop what is being computed */
  set(paused: boolean, share: number): boolean {
    if (paused === this.#paused && share === this.#share) return this.#canStop
    this.#paused = paused
    this.#share = share
    if (paused || share >= 1) {
      this.#timer?.cancel()
      this.#timer = undefined
      this.#cycle = undefined
      this.#run(!paused)
    } else if (this.#cycle === undefined) {
      this.#cycle = new DutyCycle(share, this.#clock.now())
      this.#cpuMs = this.#compute.cpuMs?.()
      this.#run(true)
      this.#look()
    } else this.#cycle.setShare(share)
    return this.#canStop
  }

  /** Leaves computing as it is. */
  close(): void {
    this.#timer?.cancel()
    this.#cycle = undefined
    this.#paused = true
  }

  #look(): void {
    if (this.#cycle === undefined) return
    const now = this.#clock.now()
    const at = this.#cycle.look(now, this.#usedMs())
    this.#run(this.#cycle.isRunning)
    this.#timer = this.#clock.setTimer(at - now, () => this.#look())
  }

  /** Processor time of a thread since the last look, of those that have something to do. */
  #usedMs(): Millis | undefined {
    const cpuMs = this.#compute.cpuMs?.()
    const before = this.#cpuMs
    this.#cpuMs = cpuMs
    if (cpuMs === undefined || before === undefined) return undefined
    // A new process begins at nothing.
    const used = cpuMs >= before ? cpuMs - before : cpuMs
    return used / Math.max(1, this.#busyThreads())
  }

  #run(run: boolean): void {
    try {
      if (run) this.#compute.resume()
      else this.#compute.pause()
    } catch (error) {
      if (toGridError(error).code !== 'unsupported') throw error
      this.#canStop = false
    }
  }
}
