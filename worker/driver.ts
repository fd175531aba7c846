import type { WorkerState } from '../proto/admin-messages.js'
import type { RestraintWord } from '../proto/explain-messages.js'
import type { JobId } from '../proto/model.js'
import type { RunningUnit } from '../proto/work-messages.js'
import { Alarm } from '../runtime/alarm.js'
import { unreachable } from '../runtime/errors.js'
import type { WorkerEffect, WorkerEvent } from './core/messages.js'
import { WorkerCore } from './core/worker-core.js'
import { DeclinedWork } from './declined-work.js'
import type { WorkerDependencies, WorkNews } from './dependencies.js'
import { KnownSpecs } from './known-specs.js'
import { OwnerStreams } from './owner-streams.js'
import type { Preferences } from './preferences/core/preferences.js'
import { ALWAYS } from './preferences/core/schedule.js'
import { Governor } from './preferences/governor.js'
import { DISK_BYTES } from './preferences/read.js'
import { Throttle } from './preferences/throttle.js'
import { ReportWriter } from './report-writer.js'
import { type WorkerNow, WorkerTally } from './tally.js'
import { UnitRunner } from './unit-runner.js'
import { workerState } from './worker-state.js'

export type { Donor, ReportSigner, VolunteerDependencies, WorkerDependencies, WorkNews } from './dependencies.js'

/** Time between looks for owners of `onlyJob`. */
const ONLY_JOB_MS = 1_000
/**
 * Feeds {@link WorkerCore} and does what it says: streams to owners, the compute process, the journal. A report is in the
 * journal, on disk, before it is sent, and leaves it when its units are settled.
 */
export class Worker {
  readonly core: WorkerCore
  readonly tally = new WorkerTally()
  /** What the volunteer wants. */
  readonly governor: Governor
  readonly #d: WorkerDependencies
  readonly #specs: KnownSpecs
  readonly #reports: ReportWriter
  readonly #runner: UnitRunner
  readonly #streams: OwnerStreams
  readonly #throttle: Throttle
  readonly #declinedWork = new DeclinedWork(() => this.#preferences)
  readonly #alarm: Alarm
  readonly #finished: Promise<void>
  readonly #done: Promise<string>
  #finish: () => void = () => {}
  #tellDone: (reason: string) => void = () => {}
  #pausedFor: string | undefined
  #stopWatching: (() => void) | undefined
  #preferences: Preferences
  #closed = false

