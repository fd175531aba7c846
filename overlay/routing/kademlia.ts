import { createRequire } from 'node:module'
import type { NodeId, Point } from '../../proto/model.js'
import { ID_BITS, sharedBits } from './core/node-id.js'
import type { Located, Offered, Shortlist, Table } from './core/table.js'

/*
 * The only file that touches `kademlia-dht` 0.1.0. It loads five of its modules and never `dht.js`, `lookup.js` or
 * `mock-rpc.js`, where most of the package's known defects live. `test/unit/overlay/routing/kademlia.test.ts` pins each defect.
 */

interface PackageId {
  equal(other: PackageId): boolean
  at(bit: number): boolean
}
interface PackageContact<T> {
  readonly id: PackageId
  readonly endpoint: T
}
interface PackageBucket<T> {
  readonly length: number
  readonly capacity: number
  readonly oldest: PackageContact<T> | null
  store(contact: PackageContact<T>): boolean
}
interface Found<T> {
  readonly bucket: PackageBucket<T>
  /** Depth of the bucket: it covers the ids that share this many bits with the one looked for. */
  readonly nth: number
}
interface PackageTable<T> {
  remove(contact: PackageContact<T>): void
  find(id: PackageId, count: number): PackageContact<T>[]
  _findBucket(contact: { readonly id: PackageId }): Found<T>
  _splitAndStore(contact: PackageContact<T>, found: Found<T>): boolean
}
interface PackageLookupList<T> {
  insert(contact: PackageContact<T>): void
  remove(contact: PackageContact<T>): boolean
  next(): PackageContact<T> | null
  getContacts(): PackageContact<T>[]
}

const require = createRequire(import.meta.url)
const Id = require('kademlia-dht/lib/id.js') as new (bytes: Buffer) => PackageId
const Contact = require('kademlia-dht/lib/contact.js') as new <T>(id: PackageId, endpoint: T) => PackageContact<T>
const RoutingTable = require('kademlia-dht/lib/routing-table.js') as new <T>(
  id: PackageId,
  k: number,
) => PackageTable<T>
const LookupList = require('kademlia-dht/lib/lookup-list.js') as new <T>(
  id: PackageId,
  size: number,
) => PackageLookupList<T>

/** Contacts that wait behind each range of ids for a place. Kademlia paper, section 4.1 (replacement cache). */
export const SPARES_PER_BUCKET_MAX = 8

/** Ids in the package's form, kept because the same few thousand are compared over and over. */
const ids = new Map<string, PackageId>()
const IDS_MAX = 65_536

/**
 * Always from 20 bytes: the package's `Id.fromHex` gives the zero id on current Node (defect D22). Not from Node's buffer
 * pool: an id that is kept would keep 8 KB of it.
 */
function packageId(point: Point): PackageId {
  let id = ids.get(point)
  if (id === undefined) {
    const bytes = Buffer.allocUnsafeSlow(ID_BITS / 8)
    bytes.write(point, 'hex')
    id = new Id(bytes)
    if (ids.size >= IDS_MAX) ids.clear()
    ids.set(point, id)
  }
  return id
}

/** The package's form of each entry of a list, as long as it lives: lookups insert the same contacts again and again. */
const wrapped = new WeakMap<object, PackageContact<unknown>>()

function packageContact<T extends Located>(entry: T): PackageContact<T> {
  let contact = wrapped.get(entry)
  if (contact === undefined) {
    contact = new Contact<unknown>(packageId(entry.nodeId), entry)
    wrapped.set(entry, contact)
  }
  return contact as PackageContact<T>
}

/**
 * The package's routing table with its `store` replaced: it splits as often as it needs to (D11), splits a bucket that
 * covers the own id even for a newcomer on the far side (D12), and never throws out a live contact (D1).
 */
class RepairedTable<T> extends RoutingTable<T> {
  readonly #self: NodeId

  constructor(self: NodeId, k: number) {
    super(packageId(self), k)
    this.#self = self
  }

  /** False when the bucket is full and must not be split. */
  place(nodeId: NodeId, contact: PackageContact<T>): boolean {
    for (;;) {
      const found = this._findBucket(contact)
      if (found.bucket.store(contact)) return true
      if (!this.#splits(nodeId, found)) return false
      this._splitAndStore(contact, found)
    }
  }

  room(nodeId: NodeId): boolean {
    const found = this._findBucket({ id: packageId(nodeId) })
    return found.bucket.length < found.bucket.capacity || this.#splits(nodeId, found)
  }

  #splits(nodeId: NodeId, { nth }: Found<T>): boolean {
    return sharedBits(nodeId, this.#self) >= nth && nth + 1 < ID_BITS
  }
}

/** A routing table around `self` with buckets of `k`. */
export function createTable<T extends Located>(self: NodeId, k: number): Table<T> {
  const table = new RepairedTable<T>(self, k)
  const stored = new Map<NodeId, PackageContact<T>>()
  const spares = new Map<number, T[]>()

  const takeSpare = (nodeId: NodeId): boolean => {
    const range = spares.get(sharedBits(nodeId, self)) ?? []
    const at = range.findIndex((spare) => spare.nodeId === nodeId)
    if (at >= 0) range.splice(at, 1)
    return at >= 0
  }

  return {
    offer(entry): Offered {
      const { nodeId } = entry
      if (nodeId === self) return 'refused'
      const contact = new Contact(packageId(nodeId), entry)
      if (table.place(nodeId, contact)) {
        stored.set(nodeId, contact)
        takeSpare(nodeId)
        return 'stored'
      }
      takeSpare(nodeId)
      const shared = sharedBits(nodeId, self)
      const range = spares.get(shared) ?? []
      range.push(entry)
      if (range.length > SPARES_PER_BUCKET_MAX) range.shift()
      spares.set(shared, range)
      return 'spare'
    },
    hasRoom: (nodeId) => nodeId !== self && (stored.has(nodeId) || table.room(nodeId)),
    drop(nodeId) {
      const contact = stored.get(nodeId)
      if (contact === undefined) {
        takeSpare(nodeId)
        return undefined
      }
      stored.delete(nodeId)
      table.remove(contact)
      return spares.get(sharedBits(nodeId, self))?.pop()
    },
    closest: (target, count) =>
      count < 1 ? [] : table.find(packageId(target), count).map((contact) => contact.endpoint),
    get: (nodeId) => stored.get(nodeId)?.endpoint,
    has: (nodeId) => stored.has(nodeId),
    *all() {
      for (const contact of stored.values()) yield contact.endpoint
    },
    get size() {
      return stored.size
    },
  }
}

/** The list a lookup for `target` works on. It forgets what falls off its end; the lookup core remembers (D24). */
export function createShortlist<T extends Located>(target: Point, capacity: number): Shortlist<T> {
  const list = new LookupList<T>(packageId(target), capacity)
  return {
    insert: (entry) => list.insert(packageContact(entry)),
    remove: (entry) => void list.remove(packageContact(entry)),
    next: () => list.next()?.endpoint,
    entries: () => list.getContacts().map((contact) => contact.endpoint),
  }
}
