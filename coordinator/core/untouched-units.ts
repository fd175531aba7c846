import type { UnitRange } from '../../proto/model.js'

/** A place in a walk over units. */
interface Cursor {
  range: number
  offset: number
}

/**
 * The units of a shard that were never granted nor reported, without an entry for each: walks over its ranges that pass over
 * what is touched by now. What a walk has passed stays behind it until {@link walkAgain}.
 */
export class UntouchedUnits {
  readonly #ranges: readonly UnitRange[]
  readonly #isTouched: (unit: number) => boolean
  #front: Cursor = { range: 0, offset: 0 }
  #heir: Cursor = { range: 0, offset: 0 }
  readonly #back: Cursor

  /** Of `ranges`, ascending and disjoint. */
  constructor(ranges: readonly UnitRange[], isTouched: (unit: number) => boolean) {
    this.#ranges = ranges
    this.#isTouched = isTouched
    this.#back = { range: ranges.length - 1, offset: (ranges.at(-1)?.count ?? 0) - 1 }
  }

  /** The next one for which `mine` holds. A block that is not ours is passed over, and found again by {@link nextAnywhere}. */
  next(mine: (unit: number) => boolean): number | undefined {
    return this.#walk(this.#front, mine)
  }

  /** The same, in a walk of its own, for units that went over to this node when other owners were lost. */
  nextInherited(inherited: (unit: number) => boolean): number | undefined {
    return this.#walk(this.#heir, inherited)
  }

  /** Any, last first, so that owners who help one another out rarely meet. */
  nextAnywhere(): number | undefined {
    const back = this.#back
    while (back.range >= 0) {
      const { first } = this.#ranges[back.range]!
      for (; back.offset >= 0; back.offset--) if (!this.#isTouched(first + back.offset)) return first + back.offset
      back.range--
      back.offset = (this.#ranges[back.range]?.count ?? 0) - 1
    }
    return undefined
  }

  /** Whether one of these units is among them. */
  hasAny(first: number, count: number): boolean {
    for (const range of this.#ranges) {
      const end = Math.min(first + count, range.first + range.count)
      for (let unit = Math.max(first, range.first); unit < end; unit++) if (!this.#isTouched(unit)) return true
    }
    return false
  }

  /** The first of all, for people; moves no walk. */
  first(): number | undefined {
    for (const { first, count } of this.#ranges)
      for (let unit = first; unit < first + count; unit++) if (!this.#isTouched(unit)) return unit
    return undefined
  }

  /** Blocks that were passed over may be ours now. */
  walkAgain(): void {
    this.#front = { range: 0, offset: 0 }
    this.#heir = { range: 0, offset: 0 }
  }

  #walk(cursor: Cursor, mine: (unit: number) => boolean): number | undefined {
    while (cursor.range < this.#ranges.length) {
      const range = this.#ranges[cursor.range]!
      while (cursor.offset < range.count) {
        const unit = range.first + cursor.offset
        if (!this.#isTouched(unit) && mine(unit)) return unit
        cursor.offset++
      }
      cursor.range++
      cursor.offset = 0
    }
    return undefined
  }
}
