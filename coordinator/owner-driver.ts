import { digestOutput } from '../job/digest.js'
import { checkGrant, checkReportFact, factId, grantId } from '../job/facts.js'
import { grantCodec, reportCodec, reportFactCodec, unitOutputCodec } from '../proto/codec/facts.js'
import type { Hello, OutputChunk, OwnerMessage, PutOutputReply, UnitBytes, WorkerMessage } from '../proto/messages.js'
import type { BootId, Digest, Grant, JobId, NodeId, PublicKey, ReportFact } from '../proto/model.js'
import { Alarm } from '../runtime/alarm.js'
import type { Clock, Millis, Timer } from '../runtime/clock.js'
import { GridError, toGridError, unreachable } from '../runtime/errors.js'
import type { Sha256 } from '../runtime/hash.js'
import { fromHex, toHex } from '../runtime/hex.js'
import type { Logger } from '../runtime/logger.js'
import type { Random } from '../runtime/random.js'
import type { MessageStream } from '../runtime/transport.js'
import type { GrantDraft, OwnerEffect, OwnerEvent, SessionId, WorkerHello } from './core/messages.js'
import { Owner } from './core/owner.js'
import type { FactExchange } from './fact-exchange.js'
import type { GroupCommit } from './group-commit.js'
import type { BookedJob, JobBook } from './job-book.js'
import type { CoordinatorOptions } from './options.js'
import type { OutputFiles } from './output-files.js'
import { KEYS_SEEN_MAX, type Store, type Write } from './store.js'

/** Signs as this node. */
export interface GrantSigner {
  readonly nodeId: NodeId
  readonly publicKey: PublicKey
  readonly idNonce: Uint8Array
  sign(tag: string, bytes: Uint8Array): Uint8Array
}

export interface OwnerDriverContext {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly sha256: Sha256
  readonly signer: GrantSigner
  readonly store: Store
  readonly commits: GroupCommit
  readonly book: JobBook
  readonly outputs: OutputFiles
  readonly exchange: FactExchange
  readonly bootId: BootId
  readonly options: CoordinatorOptions
  /** Puts on disk that this peer owns the shard, so that facts of it are kept. */
  readonly keepShard: (job: BookedJob, shard: number) => Promise<void>
}

/** A worker must say hello this soon after it opened a stream. */
const HELLO_MS = 10_000
/** An upload of an output that brings nothing for so long gives its room to others. Unit: ms. */
const CHUNK_MS = 30_000
/** Facts read from the store at a time. */
const FACTS_PAGE = 256
/** Units whose settling is remembered for the rate of `status`. */
const RATE_WINDOW_MS = 60_000

type WorkStream = MessageStream<WorkerMessage, OwnerMessage>

interface Session {
  readonly id: SessionId
  readonly stream: WorkStream
  readonly specsSent: Set<JobId>
  greeted: boolean
}

/** Told what of a shard can be read now. */
export interface ShardListener {
  /** Units became settled or failed. */
  decided(units: readonly number[]): void
  closed(): void
}

/**
 * Feeds {@link Owner} and does what it says. Order for a report: checked, written, replicated, acknowledged; only then does
 * it count. A report that cannot be written is not acknowledged, and its worker keeps it.
 */
export class OwnerDriver {
  readonly core: Owner
  readonly #c: OwnerDriverContext
  readonly #sessions = new Map<SessionId, Session>()
  readonly #keysSeen = new Map<PublicKey, Millis>()
  readonly #listeners = new Map<string, Set<ShardListener>>()
  readonly #changed = new Set<(jobId: JobId, shard: number) => void>()
  /** By shard and report. A worker that gives the same answer under another grant makes a second fact of one report. */
  readonly #factsByReport = new Map<string, Map<Digest, Digest[]>>()
  readonly #restoring = new Map<string, Promise<void>>()
  readonly #settledAt: { at: Millis; units: number }[] = []
  readonly #alarm: Alarm
  #nextSession = 1
  #receivingBytes = 0
  #closed = false

  constructor(context: OwnerDriverContext) {
    this.#c = context
    const { signer, random, clock, sha256 } = context
    this.core = new Owner({
      self: signer.nodeId,
      random,
      wallMs: () => clock.wallMs(),
      rank: (owner, jobId, shard, block) => {
        const place = new DataView(new ArrayBuffer(8))
        place.setUint32(0, shard)
        place.setUint32(4, block)
        return sha256(fromHex(owner), fromHex(jobId), new Uint8Array(place.buffer))
      },
    })
    this.#alarm = new Alarm(clock, () => this.handle({ type: 'woke' }))
  }

