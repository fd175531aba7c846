import type { Clock, Millis } from '../runtime/clock.js'
import { hostGroup } from './address.js'

const MINUTE_MS: Millis = 60_000
/** Addresses counted at a time; with more of them counting begins anew. */
const ADDRESSES_MAX = 4_096

/** Counts what each address (IPv6 by its /64) was served in the current minute. */
export class PerMinute {
  readonly #clock: Clock
  readonly #max: number
  #served = new Map<string, number>()
  #since: Millis

  /** `max`: how much one address is served a minute. Range: 1 and more. */
  constructor(clock: Clock, max: number) {
    this.#clock = clock
    this.#max = max
    this.#since = clock.now()
  }

  /** Counts `count` more for `host`. False, and not counted: it had all that it may have in this minute. */
  take(host: string, count = 1): boolean {
    const now = this.#clock.now()
    if (now - this.#since >= MINUTE_MS || this.#served.size >= ADDRESSES_MAX) {
      this.#served = new Map()
      this.#since = now
    }
    const group = hostGroup(host)
    const served = this.#served.get(group) ?? 0
    if (served + count > this.#max) return false
    this.#served.set(group, served + count)
    return true
  }
}
