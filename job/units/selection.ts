import { SELECTION_RANGES_MAX, UNITS_MAX } from '../../proto/limits.js'
import type { UnitRange } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'

const HINT = 'Write unit indices and ranges such as 0-9,17,100..200: A-B includes B, A..B does not.'

function invalid(text: string, problem: string): GridError {
  return new GridError('invalid', `selection '${text.slice(0, 60)}' ${problem}`, { hint: HINT })
}

/**
 * Reads indices and ranges (`0-9,17,100..200`; `A-B` includes B, `A..B` does not) in any order, overlaps allowed.
 * The ranges ascend, are disjoint and not adjacent. Throws GridError `invalid` for bad text, an empty selection, an
 * index beyond 10 million, or more than 4,096 ranges after merging.
 */
export function parseSelection(text: string): UnitRange[] {
  const ranges: UnitRange[] = []
  for (const part of text.split(',')) {
    const match = /^\s*([0-9_]+)(?:\s*(-|\.\.)\s*([0-9_]+))?\s*$/.exec(part)
    if (!match) throw invalid(part.trim(), 'is not an index or a range')
    const first = Number(match[1]!.replaceAll('_', ''))
    const bound = match[3] === undefined ? first : Number(match[3].replaceAll('_', ''))
    const end = match[2] === '..' ? bound : bound + 1
    if (end <= first) throw invalid(part.trim(), 'is empty')
    if (!(end <= UNITS_MAX)) throw invalid(part.trim(), `goes beyond ${UNITS_MAX} units`)
    ranges.push({ first, count: end - first })
  }
  const merged = mergeRanges(ranges)
  if (merged.length > SELECTION_RANGES_MAX) throw invalid(text, `has more than ${SELECTION_RANGES_MAX} ranges`)
  return merged
}

/** The same units as ascending ranges that neither overlap nor touch; empty ones are dropped. */
export function mergeRanges(ranges: readonly UnitRange[]): UnitRange[] {
  const merged: UnitRange[] = []
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    if (range.count === 0) continue
    const last = merged.at(-1)
    if (last && range.first <= last.first + last.count) {
      const end = Math.max(last.first + last.count, range.first + range.count)
      merged[merged.length - 1] = { first: last.first, count: end - last.first }
    } else {
      merged.push({ first: range.first, count: range.count })
    }
  }
  return merged
}

/** Whether `unit` is in one of `ranges`, which ascend and are disjoint. By binary search. */
export function contains(ranges: readonly UnitRange[], unit: number): boolean {
  let low = 0
  let high = ranges.length
  while (low < high) {
    const middle = (low + high) >> 1
    const range = ranges[middle]!
    if (unit < range.first) high = middle
    else if (unit >= range.first + range.count) low = middle + 1
    else return true
  }
  return false
}

/** Units in `ranges`, which are disjoint. */
export function count(ranges: readonly UnitRange[]): number {
  return ranges.reduce((sum, range) => sum + range.count, 0)
}

/** The parts of `ranges` (ascending, disjoint) that lie in [first, end). */
export function clipRanges(ranges: readonly UnitRange[], first: number, end: number): UnitRange[] {
  const clipped: UnitRange[] = []
  for (const range of ranges) {
    const from = Math.max(range.first, first)
    const to = Math.min(range.first + range.count, end)
    if (from < to) clipped.push({ first: from, count: to - from })
  }
  return clipped
}

/** `ranges` as {@link parseSelection} reads them: `0-9,17`. */
export function formatSelection(ranges: readonly UnitRange[]): string {
  return ranges.map(({ first, count }) => (count === 1 ? `${first}` : `${first}-${first + count - 1}`)).join(',')
}