  /** Reads what was kept before: keys, and every unfinished shard with its facts. */
  async start(): Promise<void> {
    for (const [key, atMs] of await this.#c.store.keysSeen()) this.#keysSeen.set(key, atMs)
  }

  /** Calls `handler` when the counts of a shard have changed. */
  onShardChanged(handler: (jobId: JobId, shard: number) => void): void {
    this.#changed.add(handler)
  }

  /** Calls `listener` as units of a shard are decided. Returns how to stop. */
  listen(jobId: JobId, shard: number, listener: ShardListener): () => void {
    const key = shardName(jobId, shard)
    const listeners = this.#listeners.get(key) ?? new Set()
    listeners.add(listener)
    this.#listeners.set(key, listeners)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(key)
    }
  }

  isListenedTo(jobId: JobId, shard: number): boolean {
    return this.#listeners.has(shardName(jobId, shard))
  }

  /** Ids of the facts whose report is `reportId`, for reading outputs. */
  factsOf(jobId: JobId, shard: number, reportId: Digest): readonly Digest[] {
    return this.#factsByReport.get(shardName(jobId, shard))?.get(reportId) ?? []
  }

  get settledLastMinute(): number {
    const since = this.#c.clock.now() - RATE_WINDOW_MS
    while (this.#settledAt.length > 0 && this.#settledAt[0]!.at < since) this.#settledAt.shift()
    return this.#settledAt.reduce((sum, { units }) => sum + units, 0)
  }

  handle(event: OwnerEvent): void {
    if (this.#closed) return
    this.#perform(this.core.handle(event, this.#c.clock.now()))
    this.#alarm.set(this.core.nextWakeup())
  }

  // ----------------------------------------------------------------------------------------------------- jobs, shards

  /**
   * Owns a shard from now on: written first, then its facts are read back if there are any. Resolves when it can be
   * granted from; does nothing when it is open already.
   */
  async openShard(job: BookedJob, shard: number, restarted: boolean): Promise<void> {
    if (this.core.hasShard(job.jobId, shard)) return
    const name = shardName(job.jobId, shard)
    const running = this.#restoring.get(name)
    if (running !== undefined) return running
    const opening = this.#openShard(job, shard, restarted).finally(() => this.#restoring.delete(name))
    this.#restoring.set(name, opening)
    return opening
  }

  async #openShard(job: BookedJob, shard: number, restarted: boolean): Promise<void> {
    const { jobId } = job
    this.handle({ type: 'jobOpened', jobId, spec: job.spec, orders: job.orders })
    const kept = await this.#readShard(job, shard)
    if (this.#closed || this.core.hasShard(jobId, shard)) return
    this.handle({
      type: 'shardOpened',
      jobId,
      shard,
      ranges: job.units(shard),
      restarted: restarted || kept.length > 0,
    })
    for (const event of kept) this.handle(event)
    this.#c.exchange.shardOpened(job, shard)
  }

  /** Facts and outputs of a shard as events, from disk. */
  async #readShard(job: BookedJob, shard: number): Promise<OwnerEvent[]> {
    const { store } = this.#c
    const { jobId } = job
    const context = job.trustingContext()
    const events: OwnerEvent[] = []
    for (let after = 0; ; ) {
      const page = await store.facts(jobId, shard, after, FACTS_PAGE)
      for (const { row, factId: id, fact } of page) {
        after = row
        const checked = checkReportFact(reportFactCodec.decode(fact), context)
        if (!checked.ok) {
          this.#c.logger.error('fact on disk is not valid any more', {
            jobId,
            shard,
            factId: id,
            reason: checked.reason,
          })
          continue
        }
        const kept = await store.outputs(
          jobId,
          shard,
          checked.votes.map(({ unit }) => ({ unit, factId: id })),
        )
        this.#rememberFact(jobId, shard, checked.reportId, id)
        events.push({
          type: 'reportKept',
          session: undefined,
          report: { factId: id, report: checked.report, votes: checked.votes },
          stored: new Set(kept.keys()),
          wallMs: 0,
          live: false,
        })
      }
      if (page.length < FACTS_PAGE) break
    }
    for (const { unit, digest } of await store.largeOutputs(jobId, shard))
      events.push({ type: 'outputKept', jobId, shard, unit, digest })
    return events
  }

  #rememberFact(jobId: JobId, shard: number, reportId: Digest, id: Digest): void {
    const name = shardName(jobId, shard)
    let facts = this.#factsByReport.get(name)
    if (facts === undefined) {
      facts = new Map()
      this.#factsByReport.set(name, facts)
    }
    const known = facts.get(reportId)
    if (known === undefined) facts.set(reportId, [id])
    else if (!known.includes(id)) known.push(id)
  }

  /** Forgets a finished shard in memory; it is read again when somebody asks. */
  unloadShard(jobId: JobId, shard: number): void {
    this.handle({ type: 'shardClosed', jobId, shard })
    this.#factsByReport.delete(shardName(jobId, shard))
  }

  closeJob(jobId: JobId, reason: string): void {
    this.handle({ type: 'jobClosed', jobId, reason })
    for (const name of [...this.#factsByReport.keys()]) if (name.startsWith(jobId)) this.#factsByReport.delete(name)
    for (const [name, listeners] of [...this.#listeners]) {
      if (!name.startsWith(jobId)) continue
      for (const listener of [...listeners]) listener.closed()
    }
  }

  // ---------------------------------------------------------------------------------------------------------- streams

  /** Serves one `Work` stream. */
  onWork(stream: WorkStream): void {
    if (this.#closed || this.#sessions.size >= this.#c.options.sessionsMax) {
      stream.cancel(new GridError('quota', `this owner serves at most ${this.#c.options.sessionsMax} workers`))
      return
    }
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
      if (session.greeted) this.handle({ type: 'sessionClosed', session: session.id })
    })
  }

  #onMessage(session: Session, message: WorkerMessage): void {
    if (!session.greeted) {
      if (message.type !== 'hello') throw new GridError('invalid', 'the first message must be a hello')
      this.#onHello(session, message)
      return
    }
    switch (message.type) {
      case 'hello':
        throw new GridError('invalid', 'a second hello on one stream')
      case 'want':
        this.handle({ type: 'wantChanged', session: session.id, instances: message.instances })
        break
      case 'report':
        void this.#onReport(session, message.fact, message.outputs, message.wallMs)
        break
      case 'progress':
        this.handle({ type: 'progressMade', session: session.id, running: message.running })
        break
      case 'handBack':
        this.handle({
          type: 'unitsHandedBack',
          session: session.id,
          jobId: message.jobId,
          shard: message.shard,
          units: message.units,
        })
        break
      default:
        unreachable(message)
    }
  }

  #onHello(session: Session, hello: Hello): void {
    const { caller } = session.stream
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
      memoryBytes: hello.memoryBytes,
      onlyJob: hello.jobId,
      firstSeenMs: this.#firstSeen(caller.publicKey),
      tickets: this.#checkTickets(hello),
    }
    this.#c.logger.debug('worker connected', { worker: worker.worker, host: worker.host, slots: worker.slots })
    this.handle({ type: 'sessionOpened', session: session.id, hello: worker })
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

  /** Checks, writes and acknowledges one report. */
  async #onReport(session: Session, fact: ReportFact, outputs: readonly UnitBytes[], wallMs: number): Promise<void> {
    const { stream } = session
    try {
      const refusal = await this.takeFact(fact, outputs, wallMs, session.id)
      const reportId = this.#c.sha256(fact.report.bytes)
      if (refusal === undefined) return
      stream.send({ type: 'refused', report: reportId, reason: refusal })
      const { jobId, shard, results } = reportCodec.decode(fact.report.bytes)
      const units = results.map(({ unit }) => unit)
      this.handle({ type: 'reportRefused', session: session.id, jobId, shard, units })
    } catch (error) {
      // Not acknowledged, so the worker keeps it and offers it again.
      this.#c.logger.warn('report not kept', { error: toGridError(error).message, worker: stream.caller.publicKey })
      stream.cancel(toGridError(error))
    }
  }

  /**
   * Takes in a fact from a worker or another owner. Resolves when it is on disk here and as many others as wanted have
   * been told; with a reason when it will never be taken. @throws GridError when it cannot be written now
   */
  async takeFact(
    fact: ReportFact,
    outputs: readonly UnitBytes[],
    wallMs: number,
    from: SessionId | undefined,
  ): Promise<string | undefined> {
    const { sha256, commits, book, options, clock } = this.#c
    const { jobId, shard } = reportCodec.decode(fact.report.bytes)
    const job = book.get(jobId)
    if (job === undefined) return 'unknownJob'
    if (clock.wallMs() > job.expiresAtMs + options.lateFactsMs) return 'expired'
    if (!job.shards.includes(shard)) return 'unknownShard'
    const checked = checkReportFact(fact, job.factContext)
    if (!checked.ok) return checked.reason
    // Only for a fact that counts: whoever is connected could make this peer own any number of shards otherwise.
    if (!this.core.hasShard(jobId, shard)) {
      await this.#c.keepShard(job, shard)
      await this.openShard(job, shard, false)
    }
    const id = factId(fact, sha256)
    const stored = this.#matching(outputs, checked.votes)
    const known = this.core.shard(jobId, shard)?.facts.has(id) === true
    if (!known && from !== undefined && this.core.isRedundant(jobId, shard, checked.votes)) return 'redundant'
    if (!known) {
      const encoded = reportFactCodec.encode(fact)
      const write: Write = {
        type: 'fact',
        jobId,
        shard,
        factId: id,
        fact: encoded,
        outputs: outputs.filter(({ unit }) => stored.has(unit)),
      }
      if (commits.congested && from !== undefined) this.#holdBack(from)
      await commits.commit([write])
      this.#rememberFact(jobId, shard, checked.reportId, id)
    }
    const holders = from === undefined ? [] : await this.#c.exchange.replicate(job, shard, fact, outputs)
    if (!known) {
      this.handle({
        type: 'reportKept',
        session: from,
        report: { factId: id, report: checked.report, votes: checked.votes },
        stored,
        wallMs,
        live: from !== undefined,
      })
    }
    if (from === undefined) return undefined
    const session = this.#sessions.get(from)
    session?.stream.send({ type: 'ack', reports: [checked.reportId], holders, wanted: options.shardHolders })
    if (known && session !== undefined) this.#tellSettled(session, jobId, shard, checked.votes)
    return undefined
  }

  /** Answers a report offered again: what has become of its units. */
  #tellSettled(
    session: Session,
    jobId: JobId,
    number: number,
    votes: readonly { unit: number; digest: Digest }[],
  ): void {
    const shard = this.core.shard(jobId, number)
    if (shard === undefined) return
    const agreed: number[] = []
    const disagreed: number[] = []
    for (const { unit, digest } of votes) {
      const record = shard.record(unit)
      if (record === undefined || (record.state !== 'settled' && record.state !== 'failed')) continue
      const { judgement } = record
      const counts = judgement !== undefined && 'digest' in judgement && judgement.digest === digest
      ;(counts ? agreed : disagreed).push(unit)
    }
    if (agreed.length + disagreed.length > 0)
      session.stream.send({ type: 'settled', jobId, shard: number, agreed, disagreed })
  }

  #holdBack(id: SessionId): void {
    const session = this.#sessions.get(id)
    if (session === undefined) return
    session.stream.pause(true)
    void this.#c.commits.drained().then(() => session.stream.pause(false))
  }

  /** Units whose bytes came along and have the digest that their vote names. */
  #matching(outputs: readonly UnitBytes[], votes: readonly { unit: number; digest: Digest }[]): Set<number> {
    const matching = new Set<number>()
    if (outputs.length === 0) return matching
    const digests = new Map(votes.map(({ unit, digest }) => [unit, digest]))
    for (const { unit, bytes } of outputs) {
      if (digests.get(unit) === this.#digestOf(bytes)) matching.add(unit)
    }
    return matching
  }

  #digestOf(bytes: Uint8Array): Digest | undefined {
    try {
      return digestOutput(this.#c.sha256, unitOutputCodec.decode(bytes))
    } catch {
      return undefined
    }
  }

  // ---------------------------------------------------------------------------------------------------- large outputs

  /** Receives one large output that {@link Owner} asked for. */
  onPutOutput(stream: MessageStream<OutputChunk, PutOutputReply>): void {
    const chunks: Uint8Array[] = []
    let bytes = 0
    let start: OutputChunk['start']
    let limit = 0
    const give = (count: number) => {
      this.#receivingBytes -= count
    }
    let patience: Timer | undefined
    const wait = () => {
      patience?.cancel()
      patience = this.#c.clock.setTimer(CHUNK_MS, () => stream.cancel(new GridError('timeout', 'no chunk came')))
    }
    wait()
    stream.onMessage((chunk) => {
      wait()
      if (start === undefined) {
        start = chunk.start
        if (start === undefined)
          return stream.cancel(new GridError('invalid', 'the first chunk says whose output it is'))
        const record = this.core.shard(start.jobId, start.shard)?.record(start.unit)
        const wanted = record?.judgement !== undefined && 'digest' in record.judgement ? record.judgement : undefined
        if (wanted?.digest !== start.digest)
          return stream.cancel(new GridError('invalid', 'this output is not wanted here'))
        limit = wanted.outputBytes
      }
      bytes += chunk.bytes.length
      this.#receivingBytes += chunk.bytes.length
      chunks.push(chunk.bytes)
      if (bytes > limit) stream.cancel(new GridError('quota', 'the output is longer than its report says'))
      else if (this.#receivingBytes > this.#c.options.receivingBytesMax)
        stream.cancel(new GridError('quota', 'too many outputs at once; try again'))
    })
    stream.onEnd(() => {
      patience?.cancel()
      void this.#keepOutput(start, chunks).then(
        (stored) => {
          stream.send({ stored })
          stream.end()
        },
        (error: unknown) => stream.cancel(toGridError(error)),
      )
    })
    stream.onClose(() => {
      patience?.cancel()
      give(bytes)
    })
  }

  async #keepOutput(start: OutputChunk['start'], chunks: readonly Uint8Array[]): Promise<boolean> {
    if (start === undefined) return false
    const { jobId, shard, unit, digest } = start
    const content = chunks.length === 1 ? chunks[0]! : concat(chunks)
    if (this.#digestOf(content) !== digest) {
      this.handle({ type: 'outputFetchFailed', jobId, unit })
      return false
    }
    const job = this.#c.book.need(jobId)
    await this.#c.outputs.keep(digest, content, {
      submitter: job.spec.submitter,
      keepUntilMs: job.expiresAtMs + this.#c.options.deleteAfterMs,
    })
    await this.#c.commits.commit([{ type: 'output', jobId, shard, unit, digest, size: content.length }])
    this.handle({ type: 'outputKept', jobId, shard, unit, digest })
    return true
  }

  // ----------------------------------------------------------------------------------------------------------- effects

  #perform(effects: readonly OwnerEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'sendGrant':
          this.#sendGrant(effect.session, effect.grant)
          break
        case 'sendSettled': {
          const { jobId, shard, agreed, disagreed } = effect
          this.#send(effect.session, { type: 'settled', jobId, shard, agreed, disagreed })
          break
        }
        case 'sendWithdraw': {
          const { jobId, shard, units, wholeJob, reason } = effect
          this.#send(effect.session, { type: 'withdraw', jobId, shard, units, wholeJob, reason })
          break
        }
        case 'sendNoWork':
          this.#send(effect.session, { type: 'noWork', reason: effect.reason, retryAfterMs: effect.retryAfterMs })
          break
        case 'fetchOutput': {
          const { jobId, shard, unit, digest } = effect
          this.#send(effect.session, { type: 'fetch', jobId, shard, unit, digest })
          break
        }
        case 'pingSession':
          this.#send(effect.session, { type: 'welcome', bootId: this.#c.bootId })
          break
        case 'closeSession':
          this.#sessions.get(effect.session)?.stream.cancel(new GridError('exists', effect.reason))
          break
        case 'unitsDecided':
          this.#settledAt.push({ at: this.#c.clock.now(), units: effect.units.length })
          if (this.#settledAt.length > 10_000) this.#settledAt.shift()
          for (const listener of this.#listeners.get(shardName(effect.jobId, effect.shard)) ?? [])
            listener.decided(effect.units)
          break
        case 'shardChanged':
          for (const handler of this.#changed) handler(effect.jobId, effect.shard)
          break
        default:
          unreachable(effect)
      }
    }
  }

  #send(id: SessionId, message: OwnerMessage): void {
    this.#sessions.get(id)?.stream.send(message)
  }

  #sendGrant(id: SessionId, draft: GrantDraft): void {
    const session = this.#sessions.get(id)
    const job = this.#c.book.get(draft.jobId)
    if (session === undefined || job === undefined) return
    const { signer, random, sha256 } = this.#c
    if (!session.specsSent.has(draft.jobId)) {
      session.specsSent.add(draft.jobId)
      session.stream.send({ type: 'spec', spec: job.signed })
    }
    const grant: Grant = {
      ...draft,
      grantor: signer.publicKey,
      grantorIdNonce: signer.idNonce,
      nonce: toHex(random.bytes(8)),
    }
    const bytes = grantCodec.encode(grant)
    const signed = { bytes, signature: signer.sign('grant', bytes) }
    job.rememberGrant(grantId(signed, sha256), grant)
    session.stream.send({ type: 'grant', grant: signed })
    this.#c.exchange.granted(job, grant)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#alarm.close()
    for (const { stream } of this.#sessions.values())
      stream.cancel(new GridError('closed', 'the owner is shutting down'))
  }
}

function shardName(jobId: JobId, shard: number): string {
  return `${jobId}/${shard}`
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}
