import type { Millis } from '../../../runtime/clock.js'
import { type GridError, toGridError } from '../../../runtime/errors.js'
import type { Address } from '../../../runtime/transport.js'
import { type LinkProfile, type Station, wireError } from './link.js'
import type { SimProcess } from './process.js'
import { hashText, type SeededRandom } from './random.js'
import type { Scheduler } from './scheduler.js'
import type { StreamPair } from './stream.js'
import type { Trace } from './trace.js'
import { SimTransport } from './transport.js'

/** What the network did, over all hosts; a run that shows zeros has tested nothing. */
export interface NetworkCounters {
  calls: number
  lostMessages: number
  duplicatedRequests: number
  /** Replies to calls that had already ended for the caller. */
  lateReplies: number
  refusedDials: number
  streamsOpened: number
  streamMessages: number
  streamsBroken: number
  streamsHalfOpen: number
  /** Messages that a partition held back or swallowed. */
  cutMessages: number
}

/** Called with what a handler threw that is not a refusal; the default fails the run. */
export type HandlerFaultListener = (host: string, error: unknown) => void

/** A set of hosts that can reach each other but nobody else. */
export interface Partition {
  readonly hosts: ReadonlySet<Station>
  /** Safe to call twice. */
  heal(): void
}

/** All links of a world. */
export class Network {
  readonly scheduler: Scheduler
  readonly random: SeededRandom
  readonly trace: Trace
  readonly counters: NetworkCounters = {
    calls: 0,
    lostMessages: 0,
    duplicatedRequests: 0,
    lateReplies: 0,
    refusedDials: 0,
    streamsOpened: 0,
    streamMessages: 0,
    streamsBroken: 0,
    streamsHalfOpen: 0,
    cutMessages: 0,
  }
  /** Profile of every link that has none of its own. May change while the world runs. */
  profile: LinkProfile
  onHandlerFault: HandlerFaultListener = (host, error) => {
    this.scheduler.fail(new Error(`a handler on ${host} failed`, { cause: error }))
  }
  /** Open streams, in the order they were opened. */
  readonly streams = new Set<StreamPair>()
  readonly #transports = new Map<SimProcess, SimTransport>()
  readonly #stations = new Map<Address, Station>()
  readonly #links = new Map<string, LinkProfile>()
  readonly #uplinkFreeAtMs = new Map<Station, Millis>()
  readonly #partitions = new Set<Partition>()
  /** Pairs between which nothing passes, and `from to` of those that cannot dial. */
  readonly #walls = new Set<string>()
  readonly #undialable = new Set<string>()

  constructor(scheduler: Scheduler, random: SeededRandom, trace: Trace, profile: LinkProfile) {
    this.scheduler = scheduler
    this.random = random
    this.trace = trace
    this.profile = profile
  }

