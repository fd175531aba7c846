import { hashText, spinRounds } from './functions.js'

/** What a thread of the Piscina comparison runs: the functions of the tasks, one call a unit. */
export function hash(index: number): Uint8Array {
  return hashText(String(index))
}

export function spin({ rounds, index }: { readonly rounds: number; readonly index: number }): number {
  return spinRounds(rounds, index)
}
