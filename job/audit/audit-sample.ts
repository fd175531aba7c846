/**
 * Of this share of a job's units, those that settle first, so many times the sample are drawn beyond it: where most of them are
 * disputed an owner may be lying, who is found by random units alone, and the sooner the less is computed anew.
 */
const EARLY_UNITS_SHARE = 1 / 16
const EARLY_TIMES = 8

/**
 * Units of one job that are drawn at random as they settle, so that what their replays give holds for all. A unit is drawn or
 * passed over each time it settles anew. Memory: the units drawn, and those that came near.
 */
export class AuditSample {
  readonly #share: number
  readonly #size: number
  readonly #nearShare: number
  readonly #earlyUnits: number
  /** Units drawn, with what was drawn for them. */
  readonly #drawn = new Map<number, number>()
  /** Units that came near, should too few be drawn. */
  readonly #near = new Map<number, number>()
  readonly #early = new Set<number>()

  /** A sample of `share` of `units`. */
  constructor(units: number, share: number) {
    this.#share = share
    this.#size = Math.ceil(units * share)
    // Four standard deviations and some: then the sample has its size but for one time in ten thousand.
    this.#nearShare = share === 0 ? 0 : share + (4 * Math.sqrt(units * share) + 8) / units
    this.#earlyUnits = Math.floor(units * EARLY_UNITS_SHARE)
  }

  has(unit: number): boolean {
    return this.#drawn.has(unit)
  }

  /** Units drawn, in the order in which they settled. */
  units(): IterableIterator<number> {
    return this.#drawn.keys()
  }

  /** Units drawn beyond the sample while few had settled, to try owners early. */
  early(): IterableIterator<number> {
    return this.#early.values()
  }

  /** A unit has settled, one of `settled` that are; `draw`: uniform in [0, 1). */
  settled(unit: number, settled: number, draw: number): void {
    if (draw < this.#share) {
      this.#drawn.set(unit, draw)
      return
    }
    if (draw < this.#nearShare) this.#near.set(unit, draw)
    if (settled <= this.#earlyUnits && draw < EARLY_TIMES * this.#share) this.#early.add(unit)
  }

  /** A unit is open again: if it settles anew, it is drawn anew. */
  reopened(unit: number): void {
    this.#drawn.delete(unit)
    this.#near.delete(unit)
    this.#early.delete(unit)
  }

  /**
   * Nothing more will settle: the sample takes its size, replayed units included, of those drawn lowest. Any so many units are as
   * likely as any others.
   */
  takeSize(replayed: ReadonlySet<number>): void {
    let room = this.#size
    const left: [unit: number, draw: number][] = []
    for (const [unit, draw] of this.#drawn) {
      if (replayed.has(unit)) room--
      else left.push([unit, draw])
    }
    for (const near of this.#near) left.push(near)
    left.sort(([, a], [, b]) => a - b)
    for (const [place, [unit, draw]] of left.entries()) {
      const [into, outOf] = place < room ? [this.#drawn, this.#near] : [this.#near, this.#drawn]
      outOf.delete(unit)
      into.set(unit, draw)
    }
  }
}
