import type { OfferedFact, OfferState } from '../../proto/exchange-messages.js'
import { OFFER_BYTES_MAX } from '../../proto/limits.js'
import { methods } from '../../proto/methods.js'
import type { JobId } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import type { Endpoint, Transport, UnaryMethod } from '../../runtime/transport.js'
import type { BookedJob } from '../jobs/booked-job.js'

/** Facts of one message. */
const BATCH_FACTS_MAX = 64
/** Messages of facts to one peer on their way at a time: the next is filled while it writes the one before. */
const IN_FLIGHT_MAX = 2
/** Facts and bytes that wait for one peer; what does not fit reaches it by sync. */
const QUEUE_FACTS_MAX = 4_096
const QUEUE_BYTES_MAX = 16 * 2 ** 20
/** A call that is not answered by then counts as failed. */
const CALL_MS = 5_000
/** Calls in a row without an answer after which a peer counts as silent. */
const SILENT_AFTER = 2

/** A peer that lacks facts is compared with after so long at least, twice as long each time that it did not help, and at most. */
const BEHIND_MIN_MS: Millis = 1_000
const BEHIND_MAX_MS: Millis = 10_000

/** A shard by name. */
interface ShardName {
  readonly jobId: JobId
  readonly shard: number
}

/** A fact to be offered, and who waits for what becomes of it. */
interface Queued {
  readonly job: BookedJob
  readonly shard: number
  readonly fact: OfferedFact
  readonly bytes: number
  readonly done: (state: OfferState) => void
  /** Offered before, and its job was not known there. */
  introduced: boolean
}

interface PeerLinkContext {
  readonly transport: Transport
  /** The peer fell silent, or answers again. */
  readonly onChange: (link: PeerLink) => void
}

/**
 * One co-owner: facts for it wait in a bounded queue and go out in batches, two at a time; and whether it answers. A peer
 * that is silent is sent nothing but questions whether it is back.
 */
export class PeerLink {
  endpoint: Endpoint
  /** When it was last told what is out. */
  toldAt: Millis = Number.NEGATIVE_INFINITY
  readonly #c: PeerLinkContext
  readonly #introducing = new Map<string, Promise<void>>()
  #queue: Queued[] = []
  #queuedBytes = 0
  #inFlight = 0
  #failures = 0
  /** Calls from before the last {@link forgive} do not count. */
  #epoch = 0
  /** Shards of which it was not brought a fact. */
  readonly #behind = new Map<string, ShardName>()
  #behindAt: Millis = Number.NEGATIVE_INFINITY
  #behindMs = BEHIND_MIN_MS
  #closed = false

  constructor(context: PeerLinkContext, endpoint: Endpoint) {
    this.#c = context
    this.endpoint = endpoint
  }

  /** It has not answered the last calls. */
  get isSilent(): boolean {
    return this.#failures >= SILENT_AFTER
  }

  /** The last call failed, whether or not that makes it silent. */
  get isDoubtful(): boolean {
    return this.#failures > 0
  }

  /** It may lack facts of the shard, which came while it was away for a moment or could take nothing. */
  lacks({ jobId, shard }: ShardName): void {
    this.#behind.set(`${jobId}/${shard}`, { jobId, shard })
  }

