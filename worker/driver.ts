import { setMaxListeners } from 'node:events'
import { grantId } from '../job/facts.js'
import { shardUnits } from '../job/shard.js'
import { checkSpec } from '../job/spec.js'
import { grantCodec, reportCodec, reportFactCodec } from '../proto/codec/facts.js'
import { jobSpecCodec } from '../proto/codec/spec.js'
import { CHUNK_BYTES, INLINE_OUTPUT_BYTES_MAX } from '../proto/limits.js'
import type { BuiltinTask, OwnerMessage, RunningUnit, UnitBytes, WorkerMessage } from '../proto/messages.js'
import { methods } from '../proto/methods.js'
import type {
  BootId,
  Digest,
  Grant,
  JobId,
  JobSpec,
  NodeId,
  PublicKey,
  Report,
  ReportFact,
  Signed,
} from '../proto/model.js'
import { Alarm } from '../runtime/alarm.js'
import type { Clock } from '../runtime/clock.js'
import { GridError, toGridError, unreachable } from '../runtime/errors.js'
import type { Sha256 } from '../runtime/hash.js'
import type { Logger } from '../runtime/logger.js'
import type { Random } from '../runtime/random.js'
import type { Endpoint, MessageStream, Transport } from '../runtime/transport.js'
import type { Compute, ComputeResult } from './compute/compute.js'
import type { ComputedUnit, WorkerEffect, WorkerEvent } from './core/messages.js'
import { WorkerCore } from './core/worker-core.js'
import type { Inputs } from './inputs.js'
import type { Journal } from './journal.js'
import type { WorkerOptions } from './options.js'
import { type WorkerNow, WorkerTally } from './tally.js'

/** Signs as this worker. */
export interface ReportSigner {
  readonly publicKey: PublicKey
  sign(tag: string, bytes: Uint8Array): Uint8Array
}

/** The person behind a worker, and that person's signature over the worker's key. */
export interface Donor {
  readonly publicKey: PublicKey
  readonly signature: Uint8Array
}

/** Ready work of one job at one owner, as the board tells. */
export interface WorkNews {
  readonly owner: Endpoint
  readonly jobId: JobId
  readonly ready: number
}

export interface WorkerDependencies {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly sha256: Sha256
  readonly transport: Transport
  readonly signer: ReportSigner
  readonly donor?: Donor
  readonly verify: (tag: string, publicKey: PublicKey, signed: Signed) => boolean
  readonly network: string
  readonly bootId: BootId
  readonly tasks: readonly BuiltinTask[]
  readonly compute: Compute
  readonly inputs: Inputs
  readonly journal: Journal
  readonly options: WorkerOptions
  /** Owners of a shard, nearest first. */
  readonly owners: (jobId: JobId, shard: number) => Promise<readonly Endpoint[]>
  /** Owners that work on the one job of `onlyJob`. */
  readonly ownersOfJob: (jobId: JobId) => Promise<readonly Endpoint[]>
  /** Tells of ready work until the result is called. */
  readonly watchBoard: (handler: (news: WorkNews) => void) => () => void
}

/** Jobs known to the compute process at a time; the one used longest ago is closed first. */
const JOBS_MAX = 64
const TICKETS_MAX = 256
/** Time between looks for owners of `onlyJob`. */
const ONLY_JOB_MS = 1_000
/** Outputs on their way to owners at a time; requests for more are not heard, and owners ask again. */
const UPLOADS_MAX = 16
/** Units whose items are fetched at once. */
const ITEMS_AT_ONCE = 64

type WorkStream = MessageStream<OwnerMessage, WorkerMessage>

interface OpenJob {
  readonly spec: JobSpec
  readonly abort: AbortController
  /** Resolves when units can be computed. */
  readonly ready: Promise<void>
}

interface Kept {
  readonly fact: ReportFact
  readonly outputs: readonly UnitBytes[]
  readonly wallMs: number
}

/**
 * Feeds {@link WorkerCore} and does what it says: streams to owners, the compute process, the journal. A report is in the
 * journal, on disk, before it is sent, and leaves it when its units are settled.
 */