  /** Puts a host on the network under its address. */
  join(station: Station): void {
    if (this.#stations.has(station.address)) throw new Error(`two hosts at ${station.address}`)
    this.#stations.set(station.address, station)
  }

  /** Who has this address, up or not. */
  stationAt(address: Address): Station | undefined {
    return this.#stations.get(address)
  }

  /** The network as `process` on `station` uses it. */
  transport(station: Station, process: SimProcess): SimTransport {
    const transport = new SimTransport(this, station, process)
    this.#transports.set(process, transport)
    return transport
  }

  /** What `process` serves with; undefined for one that never asked for the network. */
  transportOf(process: SimProcess): SimTransport | undefined {
    return this.#transports.get(process)
  }

  /** Call when a process has died: its peers see connections close, or nothing at all when it ended `silently`. */
  processDied(process: SimProcess, ending: 'heard' | 'silently'): void {
    this.#transports.get(process)?.processDied(ending)
    this.#transports.delete(process)
  }

  /** Gives the link between two hosts its own profile, both ways; undefined takes it away. */
  setLink(a: Station, b: Station, profile: LinkProfile | undefined): void {
    if (profile) this.#links.set(pairName(a, b), profile)
    else this.#links.delete(pairName(a, b))
  }

  link(from: Station, to: Station): LinkProfile {
    return this.#links.size === 0 ? this.profile : (this.#links.get(pairName(from, to)) ?? this.profile)
  }

  /** Time until `byteCount` bytes sent now are at the other end: its turn on the uplink, and one way. Unit: ms. */
  travelMs(from: Station, to: Station, byteCount: number): Millis {
    const link = this.link(from, to)
    const delayMs = link.baseMs * pairFactor(from, to) + this.random.exponential(link.jitterMs)
    if (from.uplinkBytesPerS === undefined) return delayMs
    const nowMs = this.scheduler.nowMs
    const startMs = Math.max(nowMs, this.#uplinkFreeAtMs.get(from) ?? 0)
    const endMs = startMs + (byteCount / from.uplinkBytesPerS) * 1000
    this.#uplinkFreeAtMs.set(from, endMs)
    return endMs - nowMs + delayMs
  }

  /** Cuts `hosts` off from all others until healed. Partitions add up. */
  partition(hosts: Iterable<Station>): Partition {
    const members = new Set(hosts)
    const partition: Partition = {
      hosts: members,
      heal: () => {
        if (!this.#partitions.delete(partition)) return
        this.trace.record(this.scheduler.nowMs, '', 'heal', [...members].map((host) => host.name).join(','))
        for (const stream of [...this.streams]) stream.linkChanged()
      },
    }
    this.#partitions.add(partition)
    this.trace.record(this.scheduler.nowMs, '', 'partition', [...members].map((host) => host.name).join(','))
    for (const stream of [...this.streams]) stream.linkChanged()
    return partition
  }

  /**
   * Nothing passes between these two any more, whoever else both can reach: reachability that is not transitive. Until
   * {@link healAll}.
   */
  wall(a: Station, b: Station): void {
    this.#walls.add(pairName(a, b))
    this.trace.record(this.scheduler.nowMs, '', 'wall', `${a.name} ${b.name}`)
    for (const stream of [...this.streams]) stream.linkChanged()
  }

  /** `from` cannot dial `to` any more, which can dial it: a firewall. Connections that stand go on. Until {@link healAll}. */
  forbidDials(from: Station, to: Station): void {
    this.#undialable.add(`${from.name} ${to.name}`)
    this.trace.record(this.scheduler.nowMs, '', 'no dials', `${from.name} ${to.name}`)
  }

  /** Whether what `from` sends to dial `to`, or to call it, is swallowed on the way. */
  isForbidden(from: Station, to: Station): boolean {
    return this.#undialable.size > 0 && this.#undialable.has(`${from.name} ${to.name}`)
  }

  /** Ends every partition, every wall and everything forbidden. */
  healAll(): void {
    for (const partition of [...this.#partitions]) partition.heal()
    this.#undialable.clear()
    if (this.#walls.size === 0) return
    this.#walls.clear()
    for (const stream of [...this.streams]) stream.linkChanged()
  }

  /** Whether a partition or a wall stands between the two. */
  isCut(a: Station, b: Station): boolean {
    if (this.#walls.size > 0 && this.#walls.has(pairName(a, b))) return true
    for (const { hosts } of this.#partitions) if (hosts.has(a) !== hosts.has(b)) return true
    return false
  }

  /** `error` of a handler as the other side is told it. A failure that is no refusal is a fault of the program. */
  refusal(host: string, error: unknown): GridError {
    const refused = toGridError(error)
    if (refused.code === 'internal') this.onHandlerFault(host, error)
    return wireError(refused)
  }

  /** Breaks every stream between two hosts, as when a router forgets a connection; gives the number broken. */
  breakStreams(a: Station, b: Station): number {
    const between = [...this.streams].filter(({ hosts }) => hosts.includes(a) && hosts.includes(b))
    for (const stream of between) stream.break()
    return between.length
  }
}

/** Between 0.5 and 1.5, fixed for a pair of hosts; 0 for a host and itself. */
function pairFactor(a: Station, b: Station): number {
  return a === b ? 0 : 0.5 + (hashText(pairName(a, b), 0x5bd1e995) >>> 0) / 2 ** 32
}

function pairName(a: Station, b: Station): string {
  return a.name < b.name ? `${a.name}|${b.name}` : `${b.name}|${a.name}`
}
