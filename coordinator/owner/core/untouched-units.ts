import type { UnitRange } from '../../../proto/model.js'

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
  #second: Cursor
  readonly #back: Cursor

  /** Of `ranges`, ascending and disjoint. */
  constructor(ranges: readonly UnitRange[], isTouched: (unit: number) => boolean) {
    this.#ranges = ranges
    this.#isTouched = isTouched
    this.#second = this.#end()
    this.#back = this.#end()
  }

  /** The next one for which `mine` holds. A block that is not ours is passed over, and found again by {@link nextAnywhere}. */
  next(mine: (unit: number) => boolean): number | undefined {
    return this.#walk(this.#front, mine)
  }

  /** The same, in a walk of its own, for units that went over to this node when other owners were lost. */
  nextInherited(inherited: (unit: number) => boolean): number | undefined {
    return this.#walk(this.#heir, inherited)
  }

  /** The last one for which `mine` holds, in a walk of its own from the end, so that owners who help one another out rarely meet. */
  nextAsSecond(mine: (unit: number) => boolean): number | undefined {
    return this.#walkBack(this.#second, mine)
  }

  /** Any, last first. */
  nextAnywhere(): number | undefined {
    return this.#walkBack(this.#back, () => true)
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
    this.#second = this.#end()
  }

  #end(): Cursor {
    return { range: this.#ranges.length - 1, offset: (this.#ranges.at(-1)?.count ?? 0) - 1 }
  }

  #walkBack(cursor: Cursor, mine: (unit: number) => boolean): number | undefined {
    while (cursor.range >= 0) {
      const { first } = this.#ranges[cursor.range]!
      for (; cursor.offset >= 0; cursor.offset--) {
        const unit = first + cursor.offset
        if (!this.#isTouched(unit) && mine(unit)) return unit
      }
      cursor.range--
      cursor.offset = (this.#ranges[cursor.range]?.count ?? 0) - 1
    }
    return undefined
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
