/** Sets of small numbers, one bit each, least significant first: which chunks of a blob are there. */

/** Whether bit `index` is set; beyond the end it is not. */
export function hasBit(bits: Uint8Array, index: number): boolean {
  return ((bits[index >> 3] ?? 0) & (1 << (index & 7))) !== 0
}

/** Sets bit `index`, which lies within `bits`; true when it was not set before. */
export function setBit(bits: Uint8Array, index: number): boolean {
  if (hasBit(bits, index)) return false
  bits[index >> 3]! |= 1 << (index & 7)
  return true
}

/** `count` bits, all set. */
export function filledBits(count: number): Uint8Array {
  const bits = new Uint8Array(Math.ceil(count / 8)).fill(0xff)
  if (count % 8 > 0) bits[bits.length - 1] = (1 << (count % 8)) - 1
  return bits
}

/** How many bits are set. */
export function countBits(bits: Uint8Array): number {
  let count = 0
  for (let byte of bits) for (; byte > 0; byte &= byte - 1) count++
  return count
}
