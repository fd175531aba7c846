import type { Global } from './engine.js'
import { Stop } from './wasi/stop.js'

/**
 * Fuel handed out at once: a few milliseconds of compiled code. It decides how often progress is reported and how soon a
 * program can be stopped from outside, and nothing else: V8 looks for that in no loop that calls a function, and filling a
 * table, which is a call to it, takes half a microsecond for each step of fuel.
 */
const PORTION = 1n << 22n

/**
 * Gives an instrumented program its fuel in portions and knows how much was used. What it counts, and where it stops a
 * program, do not depend on the size of the portions: the program asks where its fuel is below 0, which is so at
 * every checked place past the limit, and goes on unless more than the limit was used.
 */
export class FuelTank {
  readonly #limit: bigint
  readonly #portion: bigint
  readonly #onFuel: ((used: bigint) => void) | undefined
  #global: Global | undefined
  /** All that was ever put into the global. */
  #given = 0n

  /** `limit` 0n: no limit. `onFuel` is called with what was used whenever a portion is. */
  constructor(limit: bigint, onFuel: ((used: bigint) => void) | undefined, portion = PORTION) {
    this.#limit = limit
    this.#onFuel = onFuel
    this.#portion = portion
  }

  /** Fills the program's global with the first portion. */
  attach(global: Global): void {
    this.#global = global
    this.#given = this.#next(0n)
    global.value = this.#given
  }

  /** What was used, as far as the program wrote it down. May be more than the limit: see {@link refuel}. Unit: fuel. */
  get used(): bigint {
    return this.#given - BigInt(this.#global?.value ?? 0n)
  }

  /**
   * Charges work of the host. During a call the program's own count is in the global; it stops at the next place where it
   * checks its fuel. `fuel` is an integer >= 0.
   */
  readonly spend = (fuel: number): void => {
    if (this.#global !== undefined) this.#global.value = BigInt(this.#global.value) - BigInt(fuel)
  }

  /**
   * The import `grid.refuel`: takes what is left (below 0) and gives what to go on with; throws past the limit. The program
   * moves its global by the same amount, so that it keeps saying what it said of the fuel used.
   */
  readonly refuel = (remaining: bigint): bigint => {
    const used = this.#given - remaining
    if (this.#limit !== 0n && used > this.#limit) throw new Stop({ type: 'fuel' })
    this.#onFuel?.(used)
    const portion = this.#next(used)
    this.#given = used + portion
    return portion
  }

  #next(used: bigint): bigint {
    if (this.#limit === 0n) return this.#portion
    const left = this.#limit - used
    return left < this.#portion ? left : this.#portion
  }
}
