import { grantId } from '../../job/facts/facts.js'
import type { Vote } from '../../job/facts/votes.js'
import { grantCodec } from '../../proto/codec/facts.js'
import type { OutputRequest } from '../../proto/job-messages.js'
import { GRANT_UNITS_MAX } from '../../proto/limits.js'
import type { Digest, Grant, JobId, NodeId, PublicKey, ReportFact } from '../../proto/model.js'
import type { OutputChunk, PutOutputReply, UnitBytes } from '../../proto/work-messages.js'
import { Alarm } from '../../runtime/alarm.js'
import type { Millis } from '../../runtime/clock.js'
import { GridError, toGridError, unreachable } from '../../runtime/errors.js'
import { fromHex, toHex } from '../../runtime/hex.js'
import type { Caller, MessageStream } from '../../runtime/transport.js'
import type { BookedJob } from '../jobs/booked-job.js'
import type { GrantDraft, OwnerEffect, OwnerEvent, SessionId } from './core/messages.js'
import { Owner } from './core/owner.js'
import { isDecided } from './core/unit-record.js'
import { FactIntake, type FactIntakeContext } from './fact-intake.js'
import { GrantorSearch } from './grantor-search.js'
import { OutputIntake } from './output-intake.js'
import type { OwnerDriverContext } from './owner-context.js'
import { ShardLoader, shardName } from './shard-loader.js'
import { WorkSessions, type WorkStream } from './work-sessions.js'

/** Units whose settling is remembered for the rate of `status`. */
const RATE_WINDOW_MS = 60_000

/** Told what of a shard can be read now. */
interface ShardListener {
  /** Units became settled or failed. */
  decided(units: readonly number[]): void
  closed(): void
}

/**
 * Feeds {@link Owner} and does what it says: signs and sends grants, passes messages on, tells listeners. What comes in
 * goes through {@link WorkSessions}, {@link FactIntake} and {@link OutputIntake}.
 */
export class OwnerDriver {
  readonly core: Owner
  readonly #c: OwnerDriverContext
  readonly #loader: ShardLoader
  readonly #sessions: WorkSessions
  readonly #facts: FactIntake
  readonly #outputs: OutputIntake
  readonly #grantors: GrantorSearch
  readonly #listeners = new Map<string, Set<ShardListener>>()
  readonly #changed = new Set<(jobId: JobId, shard: number) => void>()
  readonly #settledAt: { at: Millis; units: number; first: number }[] = []
  readonly #alarm: Alarm
  #closed = false

