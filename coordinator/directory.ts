import type { Keepers } from '../overlay/index.js'
import type { WorkerCount } from '../proto/job-messages.js'
import type { JobId, Key, NodeId, Point, PublicKey } from '../proto/model.js'
import type { Endpoint } from '../runtime/transport.js'

/** Ready work of one job here, for workers with no job in mind. */
export interface ReadyWork {
  readonly jobId: JobId
  readonly submitter: PublicKey
  /** Instances that could be granted now; 0 takes the notice down. */
  readonly ready: number
  /** Task, limits and requirements, so that a worker can pass over what it cannot do. At most 1 KiB. */
  readonly header: Uint8Array
}

/** What an owner asks of the overlay. */
export interface OwnerDirectory {
  readonly self: Endpoint
  /** The live owner-eligible peers closest to a key, nearest first, this node among them where it is one. */
  owners(key: Point, count: number): Promise<readonly Endpoint[]>
  /** The same as this node's routing table has it, without asking anybody: exact for keys near this node. */
  ownersSeen(key: Point, count: number): readonly Endpoint[]
  /** The same owners with the other peers of the key's region, this node among them where it belongs; see `Overlay.keepers`. */
  keepers(key: Key, count: number): Promise<Keepers>
  /** Whether a peer lies in the region of a key, without asking anybody; see `Overlay.guards`. */
  guards(key: Key, nodeId: NodeId): boolean
  /**
   * Puts up, changes or takes down a notice on the board. To be called again every few seconds: a peer announces so many
   * jobs at a time, and others wait.
   */
  announce(work: ReadyWork): void
  onNeighboursChanged(handler: () => void): void
  /** Workers that this node counts for the network; a directory without boards has none. */
  workersWatching?(): readonly WorkerCount[]
  /** Peers this node knows of. */
  readonly peerCount: number
  /** Whether others have dialled this node back, so that it may own. */
  readonly eligible: boolean
}
