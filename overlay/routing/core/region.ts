import type { Key, NodeId, Point } from '../../../proto/model.js'
import type { Random } from '../../../runtime/random.js'
import { compareDistance, ID_BITS, randomInBucket, sharedBits } from './node-id.js'

/**
 * The region of a key: all peers whose ids share so many leading bits with it that {@link REGION_PEERS_MIN} to twice as many
 * are expected there. Whoever grinds keys can be nearer to a key than all others, but cannot move the others away: a distance
 * that follows from the size of the network alone holds honest peers, however many ground keys lie between them and the key
 * (arXiv 2505.01139, 2025: always publish to and ask a region, without a detector).
 */

/** Peers expected in a region, at least. With 8, one in 3,000 is empty of honest peers (Poisson). */
export const REGION_PEERS_MIN = 8
/**
 * Peers of a network that has regions. On smaller ones ten keys are no small part of all, wherever they lie; it is also the
 * number from which peers wait before they may own.
 */
export const REGION_NETWORK_MIN = 64
/** Peers of one region that are told of a job, homes not counted. */
export const GUARDS_MAX = 24
/** Further points looked up where one lookup does not show all of a region. */
const PROBES = 3
/** Contacts of a full lookup (Kademlia's k). */
export const LOOKUP_FULL = 20

/**
 * Peers of a network by how close the nearest ones to a point lie: with N peers spread evenly, the m-th nearest is expected
 * at m / (N + 1) of the id space (order statistics of the uniform distribution). Exact below 20 peers. The point should be
 * one that nobody could foresee, or keys ground next to it make the network look larger than it is.
 */
export function estimateFromNearest(target: Point, nearest: readonly NodeId[]): number {
  if (nearest.length < LOOKUP_FULL) return nearest.length
  const distances = nearest
    .map((nodeId) => BigInt(`0x${target}`) ^ BigInt(`0x${nodeId}`))
    .sort((a, b) => (a < b ? -1 : 1))
  const far = distances.at(-1)!
  if (far === 0n) return nearest.length
  const peers = (BigInt(nearest.length) << BigInt(ID_BITS)) / far
  return Math.max(nearest.length, peers > 1_000_000_000n ? 1_000_000_000 : Number(peers))
}

/** Leading bits that the ids of a key's region share with it; undefined: the network is too small to have regions. */
export function regionBits(networkPeers: number): number | undefined {
  return networkPeers < REGION_NETWORK_MIN ? undefined : Math.floor(Math.log2(networkPeers / REGION_PEERS_MIN))
}

/** Whether a lookup of `key` that found `nearest` saw all of its region. */
export function coversRegion(key: Key, bits: number, nearest: readonly { readonly nodeId: NodeId }[]): boolean {
  return nearest.length < LOOKUP_FULL || nearest.some(({ nodeId }) => sharedBits(key, nodeId) < bits)
}

/**
 * Where to look up what a crowd next to the key hides: one random point in each of the largest parts of the region that
 * do not hold the key.
 */
export function regionProbes(key: Key, bits: number, random: Random): Key[] {
  return Array.from({ length: PROBES }, (_, i) => randomInBucket(key, bits + i, random))
}

/**
 * Of `contacts` up to {@link GUARDS_MAX} eligible ones in the region of `key`, nearest first. Where there are more, those
 * parts of the region that are far from the key have their turn as the near ones do: a crowd next to the key takes the
 * places of one part.
 */
export function guardsOf<T extends { readonly nodeId: NodeId; readonly eligible: boolean }>(
  key: Key,
  bits: number,
  contacts: Iterable<T>,
): T[] {
  const parts: T[][] = Array.from({ length: PROBES + 1 }, () => [])
  const seen = new Set<NodeId>()
  for (const contact of contacts) {
    const shared = sharedBits(key, contact.nodeId)
    if (shared < bits || !contact.eligible || seen.has(contact.nodeId)) continue
    seen.add(contact.nodeId)
    parts[Math.min(PROBES, shared - bits)]!.push(contact)
  }
  const byDistance = (a: T, b: T) => compareDistance(key, a.nodeId, b.nodeId)
  for (const part of parts) part.sort(byDistance)
  const guards: T[] = []
  for (let turn = 0; guards.length < Math.min(GUARDS_MAX, seen.size); turn++)
    for (const part of parts) if (turn < part.length && guards.length < GUARDS_MAX) guards.push(part[turn]!)
  return guards.sort(byDistance)
}
