import type { NodeId, Point } from '../../../proto/model.js'

/** Anything that stands at a point of the id space under a node's id. */
export interface Located {
  readonly nodeId: NodeId
}

/** What became of an offer to a {@link Table}. */
export type Offered = 'stored' | 'spare' | 'refused'

/**
 * A routing table: k-buckets around the own id (Kademlia paper, section 2.2 and 2.4). Holds at most k entries a bucket
 * and `SPARES_PER_BUCKET_MAX` spares behind each; the own id never enters.
 */
export interface Table<T extends Located> {
  /**
   * Stores or replaces `entry`, which becomes the freshest of its bucket. A full bucket keeps the old ones: the entry
   * then waits as a spare, where the newest push out the oldest.
   */
  offer(entry: T): Offered
  /** Whether a new entry with this id would be stored rather than become a spare. */
  hasRoom(nodeId: NodeId): boolean
  /** Forgets an entry or spare. Returns the freshest spare of the range that lost an entry, no longer kept here. */
  drop(nodeId: NodeId): T | undefined
  /** The up to `count` entries closest to `target`, closest first. Spares are not among them. */
  closest(target: Point, count: number): T[]
  get(nodeId: NodeId): T | undefined
  has(nodeId: NodeId): boolean
  all(): IterableIterator<T>
  readonly size: number
}

/** The best `capacity` contacts of one lookup, closest to its target first; each is handed out once by `next`. */
export interface Shortlist<T extends Located> {
  insert(entry: T): void
  remove(entry: T): void
  /** The closest entry not handed out yet. */
  next(): T | undefined
  entries(): T[]
}
