import { hasBit, setBit } from '../../runtime/bits.js'

/** Units that share a piece of the bitmap. */
const PAGE_UNITS = 1_024
const PAGE_BYTES = PAGE_UNITS / 8

/** One piece of a {@link UnitSet}: its number, and one bit for each of its 1,024 units. */
export type UnitPage = readonly [page: number, bits: Uint8Array]

/** Units of one job, 128 bytes for each stretch of 1,024 of which at least one is in it. */
export class UnitSet {
  readonly #pages = new Map<number, Uint8Array>()

  /** The set that gave these pieces; one of another length is left out. */
  static of(pages: readonly UnitPage[]): UnitSet {
    const set = new UnitSet()
    for (const [page, bits] of pages) if (bits.length === PAGE_BYTES) set.#pages.set(page, bits.slice())
    return set
  }

  get pageCount(): number {
    return this.#pages.size
  }

  has(unit: number): boolean {
    return hasBit(this.#pages.get(Math.floor(unit / PAGE_UNITS)) ?? NO_BITS, unit % PAGE_UNITS)
  }

  /** False when the unit, an integer of 0 and above, was in it before. */
  add(unit: number): boolean {
    const page = Math.floor(unit / PAGE_UNITS)
    let bits = this.#pages.get(page)
    if (bits === undefined) {
      bits = new Uint8Array(PAGE_BYTES)
      this.#pages.set(page, bits)
    }
    return setBit(bits, unit % PAGE_UNITS)
  }

  /** The pieces there are, in order; copies. */
  pages(): UnitPage[] {
    return [...this.#pages].map(([page, bits]) => [page, bits.slice()] as const).sort(([a], [b]) => a - b)
  }
}

const NO_BITS = new Uint8Array(0)
