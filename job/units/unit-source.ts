import type { JobSpec, UnitSource } from '../../proto/model.js'

/** The fields of a spec that say what its units are. */
export type UnitShape = Pick<JobSpec, 'source' | 'perUnit' | 'repeat'>

/** Consecutive items of a source: exact, since items of a range may number beyond 2^53. */
export interface ItemRange {
  readonly first: bigint
  readonly count: number
}

/** What one unit is made of. Unit = group * repeat + repetition, so repetitions of an item stand together. */
interface UnitItems {
  /** Index of the item group, from 0: the placeholder `{i}`. */
  readonly group: number
  /** Groups of the whole job: `{n}`. */
  readonly groups: number
  /** From 0 to `repeat` - 1: `{rep}`. */
  readonly repetition: number
  readonly items: ItemRange
  /**
   * `{start}` and `{end}`. Of a range: the half-open piece of the group. Of an array: its first and last value, both
   * included. Else: the half-open item indices.
   */
  readonly start: bigint
  readonly end: bigint
}

/** Items of a source, exact. A range counts its shorter last piece. */
export function itemCount(source: UnitSource): bigint {
  switch (source.type) {
    case 'count':
      return BigInt(source.count)
    case 'array':
      return source.to < source.from ? 0n : (source.to - source.from) / source.step + 1n
    case 'range':
      return source.end <= source.start ? 0n : (source.end - source.start + source.step - 1n) / source.step
    case 'list':
      return BigInt(source.itemCount)
  }
}

/** Item groups of a job, exact: items divided by `perUnit`, rounded up. */
export function groupCount({ source, perUnit }: Pick<JobSpec, 'source' | 'perUnit'>): bigint {
  const size = BigInt(perUnit)
  return (itemCount(source) + size - 1n) / size
}

/** Units of the whole job before any selection. Exact for a checked spec (at most 10 million); else maybe rounded. */
export function unitCount(shape: UnitShape): number {
  return Number(groupCount(shape) * BigInt(shape.repeat))
}

/** What `unit` (0 to {@link unitCount} - 1) of a checked spec is made of. */
export function unitItems(shape: UnitShape, unit: number): UnitItems {
  const { source, perUnit, repeat } = shape
  const total = itemCount(source)
  const group = Math.floor(unit / repeat)
  const first = BigInt(group) * BigInt(perUnit)
  const left = total - first
  const count = left < BigInt(perUnit) ? Number(left) : perUnit
  const { start, end } = bounds(source, first, first + BigInt(count))
  return {
    group,
    groups: Number(groupCount(shape)),
    repetition: unit - group * repeat,
    items: { first, count },
    start,
    end,
  }
}

function bounds(source: UnitSource, first: bigint, end: bigint): { start: bigint; end: bigint } {
  switch (source.type) {
    case 'array':
      return { start: source.from + first * source.step, end: source.from + (end - 1n) * source.step }
    case 'range': {
      const next = source.start + end * source.step
      if (next > source.end) return { start: source.start + first * source.step, end: source.end }
      return { start: source.start + first * source.step, end: next }
    }
    case 'count':
    case 'list':
      return { start: first, end }
  }
}

/** Item `index` of a source that is no list, as its placeholder `{}` shows it: of a range, the start of the piece. */
export function itemValue(source: Exclude<UnitSource, { type: 'list' }>, index: bigint): bigint {
  switch (source.type) {
    case 'count':
      return index
    case 'array':
      return source.from + index * source.step
    case 'range':
      return source.start + index * source.step
  }
}
