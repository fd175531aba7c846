import { randomBytes, randomFillSync } from 'node:crypto'

/** Randomness as a process hands it to the rest: cryptographic below, seeded in the simulator. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, bound); `bound` is 1 to 2^32. */
  int(bound: number): number
  /** `count` independent random bytes. */
  bytes(count: number): Uint8Array
}

/** Random bytes are taken from the system this many at a time: one by one they cost ten times as much. */
const POOL_BYTES = 8 * 1024
const DRAW_BYTES = 6

const pool = Buffer.alloc(POOL_BYTES)
let used = POOL_BYTES

/** Uniform in [0, 1), 48 bits. */
function draw(): number {
  if (used + DRAW_BYTES > POOL_BYTES) {
    randomFillSync(pool)
    used = 0
  }
  const value = pool.readUIntBE(used, DRAW_BYTES) / 2 ** (8 * DRAW_BYTES)
  used += DRAW_BYTES
  return value
}

/** Randomness of this machine, fit for keys and nonces. */
export const systemRandom: Random = {
  next: draw,
  int: (bound) => Math.floor(draw() * bound),
  bytes: (count) => new Uint8Array(randomBytes(count)),
}
