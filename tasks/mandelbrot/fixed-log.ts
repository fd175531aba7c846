/** Fixed-point numbers here count in units of 1/4,096: fine enough that a picture shows no bands. */
export const FIXED_ONE = 4096
const FIXED_BITS = 12

/**
 * Binary logarithm of `x` (finite, >= 1) in units of 1 / {@link FIXED_ONE}, rounded down, by repeated squaring. Uses multiplication and
 * comparison of doubles alone, so that every engine gives the same integer: `Math.log2` may differ in the last bit.
 */
export function log2Fixed(x: number): number {
  let whole = 0
  let rest = x
  while (rest >= 65536) {
    rest *= 1 / 65536
    whole += 16
  }
  while (rest >= 2) {
    rest *= 0.5
    whole++
  }
  let result = whole
  for (let bit = 0; bit < FIXED_BITS; bit++) {
    rest *= rest
    result *= 2
    if (rest >= 2) {
      rest *= 0.5
      result++
    }
  }
  return result
}
