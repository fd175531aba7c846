import type { Random } from '../../../runtime/random.js'

/**
 * Seeded randomness (sfc32, Chris Doty-Humphrey's PractRand). {@link split} derives from the name alone, not from what
 * was drawn so far, so that a new consumer does not shift the numbers of the others.
 */
export class SeededRandom implements Random {
  readonly #name: string
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** `name` is the whole seed: the same text gives the same numbers. */
  constructor(name: string) {
    this.#name = name
    this.#a = hashText(name, 0x9e3779b9)
    this.#b = hashText(name, 0x243f6a88)
    this.#c = hashText(name, 0xb7e15162)
    for (let round = 0; round < 12; round++) this.#word()
  }

  /** Independent randomness for the consumer `name`; the same object state or not, the same numbers. */
  split(name: string): SeededRandom {
    return new SeededRandom(`${this.#name}/${name}`)
  }

  next(): number {
    return ((this.#word() >>> 5) * 2 ** 26 + (this.#word() >>> 6)) / 2 ** 53
  }

  int(bound: number): number {
    return Math.floor(this.next() * bound)
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count)
    for (let index = 0; index < count; index++) bytes[index] = this.#word() >>> 24
    return bytes
  }

  /** True with this probability, 0 to 1. Draws a number in any case, so that turning a fault off shifts nothing. */
  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** Uniform in [low, high). */
  between(low: number, high: number): number {
    return low + (high - low) * this.next()
  }

  /** Exponentially distributed with this mean: the gaps of a Poisson process. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next())
  }

  /** One of `items`, or undefined when there is none. */
  pick<T>(items: readonly T[]): T | undefined {
    return items[this.int(items.length)]
  }

  #word(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (this.#c << 21) | (this.#c >>> 11)
    this.#c = (this.#c + sum) | 0
    return sum >>> 0
  }
}

/** 32-bit FNV-1a of the UTF-16 units of `text`, finished as in MurmurHash3. */
export function hashText(text: string, start: number): number {
  let hash = start ^ 0x811c9dc5
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
