import type { WorkerState } from '../proto/admin-messages.js'
import type { RunningUnit } from '../proto/messages.js'
import type { JobId } from '../proto/model.js'
import { Alarm } from '../runtime/alarm.js'
import { toGridError, unreachable } from '../runtime/errors.js'
import type { WorkerEffect, WorkerEvent } from './core/messages.js'
import { WorkerCore } from './core/worker-core.js'
import type { WorkerDependencies } from './dependencies.js'
import { KnownSpecs } from './known-specs.js'
import { OwnerStreams } from './owner-streams.js'
import { Governor } from './preferences/governor.js'
import { ReportWriter } from './report-writer.js'
import { type WorkerNow, WorkerTally } from './tally.js'
import { UnitRunner } from './unit-runner.js'
import { workerState } from './worker-state.js'

export type { Donor, ReportSigner, WorkerDependencies, WorkNews } from './dependencies.js'

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
  readonly #alarm: Alarm
  readonly #finished: Promise<void>
  #finish: () => void = () => {}
  #stopWatching: (() => void) | undefined
  #closed = false

  constructor(dependencies: WorkerDependencies) {
    this.#d = dependencies
    const { clock, random, options } = dependencies
    const { threads, instancesMax, shardOwners } = options
    const core = new WorkerCore({ threads, instancesMax, shardOwners }, random)
    this.core = core
    this.#alarm = new Alarm(clock, () => this.#handle({ type: 'woke' }))
    this.#finished = new Promise((resolve) => {
      this.#finish = resolve
    })
    const { tally } = this
    const handle = (event: WorkerEvent) => this.#handle(event)
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
    this.#streams = new OwnerStreams({ dependencies, core, tally, specs, reports, handle })
    this.#runner = new UnitRunner({ dependencies, tally, specs, reports, handle, onProgress })
    this.governor = new Governor({ clock, threads, worker: { setPaused: (reason) => this.#setPaused(reason) } })
  }

  /** Offers what the journal still holds, and begins to look for work. */
  start(): void {
    this.#reports.restore()
    const { onlyJob } = this.#d.options
    if (onlyJob === undefined)
      this.#stopWatching = this.#d.watchBoard(({ owner, jobId, ready }) =>
        this.#handle({ type: 'workSeen', owner, jobId, ready }),
      )
    else this.#seekJob(onlyJob)
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
      threads: this.#d.options.threads,
      decision: this.governor.decision,
      paused: this.governor.isPaused,
      preferences: [],
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
    this.#alarm.close()
    this.#runner.close()
    this.#streams.close()
    this.#finish()
    await this.#d.compute.close()
    // In this order: reports leave the journal once they are counted.
    await this.#d.ledger.close()
    await this.#d.journal.close()
  }

  /** Computing stands still while there is a reason; what is in hand is kept for a minute. */
  #setPaused(reason: string | undefined): void {
    if (this.#closed) return
    let atOnce = false
    try {
      if (reason === undefined) this.#d.compute.resume()
      else this.#d.compute.pause()
    } catch (error) {
      if (toGridError(error).code !== 'unsupported') throw error
      // Where nothing can be stopped, what runs is dropped.
      atOnce = true
    }
    this.#handle({ type: 'paused', reason, atOnce })
  }

  #handle(event: WorkerEvent): void {
    if (this.#closed) return
    this.#perform(this.core.handle(event, this.#d.clock.now()))
    this.#alarm.set(this.core.nextWakeup())
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
        case 'sendWant':
          this.#streams.send(effect.owner, { type: 'want', instances: effect.instances })
          break
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
