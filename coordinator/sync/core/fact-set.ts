import type { Digest } from '../../../proto/model.js'
import { PRINT_BYTES, RANGE_FAN, RANGE_LEAF_MAX } from '../../../proto/sync-messages.js'
import { toHex } from '../../../runtime/hex.js'
import { ID_BYTES, IdBlocks } from './id-blocks.js'
import type { PrintMaker } from './prints.js'

/** Numbers a node of the tree takes: how many ids, and where its parts or its ids are. */
const NODE_WORDS = 2

/** What a set has until its first id: thousands of shards that strangers open never get one. Never written but for the print of nothing. */
const NO_NODES = new Int32Array(NODE_WORDS)
const NO_PRINTS = new Uint8Array(PRINT_BYTES)
const NONE_FRESH = new Uint8Array(1).fill(1)

/** Scratch of the call at hand, for all sets: the id in hand, and the nodes on its way. */
const ID = new Uint8Array(ID_BYTES)
const WAY = new Int32Array(2 * ID_BYTES)

/**
 * A grow-only set of fact ids that knows the print of every range, kept incrementally: a new id costs about a
 * microsecond, and its prints are made anew, one hash a level, when they are next asked for. About 70 bytes an id.
 *
 * A tree with {@link RANGE_FAN} parts a node, one for each next hex digit; nodes of up to {@link RANGE_LEAF_MAX} ids
 * list them. So its shape, and every print, depends on the ids alone, not on their order of arrival. Ids are expected to
 * be hashes; ones with long common prefixes cost up to 63 nodes each and nothing else.
 */
export class FactSet {
  readonly #prints: PrintMaker
  readonly #blocks = new IdBlocks()
  #nodes = NO_NODES
  #nodePrints = NO_PRINTS
  /** 1: the print of the node is that of its ids. */
  #fresh = NONE_FRESH
  #nodeCount = 1

  constructor(prints: PrintMaker) {
    this.#prints = prints
  }

  /** Ids in the set. */
  get size(): number {
    return this.#count(0)
  }

  /** Adds an id; false: it was there. */
  add(id: Digest): boolean {
    if (this.#nodes === NO_NODES) this.#grow(1)
    const bytes = this.#parse(id)
    const way = WAY
    let depth = 0
    let node = 0
    way[0] = 0
    for (;;) {
      const count = this.#count(node)
      if (count <= RANGE_LEAF_MAX) {
        const block = this.#place(node)
        const rank = count === 0 ? 0 : this.#blocks.rank(block, count, bytes)
        if (count > 0 && this.#blocks.isAt(block, count, rank, bytes)) return false
        if (count < RANGE_LEAF_MAX) {
          this.#nodes[node * NODE_WORDS + 1] = this.#blocks.insert(block, count, rank, bytes)
          break
        }
        this.#divide(node, depth)
      }
      node = this.#place(node) + nibble(bytes, depth)
      depth++
      way[depth] = node
    }
    for (let i = 0; i <= depth; i++) {
      const passed = way[i]!
      this.#nodes[passed * NODE_WORDS]! += 1
      this.#fresh[passed] = 0
    }
    return true
  }

  has(id: Digest): boolean {
    const bytes = this.#parse(id)
    let node = 0
    for (let depth = 0; this.#count(node) > RANGE_LEAF_MAX; depth++) node = this.#place(node) + nibble(bytes, depth)
    const count = this.#count(node)
    if (count === 0) return false
    const block = this.#place(node)
    return this.#blocks.isAt(block, count, this.#blocks.rank(block, count, bytes), bytes)
  }

  /** Ids that begin with `prefix`, at most 63 hex digits. */
  count(prefix: string): number {
    const { node, depth } = this.#find(prefix)
    return depth === prefix.length ? this.#count(node) : this.#idsInLeaf(node, prefix).length / ID_BYTES
  }

  /** The print of the ids that begin with `prefix`, at most 63 hex digits: {@link PRINT_BYTES} bytes, zeros for none. */
  print(prefix: string): Uint8Array {
    const { node, depth } = this.#find(prefix)
    if (depth === prefix.length) {
      this.#refresh(node)
      return this.#nodePrints.slice(node * PRINT_BYTES, (node + 1) * PRINT_BYTES)
    }
    const ids = this.#idsInLeaf(node, prefix)
    return ids.length === 0 ? new Uint8Array(PRINT_BYTES) : this.#prints.ofIds(ids).slice(0, PRINT_BYTES)
  }

  /** The prints of the {@link RANGE_FAN} parts of a range, one after the other; `prefix` has at most 62 digits. */
  partPrints(prefix: string): Uint8Array {
    const prints = new Uint8Array(RANGE_FAN * PRINT_BYTES)
    for (let part = 0; part < RANGE_FAN; part++) prints.set(this.print(prefix + part.toString(16)), part * PRINT_BYTES)
    return prints
  }

  /** Up to `limit` ids that begin with `prefix`, ascending, from those above `after` (undefined: from the first). */
  ids(prefix: string, after: Digest | undefined, limit: number): Digest[] {
    const found: Digest[] = []
    this.#collect(0, 0, prefix, after === undefined ? undefined : this.#parse(after), limit, found)
    return found
  }

  /** Adds the ids below `node` that begin with `prefix` and are above `after`, while there is room. */
  #collect(
    node: number,
    depth: number,
    prefix: string,
    after: Uint8Array | undefined,
    limit: number,
    found: Digest[],
  ): void {
    if (this.#count(node) <= RANGE_LEAF_MAX) {
      const ids = this.#idsInLeaf(node, prefix)
      for (let i = 0; i < ids.length && found.length < limit; i += ID_BYTES) {
        const id = ids.subarray(i, i + ID_BYTES)
        if (after === undefined || isAbove(id, after)) found.push(toHex(id) as Digest)
      }
      return
    }
    const only = depth < prefix.length ? digitAt(prefix, depth) : undefined
    const least = after === undefined ? 0 : nibble(after, depth)
    for (let part = only ?? least; part < RANGE_FAN && part >= least && found.length < limit; part++) {
      this.#collect(this.#place(node) + part, depth + 1, prefix, part === least ? after : undefined, limit, found)
      if (only !== undefined) return
    }
  }

  /** The node of a range, or the leaf above it. */
  #find(prefix: string): { node: number; depth: number } {
    let node = 0
    let depth = 0
    while (depth < prefix.length && this.#count(node) > RANGE_LEAF_MAX) {
      node = this.#place(node) + digitAt(prefix, depth)
      depth++
    }
    return { node, depth }
  }

  /** Those ids of a leaf that begin with `prefix`: they lie side by side. */
  #idsInLeaf(node: number, prefix: string): Uint8Array {
    const count = this.#count(node)
    if (count === 0) return new Uint8Array(0)
    const ids = this.#blocks.view(this.#place(node), count)
    let start = 0
    while (start < ids.length && !beginsWith(ids, start, prefix)) start += ID_BYTES
    let end = start
    while (end < ids.length && beginsWith(ids, end, prefix)) end += ID_BYTES
    return ids.subarray(start, end)
  }

