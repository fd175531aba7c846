import { BLOSUM62, LETTERS } from '../../../tasks/align/blosum62.js'
import type { Alignment, GapCosts } from '../../../tasks/align/smith-waterman.js'

/**
 * The best score of aligning all of `a` with all of `b`, straight from the definition: the last column is a pair, or a gap
 * of some length in either sequence. Exponential paths, kept in a table; for sequences of a few residues.
 */
function globalScore(a: Uint8Array, b: Uint8Array, costs: GapCosts): number {
  const known = new Map<number, number>()
  const score = (i: number, j: number): number => {
    if (i === 0 && j === 0) return 0
    const key = i * (b.length + 1) + j
    const before = known.get(key)
    if (before !== undefined) return before
    const choices: number[] = []
    if (i > 0 && j > 0) choices.push(score(i - 1, j - 1) + BLOSUM62[a[i - 1]! * LETTERS.length + b[j - 1]!]!)
    for (let n = 1; n <= i; n++) choices.push(score(i - n, j) - costs.open - n * costs.extend)
    for (let n = 1; n <= j; n++) choices.push(score(i, j - n) - costs.open - n * costs.extend)
    const best = Math.max(...choices)
    known.set(key, best)
    return best
  }
  return score(a.length, b.length)
}

/**
 * The best local alignment by trying every pair of pieces, with the tie rules of the task: first end in the target, first
 * end in the query, last start in the target, last start in the query.
 */
export function localAlignment(query: Uint8Array, target: Uint8Array, costs: GapCosts): Alignment {
  let best: Alignment = { score: 0, queryStart: 0, queryEnd: 0, targetStart: 0, targetEnd: 0 }
  for (let targetEnd = 1; targetEnd <= target.length; targetEnd++) {
    for (let queryEnd = 1; queryEnd <= query.length; queryEnd++) {
      for (let targetStart = targetEnd; targetStart >= 1; targetStart--) {
        for (let queryStart = queryEnd; queryStart >= 1; queryStart--) {
          const score = globalScore(
            query.subarray(queryStart - 1, queryEnd),
            target.subarray(targetStart - 1, targetEnd),
            costs,
          )
          if (score > best.score) best = { score, queryStart, queryEnd, targetStart, targetEnd }
        }
      }
    }
  }
  return best
}
