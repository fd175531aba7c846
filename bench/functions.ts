import { createHash } from 'node:crypto'

/** SHA-256 of the text. */
export function hashText(text: string): Uint8Array {
  return createHash('sha256').update(text).digest()
}

/** A linear congruential generator run for `rounds` steps from `seed`: a fixed amount of arithmetic. */
export function spinRounds(rounds: number, seed: number): number {
  let state = seed >>> 0
  for (let i = 0; i < rounds; i++) state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  return state
}

/** The bytes in reverse order. */
export function reversed(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes).reverse()
}