  constructor(dependencies: WorkerDependencies) {
    this.#d = dependencies
    const { clock, random, options } = dependencies
    const { instancesMax, shardOwners } = options
    const threads = Math.max(1, (dependencies.volunteer?.book.preferences ?? options).threads)
    const core = new WorkerCore({ threads, instancesMax, shardOwners }, random)
    this.core = core
    this.#alarm = new Alarm(clock, () => this.#handle({ type: 'woke' }))
    this.#finished = new Promise((resolve) => {
      this.#finish = resolve
    })
    this.#done = new Promise((resolve) => {
      this.#tellDone = resolve
    })
    const { tally } = this
    const handle = (event: WorkerEvent) => {
      if (event.type === 'granted') this.#judgeJob(event.grant.jobId)
      this.#handle(event)
    }
    const specs = new KnownSpecs(dependencies, (jobId) => this.#runner.isOpen(jobId))
    this.#specs = specs
    const reports = new ReportWriter({
      dependencies,
      core,
      specs,
      handle,
      endpoint: (owner) => (this.#streams.has(owner) ? core.endpoint(owner) : undefined),
    })
    const onProgress = (running: readonly RunningUnit[]) => this.#tellProgress(running)
    this.#reports = reports
    this.#streams = new OwnerStreams({
      dependencies,
      core,
      tally,
      specs,
      reports,
      handle,
      offer: () => {
        const { threads, memoryBytes, weights } = this.#preferences
        return {
          slots: Math.max(1, threads),
          memoryBytes,
          ...(weights.size > 0 && { weights: [...weights].map(([submitter, weight]) => ({ submitter, weight })) }),
        }
      },
    })
    this.#runner = new UnitRunner({ dependencies, tally, specs, reports, handle, onProgress })
    this.#throttle = new Throttle(clock, dependencies.compute, () =>
      Math.min(core.heldCount, this.#preferences.threads),
    )
    const { volunteer } = dependencies
    this.governor = new Governor({
      clock,
      logger: dependencies.logger,
      preferences: preferencesOf(options),
      book: volunteer?.book,
      sensors: volunteer?.sensors,
      localAt: volunteer?.localAt ?? (() => ({ day: 0, minute: 0 })),
      worker: {
        restrain: (reason, share, word, stoppedBy) => this.#restrain(reason, share, word, stoppedBy),
        get stoppedPid() {
          return dependencies.compute.stoppedPid?.()
        },
        prefer: (preferences) => this.#prefer(preferences),
        finish: (reason, atOnce) => this.#finishEarly(reason, atOnce),
        get computed() {
          return tally.snapshot().computed
        },
      },
    })
    this.#preferences = this.governor.preferences
  }

  /** Offers what the journal still holds, and begins to look for work. */
  start(): void {
    this.#reports.restore()
    if (this.#d.volunteer !== undefined) this.#limitTraffic()
    const { unitsMax, weights } = this.#preferences
    if (weights.size > 0) this.#handle({ type: 'weighed', weights })
    if (unitsMax !== undefined) this.#handle({ type: 'limited', unitsMax })
    const looked = this.governor.start()
    if (looked === undefined) this.#seek()
    else void looked.then(() => this.#seek())
  }

  /** Resolves with why when the volunteer has had what was asked for: so many units, so much time. */
  get done(): Promise<string> {
    return this.#done
  }

  /** Units held, settled and so on, for the status line. */
  now(): WorkerNow {
    return {
      ...this.tally.snapshot(),
      held: this.core.heldCount,
      unsettled: this.core.unsettledCount,
      owners: this.core.openLinks.length,
      running: this.#runner.running.length,
    }
  }

  /** Everything that its owner may want to see. */
  state(): WorkerState {
    return workerState({
      core: this.core,
      now: this.now(),
      board: this.#runner.board,
      specOf: (jobId) => this.#specs.get(jobId),
      words: this.#streams.words.all(),
      threads: Math.max(1, this.#preferences.threads),
      decision: this.governor.decision,
      paused: this.governor.isPaused,
      preferences: this.governor.values(),
      passedOver: this.#declinedWork.reasons((key) => this.governor.nameOf(key)),
      sameKey: this.#streams.sameKey,
    })
  }

  /** Takes no new work, finishes or gives back what is in hand, and resolves when every report is taken or safe on disk. */
  drain(): Promise<void> {
    this.#stopWatching?.()
    this.#handle({ type: 'drained', atOnce: false })
    return this.#finished
  }

  /** Gives everything back and stops at once. Safe to call twice. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#stopWatching?.()
    this.#handle({ type: 'drained', atOnce: true })
    this.#closed = true
    this.governor.close()
    this.#throttle.close()
    this.#alarm.close()
    this.#runner.close()
    this.#streams.close()
    this.#reports.close()
    this.#finish()
    await this.#d.compute.close()
    // In this order: reports leave the journal once they are counted.
    await this.#d.ledger.close()
    await this.#d.journal.close()
  }

  #seek(): void {
    if (this.#closed || this.core.isDraining) return
    const { onlyJob } = this.#d.options
    if (onlyJob === undefined) this.#stopWatching = this.#d.watchBoard((news) => this.#onNews(news))
    else this.#seekJob(onlyJob)
  }

  /** Declines a job, or no longer, by what its spec says. */
  #judgeJob(jobId: JobId): void {
    const spec = this.#specs.get(jobId)
    const jobs = spec && this.#declinedWork.judge(jobId, spec)
    if (jobs !== undefined) this.#handle({ type: 'declined', jobs })
  }

  #onNews(news: WorkNews): void {
    const { owner, jobId, ready } = news
    const declined = this.#declinedWork.look(news)
    this.#d.logger.debug('work seen', { owner: owner.nodeId, jobId, ready, declined })
    this.#handle({ type: 'workSeen', owner, jobId, ready, declined })
  }

  /** Computing stands still while there is a reason; what is in hand is kept for a minute. */
  #restrain(
    reason: string | undefined,
    share: number,
    restraint: RestraintWord | undefined,
    stoppedBy: 'us' | 'others',
  ): void {
    if (this.#closed) return
    // Where nothing can be stopped, what runs is dropped.
    const canStop = this.#throttle.set(reason !== undefined && stoppedBy === 'us', share)
    if (reason === this.#pausedFor) return
    this.#pausedFor = reason
    this.#handle({ type: 'paused', reason, atOnce: !canStop, ...(restraint && { restraint }) })
  }

  #prefer(now: Preferences): void {
    const before = this.#preferences
    this.#preferences = now
    if (this.#closed) return
    const threads = Math.max(1, now.threads)
    const isResized = threads !== Math.max(1, before.threads)
    const isReshaped = isResized || now.memoryBytes !== before.memoryBytes
    const isNewOffer = isReshaped || !isSame(now.weights, before.weights)
    if (isReshaped) this.#d.compute.reshape(threads, now.memoryBytes)
    if (isResized) this.#handle({ type: 'resized', threads })
    if (now.diskBytes !== before.diskBytes || now.rateBytes !== before.rateBytes) this.#limitTraffic()
    if (now.unitsMax !== before.unitsMax) this.#handle({ type: 'limited', unitsMax: now.unitsMax })
    if (!isSame(now.weights, before.weights)) this.#handle({ type: 'weighed', weights: now.weights })
    if (isNewOffer) this.#streams.renew()
    for (const jobId of this.#specs.known()) this.#judgeJob(jobId)
    for (const news of this.#declinedWork.passedOver) this.#onNews(news)
  }

  #limitTraffic(): void {
    const { diskBytes, rateBytes } = this.#preferences
    this.#d.inputs.limit(diskBytes, rateBytes)
    this.#reports.rate.set(rateBytes)
  }

  #finishEarly(reason: string, atOnce: boolean): void {
    this.#d.logger.info('all done that was asked for', { reason })
    this.#stopWatching?.()
    this.#handle({ type: 'drained', atOnce })
    this.#tellDone(reason)
  }

  #handle(event: WorkerEvent): void {
    if (this.#closed) return
    this.#perform(this.core.handle(event, this.#d.clock.now()))
    this.#alarm.set(this.core.nextWakeup())
    if (event.type === 'computed') this.governor.onComputed()
  }

  #perform(effects: readonly WorkerEffect[]): void {
    for (const effect of effects) {
      switch (effect.type) {
        case 'openLink':
          this.#streams.open(effect.owner)
          break
        case 'closeLink':
          this.#streams.end(effect.owner)
          break
        case 'findOwners':
          void this.#findOwners(effect.jobId, effect.shard)
          break
        case 'sendWant': {
          const { owner, type: _, ...want } = effect
          this.#streams.send(owner, { type: 'want', ...want })
          break
        }
        case 'sendHandBack': {
          const { jobId, shard, units, reason } = effect
          this.#streams.send(effect.owner, { type: 'handBack', jobId, shard, units, reason })
          break
        }
        case 'sendHeartbeat':
          this.#streams.sendProgress(effect.owner, this.#runner.running)
          break
        case 'compute':
          void this.#runner.run(effect.jobId, effect.units)
          break
        case 'abort':
          this.#runner.abort(effect.jobId, effect.units)
          break
        case 'keepReport':
          this.#reports
            .write(effect)
            .catch((error: unknown) => this.#d.logger.error('report not made', { jobId: effect.jobId, error }))
          break
        case 'offerReport': {
          const written = this.#reports.get(effect.reportId)
          if (written === undefined) break
          const { fact, outputs, wallMs } = written
          this.#streams.send(effect.owner, { type: 'report', fact, outputs, wallMs })
          break
        }
        case 'dropReport':
          this.#reports.drop(effect.reportId)
          break
        case 'recallReport':
          this.#reports.recall(effect.reportId)
          break
        case 'forgetReport':
          this.#reports.forget(effect.reportId)
          break
        case 'finished':
          this.#finish()
          break
        default:
          unreachable(effect)
      }
    }
  }

  async #findOwners(jobId: JobId, shard: number): Promise<void> {
    const owners = await this.#d.owners(jobId, shard).catch(() => [])
    this.#handle({ type: 'ownersFound', jobId, shard, owners })
  }

  #seekJob(jobId: JobId): void {
    if (this.#closed) return
    void this.#d
      .ownersOfJob(jobId)
      .catch(() => [])
      .then((owners) => {
        for (const owner of owners) this.#handle({ type: 'workSeen', owner, jobId, ready: 1 })
      })
    const timer = this.#d.clock.setTimer(ONLY_JOB_MS, () => this.#seekJob(jobId))
    this.#stopWatching = () => timer.cancel()
  }

  #tellProgress(running: readonly RunningUnit[]): void {
    if (running.length === 0) return
    for (const owner of this.core.openLinks) this.#streams.sendProgress(owner, running)
  }
}

/** What holds where no volunteer said anything. */
function preferencesOf({ threads, memoryBytes }: WorkerDependencies['options']): Preferences {
  return {
    threads,
    share: 1,
    schedule: ALWAYS,
    whenIdleMs: undefined,
    batteryMin: 0,
    temperatureMax: undefined,
    pauseFor: [],
    memoryBytes,
    diskBytes: DISK_BYTES,
    rateBytes: undefined,
    unitsMax: undefined,
    forMs: undefined,
    accept: new Set(),
    refuse: new Set(),
    weights: new Map(),
  }
}

function isSame(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): boolean {
  return a.size === b.size && [...a].every(([name, value]) => b.get(name) === value)
}
