import { checkGrant } from '../../job/facts/facts.js'
import { grantCodec, reportCodec } from '../../proto/codec/facts.js'
import type { Grant, JobId, PublicKey, ReportFact } from '../../proto/model.js'
import { protocolGap } from '../../proto/protocol-range.js'
import type { Hello, OwnerMessage, UnitBytes, WorkerMessage } from '../../proto/work-messages.js'
import type { Millis } from '../../runtime/clock.js'
import { GridError, toGridError, unreachable } from '../../runtime/errors.js'
import { fromHex } from '../../runtime/hex.js'
import type { Caller, MessageStream } from '../../runtime/transport.js'
import type { BookedJob } from '../jobs/booked-job.js'
import { KEYS_SEEN_MAX } from '../store/store.js'
import type { OwnerEvent, SessionId, WorkerHello } from './core/messages.js'
import type { OwnerDriverContext } from './owner-context.js'

/** A worker must say hello this soon after it opened a stream. */
const HELLO_MS = 10_000
/** Streams of one key: one serves, one may come to take over, and what broke is not always known at once. */
export const STREAMS_PER_WORKER_MAX = 4

/** A `Work` stream as the owner sees it. */
export type WorkStream = MessageStream<WorkerMessage, OwnerMessage>

interface Session {
  readonly id: SessionId
  readonly stream: WorkStream
  readonly specsSent: Set<JobId>
  greeted: boolean
}

interface WorkSessionsContext
  extends Pick<
    OwnerDriverContext,
    'clock' | 'logger' | 'sha256' | 'store' | 'commits' | 'book' | 'bootId' | 'options'
  > {
  readonly handle: (event: OwnerEvent) => void
  /** Resolves once the fact is on disk and acknowledged; with a reason when it will never be taken. */
  readonly takeFact: (
    fact: ReportFact,
    outputs: readonly UnitBytes[],
    wallMs: number,
    from: SessionId,
  ) => Promise<string | undefined>
}

/**
 * Streams of workers: a hello first, with tickets and the donor's signature checked; then every message as an event. Never
 * more streams than `sessionsMax`, nor more than a few of one key; a stream that breaks the rules is cancelled. Also when each key was first seen.
 */
export class WorkSessions {
  readonly #c: WorkSessionsContext
  readonly #sessions = new Map<SessionId, Session>()
  readonly #byKey = new Map<PublicKey, number>()
  readonly #keysSeen = new Map<PublicKey, Millis>()
  #nextSession = 1
  #closed = false

  constructor(context: WorkSessionsContext) {
    this.#c = context
  }

  /** Reads which keys were seen before. */
  async start(): Promise<void> {
    for (const [key, atMs] of await this.#c.store.keysSeen()) this.#keysSeen.set(key, atMs)
  }

  /** Serves one `Work` stream. */
  onWork(stream: WorkStream): void {
    if (this.#closed || this.#sessions.size >= this.#c.options.sessionsMax) {
      stream.cancel(new GridError('quota', `this owner serves at most ${this.#c.options.sessionsMax} workers`))
      return
    }
    const { publicKey } = stream.caller
    const own = this.#byKey.get(publicKey) ?? 0
    if (own >= STREAMS_PER_WORKER_MAX) {
      stream.cancel(new GridError('quota', `at most ${STREAMS_PER_WORKER_MAX} streams of one worker key`))
      return
    }
    this.#byKey.set(publicKey, own + 1)
    const session: Session = { id: this.#nextSession++, stream, specsSent: new Set(), greeted: false }
    this.#sessions.set(session.id, session)
    const patience = this.#c.clock.setTimer(HELLO_MS, () => {
      if (!session.greeted) stream.cancel(new GridError('timeout', 'no hello'))
    })
    stream.onMessage((message) => {
      try {
        this.#onMessage(session, message)
      } catch (error) {
        const { code, message: text } = toGridError(error)
        if (code === 'internal') this.#c.logger.error('worker message failed', { error })
        stream.cancel(new GridError(code, text))
      }
    })
    stream.onEnd(() => stream.end())
    stream.onClose(() => {
      patience.cancel()
      this.#sessions.delete(session.id)
      const left = (this.#byKey.get(publicKey) ?? 1) - 1
      if (left === 0) this.#byKey.delete(publicKey)
      else this.#byKey.set(publicKey, left)
      if (session.greeted) this.#c.handle({ type: 'sessionClosed', session: session.id })
    })
  }

  has(id: SessionId): boolean {
    return this.#sessions.has(id)
  }

  /** Who is behind a stream. */
  callerOf(id: SessionId): Caller | undefined {
    return this.#sessions.get(id)?.stream.caller
  }

  /** The key behind a stream that has said hello. */
  workerOf(id: SessionId): PublicKey | undefined {
    return this.callerOf(id)?.publicKey
  }

  /** Does nothing when the stream is gone. */
  send(id: SessionId, message: OwnerMessage): void {
    this.#sessions.get(id)?.stream.send(message)
  }

  /** Sends the spec of a job once on each stream, before its first grant. */
  introduce(id: SessionId, job: BookedJob): void {
    const session = this.#sessions.get(id)
    if (session === undefined || session.specsSent.has(job.jobId)) return
    session.specsSent.add(job.jobId)
    session.stream.send({ type: 'spec', spec: job.signed })
  }

  /** Ends the stream; the worker is told why. */
  cancel(id: SessionId, error: GridError): void {
    this.#sessions.get(id)?.stream.cancel(error)
  }

  /** Takes nothing more from the stream until what waits for the disk has become little. */
  holdBack(id: SessionId): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    session.stream.pause(true)
    void this.#c.commits.drained().then(() => session.stream.pause(false))
  }

