import type { JobId, NodeId } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { fromHex } from '../../../runtime/hex.js'

const BLOCK_UNITS = 64

/** The owner whose turn opinion `opinion` on a unit of shard 0 is, by the rules of docs/protocol.md. */
export function turnOf(owners: readonly NodeId[], jobId: JobId, unit: number, opinion: number): NodeId {
  const place = new DataView(new ArrayBuffer(8))
  place.setUint32(4, Math.floor(unit / BLOCK_UNITS))
  const rank = (owner: NodeId) => sha256(fromHex(owner), fromHex(jobId), new Uint8Array(place.buffer))
  return [...owners].sort((a, b) => (rank(a) < rank(b) ? -1 : 1))[opinion % owners.length]!
}
