import type { Millis, Timer } from '../../../runtime/clock.js'
import { GridError, toGridError } from '../../../runtime/errors.js'
import {
  type Caller,
  MESSAGE_BYTES_MAX,
  STREAM_BUFFER_BYTES_MAX,
  STREAM_HIGH_WATER_BYTES,
} from '../../../runtime/transport.js'
import { RESEND_MS, SILENT_PEER_MS, type Station, wireError } from './link.js'
import type { SimProcess } from './process.js'
import type { StreamPair } from './stream.js'

/** Handled bytes after which the receiver lets the sender know. */
const CREDIT_BYTES = STREAM_HIGH_WATER_BYTES / 4
/** Time until a dial that nothing answers is given up. Unit: ms. Source: `MIN_CONNECT_TIMEOUT_MS` of gRPC. */
const CONNECT_MS: Millis = 20_000

type Frame =
  | { readonly type: 'open' | 'accepted' | 'end' }
  | { readonly type: 'message'; readonly bytes: Uint8Array }
  | { readonly type: 'reset'; readonly error: GridError }

/** Which end of a stream: the one that opened it or the one that accepted. */
export type StreamRole = 'dialler' | 'listener'

/**
 * One end of a stream, in bytes. States: open -> (dialler ended) -> closed. Closed by the listener's end, for both, a
 * reset from either, a break, or silence.
 */
export class StreamEnd {
  readonly station: Station
  readonly process: SimProcess
  readonly role: StreamRole
  readonly peerStation: Station | undefined
  /** Called once when this end has closed, before its user hears of it. */
  onFinished: (() => void) | undefined
  readonly #pair: StreamPair
  #caller: Caller
  readonly #streams: Set<StreamEnd>
  /** Sent and not yet at the other host, in order: each arrival event takes the first. */
  readonly #inFlight: Frame[] = []
  /** Arrivals that a partition holds back. */
  #heldCount = 0
  /** Credit that a partition holds back. */
  #heldCredit = 0
  #lastArrivalMs = 0
  /** Arrived and not yet handled. */
  #inbox: Frame[] = []
  #unhandledBytes = 0
  #handledBytes = 0
  #state: 'open' | 'closed' = 'open'
  #ended = false
  #peerEnded = false
  #endTold = false
  #paused = false
  #draining = false
  #onOpenArrival: (() => GridError | undefined) | undefined
  #messageHandler: ((bytes: Uint8Array) => void) | undefined
  #closeHandler: ((reason?: Error) => void) | undefined
  #endHandler: (() => void) | undefined
  #closeReason: { readonly reason: Error | undefined } | undefined
  #waiters: (() => void)[] = []
  #connectTimer: Timer | undefined
  #silenceTimer: Timer | undefined

  constructor(
    pair: StreamPair,
    station: Station,
    process: SimProcess,
    streams: Set<StreamEnd>,
    role: StreamRole,
    caller: Caller,
    peerStation: Station | undefined,
  ) {
    this.#pair = pair
    this.role = role
    this.station = station
    this.process = process
    this.#caller = caller
    this.peerStation = peerStation
    this.#streams = streams
    streams.add(this)
  }

  get caller(): Caller {
    return this.#caller
  }

  get closed(): boolean {
    return this.#state === 'closed'
  }

