import type { Digest, JobId } from '../../proto/model.js'
import type { Disk } from '../../runtime/disk.js'
import { fromHex, toHex } from '../../runtime/hex.js'

/** The part of a disk that pins need. */
export type PinStorage = Pick<Disk, 'append' | 'read' | 'write' | 'list' | 'remove'>

const UNIT_BYTES = 4
const ENTRY_BYTES = UNIT_BYTES + 32

/**
 * Digests of the results that were fetched from the grid and verified here, one small file a shard: so that a result that
 * later facts overturn is noticed, instead of silently replaced.
 */
export class Pins {
  readonly #storage: PinStorage

  constructor(storage: PinStorage) {
    this.#storage = storage
  }

  /** Pins of one shard, to be added to and saved. An entry cut short by a crash is ignored. */
  async open(jobId: JobId, shard: number): Promise<ShardPins> {
    const file = `${folderOf(jobId)}${shard}.pins`
    const bytes = (await this.#storage.read(file)) ?? new Uint8Array(0)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const known = new Map<number, Digest>()
    const whole = bytes.length - (bytes.length % ENTRY_BYTES)
    for (let at = 0; at < whole; at += ENTRY_BYTES) {
      known.set(view.getUint32(at, true), toHex(bytes.subarray(at + UNIT_BYTES, at + ENTRY_BYTES)) as Digest)
    }
    // Bytes of a torn entry would shift all that follow.
    if (whole < bytes.length) await this.#storage.write(file, bytes.slice(0, whole))
    return new ShardPins(known, async (entries) => {
      const added = new Uint8Array(entries.length * ENTRY_BYTES)
      const out = new DataView(added.buffer)
      entries.forEach(([unit, digest], i) => {
        out.setUint32(i * ENTRY_BYTES, unit, true)
        added.set(fromHex(digest), i * ENTRY_BYTES + UNIT_BYTES)
      })
      await this.#storage.append(file, added)
    })
  }

  /** Forgets a job. */
  async forget(jobId: JobId): Promise<void> {
    for (const file of await this.#storage.list(folderOf(jobId))) await this.#storage.remove(file)
  }
}

const folderOf = (jobId: JobId): string => `pins/${jobId}/`

/** What was pinned of one shard. */
export class ShardPins {
  readonly #known: Map<number, Digest>
  readonly #append: (entries: readonly (readonly [number, Digest])[]) => Promise<void>
  #fresh: (readonly [number, Digest])[] = []

  constructor(known: Map<number, Digest>, append: (entries: readonly (readonly [number, Digest])[]) => Promise<void>) {
    this.#known = known
    this.#append = append
  }

  get units(): IterableIterator<number> {
    return this.#known.keys()
  }

  get(unit: number): Digest | undefined {
    return this.#known.get(unit)
  }

  /** Pins a result unless the unit is pinned already: the first one stays. */
  add(unit: number, digest: Digest): void {
    if (this.#known.has(unit)) return
    this.#known.set(unit, digest)
    this.#fresh.push([unit, digest])
  }

  /** Writes what was added since. */
  async save(): Promise<void> {
    if (this.#fresh.length === 0) return
    const entries = this.#fresh
    this.#fresh = []
    await this.#append(entries)
  }
}
