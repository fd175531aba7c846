import { FuelExhausted } from './task.js'

/** Counts the steps of one unit on behalf of a host. */
export class FuelMeter {
  readonly #limit: bigint | undefined
  readonly #onBurn: (() => void) | undefined
  /** Steps are added as a number while exact, then moved to the bigint: `burn` sits in hot loops. */
  #pending = 0
  #settled = 0n
  /** Pending steps that still fit under the limit. */
  #room: number

  /** `limit`: steps allowed, undefined for no limit. `onBurn` is called after each burn, to report progress. */
  constructor(limit?: bigint, onBurn?: () => void) {
    this.#limit = limit
    this.#onBurn = onBurn
    this.#room = this.#roomLeft()
  }

  /** Steps burnt so far, those that passed the limit included. */
  get used(): bigint {
    return this.#settled + BigInt(this.#pending)
  }

  /** To be handed out as `UnitInput.burn`. Throws {@link FuelExhausted}; RangeError for a step count that is negative or no exact integer. */
  readonly burn = (steps: number | bigint): void => {
    if (typeof steps === 'bigint' ? steps < 0n : !Number.isSafeInteger(steps) || steps < 0) {
      throw new RangeError(`steps must be an exact integer >= 0, not ${steps}`)
    }
    if (typeof steps === 'number' && steps <= this.#room - this.#pending) this.#pending += steps
    else this.#burnSlowly(BigInt(steps))
    this.#onBurn?.()
  }

  #burnSlowly(steps: bigint): void {
    this.#settled = this.used + steps
    this.#pending = 0
    if (this.#limit !== undefined && this.#settled > this.#limit) {
      // Below any step count, so that nothing is allowed from here on, not even 0.
      this.#room = -1
      throw new FuelExhausted(this.#limit)
    }
    this.#room = this.#roomLeft()
  }

  #roomLeft(): number {
    if (this.#limit === undefined) return Number.MAX_SAFE_INTEGER
    const left = this.#limit - this.#settled
    return left > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(left)
  }
}
