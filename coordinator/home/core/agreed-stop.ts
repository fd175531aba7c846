/**
 * Why nothing more of a job is to be granted, by what those of its homes say that answer, nearest first; empty: it goes on.
 * One of several is not believed: it may know less than the others, or lie, and would stop the job at all its owners.
 */
export function agreedStop(words: readonly string[]): string {
  const reasons = words.filter((word) => word !== '')
  return reasons.length >= Math.min(2, words.length) ? (reasons[0] ?? '') : ''
}
