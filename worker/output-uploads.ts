import { CHUNK_BYTES } from '../proto/limits.js'
import { methods } from '../proto/methods.js'
import type { JobId, NodeId } from '../proto/model.js'
import type { OwnerMessage } from '../proto/work-messages.js'
import type { Clock, Millis } from '../runtime/clock.js'
import { toGridError } from '../runtime/errors.js'
import type { Logger } from '../runtime/logger.js'
import { Rate } from '../runtime/rate.js'
import { collect, piecesOf, sendAll, within } from '../runtime/transfer.js'
import type { Endpoint, Transport } from '../runtime/transport.js'
import { unitName } from './core/unit-name.js'

/** Owners that outputs travel to at a time: one that takes nothing must not keep them from the others. */
const OWNERS_MAX = 16
/** Outputs of one owner under way and asked for; requests for more are not heard, and owners ask again. */
const OUTPUTS_OF_OWNER_MAX = 1_024
/** Owners that outputs wait for. */
const OWNERS_WAITING_MAX = 64
/** An owner that takes no piece for so long, or does not say that it has all, gets no more of this output. Unit: ms. */
const IDLE_MS: Millis = 60_000

/** An owner asks for an output. */
export type OutputRequested = Extract<OwnerMessage, { type: 'fetch' }>

interface OutputUploadsContext {
  readonly clock: Clock
  readonly logger: Logger
  readonly transport: Transport
  /** Where to bring an output; undefined: that owner is not there. */
  readonly endpoint: (owner: NodeId) => Endpoint | undefined
  /** Encoded output of a unit; undefined: not here any more. */
  readonly output: (jobId: JobId, unit: number) => Uint8Array | undefined
}

/**
 * Brings outputs to the owners that ask for them, to each one after the other: on a slow link each then comes nearer fast
 * enough to be waited for, and little stands in the way of other messages. However long it takes, an output goes on as long
 * as its owner takes more of it.
 */
export class OutputUploads {
  readonly #c: OutputUploadsContext
  /** Of all owners together. */
  readonly rate: Rate
  readonly #waiting = new Map<NodeId, OutputRequested[]>()
  readonly #busy = new Set<NodeId>()
  /** Units waiting or under way, until their stream has closed: of each owner by itself, or one that takes nothing would keep them from all. */
  readonly #names = new Map<NodeId, Set<string>>()
  readonly #closing = new AbortController()

  constructor(context: OutputUploadsContext) {
    this.#c = context
    this.rate = new Rate(context.clock)
  }

  /** Brings an output to `owner`, in its turn; nothing to do for one that it has asked for already. */
  ask(owner: NodeId, request: OutputRequested): void {
    const name = unitName(request.jobId, request.unit)
    const names = this.#names.get(owner) ?? new Set()
    if (this.#closing.signal.aborted || names.has(name) || names.size >= OUTPUTS_OF_OWNER_MAX) return
    if (names.size === 0 && this.#names.size >= OWNERS_WAITING_MAX) return
    this.#names.set(owner, names.add(name))
    const waiting = this.#waiting.get(owner)
    if (waiting === undefined) this.#waiting.set(owner, [request])
    else waiting.push(request)
    this.#pump()
  }

  /** Ends what is under way, and begins nothing more. Safe to call twice. */
  close(): void {
    this.#closing.abort()
    this.#waiting.clear()
  }

  #over(owner: NodeId, name: string): void {
    const names = this.#names.get(owner)
    names?.delete(name)
    if (names?.size === 0) this.#names.delete(owner)
  }

  #pump(): void {
    for (const [owner, requests] of this.#waiting) {
      if (this.#busy.size >= OWNERS_MAX) return
      if (this.#busy.has(owner)) continue
      const request = requests.shift()!
      // Behind the others that wait.
      this.#waiting.delete(owner)
      if (requests.length > 0) this.#waiting.set(owner, requests)
      this.#busy.add(owner)
      void this.#send(owner, request).finally(() => {
        this.#busy.delete(owner)
        this.#pump()
      })
    }
  }

  /** Resolves when all is on its way or it is given up; never rejects. */
  async #send(owner: NodeId, { jobId, shard, unit, digest }: OutputRequested): Promise<void> {
    const { clock, logger, transport } = this.#c
    const name = unitName(jobId, unit)
    const output = this.#c.output(jobId, unit)
    const endpoint = this.#c.endpoint(owner)
    if (output === undefined || endpoint === undefined) {
      this.#over(owner, name)
      return
    }
    const { signal } = this.#closing
    const stream = transport.open(endpoint, methods.putOutput, signal)
    const patience = { clock, idleMs: IDLE_MS }
    let isOver = false
    const answered = collect(stream, () => {}).finally(() => {
      isOver = true
      this.#over(owner, name)
    })
    answered.catch((error: unknown) => logger.debug('output not taken', { unit, reason: toGridError(error).message }))
    const { rate } = this
    async function* pieces() {
      for (const { isFirst, bytes } of piecesOf(output!, CHUNK_BYTES, () => isOver)) {
        await rate.take(bytes.length, signal)
        yield { start: isFirst ? { jobId, shard, unit, digest } : undefined, bytes }
      }
    }
    await sendAll(stream, pieces(), patience)
    stream.end()
    within(stream, answered, patience).catch(() => {})
  }
}
