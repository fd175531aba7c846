const BLOCK_BYTES = 64
const ROUNDS = 20
/** "expand 32-byte k", RFC 8439 section 2.3. */
const SIGMA = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const
/** Upper half of the key, so that the stream is this project's own: "manyhands.random" as little-endian words. */
const DOMAIN = [0x796e616d, 0x646e6168, 0x61722e73, 0x6d6f646e] as const

/**
 * The random bytes of a unit: the key stream of ChaCha20 (RFC 8439) with a 64-bit block counter from 0 and a nonce of 0
 * (Bernstein 2008), under the key seed (64 bits, little-endian), unit (64 bits, little-endian), "manyhands.random".
 */
export class UnitRandom {
  readonly #seed: bigint
  readonly #unit: bigint
  /** Made when it is first needed: most units draw nothing. */
  #stream: Stream | undefined
  #used = BLOCK_BYTES

  /** `seed` is the job's, taken modulo 2^64; `unit` an index. */
  constructor(seed: bigint, unit: number) {
    this.#seed = seed
    this.#unit = BigInt(unit)
  }

  /** Fills `target` with the next bytes of the stream, whatever the sizes asked for before. */
  fill(target: Uint8Array): void {
    this.#stream ??= openStream(this.#seed, this.#unit)
    const { block } = this.#stream
    for (let at = 0; at < target.length; ) {
      if (this.#used === BLOCK_BYTES) {
        nextBlock(this.#stream)
        this.#used = 0
      }
      const count = Math.min(BLOCK_BYTES - this.#used, target.length - at)
      target.set(block.subarray(this.#used, this.#used + count), at)
      this.#used += count
      at += count
    }
  }
}

interface Stream {
  readonly state: Uint32Array
  readonly working: Uint32Array
  readonly block: Uint8Array
}

function openStream(seed: bigint, unit: bigint): Stream {
  const low = (value: bigint) => Number(value & 0xffff_ffffn)
  const key = [low(seed), low(seed >> 32n), low(unit), low(unit >> 32n), ...DOMAIN]
  const state = Uint32Array.from([...SIGMA, ...key, 0, 0, 0, 0])
  return { state, working: new Uint32Array(16), block: new Uint8Array(BLOCK_BYTES) }
}

function nextBlock({ state, working, block }: Stream): void {
  chachaBlock(state, working, block)
  state[12]!++
  if (state[12] === 0) state[13]!++
}

/** The block function of RFC 8439 section 2.3: 16 words of `state` to 64 bytes; `working` is scratch space of 16 words. */
export function chachaBlock(state: Uint32Array, working: Uint32Array, block: Uint8Array): void {
  working.set(state)
  for (let round = 0; round < ROUNDS; round += 2) {
    quarterRound(working, 0, 4, 8, 12)
    quarterRound(working, 1, 5, 9, 13)
    quarterRound(working, 2, 6, 10, 14)
    quarterRound(working, 3, 7, 11, 15)
    quarterRound(working, 0, 5, 10, 15)
    quarterRound(working, 1, 6, 11, 12)
    quarterRound(working, 2, 7, 8, 13)
    quarterRound(working, 3, 4, 9, 14)
  }
  for (let i = 0; i < 16; i++) {
    const word = (working[i]! + state[i]!) >>> 0
    block[4 * i] = word
    block[4 * i + 1] = word >>> 8
    block[4 * i + 2] = word >>> 16
    block[4 * i + 3] = word >>> 24
  }
}

function quarterRound(x: Uint32Array, a: number, b: number, c: number, d: number): void {
  x[a] = x[a]! + x[b]!
  x[d] = rotate(x[d]! ^ x[a]!, 16)
  x[c] = x[c]! + x[d]!
  x[b] = rotate(x[b]! ^ x[c]!, 12)
  x[a] = x[a]! + x[b]!
  x[d] = rotate(x[d]! ^ x[a]!, 8)
  x[c] = x[c]! + x[d]!
  x[b] = rotate(x[b]! ^ x[c]!, 7)
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}