export class Worker {
  readonly core: WorkerCore
  readonly tally = new WorkerTally()
  readonly #d: WorkerDependencies
  readonly #streams = new Map<NodeId, WorkStream>()
  readonly #jobs = new Map<JobId, OpenJob>()
  readonly #specs = new Map<JobId, JobSpec>()
  readonly #kept = new Map<Digest, Kept>()
  /** Outputs of units computed and not yet reported. */
  readonly #fresh = new Map<string, Uint8Array>()
  /** Large outputs until their units are settled. */
  readonly #large = new Map<string, Uint8Array>()
  #largeBytes = 0
  /** Reports not settled, with the outputs beside them. */
  #keptBytes = 0
  /** Outputs on their way, by unit. */
  readonly #uploading = new Set<string>()
  #full = false
  #running: readonly RunningUnit[] = []
  readonly #alarm: Alarm
  readonly #finished: Promise<void>
  #finish: () => void = () => {}
  #stopWatching: (() => void) | undefined
  #closed = false

  constructor(dependencies: WorkerDependencies) {
    this.#d = dependencies
    const { clock, random, options, compute } = dependencies
    const { threads, instancesMax, shardOwners } = options
    this.core = new WorkerCore({ threads, instancesMax, shardOwners }, random)
    this.#alarm = new Alarm(clock, () => this.#handle({ type: 'woke' }))
    this.#finished = new Promise((resolve) => {
      this.#finish = resolve
    })
    compute.onResults((results) => this.#onResults(results))
    compute.onProgress((running) => {
      this.#running = running
      this.#sendProgress()
    })
  }

  /** Offers what the journal still holds, and begins to look for work. */
  start(): void {
    for (const { id, fact, outputs } of this.#d.journal.entries()) {
      const decoded = reportFactCodec.decode(fact)
      const report = reportCodec.decode(decoded.report.bytes)
      this.#keep(id, { fact: decoded, outputs, wallMs: 0 })
      const units = report.results.filter(({ outcome }) => outcome !== 'host').map(({ unit }) => unit)
      this.#handle({
        type: 'reportKept',
        report: { reportId: id, jobId: report.jobId, shard: report.shard, units },
        owner: undefined,
      })
    }
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
      running: this.#running.length,
    }
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
    this.#alarm.close()
    for (const { abort } of this.#jobs.values()) abort.abort()
    for (const stream of this.#streams.values()) stream.end()
    this.#finish()
    await this.#d.compute.close()
    await this.#d.journal.close()
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
          this.#openLink(effect.owner)
          break
        case 'closeLink':
          this.#streams.get(effect.owner)?.end()
          this.#streams.delete(effect.owner)
          break
        case 'findOwners':
          void this.#findOwners(effect.jobId, effect.shard)
          break
        case 'sendWant':
          this.#streams.get(effect.owner)?.send({ type: 'want', instances: effect.instances })
          break
        case 'sendHandBack': {
          const { jobId, shard, units, reason } = effect
          this.#streams.get(effect.owner)?.send({ type: 'handBack', jobId, shard, units, reason })
          break
        }
        case 'sendHeartbeat':
          this.#streams.get(effect.owner)?.send({ type: 'progress', running: this.#running.slice(0, 1_024) })
          break
        case 'compute':
          void this.#compute(effect.jobId, effect.units)
          break
        case 'abort':
          this.#d.compute.abort(effect.jobId, effect.units)
          break
        case 'keepReport':
          this.#keepReport(effect).catch((error: unknown) =>
            this.#d.logger.error('report not made', { jobId: effect.jobId, error }),
          )
          break
        case 'offerReport': {
          const kept = this.#kept.get(effect.reportId)
          if (kept !== undefined) this.#streams.get(effect.owner)?.send({ type: 'report', ...kept })
          break
        }
        case 'dropReport':
          this.#dropReport(effect.reportId)
          break
        case 'finished':
          this.#finish()
          break
        default:
          unreachable(effect)
      }
    }
  }

  // ------------------------------------------------------------------------------------------------------------- links

  #openLink(owner: Endpoint): void {
    const { transport, options, tasks, donor, bootId } = this.#d
    const stream = transport.open(owner, methods.work)
    this.#streams.set(owner.nodeId, stream)
    stream.onMessage((message) => this.#onMessage(owner.nodeId, stream, message))
    stream.onEnd(() => stream.end())
    stream.onClose((reason) => {
      if (this.#streams.get(owner.nodeId) !== stream) return
      this.#streams.delete(owner.nodeId)
      const { code, message } = toGridError(reason ?? new GridError('closed', 'the owner ended the stream'))
      this.#d.logger.debug('owner lost', { owner: owner.nodeId, code, message })
      if (code === 'exists') this.#d.logger.warn('owner refuses this key', { owner: owner.nodeId, message })
      this.#handle({
        type: 'linkClosed',
        owner: owner.nodeId,
        lasting: code === 'exists' || code === 'forbidden' || code === 'unsupported',
      })
    })
    stream.send({
      type: 'hello',
      bootId,
      slots: options.threads,
      tasks,
      memoryBytes: options.memoryBytes,
      jobId: options.onlyJob,
      donor: donor?.publicKey,
      donorSignature: donor?.signature ?? new Uint8Array(0),
      tickets: this.core.tickets(TICKETS_MAX),
      profile: 0,
    })
  }

  #onMessage(owner: NodeId, stream: WorkStream, message: OwnerMessage): void {
    if (this.#streams.get(owner) !== stream) return
    switch (message.type) {
      case 'welcome':
        // Said a second time it asks whether we are still there.
        if (this.core.openLinks.includes(owner)) stream.send({ type: 'progress', running: [] })
        else this.#handle({ type: 'linkOpened', owner })
        break
      case 'spec':
        this.#onSpec(message.spec)
        break
      case 'grant': {
        const grant = grantCodec.decode(message.grant.bytes)
        const spec = this.#specs.get(grant.jobId)
        if (grant.worker !== this.#d.signer.publicKey || spec === undefined) {
          stream.cancel(new GridError('invalid', 'a grant that is not for this worker'))
          break
        }
        if (!isWithin(grant, spec)) {
          stream.cancel(new GridError('invalid', 'a grant of units that the shard does not have'))
          break
        }
        this.#handle({
          type: 'granted',
          owner,
          grant,
          signed: message.grant,
          grantId: grantId(message.grant, this.#d.sha256),
        })
        break
      }
      case 'ack':
        this.tally.acknowledged(message.reports.length)
        this.#handle({ type: 'reportsTaken', owner, reportIds: message.reports })
        break
      case 'settled': {
        const { jobId, shard, agreed, disagreed } = message
        this.tally.settled(agreed.length, disagreed.length)
        for (const unit of [...agreed, ...disagreed])
          if (this.core.isReportedTo(owner, jobId, unit)) this.#dropLarge(jobId, unit)
        this.#handle({ type: 'unitsSettled', owner, jobId, shard, agreed, disagreed })
        break
      }
      case 'withdraw':
        this.#handle({
          type: 'withdrawn',
          owner,
          jobId: message.jobId,
          units: message.units,
          wholeJob: message.wholeJob,
        })
        break
      case 'noWork':
        this.tally.idle(message.reason)
        break
      case 'fetch':
        this.#startUpload(owner, message)
        break
      case 'refused':
        this.#d.logger.warn('report refused', { owner, reason: message.reason })
        this.#handle({ type: 'reportRefused', owner, reportId: message.report, reason: message.reason })
        break
      default:
        unreachable(message)
    }
  }

  #onSpec(signed: Signed): void {
    const jobId = this.#d.sha256(signed.bytes) as string as JobId
    if (this.#specs.has(jobId)) return
    const spec = jobSpecCodec.decode(signed.bytes)
    if (!this.#d.verify('spec', spec.submitter, signed))
      throw new GridError('forbidden', 'a spec without the signature of its submitter')
    const problem = checkSpec(spec, { network: this.#d.network })
    if (problem !== undefined) throw new GridError('invalid', problem)
    this.#specs.set(jobId, spec)
    if (this.#specs.size > 4 * JOBS_MAX) this.#forgetSpecs()
  }

  #forgetSpecs(): void {
    for (const jobId of this.#specs.keys()) {
      if (this.#specs.size <= 2 * JOBS_MAX) return
      if (!this.#jobs.has(jobId)) this.#specs.delete(jobId)
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

  // ----------------------------------------------------------------------------------------------------------- compute

  async #compute(jobId: JobId, units: readonly number[]): Promise<void> {
    try {
      const job = this.#open(jobId)
      await job.ready
      const { compute, inputs } = this.#d
      if (job.spec.source.type !== 'list') {
        compute.run({ jobId, units: units.map((unit) => ({ unit, items: [] })) })
        return
      }
      for (let at = 0; at < units.length; at += ITEMS_AT_ONCE) {
        await Promise.all(
          units.slice(at, at + ITEMS_AT_ONCE).map(async (unit) => {
            const items = await inputs.items(job.spec, unit, job.abort.signal)
            if (!this.#closed) compute.run({ jobId, units: [{ unit, items }] })
          }),
        )
      }
    } catch (error) {
      if (this.#closed) return
      const { message } = toGridError(error)
      this.#d.logger.warn('job cannot be computed here', { jobId, error: message })
      this.#closeJob(jobId)
      this.#handle({ type: 'jobFailed', jobId, reason: message.slice(0, 200) })
    }
  }

  #open(jobId: JobId): OpenJob {
    const known = this.#jobs.get(jobId)
    if (known !== undefined) {
      this.#jobs.delete(jobId)
      this.#jobs.set(jobId, known)
      return known
    }
    const spec = this.#specs.get(jobId)
    if (spec === undefined) throw new GridError('notFound', 'the spec of this job did not come')
    const abort = new AbortController()
    setMaxListeners(0, abort.signal)
    const ready = this.#d.inputs
      .shared(spec, abort.signal)
      .then((inputs) => this.#d.compute.openJob({ jobId, spec, inputs }))
    ready.catch(() => {})
    const job = { spec, abort, ready }
    this.#jobs.set(jobId, job)
    if (this.#jobs.size > JOBS_MAX) this.#closeJob(this.#jobs.keys().next().value!)
    return job
  }

  #closeJob(jobId: JobId): void {
    const job = this.#jobs.get(jobId)
    if (job === undefined) return
    this.#jobs.delete(jobId)
    job.abort.abort()
    this.#d.compute.closeJob(jobId)
  }

  #onResults(results: readonly ComputeResult[]): void {
    if (this.#closed) return
    const units: ComputedUnit[] = []
    for (const { jobId, unit, outcome, digest, output, fuel, wallMs } of results) {
      this.#fresh.set(nameOf(jobId, unit), output)
      units.push({ jobId, unit, outcome, digest, outputBytes: output.length, fuel, wallMs })
    }
    this.tally.computed(units.length)
    this.#handle({ type: 'computed', units })
    // Outputs of units that were withdrawn meanwhile are in no report.
    for (const { jobId, unit } of results)
      if (!this.core.isWaiting(jobId, unit)) this.#fresh.delete(nameOf(jobId, unit))
  }

  #sendProgress(): void {
    if (this.#running.length === 0) return
    for (const owner of this.core.openLinks)
      this.#streams.get(owner)?.send({ type: 'progress', running: this.#running.slice(0, 1_024) })
  }

  // ----------------------------------------------------------------------------------------------------------- reports

  async #keepReport({
    owner,
    jobId,
    shard,
    units,
    grants,
  }: Extract<WorkerEffect, { type: 'keepReport' }>): Promise<void> {
    const { signer, donor, sha256, journal, logger } = this.#d
    const report: Report = {
      jobId,
      shard,
      worker: signer.publicKey,
      donor: donor?.publicKey ?? signer.publicKey,
      donorSignature: donor?.signature ?? new Uint8Array(0),
      results: units.map(({ unit, outcome, digest, outputBytes, fuel }) => ({
        unit,
        outcome,
        digest,
        outputBytes,
        fuel,
      })),
    }
    const outputs: UnitBytes[] = []
    let wallMs = 0
    for (const { unit, wallMs: unitMs } of units) {
      wallMs += unitMs
      const name = nameOf(jobId, unit)
      const output = this.#fresh.get(name)
      this.#fresh.delete(name)
      if (output === undefined || output.length === 0) continue
      if (output.length <= INLINE_OUTPUT_BYTES_MAX) outputs.push({ unit, bytes: output })
      else this.#keepLarge(name, output)
    }
    const bytes = reportCodec.encode(report)
    const fact: ReportFact = { report: { bytes, signature: signer.sign('report', bytes) }, grants }
    const reportId = sha256(bytes)
    this.#keep(reportId, { fact, outputs, wallMs })
    try {
      await journal.append({ id: reportId, fact: reportFactCodec.encode(fact), outputs })
    } catch (error) {
      // The report still goes out, from memory; what is lost is only its survival of a crash of this worker.
      logger.error('report not kept on disk', { error: toGridError(error).message })
    }
    this.#handle({
      type: 'reportKept',
      report: {
        reportId,
        jobId,
        shard,
        units: units.filter(({ outcome }) => outcome !== 'host').map(({ unit }) => unit),
      },
      owner,
    })
  }

  #dropReport(reportId: Digest): void {
    const kept = this.#kept.get(reportId)
    this.#kept.delete(reportId)
    if (kept !== undefined) this.#keptBytes -= bytesOf(kept)
    this.#checkFull()
    this.#d.journal.remove([reportId])
  }

  #keep(reportId: Digest, kept: Kept): void {
    const known = this.#kept.get(reportId)
    this.#keptBytes += bytesOf(kept) - (known === undefined ? 0 : bytesOf(known))
    this.#kept.set(reportId, kept)
    this.#checkFull()
  }

  #keepLarge(name: string, output: Uint8Array): void {
    this.#largeBytes += output.length - (this.#large.get(name)?.length ?? 0)
    this.#large.set(name, output)
    this.#checkFull()
  }

  #dropLarge(jobId: JobId, unit: number): void {
    const name = nameOf(jobId, unit)
    const output = this.#large.get(name)
    if (output === undefined) return
    this.#large.delete(name)
    this.#largeBytes -= output.length
    this.#checkFull()
  }

  #checkFull(): void {
    // An owner that never settles anything must not fill this machine: nothing new is asked for meanwhile.
    const full = this.#largeBytes + this.#keptBytes > this.#d.options.outputBytesMax
    if (full === this.#full) return
    this.#full = full
    // Not from within an event of the core.
    queueMicrotask(() => this.#handle({ type: 'outputsFull', full }))
  }

  /** Answers of open units are for the owner that has their report, and for nobody else who asks. */
  #startUpload(owner: NodeId, fetch: Extract<OwnerMessage, { type: 'fetch' }>): void {
    const { jobId, unit } = fetch
    const name = nameOf(jobId, unit)
    if (!this.core.isReportedTo(owner, jobId, unit)) return
    if (this.#uploading.has(name) || this.#uploading.size >= UPLOADS_MAX) return
    this.#uploading.add(name)
    this.#upload(owner, fetch)
      .catch((error: unknown) => this.#d.logger.debug('output not sent', { unit, error: toGridError(error).message }))
      .finally(() => this.#uploading.delete(name))
  }

  /** Sends one large output to an owner that asked for it. */
  async #upload(
    owner: NodeId,
    { jobId, shard, unit, digest }: Extract<OwnerMessage, { type: 'fetch' }>,
  ): Promise<void> {
    const output = this.#large.get(nameOf(jobId, unit)) ?? this.#smallOutput(jobId, unit)
    const link = this.#streams.get(owner)
    if (output === undefined || link === undefined) return
    const endpoint = this.core.endpoint(owner)
    if (endpoint === undefined) return
    const stream = this.#d.transport.open(endpoint, methods.putOutput)
    stream.onMessage(() => {})
    stream.onClose((reason) => {
      if (reason !== undefined) this.#d.logger.debug('output not taken', { unit, reason: toGridError(reason).message })
    })
    for (let at = 0; at < output.length; at += CHUNK_BYTES) {
      const sent = stream.send({
        start: at === 0 ? { jobId, shard, unit, digest } : undefined,
        bytes: output.subarray(at, at + CHUNK_BYTES),
      })
      if (!sent) await stream.drained()
    }
    stream.end()
  }

  #smallOutput(jobId: JobId, unit: number): Uint8Array | undefined {
    const reportId = this.core.reportOf(jobId, unit)
    return reportId && this.#kept.get(reportId)?.outputs.find((output) => output.unit === unit)?.bytes
  }
}

/** Whether every unit of the grant is one of its shard. */
function isWithin({ shard, runs }: Grant, spec: JobSpec): boolean {
  const units = shardUnits(spec, shard)
  return runs.every(({ first, count }) => {
    const range = units.find((one) => first >= one.first && first < one.first + one.count)
    return range !== undefined && first + count <= range.first + range.count
  })
}

/** What a report takes in memory, roughly. */
function bytesOf({ fact, outputs }: Kept): number {
  const grants = fact.grants.reduce((sum, { bytes }) => sum + bytes.length, 0)
  return outputs.reduce((sum, { bytes }) => sum + bytes.length, fact.report.bytes.length + grants)
}

function nameOf(jobId: JobId, unit: number): string {
  return `${jobId}/${unit}`
}