  /** Sends the request to open; `arrive` runs at the other host and gives a refusal, if it is one. */
  dial(arrive: () => GridError | undefined): void {
    this.#onOpenArrival = arrive
    this.#connectTimer = this.process.after(CONNECT_MS, () =>
      this.#close(new GridError('unreachable', 'no answer to the dial')),
    )
    this.#transmit({ type: 'open' })
  }

  /** Tells the dialler that the stream stands. */
  accepted(): void {
    this.#transmit({ type: 'accepted' })
  }

  /** Has the program take the stream. */
  serve(handler: (end: StreamEnd) => void): void {
    this.#guard(() => handler(this))
  }

  send(bytes: Uint8Array): boolean {
    if (this.closed || this.#ended || !this.process.alive) return true
    if (bytes.length > MESSAGE_BYTES_MAX) {
      throw new GridError('invalid', `a message of ${bytes.length} bytes is over the limit of ${MESSAGE_BYTES_MAX}`)
    }
    this.#unhandledBytes += bytes.length
    if (this.#unhandledBytes > STREAM_BUFFER_BYTES_MAX) {
      this.cancel(new GridError('quota', `more than ${STREAM_BUFFER_BYTES_MAX} bytes wait to be sent`))
      return true
    }
    this.#transmit({ type: 'message', bytes: bytes.slice() })
    return this.#unhandledBytes < STREAM_HIGH_WATER_BYTES
  }

  drained(): Promise<void> {
    if (this.closed || this.#unhandledBytes < STREAM_HIGH_WATER_BYTES) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  pause(paused: boolean): void {
    this.#paused = paused
    if (!paused) this.#drainLater()
  }

  onMessage(handler: (bytes: Uint8Array) => void): void {
    this.#messageHandler = handler
    this.#drainLater()
  }

  onClose(handler: (reason?: Error) => void): void {
    this.#closeHandler = handler
    if (this.#closeReason) this.process.after(0, () => this.#reportClose())
  }

  onEnd(handler: () => void): void {
    this.#endHandler = handler
    if (this.#peerEnded) this.process.after(0, () => this.#tellEnd())
  }

  end(): void {
    if (this.closed || this.#ended || !this.process.alive) return
    this.#ended = true
    this.#transmit({ type: 'end' })
    // As in gRPC the end of the accepting side is the status of the call. An event of its own: nobody is called back
    // before `end` returns.
    if (this.role === 'listener') this.process.after(0, () => this.#close(undefined))
  }

  cancel(reason?: Error): void {
    if (this.closed || !this.process.alive) return
    const error = reason === undefined ? new GridError('closed', 'the stream was cancelled') : toGridError(reason)
    const told =
      this.role === 'listener' ? wireError(error) : new GridError('closed', 'the other side cancelled the stream')
    this.#transmit({ type: 'reset', error: told })
    this.#close(error)
  }

  /** Closes this end after `delayMs` as if the network had told it `error`. */
  closeLater(delayMs: Millis, error: GridError): void {
    this.process.after(delayMs, () => this.#close(error))
  }

  /** Nothing will come from the other side any more; keepalive finds out in its time. */
  peerWentSilent(): void {
    this.#silenceTimer ??= this.process.after(SILENT_PEER_MS, () => {
      this.cancel(new GridError('closed', `nothing heard for ${SILENT_PEER_MS / 1000} s`))
    })
  }

  /** The process is gone; its system says so to the other side unless it went down with it. */
  processDied(ending: 'heard' | 'silently'): void {
    this.#streams.delete(this)
    if (this.closed) return
    if (ending === 'heard')
      this.#transmit({ type: 'reset', error: new GridError('closed', 'the connection was reset') })
    else this.#pair.peerOf(this)?.peerWentSilent()
    this.#pair.forgetIfOver()
  }

  /** Looks at the link again after a partition came or went. */
  linkChanged(): void {
    if (!this.peerStation) return
    const { network } = this.#pair
    if (network.isCut(this.station, this.peerStation)) {
      this.peerWentSilent()
      return
    }
    const peer = this.#pair.peerOf(this)
    if (!this.#pair.severed && peer?.process.alive !== false) {
      this.#silenceTimer?.cancel()
      this.#silenceTimer = undefined
    }
    const held = this.#heldCount
    const credit = this.#heldCredit
    this.#heldCount = 0
    this.#heldCredit = 0
    if (credit > 0) this.#receiveCredit(credit)
    for (let count = 0; count < held; count++) this.#scheduleArrival(network.random.exponential(RESEND_MS))
  }

  #transmit(frame: Frame): void {
    const { network } = this.#pair
    if (!this.peerStation || this.#pair.severed) return
    this.#inFlight.push(frame)
    const byteCount = frame.type === 'message' ? frame.bytes.length : 0
    let delayMs = network.travelMs(this.station, this.peerStation, byteCount)
    if (network.random.chance(network.link(this.station, this.peerStation).loss)) {
      network.counters.lostMessages++
      delayMs += RESEND_MS
    }
    this.#scheduleArrival(delayMs)
  }

  #scheduleArrival(delayMs: Millis): void {
    const { scheduler } = this.#pair.network
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, scheduler.nowMs + delayMs)
    scheduler.at(this.#lastArrivalMs, this.peerStation!.name, () => this.#arrive())
  }

  /** One of our frames is at the other host. */
  #arrive(): void {
    const { network } = this.#pair
    const target = this.peerStation!
    if (this.#pair.severed) return
    if (network.isCut(this.station, target)) {
      this.#heldCount++
      network.counters.cutMessages++
      return
    }
    const frame = this.#inFlight.shift()!
    if (!target.poweredOn) {
      this.peerWentSilent()
      return
    }
    const bytes = frame.type === 'message' ? frame.bytes : undefined
    network.trace.record(network.scheduler.nowMs, target.name, `stream-${frame.type}`, this.#pair.path, bytes)
    if (frame.type === 'open') {
      const refusal = this.#onOpenArrival?.()
      if (refusal) this.#bounce(refusal)
      return
    }
    const peer = this.#pair.peerOf(this)
    if (frame.type === 'accepted') {
      peer?.process.deliver(() => peer.#connected(this.station.caller))
      return
    }
    if (!peer?.process.alive) {
      // The system of a host that restarted knows nothing of the connection and says so.
      if (frame.type !== 'reset') this.#bounce(new GridError('closed', 'the connection was reset'))
      return
    }
    if (peer.closed) return
    if (bytes) network.counters.streamMessages++
    peer.#inbox.push(frame)
    peer.process.deliver(() => peer.#drain())
  }

  /** The other host answers with a refusal instead of handling the frame. */
  #bounce(error: GridError): void {
    const { network } = this.#pair
    if (error.code === 'unreachable') network.counters.refusedDials++
    this.closeLater(network.travelMs(this.peerStation!, this.station, 0), error)
  }

  #drainLater(): void {
    if (this.#inbox.length > 0 && !this.#paused && !this.#draining) this.process.after(0, () => this.#drain())
  }

  #drain(): void {
    // A handler may pause and continue the stream; the outer loop goes on in either case.
    if (this.#draining) return
    this.#draining = true
    try {
      this.#inbox = this.#handleFrames()
    } finally {
      this.#draining = false
    }
  }

  /** Handles what may be handled now and gives what must wait. */
  #handleFrames(): Frame[] {
    const reset = this.#inbox.find((frame) => frame.type === 'reset')
    // A reset drops what a paused reader has not taken yet; nothing it waits for would come.
    if (reset && this.#paused) this.#inbox = [reset]
    let index = 0
    for (; index < this.#inbox.length; index++) {
      const frame = this.#inbox[index]!
      if (this.closed) return []
      if (frame.type === 'reset') this.#close(frame.error)
      else if (this.#paused) break
      else if (frame.type === 'message') {
        if (!this.#messageHandler) break
        this.#handleMessage(frame.bytes)
      } else if (frame.type === 'end') {
        this.#peerEnded = true
        this.#tellEnd()
        if (this.role === 'dialler') this.#close(undefined)
      }
    }
    return this.closed ? [] : this.#inbox.slice(index)
  }

  #handleMessage(bytes: Uint8Array): void {
    this.#guard(() => this.#messageHandler?.(bytes))
    this.#handledBytes += bytes.length
    if (this.#handledBytes < CREDIT_BYTES || this.closed) return
    const credit = this.#handledBytes
    this.#handledBytes = 0
    const peer = this.#pair.peerOf(this)
    if (peer) peer.#receiveCredit(credit)
  }

  /** The other side has handled `byteCount` more bytes; we hear of it when the network lets us. */
  #receiveCredit(byteCount: number): void {
    const { network } = this.#pair
    const travelMs = network.travelMs(this.peerStation!, this.station, 0)
    network.scheduler.at(network.scheduler.nowMs + travelMs, this.station.name, () => {
      if (this.#pair.severed) return
      if (network.isCut(this.station, this.peerStation!)) this.#heldCredit += byteCount
      else this.process.deliver(() => this.#credited(byteCount))
    })
  }

  #credited(byteCount: number): void {
    this.#unhandledBytes -= byteCount
    if (this.#unhandledBytes < STREAM_HIGH_WATER_BYTES / 2) this.#wake()
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }

  #connected(caller: Caller): void {
    this.#connectTimer?.cancel()
    this.#caller = caller
  }

  #tellEnd(): void {
    const handler = this.#endHandler
    if (this.#endTold || !handler) return
    this.#endTold = true
    this.#guard(handler)
  }

  /** What a handler throws costs its stream; whether it fails the run is the network's to say. */
  #guard(action: () => void): void {
    try {
      action()
    } catch (error) {
      this.cancel(this.#pair.network.refusal(this.station.name, error))
    }
  }

  #close(reason: Error | undefined): void {
    if (this.closed || !this.process.alive) return
    this.#state = 'closed'
    this.#connectTimer?.cancel()
    this.#silenceTimer?.cancel()
    this.#streams.delete(this)
    this.#inbox = []
    this.#closeReason = { reason }
    this.onFinished?.()
    this.#wake()
    this.process.after(0, () => this.#reportClose())
    this.#pair.forgetIfOver()
  }

  #reportClose(): void {
    const closed = this.#closeReason
    if (!closed || !this.#closeHandler) return
    this.#closeReason = undefined
    const handler = this.#closeHandler
    this.#guard(() => handler(closed.reason))
  }
}
