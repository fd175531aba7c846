/** 2000-01-01T00:00:00Z in ns since 1970: what the real-time clock shows when a unit starts. */
export const EPOCH_NS = 946_684_800_000_000_000n

/**
 * How far a reading moves the clocks, and their resolution. Unit: ns. A millisecond: a program that works "for a
 * second" comes to its end in a thousand looks at the clock, and two readings are never equal.
 */
export const TICK_NS = 1_000_000n

const NS_MAX = 2n ** 64n - 1n

/** The clocks of preview 1. */
const CLOCK = { realtime: 0, monotonic: 1, processCpuTime: 2, threadCpuTime: 3 } as const

/**
 * Time as a program sees it: starts at a fixed instant and moves only when it is read or slept on, so that it is the same
 * on every machine. All four clocks move together; only the real-time clock does not start at 0.
 */
export class VirtualClock {
  #elapsed = 0n

  /** Reads a clock known to exist, after moving it on by {@link TICK_NS}. Unit: ns. */
  read(clock: number): bigint {
    this.advanceTo(this.#elapsed + TICK_NS)
    return clock === CLOCK.realtime ? this.realtime : this.#elapsed
  }

  /** The real-time clock without moving it, for the times of files. Unit: ns since 1970. */
  get realtime(): bigint {
    const now = EPOCH_NS + this.#elapsed
    return now > NS_MAX ? NS_MAX : now
  }

  /** Time since the start, without moving it. Unit: ns. */
  get elapsed(): bigint {
    return this.#elapsed
  }

  /** When `timeout` on `clock` is over, as {@link elapsed} then is. Unit: ns. */
  deadline(clock: number, timeout: bigint, absolute: boolean): bigint {
    if (!absolute) return this.#elapsed + timeout
    return clock === CLOCK.realtime ? timeout - EPOCH_NS : timeout
  }

  /** Sleeps: the clocks show at least `elapsed`, never more than fits 64 bits. */
  advanceTo(elapsed: bigint): void {
    if (elapsed > this.#elapsed) this.#elapsed = elapsed > NS_MAX ? NS_MAX : elapsed
  }
}

/** Whether preview 1 has a clock of this number. */
export function isClock(clock: number): boolean {
  return clock >= CLOCK.realtime && clock <= CLOCK.threadCpuTime
}
