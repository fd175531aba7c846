import {
  type Contact,
  estimateFromNearest,
  type Keepers,
  type LookupRequest,
  type OverlayRecord,
  type RecordDraft,
} from '../../overlay/index.js'
import type { Key, NodeId, Point, PublicKey } from '../../proto/model.js'
import type { Endpoint } from '../../runtime/transport.js'

/** A believable record as a client reads it. */
export interface FoundRecord {
  readonly publicKey: PublicKey
  readonly value: Uint8Array
}

/** What a client asks of the overlay. */
export interface ClientOverlay {
  /** The up to `count` live owner-eligible peers closest to `key`, closest first. */
  owners(key: Point, count: number): Promise<readonly Endpoint[]>
  /** These, and the other peers of the key's region; see `Overlay.keepers`. */
  keepers(key: Key, count: number): Promise<Keepers>
  /** Signs and stores a record; resolves to how many peers hold it. */
  putRecord(draft: RecordDraft): Promise<number>
  getRecord(key: Key, kind: string): Promise<readonly FoundRecord[]>
  /** Roughly how many peers the network has, 0 when none was found; see {@link estimateFromNearest}. */
  estimatePeers(): Promise<number>
}

/** The methods of `Overlay` that {@link overlayFace} uses. */
interface OverlayLike {
  readonly self: { readonly nodeId: NodeId }
  lookup(key: Point, request?: LookupRequest): Promise<Contact[]>
  owners(key: Point, r: number): Promise<Contact[]>
  keepers(key: Key, r: number): Promise<Keepers>
  putRecord(draft: RecordDraft): Promise<number>
  getRecord(key: Key, kind: string): Promise<OverlayRecord[]>
  endpoint(contact: Contact): Endpoint
}

/** A running overlay as a client uses it. */
export function overlayFace(overlay: OverlayLike): ClientOverlay {
  return {
    owners: async (key, count) => (await overlay.owners(key, count)).map((contact) => overlay.endpoint(contact)),
    keepers: (key, count) => overlay.keepers(key, count),
    putRecord: (draft) => overlay.putRecord(draft),
    getRecord: (key, kind) => overlay.getRecord(key, kind),
    estimatePeers: async () => {
      const target = overlay.self.nodeId
      return estimateFromNearest(
        target,
        (await overlay.lookup(target)).map(({ nodeId }) => nodeId),
      )
    },
  }
}