  constructor(context: OwnerDriverContext) {
    this.#c = context
    const { signer, random, clock, sha256 } = context
    this.core = new Owner({
      self: signer.nodeId,
      selfKey: signer.publicKey,
      seeksGrantors: true,
      random,
      wallMs: () => clock.wallMs(),
      receivingBytesMax: context.options.receivingBytesMax,
      rank: (owner, jobId, shard, block) => {
        const place = new DataView(new ArrayBuffer(8))
        place.setUint32(0, shard)
        place.setUint32(4, block)
        return sha256(fromHex(owner), fromHex(jobId), new Uint8Array(place.buffer))
      },
    })
    this.#alarm = new Alarm(clock, () => this.handle({ type: 'woke' }))
    const { core } = this
    const handle = (event: OwnerEvent) => this.handle(event)
    this.#grantors = new GrantorSearch({ ...context, handle })
    this.#loader = new ShardLoader({ ...context, core, handle })
    this.#sessions = new WorkSessions({
      ...context,
      handle,
      takeFact: (fact, outputs, wallMs, from) => this.takeFact(fact, outputs, wallMs, from),
    })
    const tellSettled: FactIntakeContext['tellSettled'] = (session, jobId, shard, votes) =>
      this.#tellSettled(session, jobId, shard, votes)
    const parts = { core, loader: this.#loader, sessions: this.#sessions, handle, tellSettled }
    this.#facts = new FactIntake({ ...context, ...parts })
    this.#outputs = new OutputIntake({ ...context, core, handle })
  }

  /** Reads which keys and owners were seen before. Shards are opened one by one: {@link openShard}. */
  async start(): Promise<void> {
    await this.#sessions.start()
    await this.#grantors.start()
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
    return this.#loader.factsOf(jobId, shard, reportId)
  }

  get settledLastMinute(): number {
    this.#forgetSettled()
    return this.#settledAt.reduce((sum, { units }) => sum + units, 0)
  }

  /** The same of units that this owner was to grant first: over all owners, each unit once. */
  get settledFirstLastMinute(): number {
    this.#forgetSettled()
    return this.#settledAt.reduce((sum, { first }) => sum + first, 0)
  }

  #forgetSettled(): void {
    const since = this.#c.clock.now() - RATE_WINDOW_MS
    while (this.#settledAt.length > 0 && this.#settledAt[0]!.at < since) this.#settledAt.shift()
  }

  handle(event: OwnerEvent): void {
    if (this.#closed) return
    if (event.type === 'ownersChanged') this.#grantors.met(event.owners)
    this.#perform(this.core.handle(event, this.#c.clock.now()))
    this.#alarm.set(this.core.nextWakeup())
  }

  // ----------------------------------------------------------------------------------------------------- jobs, shards

  /**
   * Owns a shard from now on: written first, then its facts are read back if there are any. Resolves when it can be
   * granted from; does nothing when it is open already.
   */
  openShard(job: BookedJob, shard: number, restarted: boolean): Promise<void> {
    return this.#loader.open(job, shard, restarted)
  }

  /** Forgets a finished shard in memory; it is read again when somebody asks. */
  unloadShard(jobId: JobId, shard: number): void {
    this.#shardLeft(jobId, shard)
    const job = this.#c.book.get(jobId)
    if (job !== undefined) this.#c.exchange.shardResting(job, shard)
  }

  /** Forgets a shard that is not kept here any more. */
  dropShard(jobId: JobId, shard: number): void {
    this.#shardLeft(jobId, shard)
    for (const listener of [...(this.#listeners.get(shardName(jobId, shard)) ?? [])]) listener.closed()
  }

  #shardLeft(jobId: JobId, shard: number): void {
    this.handle({ type: 'shardClosed', jobId, shard })
    this.#loader.forget(jobId, shard)
    if (this.core.job(jobId)?.shards.size === 0) this.#c.book.get(jobId)?.rest()
  }

  closeJob(jobId: JobId, reason: string): void {
    this.handle({ type: 'jobClosed', jobId, reason })
    this.#loader.forgetJob(jobId)
    for (const [name, listeners] of [...this.#listeners]) {
      if (!name.startsWith(jobId)) continue
      for (const listener of [...listeners]) listener.closed()
    }
  }

  // ---------------------------------------------------------------------------------------------------- what comes in

  /** Serves one `Work` stream. */
  onWork(stream: WorkStream): void {
    this.#sessions.onWork(stream)
  }

  /**
   * Takes in a fact from a worker or, without `from`, another owner: see {@link FactIntake.take}. Resolves with a reason
   * when it will never be taken. @throws GridError when it cannot be written now
   */
  takeFact(
    fact: ReportFact,
    outputs: readonly UnitBytes[],
    wallMs: number,
    from: SessionId | undefined,
    offeredBy?: Caller,
  ): Promise<string | undefined> {
    return this.#facts.take(fact, outputs, wallMs, from, offeredBy)
  }

  /** Takes in a large output that another owner had. Resolves to whether it is the right one, and on disk. */
  keepOutput(start: OutputRequest, content: Uint8Array, from: NodeId): Promise<boolean> {
    return this.#outputs.keep(start, content, from)
  }

  /** Receives one large output that {@link Owner} asked for. */
  onPutOutput(stream: MessageStream<OutputChunk, PutOutputReply>): void {
    this.#outputs.onPutOutput(stream)
  }

  // ----------------------------------------------------------------------------------------------------------- effects

  #perform(effects: readonly OwnerEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'sendGrant':
          this.#sendGrant(effect.session, effect.grant)
          break
        case 'sendSettled': {
          const { session, jobId, shard, agreed, disagreed } = effect
          this.#sendSettled(session, jobId, shard, agreed, disagreed)
          break
        }
        case 'sendWithdraw': {
          const { jobId, shard, units, wholeJob, reason } = effect
          this.#sessions.send(effect.session, { type: 'withdraw', jobId, shard, units, wholeJob, reason })
          break
        }
        case 'sendNoWork':
          this.#sessions.send(effect.session, {
            type: 'noWork',
            reason: effect.reason,
            retryAfterMs: effect.retryAfterMs,
          })
          break
        case 'fetchOutput': {
          const { jobId, shard, unit, digest } = effect
          this.#sessions.send(effect.session, { type: 'fetch', jobId, shard, unit, digest })
          break
        }
        case 'pingSession':
          this.#sessions.send(effect.session, {
            type: 'welcome',
            bootId: this.#c.bootId,
            sameKeyAt: effect.sameKeyAt,
          })
          break
        case 'closeSession':
          this.#sessions.cancel(effect.session, new GridError('exists', effect.reason))
          break
        case 'askOthers':
          for (const { jobId, shard } of effect.shards) this.#c.exchange.askOthers(jobId, shard)
          break
        case 'seekGrantor':
          this.#grantors.seek(effect.nodeId)
          break
        case 'unitsDecided':
          this.#settledAt.push({
            at: this.#c.clock.now(),
            units: effect.units.length,
            first: effect.units.filter((unit) => this.core.isFirst(effect.jobId, effect.shard, unit)).length,
          })
          if (this.#settledAt.length > 10_000) this.#settledAt.shift()
          for (const listener of this.#listeners.get(shardName(effect.jobId, effect.shard)) ?? [])
            listener.decided(effect.units)
          break
        case 'dropFacts':
          this.#dropFacts(effect.jobId, effect.shard, effect.facts)
          break
        case 'shardChanged':
          for (const handler of this.#changed) handler(effect.jobId, effect.shard)
          break
        default:
          unreachable(effect)
      }
    }
  }

  #dropFacts(
    jobId: JobId,
    shard: number,
    facts: readonly { readonly factId: Digest; readonly reportId: Digest }[],
  ): void {
    const { commits, exchange, logger } = this.#c
    const factIds = facts.map(({ factId }) => factId)
    for (const { factId, reportId } of facts) this.#loader.forgetFact(jobId, shard, reportId, factId)
    exchange.factsDropped(jobId, shard, factIds)
    commits.commit([{ type: 'dropFacts', jobId, shard, factIds }]).catch((error: unknown) => {
      // Read back after a restart it has no room again.
      logger.warn('facts let go of are still on disk', { jobId, shard, error: toGridError(error).message })
    })
  }

  /**
   * Tells the producers of decided units so, those among them that are connected: what they said of these units is on
   * enough disks now. 'all': of any unit of the shard.
   */
  tellProducers(jobId: JobId, number: number, units: readonly number[] | 'all'): void {
    const shard = this.core.shard(jobId, number)
    if (shard === undefined) return
    const byWorker = new Map<PublicKey, Vote[]>()
    const records = units === 'all' ? shard.records() : units.flatMap((unit) => shard.record(unit) ?? [])
    for (const { state, votes } of records) {
      if (!isDecided(state)) continue
      for (const vote of votes) {
        const known = byWorker.get(vote.worker)
        if (known === undefined) byWorker.set(vote.worker, [vote])
        else known.push(vote)
      }
    }
    for (const [worker, votes] of byWorker) {
      const session = this.core.sessionOf(worker)
      if (session !== undefined) this.#tellSettled(session, jobId, number, votes)
    }
  }

  /** Says what has become of units that a worker has answered. */
  #tellSettled(session: SessionId, jobId: JobId, number: number, votes: readonly Vote[]): void {
    const shard = this.core.shard(jobId, number)
    if (shard === undefined) return
    const agreed: number[] = []
    const disagreed: number[] = []
    for (const { unit, digest } of votes) {
      const record = shard.record(unit)
      if (record === undefined || !isDecided(record.state)) continue
      const { judgement } = record
      const counts = judgement !== undefined && 'digest' in judgement && judgement.digest === digest
      ;(counts ? agreed : disagreed).push(unit)
    }
    this.#sendSettled(session, jobId, number, agreed, disagreed)
  }

  /** Units that are on too few disks are left out: their producer keeps its copies, and is told later. */
  #sendSettled(
    session: SessionId,
    jobId: JobId,
    shard: number,
    agreed: readonly number[],
    disagreed: readonly number[],
  ): void {
    const worker = this.#sessions.workerOf(session)
    if (worker === undefined) return
    const isSafe = (unit: number) => this.#c.exchange.isSafe(jobId, shard, worker, unit)
    const safe = { agreed: agreed.filter(isSafe), disagreed: disagreed.filter(isSafe) }
    for (let at = 0; at < safe.agreed.length || at < safe.disagreed.length; at += GRANT_UNITS_MAX)
      this.#sessions.send(session, {
        type: 'settled',
        jobId,
        shard,
        agreed: safe.agreed.slice(at, at + GRANT_UNITS_MAX),
        disagreed: safe.disagreed.slice(at, at + GRANT_UNITS_MAX),
      })
  }

  #sendGrant(id: SessionId, draft: GrantDraft): void {
    const job = this.#c.book.get(draft.jobId)
    if (job === undefined || !this.#sessions.has(id)) return
    const { signer, random, sha256 } = this.#c
    this.#sessions.introduce(id, job)
    const grant: Grant = {
      ...draft,
      grantor: signer.publicKey,
      grantorIdNonce: signer.idNonce,
      nonce: toHex(random.bytes(8)),
    }
    const bytes = grantCodec.encode(grant)
    const signed = { bytes, signature: signer.sign('grant', bytes) }
    job.rememberGrant(grantId(signed, sha256), grant)
    this.#sessions.send(id, { type: 'grant', grant: signed })
    this.#c.exchange.granted(job, grant)
  }

  /** Ends the streams of workers, and takes no more: they go to the other owners with what they have in hand. */
  sendWorkersAway(): void {
    this.#sessions.close()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#alarm.close()
    this.#grantors.close()
    this.#loader.close()
    this.#sessions.close()
  }
}
