/**
 * Segmented sieve of Eratosthenes on a wheel of 30: a byte stands for 30 numbers, a bit for each residue coprime to 30
 * (bit 0: 1, bit 1: 7, ... bit 7: 29). A set bit is a prime. Exact for numbers up to {@link SIEVE_MAX}.
 *
 * Multiples p*m of a prime with m fixed modulo 30 share one bit and lie p bytes apart, so that crossing off is eight
 * strided loops with a constant mask each. Primes up to 2^15 work on blocks that fit the first-level cache; larger ones
 * hit a byte rarely and work on whole segments. Multiples of 7, 11, 13 and 17 come from a pattern that repeats every
 * 17,017 bytes. Offsets are recomputed for every block: there is no state between blocks.
 */

/** Numbers at and beyond this cannot be sieved: base primes stay below 10^9, whose bit set takes 33 MB. */
export const SIEVE_MAX = 10n ** 18n

/** Bytes sieved at a time with the small primes: 32 KiB, a usual first-level data cache. */
export const BLOCK_BYTES = 1 << 15
/** Bytes sieved at a time with the large primes (126 million numbers): each prime costs a division a segment. A multiple of {@link BLOCK_BYTES}. */
export const SEGMENT_BYTES = 1 << 22
/** Primes up to here are small. Their square is above 10^9, so that they suffice to sieve all base primes. */
const SMALL_PRIME_MAX = 1 << 15

const RESIDUES = [1, 7, 11, 13, 17, 19, 23, 29]
/** Bit of a residue modulo 30, for those coprime to 30. */
const BIT = new Uint8Array(30)
for (const [bit, residue] of RESIDUES.entries()) BIT[residue] = bit

/** At [p mod 30][first multiple mod 30]: how many multiples to go until the multiplier is coprime to 30. */
const TO_COPRIME = new Uint8Array(30 * 30)
/** At the same place: index into {@link RESIDUES} of that multiplier's residue. */
const WHEEL_START = new Uint8Array(30 * 30)
/** Distance from each coprime multiplier to the next. */
const WHEEL_GAP = new Uint8Array(8)
/** At [bit of p][index of the multiplier's residue]: mask that clears the bit of the product. */
const CLEAR = new Uint8Array(64)
for (const [index, residue] of RESIDUES.entries()) {
  WHEEL_GAP[index] = (RESIDUES[(index + 1) % 8]! - residue + 30) % 30
  for (const [other, p] of RESIDUES.entries()) CLEAR[other * 8 + index] = 255 ^ (1 << BIT[(p * residue) % 30]!)
}
for (const p of RESIDUES) {
  for (let multiplier = 0; multiplier < 30; multiplier++) {
    let gap = 0
    while (!RESIDUES.includes((multiplier + gap) % 30)) gap++
    TO_COPRIME[p * 30 + ((p * multiplier) % 30)] = gap
    WHEEL_START[p * 30 + ((p * multiplier) % 30)] = BIT[(multiplier + gap) % 30]!
  }
}

const PRESIEVED = [7, 11, 13, 17]
const PATTERN_BYTES = 7 * 11 * 13 * 17

/** What every sieving starts from. */
interface Tables {
  /** The pattern twice over: any phase can be copied as one piece of PATTERN_BYTES. */
  readonly pattern: Uint8Array
  /** Primes from 19 to {@link SMALL_PRIME_MAX}. */
  readonly smallPrimes: Uint16Array
}

let made: Tables | undefined

/** Made by the first segment: most processes that list tasks sieve nothing. */
function tables(): Tables {
  made ??= { pattern: makePattern(), smallPrimes: makeSmallPrimes() }
  return made
}

function makePattern(): Uint8Array {
  const pattern = new Uint8Array(2 * PATTERN_BYTES).fill(255)
  for (const p of PRESIEVED) {
    for (let multiple = p; multiple < 30 * pattern.length; multiple += 2 * p) {
      if (RESIDUES.includes(multiple % 30)) pattern[Math.floor(multiple / 30)]! &= ~(1 << BIT[multiple % 30]!)
    }
  }
  return pattern
}

function makeSmallPrimes(): Uint16Array {
  const composite = new Uint8Array(SMALL_PRIME_MAX + 1)
  const primes: number[] = []
  for (let p = 2; p <= SMALL_PRIME_MAX; p++) {
    if (composite[p]) continue
    if (p > 17) primes.push(p)
    for (let multiple = p * p; multiple <= SMALL_PRIME_MAX; multiple += p) composite[multiple] = 1
  }
  return Uint16Array.from(primes)
}

/** Largest integer whose square is at most `value` (0 to 2^62). */
export function integerSqrt(value: bigint): number {
  let root = BigInt(Math.floor(Math.sqrt(Number(value))))
  while (root * root > value) root--
  while ((root + 1n) * (root + 1n) <= value) root++
  return Number(root)
}

/** `low` (below 2^60) in three pieces of 20 bits, most significant first. */
function pieces(low: bigint): readonly [number, number, number] {
  return [Number(low >> 40n), Number((low >> 20n) & 0xfffffn), Number(low & 0xfffffn)]
}

/**
 * `value` modulo `p`, for integers 0 <= `value` < 2^50 and 0 < `p` <= 2^30 and `reciprocal` = 1 / `p`; several times faster than `%` beyond 2^31.
 * The product errs by less than 2^-51 of itself, less than the distance of any other quotient to the next integer: it
 * is rounded down to the wrong integer only for multiples of `p`, and then to one below.
 */
