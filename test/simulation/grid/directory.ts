import type { ClientOverlay } from '../../../client/session/overlay-face.js'
import type { OwnerDirectory, ReadyWork } from '../../../coordinator/index.js'
import type { Keepers } from '../../../overlay/index.js'
import { compareDistance, sharedBits } from '../../../overlay/routing/core/node-id.js'
import { guardsOf, regionBits } from '../../../overlay/routing/core/region.js'
import type { JobId, Key, NodeId, Point } from '../../../proto/model.js'
import type { Clock, Millis } from '../../../runtime/clock.js'
import type { Endpoint } from '../../../runtime/transport.js'
import type { WorkNews } from '../../../worker/driver.js'
import type { Host } from '../world/host.js'
import type { SimProcess } from '../world/process.js'
import type { World } from '../world/world.js'

/** What one process knows of the others: everything that roles ask of the overlay. */
export interface GridDirectory {
  readonly client: ClientOverlay
  owners(key: Point, count: number): Promise<readonly Endpoint[]>
  /** As an owner's coordinator sees it. */
  asOwner(self: Endpoint): OwnerDirectory
  watchBoard(handler: (news: WorkNews) => void): () => void
}

/** A view is this old: as long as real peers take to notice a death or a newcomer. Unit: ms. */
const LAG_MIN_MS = 500
const LAG_MAX_MS = 6_000
/** Time between looks at whether a peer still runs. Unit: ms. */
const LOOK_MS = 250
/** News of the board reach a watcher after up to this long, and are repeated as often. Unit: ms. */
const NEWS_MS = 800
const REPEAT_MS = 10_000
/** Life of a notice of an owner that has gone. Unit: ms. */
const NOTICE_MS = 60_000

interface Change {
  readonly atMs: Millis
  readonly endpoint: Endpoint
  readonly up: boolean
}

interface Notice {
  readonly owner: Endpoint
  ready: number
  postedAtMs: Millis
}

/**
 * Stands in for the overlay where hundreds of grids are run: every process sees the live peers as they were some seconds
 * ago, each with a lag of its own, so that views differ while peers come and go.
 */
export class SimDirectory {
  readonly #world: World
  readonly #changes: Change[] = []
  /** Which process of each peer served last: one that came back at once was never missed. */
  readonly #serving = new Map<NodeId, SimProcess>()
  readonly #notices = new Map<string, Notice>()
  readonly #watchers = new Set<(jobId: JobId, notice: Notice) => void>()

  constructor(world: World) {
    this.#world = world
  }

