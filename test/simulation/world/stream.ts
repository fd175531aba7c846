import type { Millis } from '../../../runtime/clock.js'
import { GridError } from '../../../runtime/errors.js'
import type { Caller, Endpoint } from '../../../runtime/transport.js'
import type { Station } from './link.js'
import type { Network } from './network.js'
import type { SimProcess } from './process.js'
import { StreamEnd } from './stream-end.js'

/** Mean time in which an end notices that its connection broke. Unit: ms. */
const BREAK_NOTICED_MS: Millis = 50

/** Time after which a dial that nobody answers is given up. Unit: ms. */
const DIAL_MS: Millis = 5_000

/** Both ends of one stream, and what lies between them. */
export class StreamPair {
  readonly network: Network
  readonly path: string
  readonly #dialler: StreamEnd
  #listener: StreamEnd | undefined
  #severed = false

  /** Dials `to` for a process; the other end comes to be when the request arrives there. */
  constructor(
    network: Network,
    path: string,
    station: Station,
    process: SimProcess,
    streams: Set<StreamEnd>,
    to: Endpoint,
  ) {
    this.network = network
    this.path = path
    const target = network.stationAt(to.address)
    const host = to.address.slice(0, to.address.lastIndexOf(':'))
    const dialled: Caller = { nodeId: to.nodeId, publicKey: '' as Caller['publicKey'], idNonce: new Uint8Array(), host }
    this.#dialler = new StreamEnd(this, station, process, streams, 'dialler', dialled, target)
    if (!target?.reachable) {
      network.counters.refusedDials++
      this.#dialler.closeLater(network.profile.baseMs, new GridError('unreachable', `nobody answers at ${to.address}`))
      return
    }
    if (network.isForbidden(station, target)) {
      network.counters.cutMessages++
      this.#dialler.closeLater(DIAL_MS, new GridError('unreachable', `no answer from ${to.address}`))
      return
    }
    network.counters.streamsOpened++
    network.streams.add(this)
    this.#dialler.dial(() => this.#answer(to, target))
  }

  /** The end that dialled. */
  get dialler(): StreamEnd {
    return this.#dialler
  }

  /** Nothing passes any more, whatever the ends believe. */
  get severed(): boolean {
    return this.#severed
  }

  /** The hosts it runs between, the dialling one first. */
  get hosts(): readonly Station[] {
    return this.#dialler.peerStation ? [this.#dialler.station, this.#dialler.peerStation] : [this.#dialler.station]
  }

  /** The other end of the stream, if it exists yet. */
  peerOf(end: StreamEnd): StreamEnd | undefined {
    return end === this.#dialler ? this.#listener : this.#dialler
  }

  /** The connection breaks: what is on its way is gone, and both ends learn it soon, each in its own time. */
  break(): void {
    if (this.#severed) return
    this.#sever('break')
    this.network.counters.streamsBroken++
    for (const end of [this.#dialler, this.#listener]) {
      end?.closeLater(
        this.network.random.exponential(BREAK_NOTICED_MS),
        new GridError('closed', 'the connection broke'),
      )
    }
  }

  /** The connection breaks and only the host `learns`, or nobody, notices before keepalive does. */
  goHalfOpen(learns: Station | undefined): void {
    if (this.#severed) return
    this.#sever('half-open')
    this.network.counters.streamsHalfOpen++
    for (const end of [this.#dialler, this.#listener]) {
      if (end?.station === learns) end?.closeLater(0, new GridError('closed', 'the connection broke'))
      else end?.peerWentSilent()
    }
  }

  /** A partition came or went. */
  linkChanged(): void {
    this.#dialler.linkChanged()
    this.#listener?.linkChanged()
  }

  /** Forgets the stream once no end can use it. */
  forgetIfOver(): void {
    const over = (end: StreamEnd | undefined) => end === undefined || end.closed || !end.process.alive
    if (over(this.#dialler) && over(this.#listener)) this.network.streams.delete(this)
  }

  #sever(kind: string): void {
    this.#severed = true
    this.network.streams.delete(this)
    const names = this.hosts.map((host) => host.name).join(' ')
    this.network.trace.record(this.network.scheduler.nowMs, '', kind, `${names} ${this.path}`)
  }

  /** The request to open is at the host that listens: makes the end there and has it served, or says why not. */
  #answer(to: Endpoint, target: Station): GridError | undefined {
    const { process } = target
    const transport = process && this.network.transportOf(process)
    if (!process || !transport) return new GridError('unreachable', `nobody listens at ${to.address}`)
    if (to.nodeId !== target.caller.nodeId) return new GridError('unreachable', `another key answers at ${to.address}`)
    const serve = transport.streamHandler(this.path)
    if (!serve) return new GridError('unsupported', `no method ${this.path}`)
    const end = new StreamEnd(
      this,
      target,
      process,
      transport.streams,
      'listener',
      this.#dialler.station.caller,
      this.#dialler.station,
    )
    this.#listener = end
    end.accepted()
    process.deliver(() => end.serve(serve))
    return undefined
  }
}