export function modulo(value: number, p: number, reciprocal: number): number {
  const rest = value - Math.floor(value * reciprocal) * p
  return rest === p ? 0 : rest
}

/**
 * Sieves one segment: sets `bits[0..bytes)` for the numbers from `low` to `low + 30 * bytes`, with all primes up to the
 * root of `last`. `low` is a multiple of 30, `bytes` at most `bits.length`, `last` the largest number that matters and
 * below {@link SIEVE_MAX}. `base` is asked for the bit set of all primes up to a number, only beyond 2^15.
 * `onBlock` is told the bytes of each block before it is sieved.
 */
export function sieveSegment(
  bits: Uint8Array,
  low: bigint,
  bytes: number,
  last: bigint,
  base: (max: number) => Uint8Array,
  onBlock: (bytes: number) => void,
): void {
  const root = integerSqrt(last)
  for (let from = 0; from < bytes; from += BLOCK_BYTES) {
    const to = Math.min(from + BLOCK_BYTES, bytes)
    onBlock(to - from)
    sieveBlock(bits.subarray(from, to), low + 30n * BigInt(from), root)
  }
  if (root > SMALL_PRIME_MAX) crossOffLarge(bits.subarray(0, bytes), low, root, base(root))
}

function sieveBlock(block: Uint8Array, low: bigint, root: number): void {
  const { pattern, smallPrimes } = tables()
  const phase = Number((low / 30n) % BigInt(PATTERN_BYTES))
  for (let at = 0; at < block.length; at += PATTERN_BYTES) {
    block.set(pattern.subarray(phase, phase + Math.min(PATTERN_BYTES, block.length - at)), at)
  }
  // The pattern has crossed off its own primes, and 1 is none.
  if (low === 0n) block[0] = 0b1111_1110

  const [high, middle, least] = pieces(low)
  const lowNumber = low < 1n << 31n ? Number(low) : Number.POSITIVE_INFINITY
  const length = block.length
  for (let index = 0; index < smallPrimes.length; index++) {
    const p = smallPrimes[index]!
    if (p > root) break
    const reciprocal = 1 / p
    const rest = modulo(
      modulo(modulo(high, p, reciprocal) * 1048576 + middle, p, reciprocal) * 1048576 + least,
      p,
      reciprocal,
    )
    // Distance from `low` to the first multiple that counts: not before p * p, or p would cross off itself.
    let offset = rest === 0 ? 0 : p - rest
    if (p * p > lowNumber + offset) offset = p * p - lowNumber
    const residue = p % 30
    const row = BIT[residue]! * 8
    const entry = residue * 30 + (offset % 30)
    offset += TO_COPRIME[entry]! * p
    let wheel = WHEEL_START[entry]!
    for (let turn = 0; turn < 8; turn++) {
      const mask = CLEAR[row + wheel]!
      for (let at = Math.trunc(offset / 30); at < length; at += p) block[at]! &= mask
      offset += WHEEL_GAP[wheel]! * p
      wheel = (wheel + 1) & 7
    }
  }
}

/** Crosses off the multiples of the primes above {@link SMALL_PRIME_MAX}, up to `root`, read from their bit set. */
function crossOffLarge(bits: Uint8Array, low: bigint, root: number, base: Uint8Array): void {
  const [high, middle, least] = pieces(low)
  const span = 30 * bits.length
  // No segment that needs large primes reaches down to them, so that none crosses off itself.
  const lastByte = Math.floor(root / 30)
  for (let byte = Math.floor(SMALL_PRIME_MAX / 30); byte <= lastByte; byte++) {
    for (let rest = base[byte]!; rest !== 0; rest &= rest - 1) {
      const row = 31 - Math.clz32(rest & -rest)
      const residue = RESIDUES[row]!
      const p = byte * 30 + residue
      if (p <= SMALL_PRIME_MAX) continue
      if (p > root) return
      const reciprocal = 1 / p
      const first = modulo(modulo(high * 1048576 + middle, p, reciprocal) * 1048576 + least, p, reciprocal)
      let offset = first === 0 ? 0 : p - first
      if (offset >= span) continue
      const entry = residue * 30 + (offset % 30)
      offset += TO_COPRIME[entry]! * p
      let wheel = WHEEL_START[entry]!
      while (offset < span) {
        bits[Math.trunc(offset / 30)]! &= CLEAR[row * 8 + wheel]!
        offset += WHEEL_GAP[wheel]! * p
        wheel = (wheel + 1) & 7
      }
    }
  }
}

/** Set bits among the first `bytes` bytes. */
export function countBits(bits: Uint8Array, bytes: number): number {
  const words = new Uint32Array(bits.buffer, bits.byteOffset, bytes >> 2)
  let count = 0
  for (let index = 0; index < words.length; index++) count += wordBits(words[index]!)
  for (let index = words.length * 4; index < bytes; index++) count += wordBits(bits[index]!)
  return count
}

function wordBits(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555)
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333)
  return (((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24
}

/** Clears the bits of numbers below `from` and at or above `to`, which count from the first number of `bits`. */
export function clip(bits: Uint8Array, bytes: number, from: number, to: number): void {
  const clearIf = (byte: number, outside: (offset: number) => boolean) => {
    for (const [bit, residue] of RESIDUES.entries()) if (outside(byte * 30 + residue)) bits[byte]! &= ~(1 << bit)
  }
  if (from > 0) clearIf(0, (offset) => offset < from)
  if (to < 30 * bytes) clearIf(bytes - 1, (offset) => offset >= to)
}
