import { hostGroup } from '../../overlay/address.js'
import { GridError } from '../../runtime/errors.js'
import type { Caller } from '../../runtime/transport.js'

/** Streams of `Watch` at a time, of one address (IPv6 counted by /64), and of one key. */
const WATCHERS_MAX = 1_000
const WATCHERS_PER_ADDRESS_MAX = 250
const WATCHERS_PER_CALLER_MAX = 64

/** Places for those who watch jobs, so that a few keys at one address do not take all of them. */
export class WatchPlaces {
  readonly #taken = new Map<string, number>()
  #count = 0

  /** Takes a place; returns how to give it back, once. Throws GridError `quota` when there is none left for the caller. */
  take({ publicKey, host }: Pick<Caller, 'publicKey' | 'host'>): () => void {
    const address = `address ${hostGroup(host)}`
    const key = `key ${publicKey}`
    const isFull =
      this.#count >= WATCHERS_MAX ||
      this.#of(address) >= WATCHERS_PER_ADDRESS_MAX ||
      this.#of(key) >= WATCHERS_PER_CALLER_MAX
    if (isFull)
      throw new GridError(
        'quota',
        `at most ${WATCHERS_MAX} watchers, ${WATCHERS_PER_ADDRESS_MAX} of an address and ${WATCHERS_PER_CALLER_MAX} of one key`,
      )
    this.#count++
    for (const name of [address, key]) this.#taken.set(name, this.#of(name) + 1)
    return () => {
      this.#count--
      for (const name of [address, key]) {
        const left = this.#of(name) - 1
        if (left > 0) this.#taken.set(name, left)
        else this.#taken.delete(name)
      }
    }
  }

  #of(name: string): number {
    return this.#taken.get(name) ?? 0
  }
}
