import { FIXED_ONE, log2Fixed } from './fixed-log.js'

/** Points are followed out to |z|^2 above this, far beyond the 4 that decides, so that bands between counts blend smoothly. */
const ESCAPE = 65536

/** The point stayed bounded as far as it was followed. */
export const FOLLOWED_INSIDE = -1
/** The point is inside by formula and was not followed. */
export const KNOWN_INSIDE = -2

/**
 * How fast c = x + iy escapes under z -> z^2 + c: iterations until |z|^2 > 65,536 minus log2(log2 |z|^2 / 16), in units of
 * 1 / FIXED_ONE (0 or more), or {@link FOLLOWED_INSIDE} after `iterations`, or {@link KNOWN_INSIDE} in the two largest parts of the set.
 * Plain sums and products of IEEE doubles in a fixed order: every conforming engine gives the same answer.
 */
export function escapeTime(x: number, y: number, iterations: number): number {
  const left = x - 0.25
  const q = left * left + y * y
  if (q * (q + left) <= 0.25 * y * y || (x + 1) * (x + 1) + y * y <= 0.0625) return KNOWN_INSIDE
  let re = 0
  let im = 0
  let re2 = 0
  let im2 = 0
  for (let done = 1; done <= iterations; done++) {
    im = 2 * re * im + y
    re = re2 - im2 + x
    re2 = re * re
    im2 = im * im
    if (re2 + im2 > ESCAPE) {
      // log2 |z|^2 lies between 16 and about 32: past each doubling of it one more iteration would have been needed.
      return Math.max(0, done * FIXED_ONE - log2Fixed(log2Fixed(re2 + im2) / (16 * FIXED_ONE)))
    }
  }
  return FOLLOWED_INSIDE
}