  /** A peer begins to serve; that it has gone is seen by itself. */
  serves(host: Host, endpoint: Endpoint): void {
    const { process } = host
    if (process === undefined) return
    this.#change(endpoint, true)
    this.#serving.set(endpoint.nodeId, process)
    const watch = (running: SimProcess) => {
      this.#world.scheduler.at(this.#world.nowMs + LOOK_MS, '', () => {
        if (running.alive) watch(running)
        else if (this.#serving.get(endpoint.nodeId) === running) this.#change(endpoint, false)
      })
    }
    watch(process)
  }

  #change(endpoint: Endpoint, up: boolean): void {
    this.#changes.push({ atMs: this.#world.nowMs, endpoint, up })
  }

  /** The peers that serve now, in truth, closest to `key` first. */
  closest(key: Point, count: number): Endpoint[] {
    return nearest(key, this.#peersAt(this.#world.nowMs), count)
  }

  /** The directory as one process sees it. */
  open(clock: Clock, random: { between(low: number, high: number): number }): GridDirectory {
    const lagMs = random.between(LAG_MIN_MS, LAG_MAX_MS)
    const seen = () => this.#peersAt(this.#world.nowMs - lagMs)
    const owners = async (key: Point, count: number) => nearest(key, seen(), count)
    const peerCount = () => this.#peersAt(this.#world.nowMs - lagMs).length
    return {
      owners,
      client: {
        owners,
        keepers: async (key, count) => keepersOf(key, seen(), count),
        putRecord: async () => 0,
        getRecord: async () => [],
        estimatePeers: async () => peerCount(),
      },
      asOwner: (self) => {
        const ownersSeen = (key: Point, count: number) => {
          const peers = this.#peersAt(this.#world.nowMs - lagMs).filter(({ nodeId }) => nodeId !== self.nodeId)
          return nearest(key, [...peers, self], count)
        }
        const directory: OwnerDirectory = {
          self,
          owners: async (key, count) => ownersSeen(key, count),
          ownersSeen,
          keepers: async (key, count) => keepersOf(key, seen(), count),
          guards: (key, nodeId) => isNear(key, nodeId, seen().length),
          announce: (work) => this.#announce(self, work),
          onNeighboursChanged() {},
          get peerCount() {
            return peerCount()
          },
          eligible: true,
        }
        return directory
      },
      watchBoard: (handler) => this.#watch(clock, random, handler),
    }
  }

  #peersAt(atMs: Millis): Endpoint[] {
    const peers = new Map<NodeId, Endpoint>()
    for (const change of this.#changes) {
      if (change.atMs > atMs) break
      if (change.up) peers.set(change.endpoint.nodeId, change.endpoint)
      else peers.delete(change.endpoint.nodeId)
    }
    return [...peers.values()]
  }

  #announce(owner: Endpoint, { jobId, ready }: ReadyWork): void {
    const name = `${jobId} ${owner.nodeId}`
    if (ready === 0) {
      this.#notices.delete(name)
      return
    }
    const notice: Notice = { owner, ready, postedAtMs: this.#world.nowMs }
    this.#notices.set(name, notice)
    for (const tell of [...this.#watchers]) tell(jobId, notice)
  }

  #watch(
    clock: Clock,
    random: { between(low: number, high: number): number },
    handler: (news: WorkNews) => void,
  ): () => void {
    let stopped = false
    const tell = (jobId: JobId, notice: Notice) => {
      clock.setTimer(random.between(0, NEWS_MS), () => {
        if (!stopped) handler({ owner: notice.owner, jobId, ready: notice.ready })
      })
    }
    const repeat = () => {
      if (stopped) return
      for (const [name, notice] of this.#notices) {
        if (this.#world.nowMs - notice.postedAtMs > NOTICE_MS) this.#notices.delete(name)
        else tell(name.slice(0, 64) as JobId, notice)
      }
      clock.setTimer(REPEAT_MS, repeat)
    }
    repeat()
    this.#watchers.add(tell)
    return () => {
      stopped = true
      this.#watchers.delete(tell)
    }
  }
}

function nearest(key: Point, peers: readonly Endpoint[], count: number): Endpoint[] {
  const found: Endpoint[] = []
  for (const peer of peers) {
    const last = found[count - 1]
    if (last !== undefined && compareDistance(key, last.nodeId, peer.nodeId) < 0) continue
    const at = found.findIndex(({ nodeId }) => compareDistance(key, peer.nodeId, nodeId) < 0)
    found.splice(at < 0 ? found.length : at, 0, peer)
    if (found.length > count) found.pop()
  }
  return found
}

/** As the real overlay finds them, with the true size of the network. */
function keepersOf(key: Key, peers: readonly Endpoint[], count: number): Keepers {
  const owners = nearest(key, peers, count)
  const bits = regionBits(peers.length)
  if (bits === undefined) return { owners, guards: [] }
  const others = peers.filter((peer) => !owners.includes(peer)).map((peer) => ({ ...peer, eligible: true }))
  return { owners, guards: guardsOf(key, bits, others).map(({ nodeId, address }) => ({ nodeId, address })) }
}

function isNear(key: Point, nodeId: NodeId, networkPeers: number): boolean {
  const bits = regionBits(networkPeers)
  return bits !== undefined && sharedBits(key, nodeId) >= bits - 1
}
