import { grantId } from '../job/facts.js'
import { grantCodec } from '../proto/codec/facts.js'
import type { OutputChunk, PutOutputReply, UnitBytes } from '../proto/messages.js'
import type { BootId, Digest, Grant, JobId, NodeId, PublicKey, ReportFact } from '../proto/model.js'
import { Alarm } from '../runtime/alarm.js'
import type { Clock, Millis } from '../runtime/clock.js'
import { GridError, unreachable } from '../runtime/errors.js'
import type { Sha256 } from '../runtime/hash.js'
import { fromHex, toHex } from '../runtime/hex.js'
import type { Logger } from '../runtime/logger.js'
import type { Random } from '../runtime/random.js'
import type { MessageStream } from '../runtime/transport.js'
import type { GrantDraft, OwnerEffect, OwnerEvent, SessionId } from './core/messages.js'
import { Owner } from './core/owner.js'
import type { FactExchange } from './fact-exchange.js'
import { FactIntake } from './fact-intake.js'
import type { GroupCommit } from './group-commit.js'
import type { BookedJob, JobBook } from './job-book.js'
import type { CoordinatorOptions } from './options.js'
import type { OutputFiles } from './output-files.js'
import { OutputIntake } from './output-intake.js'
import { ShardLoader, shardName } from './shard-loader.js'
import type { Store } from './store.js'
import { WorkSessions, type WorkStream } from './work-sessions.js'

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

/** Units whose settling is remembered for the rate of `status`. */
const RATE_WINDOW_MS = 60_000

/** Told what of a shard can be read now. */
export interface ShardListener {
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
  readonly #listeners = new Map<string, Set<ShardListener>>()
  readonly #changed = new Set<(jobId: JobId, shard: number) => void>()
  readonly #settledAt: { at: Millis; units: number }[] = []
  readonly #alarm: Alarm
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
    const { core } = this
    const handle = (event: OwnerEvent) => this.handle(event)
    this.#loader = new ShardLoader({ ...context, core, handle })
    this.#sessions = new WorkSessions({
      ...context,
      handle,
      takeFact: (fact, outputs, wallMs, from) => this.takeFact(fact, outputs, wallMs, from),
    })
    this.#facts = new FactIntake({ ...context, core, loader: this.#loader, sessions: this.#sessions, handle })
    this.#outputs = new OutputIntake({ ...context, core, handle })
  }

  /** Reads which keys were seen before. Shards are opened one by one: {@link openShard}. */
  async start(): Promise<void> {
    await this.#sessions.start()
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
  openShard(job: BookedJob, shard: number, restarted: boolean): Promise<void> {
    return this.#loader.open(job, shard, restarted)
  }

  /** Forgets a finished shard in memory; it is read again when somebody asks. */
  unloadShard(jobId: JobId, shard: number): void {
    this.handle({ type: 'shardClosed', jobId, shard })
    this.#loader.forget(jobId, shard)
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
  ): Promise<string | undefined> {
    return this.#facts.take(fact, outputs, wallMs, from)
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
          const { jobId, shard, agreed, disagreed } = effect
          this.#sessions.send(effect.session, { type: 'settled', jobId, shard, agreed, disagreed })
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
          this.#sessions.send(effect.session, { type: 'welcome', bootId: this.#c.bootId })
          break
        case 'closeSession':
          this.#sessions.cancel(effect.session, new GridError('exists', effect.reason))
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

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#alarm.close()
    this.#loader.close()
    this.#sessions.close()
  }
}
