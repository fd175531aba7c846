/** What the Lucas-Lehmer test says of 2^p - 1. */
interface LucasLehmer {
  readonly prime: boolean
  /** Lowest 64 bits of the final residue, `res64` in the tables of GIMPS; 0 for a prime. */
  readonly residue: bigint
}

/** Steps burnt before the fuel meter is told, so that small exponents do not spend their time on counting. */
const BURN_BATCH = 1 << 20

/**
 * Lucas-Lehmer test of 2^p - 1 for a prime `p` >= 2 (D. H. Lehmer, 1930): s(0) = 4, s(n+1) = s(n)^2 - 2 modulo 2^p - 1;
 * prime exactly when s(p - 2) = 0. The case p = 2, outside the theorem, is prime with residue 0.
 *
 * Burns ceil(p / 64)^2 steps an iteration, p - 2 iterations: the products of a schoolbook squaring in 64-bit words.
 */
export function lucasLehmer(p: number, burn: (steps: number) => void): LucasLehmer {
  if (p === 2) return { prime: true, residue: 0n }
  const words = Math.ceil(p / 64)
  const stepsEach = words * words
  const batch = Math.max(1, Math.floor(BURN_BATCH / stepsEach))
  const shift = BigInt(p)
  const modulus = (1n << shift) - 1n
  let s = 4n
  for (let done = 0; done < p - 2; ) {
    const end = Math.min(p - 2, done + batch)
    burn((end - done) * stepsEach)
    for (; done < end; done++) {
      const square = s * s
      // 2^p is 1 here, so the upper half folds onto the lower one. The sum stays below twice the modulus.
      s = BigInt.asUintN(p, square) + (square >> shift) - 2n
      if (s < 0n) s += modulus
      else if (s >= modulus) s -= modulus
    }
  }
  return { prime: s === 0n, residue: BigInt.asUintN(64, s) }
}

/** Whether `n` (a safe integer) is prime, by trial division. */
export function isPrime(n: number): boolean {
  if (n < 4) return n > 1
  if (n % 2 === 0) return false
  for (let divisor = 3; divisor * divisor <= n; divisor += 2) if (n % divisor === 0) return false
  return true
}