  /** Makes the prints of `node` and of what is below it true again. */
  #refresh(node: number): void {
    if (this.#fresh[node] === 1) return
    const count = this.#count(node)
    const at = node * PRINT_BYTES
    if (count > RANGE_LEAF_MAX) {
      const first = this.#place(node)
      for (let part = 0; part < RANGE_FAN; part++) this.#refresh(first + part)
      const parts = this.#nodePrints.subarray(first * PRINT_BYTES, (first + RANGE_FAN) * PRINT_BYTES)
      this.#nodePrints.set(this.#prints.ofParts(parts).subarray(0, PRINT_BYTES), at)
    } else if (count > 0) {
      const ids = this.#blocks.view(this.#place(node), count)
      this.#nodePrints.set(this.#prints.ofIds(ids).subarray(0, PRINT_BYTES), at)
    }
    this.#fresh[node] = 1
  }

  /** Turns a full leaf into a node with parts, over which its ids are spread. */
  #divide(node: number, depth: number): void {
    const block = this.#place(node)
    const ids = this.#blocks.view(block, RANGE_LEAF_MAX).slice()
    this.#blocks.release(block, RANGE_LEAF_MAX)
    const first = this.#newParts()
    for (let start = 0, end = 0; start < ids.length; start = end) {
      const part = nibble(ids, 2 * start + depth)
      while (end < ids.length && nibble(ids, 2 * end + depth) === part) end += ID_BYTES
      const child = (first + part) * NODE_WORDS
      this.#nodes[child] = (end - start) / ID_BYTES
      this.#nodes[child + 1] = this.#blocks.store(ids.subarray(start, end))
    }
    this.#nodes[node * NODE_WORDS + 1] = first
  }

  /** The first of {@link RANGE_FAN} new empty nodes. */
  #newParts(): number {
    const first = this.#nodeCount
    this.#nodeCount += RANGE_FAN
    if (this.#nodeCount > this.#fresh.length) this.#grow(Math.max(this.#nodeCount, Math.ceil(1.5 * this.#fresh.length)))
    return first
  }

  /** Makes room for so many nodes, in arrays of its own. */
  #grow(capacity: number): void {
    const nodes = new Int32Array(capacity * NODE_WORDS)
    nodes.set(this.#nodes)
    this.#nodes = nodes
    const prints = new Uint8Array(capacity * PRINT_BYTES)
    prints.set(this.#nodePrints)
    this.#nodePrints = prints
    const fresh = new Uint8Array(capacity)
    fresh.set(this.#fresh)
    this.#fresh = fresh
  }

  #count(node: number): number {
    return this.#nodes[node * NODE_WORDS]!
  }

  /** Its first part, when it has more than {@link RANGE_LEAF_MAX} ids; else the block of its ids, when it has any. */
  #place(node: number): number {
    return this.#nodes[node * NODE_WORDS + 1]!
  }

  /** The bytes of an id, until the next call. */
  #parse(id: Digest): Uint8Array {
    const bytes = ID
    for (let i = 0; i < ID_BYTES; i++) bytes[i] = (digitAt(id, 2 * i) << 4) | digitAt(id, 2 * i + 1)
    return bytes
  }
}

/** The hex digit at place `depth`, high half of a byte first. */
function nibble(bytes: Uint8Array, depth: number): number {
  const byte = bytes[depth >> 1]!
  return depth % 2 === 0 ? byte >> 4 : byte & 15
}

/** The value of a lower-case hex digit. */
function digitAt(hex: string, place: number): number {
  const code = hex.charCodeAt(place)
  return code < 58 ? code - 48 : code - 87
}

function beginsWith(ids: Uint8Array, start: number, prefix: string): boolean {
  for (let depth = 0; depth < prefix.length; depth++) {
    if (nibble(ids, 2 * start + depth) !== digitAt(prefix, depth)) return false
  }
  return true
}

function isAbove(id: Uint8Array, than: Uint8Array): boolean {
  for (let i = 0; i < ID_BYTES; i++) if (id[i] !== than[i]) return id[i]! > than[i]!
  return false
}
