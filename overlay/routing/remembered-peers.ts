import type { NodeId } from '../../proto/model.js'
import type { Address } from '../../runtime/transport.js'

/** A peer met before: where a later start joins without being told. */
export interface RememberedPeer {
  readonly nodeId: NodeId
  readonly address: Address
}

/** Where remembered peers are kept between starts; `peers.json` of the data directory in a real process. */
export interface PeerMemory {
  /** What {@link save} was given last; undefined at the first start or when it cannot be read. */
  load(): Promise<string | undefined>
  /** Replaces it. May fail: remembering peers is a convenience. */
  save(text: string): Promise<void>
}

/** Peers read from a file, whoever wrote it. */
const PEERS_READ_MAX = 256

const NODE_ID = /^[0-9a-f]{40}$/
const ADDRESS_LENGTH_MIN = 3
const ADDRESS_LENGTH_MAX = 96

/** The text of a `peers.json`. */
export function formatPeers(peers: readonly RememberedPeer[]): string {
  return `${JSON.stringify({ v: 1, peers }, undefined, 2)}\n`
}

/** The peers of a `peers.json`; none when the text is not one, for a damaged file must not keep a node from starting. */
export function parsePeers(text: string): RememberedPeer[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return []
  }
  const { v, peers } = fieldsOf(value)
  if (v !== 1 || !Array.isArray(peers) || !peers.every(isPeer)) return []
  return peers.slice(0, PEERS_READ_MAX).map(({ nodeId, address }) => ({ nodeId, address }))
}

function isPeer(value: unknown): value is RememberedPeer {
  const { nodeId, address } = fieldsOf(value)
  if (typeof nodeId !== 'string' || !NODE_ID.test(nodeId) || typeof address !== 'string') return false
  return address.length >= ADDRESS_LENGTH_MIN && address.length <= ADDRESS_LENGTH_MAX
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
