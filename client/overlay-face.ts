import type { Contact, LookupRequest, OverlayRecord, RecordDraft } from '../overlay/index.js'
import type { Key, NodeId, PublicKey } from '../proto/model.js'
import type { Endpoint } from '../runtime/transport.js'

/** A believable record as a client reads it. */
export interface FoundRecord {
  readonly publicKey: PublicKey
  readonly value: Uint8Array
}

/** What a client asks of the overlay. */
export interface ClientOverlay {
  /** The up to `count` live owner-eligible peers closest to `key`, closest first. */
  owners(key: Key, count: number): Promise<readonly Endpoint[]>
  /** Signs and stores a record; resolves to how many peers hold it. */
  putRecord(draft: RecordDraft): Promise<number>
  getRecord(key: Key, kind: string): Promise<readonly FoundRecord[]>
  /** Roughly how many peers the network has, 0 when none was found; see {@link estimateFromNearest}. */
  estimatePeers(): Promise<number>
}

/** The methods of `Overlay` that {@link overlayFace} uses. */
export interface OverlayLike {
  readonly self: { readonly nodeId: NodeId }
  lookup(key: Key, request?: LookupRequest): Promise<Contact[]>
  owners(key: Key, r: number): Promise<Contact[]>
  putRecord(draft: RecordDraft): Promise<number>
  getRecord(key: Key, kind: string): Promise<OverlayRecord[]>
  endpoint(contact: Contact): Endpoint
}

/** A running overlay as a client uses it. */
export function overlayFace(overlay: OverlayLike): ClientOverlay {
  return {
    owners: async (key, count) => (await overlay.owners(key, count)).map((contact) => overlay.endpoint(contact)),
    putRecord: (draft) => overlay.putRecord(draft),
    getRecord: (key, kind) => overlay.getRecord(key, kind),
    estimatePeers: async () => {
      const target = overlay.self.nodeId as string as Key
      return estimateFromNearest(
        target,
        (await overlay.lookup(target)).map(({ nodeId }) => nodeId),
      )
    },
  }
}

/** Closest peers of a lookup (Kademlia's k): with fewer than this, all of the network was seen. */
const NEAREST_FULL = 20
const ID_BITS = 160n

/**
 * Peers of a network by how close the nearest ones lie: with N peers spread evenly, the m-th nearest is expected at a
 * distance of m / (N + 1) of the id space (order statistics of the uniform distribution). Exact below 20 peers.
 */
export function estimateFromNearest(target: Key, nearest: readonly NodeId[]): number {
  if (nearest.length < NEAREST_FULL) return nearest.length
  const distances = nearest
    .map((nodeId) => BigInt(`0x${target}`) ^ BigInt(`0x${nodeId}`))
    .sort((a, b) => (a < b ? -1 : 1))
  const far = distances.at(-1)!
  if (far === 0n) return nearest.length
  const peers = (BigInt(nearest.length) << ID_BITS) / far
  return Math.max(nearest.length, peers > 1_000_000_000n ? 1_000_000_000 : Number(peers))
}
