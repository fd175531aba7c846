/** Bytes of an id. */
export const ID_BYTES = 32
/** Slots of a chunk: 64 KiB. */
const CHUNK_SLOTS = 2_048
const CHUNK_BITS = 11
/** Slots the first chunk begins with, so that small sets stay small. */
const FIRST_SLOTS = 16
const BLOCK_SLOTS_MIN = 4

/** Size class of a block for `count` ids, 1 to 32: 4, 8, 16 or 32 slots. */
function classOf(count: number): number {
  return count <= 4 ? 0 : count <= 8 ? 1 : count <= 16 ? 2 : 3
}

/**
 * Memory for ids in blocks of 4 to 32 that lie side by side, in a few large arrays: about 65 bytes an id and nothing for
 * the garbage collector to walk.
 */
export class IdBlocks {
  readonly #chunks: Uint8Array[] = []
  /** Blocks given back, by size class; absent: none. */
  readonly #free: (number[] | undefined)[] = []
  /** The first slot never used. */
  #end = 0

  /** The block at `address` that holds `count` ids, as a view. */
  view(address: number, count: number): Uint8Array {
    const start = (address & (CHUNK_SLOTS - 1)) * ID_BYTES
    return this.#chunks[address >> CHUNK_BITS]!.subarray(start, start + count * ID_BYTES)
  }

  /** Where `id` stands among the `count` ids of the block, or would: the number of ids below it. */
  rank(address: number, count: number, id: Uint8Array): number {
    const chunk = this.#chunks[address >> CHUNK_BITS]!
    const base = (address & (CHUNK_SLOTS - 1)) * ID_BYTES
    let low = 0
    let high = count
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareAt(chunk, base + middle * ID_BYTES, id) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Whether the id at place `rank` of the block is `id`. */
  isAt(address: number, count: number, rank: number, id: Uint8Array): boolean {
    const start = ((address & (CHUNK_SLOTS - 1)) + rank) * ID_BYTES
    return rank < count && compareAt(this.#chunks[address >> CHUNK_BITS]!, start, id) === 0
  }

  /**
   * Puts `id` at place `rank` of a block of `count` ids, fewer than 32; `address` means nothing
   * when there are none. Returns where the block is now.
   */
  insert(address: number, count: number, rank: number, id: Uint8Array): number {
    let block = address
    if (count === 0 || classOf(count) !== classOf(count + 1)) {
      block = this.#allocate(classOf(count + 1))
      if (count > 0) {
        this.view(block, count).set(this.view(address, count))
        this.release(address, count)
      }
    }
    const ids = this.view(block, count + 1)
    ids.copyWithin((rank + 1) * ID_BYTES, rank * ID_BYTES, count * ID_BYTES)
    ids.set(id, rank * ID_BYTES)
    return block
  }

  /** A new block with the ids of `ids`, at least one. */
  store(ids: Uint8Array): number {
    const count = ids.length / ID_BYTES
    const block = this.#allocate(classOf(count))
    this.view(block, count).set(ids)
    return block
  }

  /** Gives back the block that holds `count` ids, at least one. */
  release(address: number, count: number): void {
    const sizeClass = classOf(count)
    const free = this.#free[sizeClass]
    if (free === undefined) this.#free[sizeClass] = [address]
    else free.push(address)
  }

  #allocate(sizeClass: number): number {
    const reused = this.#free[sizeClass]?.pop()
    if (reused !== undefined) return reused
    const slots = BLOCK_SLOTS_MIN << sizeClass
    // A block never crosses the end of a chunk; at most 28 slots are lost there.
    if ((this.#end & (CHUNK_SLOTS - 1)) + slots > CHUNK_SLOTS) this.#end = (this.#end | (CHUNK_SLOTS - 1)) + 1
    const address = this.#end
    this.#end += slots
    const chunk = address >> CHUNK_BITS
    if (chunk === this.#chunks.length)
      this.#chunks.push(new Uint8Array((chunk === 0 ? FIRST_SLOTS : CHUNK_SLOTS) * ID_BYTES))
    else if (chunk === 0) this.#growFirst()
    return address
  }

  #growFirst(): void {
    const first = this.#chunks[0]!
    let bytes = first.length
    while (bytes < this.#end * ID_BYTES) bytes *= 2
    if (bytes === first.length) return
    const grown = new Uint8Array(bytes)
    grown.set(first)
    this.#chunks[0] = grown
  }
}

function compareAt(bytes: Uint8Array, start: number, id: Uint8Array): number {
  for (let i = 0; i < ID_BYTES; i++) {
    const difference = bytes[start + i]! - id[i]!
    if (difference !== 0) return difference
  }
  return 0
}