  /** Shards that it lacks facts of and is to be compared with now that it answers; each is told once. */
  takeBehind(now: Millis): readonly ShardName[] {
    if (this.#behind.size === 0 || this.isDoubtful || now - this.#behindAt < this.#behindMs) return []
    const isLongAgo = now - this.#behindAt >= 2 * BEHIND_MAX_MS
    this.#behindMs = isLongAgo ? BEHIND_MIN_MS : Math.min(BEHIND_MAX_MS, 2 * this.#behindMs)
    this.#behindAt = now
    const behind = [...this.#behind.values()]
    this.#behind.clear()
    return behind
  }

  /** Calls a method; keeps count of whether it answers. Rejects as `Transport.call`. */
  async call<Request, Response>(
    method: UnaryMethod<Request, Response>,
    request: Request,
    deadlineMs: Millis = CALL_MS,
  ): Promise<Response> {
    const epoch = this.#epoch
    try {
      const reply = await this.#c.transport.call(this.endpoint, method, request, { deadlineMs })
      this.#heard()
      return reply
    } catch (error) {
      const { code } = toGridError(error)
      if (code !== 'unreachable' && code !== 'timeout' && code !== 'closed') this.#heard()
      else if (epoch === this.#epoch) this.#missed()
      throw error
    }
  }

  /** What was called before this says nothing about the peer: this process stood still. */
  forgive(): void {
    this.#epoch++
    this.#heard()
  }

  /** Passes a fact on. Resolves with what became of it; `notNow` when it could not be brought. Never rejects. */
  offer(job: BookedJob, shard: number, fact: OfferedFact): Promise<OfferState> {
    const bytes = fact.outputs.reduce((sum, output) => sum + output.bytes.length + 16, fact.fact.length + 16)
    const isFull = this.#queue.length >= QUEUE_FACTS_MAX || this.#queuedBytes + bytes > QUEUE_BYTES_MAX
    const { jobId } = job
    if (this.isSilent || this.#closed || isFull) {
      this.lacks({ jobId, shard })
      return Promise.resolve('notNow')
    }
    return new Promise((resolve) => {
      const done = (state: OfferState) => {
        if (state === 'notNow') this.lacks({ jobId, shard })
        resolve(state)
      }
      this.#push({ job, shard, fact, bytes, done, introduced: false })
    })
  }

  /** Gives the peer the job and the shard. Rejects as {@link call}. */
  introduce(job: BookedJob, shard: number): Promise<void> {
    const name = `${job.jobId}/${shard}`
    const running = this.#introducing.get(name)
    if (running !== undefined) return running
    const request = { spec: job.signed, orders: job.signedOrders, shard }
    const introducing = this.call(methods.activate, request)
      .then(() => {})
      .finally(() => this.#introducing.delete(name))
    this.#introducing.set(name, introducing)
    return introducing
  }

  /** Takes back what waits for a job that is gone. */
  forgetJob(jobId: JobId): void {
    const gone = this.#queue.filter(({ job }) => job.jobId === jobId)
    this.#drop(gone)
    for (const [name, shard] of this.#behind) if (shard.jobId === jobId) this.#behind.delete(name)
  }

  /** What waits is not sent any more. */
  close(): void {
    this.#closed = true
    this.#drop(this.#queue)
  }

  #push(queued: Queued): void {
    this.#queue.push(queued)
    this.#queuedBytes += queued.bytes
    this.#pump()
  }

  #drop(gone: readonly Queued[]): void {
    const left = new Set(gone)
    this.#queue = this.#queue.filter((queued) => !left.has(queued))
    for (const { bytes, done } of gone) {
      this.#queuedBytes -= bytes
      done('notNow')
    }
  }

  #pump(): void {
    while (this.#inFlight < IN_FLIGHT_MAX && this.#queue.length > 0) {
      let count = 0
      let bytes = 0
      for (const next of this.#queue) {
        if (count >= BATCH_FACTS_MAX || (count > 0 && bytes + next.bytes > OFFER_BYTES_MAX)) break
        count++
        bytes += next.bytes
      }
      this.#queuedBytes -= bytes
      void this.#send(this.#queue.splice(0, count))
    }
  }

  async #send(batch: readonly Queued[]): Promise<void> {
    this.#inFlight++
    try {
      const { states } = await this.call(methods.offer, { facts: batch.map(({ fact }) => fact) })
      batch.forEach((queued, i) => {
        const state = states[i] ?? 'notNow'
        if (state === 'unknown' && !queued.introduced) this.#introduceAndRetry(queued)
        else queued.done(state)
      })
    } catch {
      for (const { done } of batch) done('notNow')
      if (this.isSilent) this.#drop(this.#queue)
    } finally {
      this.#inFlight--
      if (!this.#closed) this.#pump()
    }
  }

  #introduceAndRetry(queued: Queued): void {
    queued.introduced = true
    this.introduce(queued.job, queued.shard).then(
      () => (this.#closed ? queued.done('notNow') : this.#push(queued)),
      () => queued.done('notNow'),
    )
  }

  #heard(): void {
    const wasSilent = this.isSilent
    this.#failures = 0
    if (wasSilent && !this.#closed) this.#c.onChange(this)
  }

  #missed(): void {
    this.#failures++
    if (this.#failures === SILENT_AFTER && !this.#closed) this.#c.onChange(this)
  }
}
