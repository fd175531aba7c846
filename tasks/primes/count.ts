import { BLOCK_BYTES, clip, countBits, integerSqrt, SEGMENT_BYTES, SIEVE_MAX, sieveSegment } from './sieve.js'

/** Primes that the wheel leaves out. */
const WHEEL_PRIMES = [2n, 3n, 5n]

/** Bit set of all primes up to some number, kept between the units of a thread: answers and fuel do not depend on it. */
let baseBits = new Uint8Array(0)
/** The segment being sieved, kept to spare 4 MiB of fresh memory a unit. */
let segment = new Uint8Array(0)

/** Bit set of the primes up to `max` (below 10^9) and somewhat beyond, computed when a larger one is first needed. */
function basePrimes(max: number): Uint8Array {
  const needed = Math.floor(max / 30) + 1
  if (baseBits.length >= needed) return baseBits
  // An eighth more, so that a range that climbs from unit to unit does not sieve anew each time.
  const limit = Math.ceil(integerSqrt(SIEVE_MAX) / 30)
  const bytes = Math.max(needed, Math.min(limit, needed + (needed >> 3)))
  const bits = new Uint8Array(bytes)
  sieveSegment(bits, 0n, bytes, BigInt(30 * bytes - 1), noBase, () => {})
  baseBits = bits
  return bits
}

/** Base primes are themselves below 10^9 and need only primes below 2^15. */
function noBase(): Uint8Array {
  throw new Error('bug: base primes need larger base primes')
}

/**
 * Number of primes p with `start` <= p < `end`; both from 0 to 10^18. Calls `burn` with one step for every byte of the
 * sieve (30 numbers), counted over whole bytes, and first with one step for every 30 numbers below the root of `end`,
 * once a segment of 126 million numbers: the base primes it is sieved with.
 */
export function countPrimes(start: bigint, end: bigint, burn: (steps: number) => void): bigint {
  if (end <= start) return 0n
  let total = BigInt(WHEEL_PRIMES.filter((p) => start <= p && p < end).length)
  const firstByte = start / 30n
  const endByte = (end + 29n) / 30n
  const largest = endByte - firstByte < BigInt(SEGMENT_BYTES) ? Number(endByte - firstByte) : SEGMENT_BYTES
  // Whole blocks keep the array aligned for reading words.
  if (segment.length < largest) segment = new Uint8Array(Math.ceil(largest / BLOCK_BYTES) * BLOCK_BYTES)
  for (let byte = firstByte; byte < endByte; byte += BigInt(SEGMENT_BYTES)) {
    const bytes = endByte - byte < BigInt(SEGMENT_BYTES) ? Number(endByte - byte) : SEGMENT_BYTES
    const low = byte * 30n
    const next = low + 30n * BigInt(bytes)
    const last = (next < end ? next : end) - 1n
    burn(Math.floor(integerSqrt(last) / 30))
    sieveSegment(segment, low, bytes, last, basePrimes, burn)
    clip(segment, bytes, low < start ? Number(start - low) : 0, Number(last - low) + 1)
    total += BigInt(countBits(segment, bytes))
  }
  return total
}
