import type { Key } from '../../proto/model.js'
import type { Contact } from '../../proto/overlay-messages.js'
import type { Clock, Millis } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import { toHex } from '../../runtime/hex.js'
import type { Logger } from '../../runtime/logger.js'
import type { Random } from '../../runtime/random.js'
import { ID_BITS } from './core/node-id.js'
import { coversRegion, estimateFromNearest, guardsOf, LOOKUP_FULL, regionBits, regionProbes } from './core/region.js'

interface RegionsContext {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Peers in the routing table. */
  readonly peers: () => number
  /** The live peers nearest to a point, this node among them where it belongs; `careful` as `LookupRequest`. */
  readonly lookup: (point: Key, careful: boolean) => Promise<readonly Contact[]>
}

/** Estimates of the size of which the middle one counts. */
const SIZES = 3
/** The size of the network is looked up anew after this long; sooner until there are {@link SIZES}, or when it failed. Unit: ms. */
const SIZE_MS: Millis = 10 * 60_000
const SIZE_SOON_MS: Millis = 60_000
const SIZE_RETRY_MS: Millis = 30_000

/** The peers around a key. */
export interface Neighbourhood {
  /** The peers nearest to the key, nearest first, as a full lookup finds them. */
  readonly nearest: readonly Contact[]
  /** Peers of the key's region, nearest first; empty where the network is too small to have regions. */
  readonly region: readonly Contact[]
}

/** Finds the regions of keys (`core/region.ts`), and how large the network is, on which they depend. */
export class Regions {
  readonly #c: RegionsContext
  readonly #sizes: number[] = []
  #sizing: Promise<void> | undefined
  #sizedAt = Number.NEGATIVE_INFINITY
  #triedAt = Number.NEGATIVE_INFINITY

  constructor(context: RegionsContext) {
    this.#c = context
  }

  /** Leading bits that a region shares, as of late; undefined: there are none, or the size is not known yet. Asks for the next time. */
  get bitsSeen(): number | undefined {
    void this.#size()
    return this.#bits()
  }

  /** A lookup of `key`, and its region: with more lookups where a crowd next to the key fills the first. Rejects as lookups do. */
  async around(key: Key): Promise<Neighbourhood> {
    const { lookup, random, logger } = this.#c
    const nearest = await lookup(key, this.#bits() !== undefined)
    if (nearest.length < LOOKUP_FULL) return { nearest, region: [] }
    await this.#size()
    const bits = this.#bits()
    if (bits === undefined) return { nearest, region: [] }
    const all = [...nearest]
    if (!coversRegion(key, bits, nearest)) {
      const probes = await Promise.allSettled(regionProbes(key, bits, random).map((point) => lookup(point, true)))
      for (const probe of probes) {
        if (probe.status === 'fulfilled') all.push(...probe.value)
        else logger.debug('part of a region not seen', { error: toGridError(probe.reason).message })
      }
    }
    return { nearest, region: guardsOf(key, bits, all) }
  }

  #bits(): number | undefined {
    // A network that has shrunk so far is not estimated any more.
    if (this.#c.peers() < LOOKUP_FULL) return undefined
    const sorted = [...this.#sizes].sort((a, b) => a - b)
    const middle = sorted[sorted.length >> 1]
    return middle === undefined ? undefined : regionBits(middle)
  }

  /** Never rejects: without a new estimate the old ones count. */
  #size(): Promise<void> {
    const now = this.#c.clock.now()
    const freshMs = this.#sizes.length < SIZES ? SIZE_SOON_MS : SIZE_MS
    const isRecent = now - this.#sizedAt < freshMs || now - this.#triedAt < SIZE_RETRY_MS
    if (isRecent || this.#c.peers() < LOOKUP_FULL) return this.#sizing ?? Promise.resolve()
    this.#triedAt = now
    this.#sizing = this.#estimate().finally(() => {
      this.#sizing = undefined
    })
    return this.#sizing
  }

  async #estimate(): Promise<void> {
    const { lookup, random, clock, logger } = this.#c
    const point = toHex(random.bytes(ID_BITS / 8)) as Key
    try {
      const nearest = await lookup(point, false)
      if (nearest.length === 0) return
      this.#sizes.push(
        estimateFromNearest(
          point,
          nearest.map(({ nodeId }) => nodeId),
        ),
      )
      if (this.#sizes.length > SIZES) this.#sizes.shift()
      this.#sizedAt = clock.now()
    } catch (error) {
      logger.debug('size of the network not estimated', { error: toGridError(error).message })
    }
  }
}
