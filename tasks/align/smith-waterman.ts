import { BLOSUM62, LETTERS } from './blosum62.js'

/** Gap costs; a gap of n residues costs `open + n * extend`, as BLAST counts. */
export interface GapCosts {
  /** 0 or more. */
  readonly open: number
  /** 1 or more. */
  readonly extend: number
}

/** A best local alignment. Positions count from 1 and include both ends; all 0 when the score is 0. */
export interface Alignment {
  readonly score: number
  readonly queryStart: number
  readonly queryEnd: number
  readonly targetStart: number
  readonly targetEnd: number
}

/** Best score and where such alignments first end; positions from 1. */
export interface BestEnd {
  readonly score: number
  readonly queryEnd: number
  readonly targetEnd: number
}

/** Lower than any score that can occur, and far enough from the smallest int32 not to wrap when costs are taken off. */
const NEVER = -(2 ** 30)

/** Cells between two calls of `burn`: a few hundredths of a second. */
const BURN_BATCH = 1 << 22

/** Scores of each letter against every residue of one query, and the rows that the search works on: made once a query. */
export class QueryProfile {
  readonly length: number
  /** At letter * length + position. */
  readonly scores: Int32Array
  readonly best: Int32Array
  readonly gap: Int32Array

  constructor(query: Uint8Array) {
    this.length = query.length
    this.scores = new Int32Array(LETTERS.length * query.length)
    this.best = new Int32Array(query.length)
    this.gap = new Int32Array(query.length)
    for (let letter = 0; letter < LETTERS.length; letter++) {
      for (let at = 0; at < query.length; at++) {
        this.scores[letter * query.length + at] = BLOSUM62[letter * LETTERS.length + query[at]!]!
      }
    }
  }
}

/**
 * Best score of a local alignment of the query with `target` (T. F. Smith and M. S. Waterman, 1981; affine gaps as
 * O. Gotoh, 1982; an insertion may follow a deletion). Of several ends, the first in the target, then the first in the query.
 * Burns a step for each cell, query length times target length in all, some {@link BURN_BATCH} at a time.
 */
export function findBestEnd(
  profile: QueryProfile,
  target: Uint8Array,
  costs: GapCosts,
  burn: (cells: number) => void,
): BestEnd {
  const { length, scores, best, gap } = profile
  const first = costs.open + costs.extend
  const extend = costs.extend
  const batch = Math.ceil(BURN_BATCH / Math.max(1, length))
  best.fill(0)
  gap.fill(0)
  let score = 0
  let queryEnd = 0
  let targetEnd = 0
  for (let column = 0; column < target.length; column++) {
    if (column % batch === 0) burn(Math.min(batch, target.length - column) * length)
    const base = target[column]! * length
    let diagonal = 0
    // A gap that has cost as much as the alignment before it was worth cannot be part of a best one: gap scores stop at 0.
    let left = 0
    for (let row = 0; row < length; row++) {
      let cell = diagonal + scores[base + row]!
      // 0 when negative, without a branch that is hard to predict.
      cell &= ~(cell >> 31)
      diagonal = best[row]!
      let across = gap[row]!
      if ((across | left) !== 0) {
        if (across > cell) cell = across
        if (left > cell) cell = left
        across -= extend
        across &= ~(across >> 31)
        left -= extend
        left &= ~(left >> 31)
        gap[row] = across
      }
      best[row] = cell
      if (cell > first) {
        const opened = cell - first
        if (opened > across) gap[row] = opened
        if (opened > left) left = opened
      }
      if (cell > score) {
        score = cell
        queryEnd = row + 1
        targetEnd = column + 1
      }
    }
  }
  return { score, queryEnd, targetEnd }
}

/**
 * The alignment that ends at `end` and begins nearest to it: of several starts the last in the target, then the last in
 * the query. Goes backwards from the end until the score is reached.
 */
export function findStart(query: Uint8Array, target: Uint8Array, end: BestEnd, costs: GapCosts): Alignment {
  if (end.score === 0) return { score: 0, queryStart: 0, queryEnd: 0, targetStart: 0, targetEnd: 0 }
  const length = end.queryEnd
  const first = costs.open + costs.extend
  // best[row]: score of aligning the last `row` query residues with the target residues passed, gaps included.
  const best = new Int32Array(length + 1)
  const gap = new Int32Array(length + 1).fill(NEVER)
  for (let row = 1; row <= length; row++) best[row] = -(costs.open + row * costs.extend)
  for (let column = 1; column <= end.targetEnd; column++) {
    const base = target[end.targetEnd - column]! * LETTERS.length
    let diagonal = best[0]!
    best[0] = -(costs.open + column * costs.extend)
    let left = NEVER
    for (let row = 1; row <= length; row++) {
      // `best` still holds the previous column here, and `left` the gap that ends in this one.
      const across = Math.max(gap[row]! - costs.extend, best[row]! - first)
      left = Math.max(left - costs.extend, best[row - 1]! - first)
      const matched = diagonal + BLOSUM62[base + query[length - row]!]!
      if (matched === end.score) {
        return {
          score: end.score,
          queryStart: length - row + 1,
          queryEnd: length,
          targetStart: end.targetEnd - column + 1,
          targetEnd: end.targetEnd,
        }
      }
      diagonal = best[row]!
      gap[row] = across
      best[row] = Math.max(matched, across, left)
    }
  }
  throw new Error('bug: an alignment without a start')
}