  /** Ends all streams and takes no more. Safe to call twice. */
  close(): void {
    this.#closed = true
    for (const { stream } of this.#sessions.values())
      stream.cancel(new GridError('closed', 'the owner is shutting down'))
  }

  #onMessage(session: Session, message: WorkerMessage): void {
    if (!session.greeted) {
      if (message.type !== 'hello') throw new GridError('invalid', 'the first message must be a hello')
      this.#onHello(session, message)
      return
    }
    const { handle } = this.#c
    switch (message.type) {
      case 'hello':
        throw new GridError('invalid', 'a second hello on one stream')
      case 'want':
        handle({ ...message, type: 'wantChanged', session: session.id })
        break
      case 'report':
        void this.#onReport(session, message.fact, message.outputs, message.wallMs)
        break
      case 'progress':
        handle({ type: 'progressMade', session: session.id, running: message.running })
        break
      case 'handBack': {
        handle({ ...message, type: 'unitsHandedBack', session: session.id })
        break
      }
      default:
        unreachable(message)
    }
  }

  #onHello(session: Session, hello: Hello): void {
    const { caller } = session.stream
    const gap = hello.protocol && protocolGap(hello.protocol)
    if (gap !== undefined) {
      const reason = `the worker ${gap}`
      this.#c.handle({ type: 'workerRefused', nodeId: caller.nodeId, reason, code: 'unsupported' })
      throw new GridError('unsupported', reason, { hint: 'update the older of the two' })
    }
    const donor = hello.donor ?? caller.publicKey
    if (donor !== caller.publicKey) {
      const signed = { bytes: fromHex(caller.publicKey), signature: hello.donorSignature }
      if (!this.#c.book.verifies('donor', donor, signed))
        throw new GridError('forbidden', 'the donor did not sign this worker key')
    }
    session.greeted = true
    session.stream.send({ type: 'welcome', bootId: this.#c.bootId })
    const worker: WorkerHello = {
      worker: caller.publicKey,
      donor,
      nodeId: caller.nodeId,
      host: caller.host,
      bootId: hello.bootId,
      slots: hello.slots,
      tasks: new Set(hello.tasks.map(({ name, version }) => `${name}@${version}`)),
      profile: hello.profile,
      memoryBytes: hello.memoryBytes,
      onlyJob: hello.jobId,
      ...(hello.weights && { weights: new Map(hello.weights.map(({ submitter, weight }) => [submitter, weight])) }),
      firstSeenMs: this.#firstSeen(caller.publicKey),
      tickets: this.#checkTickets(hello),
    }
    this.#c.logger.debug('worker connected', { worker: worker.worker, host: worker.host, slots: worker.slots })
    this.#c.handle({ type: 'sessionOpened', session: session.id, hello: worker })
  }

  #firstSeen(key: PublicKey): Millis {
    const known = this.#keysSeen.get(key)
    if (known !== undefined) return known
    const atMs = this.#c.clock.wallMs()
    if (this.#keysSeen.size >= KEYS_SEEN_MAX) return atMs
    this.#keysSeen.set(key, atMs)
    void this.#c.commits
      .commit([{ type: 'keySeen', key, atMs }])
      .catch((error: unknown) => this.#c.logger.warn('key not kept', { error }))
    return atMs
  }

  #checkTickets(hello: Hello): Grant[] {
    const grants: Grant[] = []
    for (const ticket of hello.tickets) {
      const { jobId } = grantCodec.decode(ticket.bytes)
      const job = this.#c.book.get(jobId)
      if (job === undefined) continue
      const checked = checkGrant(ticket, job.factContext)
      if (checked.ok) grants.push(checked.grant)
    }
    return grants
  }

  /** Has one report taken in; tells its worker if it never will be. */
  async #onReport(session: Session, fact: ReportFact, outputs: readonly UnitBytes[], wallMs: number): Promise<void> {
    const { stream } = session
    try {
      const refusal = await this.#c.takeFact(fact, outputs, wallMs, session.id)
      const reportId = this.#c.sha256(fact.report.bytes)
      if (refusal === undefined) return
      stream.send({ type: 'refused', report: reportId, reason: refusal })
      const { jobId, shard, results } = reportCodec.decode(fact.report.bytes)
      const units = results.map(({ unit }) => unit)
      this.#c.handle({ type: 'reportRefused', session: session.id, jobId, shard, units })
    } catch (error) {
      // Not acknowledged, so the worker keeps it and offers it again.
      this.#c.logger.debug('report not kept', { error: toGridError(error).message, worker: stream.caller.publicKey })
      stream.cancel(toGridError(error))
    }
  }
}
