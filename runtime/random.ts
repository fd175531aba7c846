import { randomBytes } from 'node:crypto'

/** Randomness as a process hands it to the rest: cryptographic below, seeded in the simulator. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number
  /** Uniform integer in [0, bound); `bound` is 1 to 2^32. */
  int(bound: number): number
  /** `count` independent random bytes. */
  bytes(count: number): Uint8Array
}

/** Randomness of this machine, fit for keys and nonces. */
export const systemRandom: Random = {
  next: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
  int: (bound) => Math.floor((randomBytes(6).readUIntBE(0, 6) / 2 ** 48) * bound),
  bytes: (count) => new Uint8Array(randomBytes(count)),
}

/** `value` spread uniformly by ± `share` (0.2 = ± 20 %), so that many timers do not fire together. */
export function jitter(random: Random, value: number, share: number): number {
  return value * (1 - share + 2 * share * random.next())
}
