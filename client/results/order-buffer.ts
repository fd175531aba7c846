import type { ProvedUnit } from './shard-results.js'

/** Proved units of one shard by unit, for whoever takes them in order. */
export class OrderBuffer {
  readonly #units = new Map<number, ProvedUnit>()
  #closed = false
  #wake: (() => void) | undefined

  put(unit: ProvedUnit): void {
    this.#units.set(unit.evidence.unit, unit)
    this.#wake?.()
  }

  /** Nothing more comes. */
  close(): void {
    this.#closed = true
    this.#wake?.()
  }

  /** Waits for a unit; undefined when it does not come. */
  async take(unit: number): Promise<ProvedUnit | undefined> {
    for (;;) {
      const proved = this.#units.get(unit)
      if (proved !== undefined || this.#closed) {
        this.#units.delete(unit)
        return proved
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }
}
