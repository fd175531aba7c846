/** What is inserted into a function's body, or put in place of something in it. */
export const ACTION = {
  /** Takes `value` from the fuel: a basic block is entered. */
  charge: 1,
  /** A loop without parameters begins, its type ends at `value`: blocks around it, where more fuel is asked for. */
  openLoop: 2,
  /** It goes round: leaves for these blocks if no fuel is left. */
  leaveLoop: 3,
  /** It has ended, and so do the blocks around it. */
  closeLoop: 4,
  /** Asks for more here if no fuel is left. */
  ask: 5,
  /** Takes fuel by the length on the stack, shifted right by `value`, and checks. */
  chargeLength: 6,
  /** The fuel at hand goes to its global, where others see it. */
  spill: 7,
  /** The fuel at hand comes back from its global. */
  reload: 8,
  /** Writes `value` as an index or label in place of what stands there. */
  index: 9,
  /** A NaN on the stack gets the bits that it has everywhere. */
  canonicalF32: 10,
  canonicalF64: 11,
  /** `return` becomes a branch out of `value` blocks. */
  leave: 12,
  /** `memory.grow` becomes a call of the added function. */
  grow: 13,
  /** `memory.size` becomes a look at the added global. */
  size: 14,
} as const

/** The changes of one function's body in the order of their places. One plan serves all functions of a module. */
export class Plan {
  length = 0
  #entries = new Int32Array(4 * 256)

  clear(): void {
    this.length = 0
  }

  /** Copies up to `at`, then acts, then goes on copying at `until`. Gives the number of the entry. */
  add(action: number, at: number, until: number, value: number): number {
    const start = this.length * 4
    if (start === this.#entries.length) {
      const larger = new Int32Array(start * 2)
      larger.set(this.#entries)
      this.#entries = larger
    }
    const entries = this.#entries
    entries[start] = action
    entries[start + 1] = at
    entries[start + 2] = until
    entries[start + 3] = value
    return this.length++
  }

  setValue(entry: number, value: number): void {
    this.#entries[entry * 4 + 3] = value
  }

  action(entry: number): number {
    return this.#entries[entry * 4]!
  }

  at(entry: number): number {
    return this.#entries[entry * 4 + 1]!
  }

  until(entry: number): number {
    return this.#entries[entry * 4 + 2]!
  }

  value(entry: number): number {
    return this.#entries[entry * 4 + 3]!
  }
}
