import type { BlobRef, JobId, NodeId, PublicKey } from '../../proto/model.js'
import { type Millis, pause } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import { jitter } from '../../runtime/jitter.js'
import type { Endpoint } from '../../runtime/transport.js'
import type { Compute } from '../../worker/compute/compute.js'
import { endHolds, jobEnd } from '../follow/job-end.js'
import type { GridClient, KnownJob } from '../session/session.js'
import { readJobRecords } from '../submit/job-records.js'
import { mayRule } from '../submit/orders.js'
import { Auditor } from './audit.js'
import type { FetchedFile } from './replay-material.js'

interface JudgeOptions {
  /** Whose jobs are judged, where they name this key. At most {@link SUBMITTERS_MAX}. */
  readonly submitters: readonly PublicKey[]
  /** Threads for so many units of a job with such a limit of memory; closed when the job is left. */
  readonly startCompute: (units: number, memoryBytes: number) => Compute
  /** A folder for the files of one job, and how it is removed. */
  readonly openFolder: (jobId: JobId) => Promise<{
    readonly createFile: (blob: BlobRef) => Promise<FetchedFile>
    readonly remove: () => Promise<void>
  }>
  /** Time between two looks for jobs. Default 30 s. */
  readonly periodMs?: Millis
}

/** Submitters that one judge serves. */
const SUBMITTERS_MAX = 64
/** Jobs that are judged at one time; the others wait until one of these has ended. */
const JOBS_MAX = 8
const PERIOD_MS: Millis = 30_000
/** Rounds that find nothing more, after the end of a job, before it is left alone. */
const QUIET_ROUNDS = 2

interface Case {
  readonly auditor: Auditor
  readonly remove: () => Promise<void>
  quiet: number
}

/**
 * Judges the jobs of some submitters that name this key: replays what `submit --wait` would, so that the submitter's machine may
 * be off. Looks for jobs in the submitters' records. Nobody else's jobs are looked at: naming a key must not make its machine
 * work.
 */
export class Judge {
  readonly #client: GridClient
  readonly #options: JudgeOptions
  readonly #cases = new Map<JobId, Case>()
  readonly #left = new Set<JobId>()

  constructor(client: GridClient, options: JudgeOptions) {
    if (options.submitters.length > SUBMITTERS_MAX)
      throw new GridError('invalid', `a judge serves at most ${SUBMITTERS_MAX} submitters`)
    this.#client = client
    this.#options = options
  }

  /** Jobs being judged. */
  get jobs(): readonly JobId[] {
    return [...this.#cases.keys()]
  }

  /** Judges until `signal` aborts. What fails is tried again. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#client.parts
    while (!signal.aborted) {
      await this.round(signal)
      await pause(clock, jitter(random, this.#options.periodMs ?? PERIOD_MS, 0.2), signal)
    }
    await this.close()
  }

  /** Looks for jobs and at each once. Never rejects. */
  async round(signal: AbortSignal): Promise<void> {
    await this.#find(signal)
    for (const [jobId, one] of [...this.#cases]) {
      if (signal.aborted) return
      try {
        if (await this.#judge(jobId, one, signal)) await this.#leave(jobId)
      } catch (error) {
        if (signal.aborted) return
        const { code, message } = toGridError(error)
        this.#client.parts.logger.warn('job not judged for now', { jobId, reason: message })
        if (code === 'notFound' || code === 'expired' || code === 'forbidden') await this.#leave(jobId)
      }
    }
  }

  async close(): Promise<void> {
    for (const jobId of [...this.#cases.keys()]) await this.#leave(jobId)
  }

  async #find(signal: AbortSignal): Promise<void> {
    const { overlay, sha256, logger } = this.#client.parts
    const listed = new Set<JobId>()
    for (const submitter of this.#options.submitters) {
      try {
        for (const jobId of await readJobRecords(overlay, sha256, submitter)) listed.add(jobId)
      } catch (error) {
        logger.debug('jobs of a submitter not found', { submitter, reason: toGridError(error).message })
        for (const jobId of this.#left) listed.add(jobId)
      }
    }
    // What is listed no more will not come back.
    for (const jobId of this.#left) if (!listed.has(jobId)) this.#left.delete(jobId)
    for (const jobId of listed) {
      if (signal.aborted || this.#cases.size >= JOBS_MAX) return
      if (this.#left.has(jobId) || this.#cases.has(jobId)) continue
      const job = await this.#client.job(jobId, { signal }).catch((error: unknown) => toGridError(error))
      if (job instanceof GridError) {
        if (!job.retryable) this.#left.add(jobId)
      } else if (!mayRule(this.#client, job) || !this.#options.submitters.includes(job.spec.submitter)) {
        this.#left.add(jobId)
      } else await this.#open(job)
    }
  }

  async #open(job: KnownJob): Promise<void> {
    const { jobId, spec } = job
    const { createFile, remove } = await this.#options.openFolder(jobId)
    const { startCompute } = this.#options
    const auditor = new Auditor(this.#client, job, {
      createFile,
      startCompute: (units) => startCompute(units, spec.limits.memoryBytes),
    })
    this.#cases.set(jobId, { auditor, remove, quiet: 0 })
    this.#client.parts.logger.info('judging a job', { jobId })
  }

  /** Whether nothing is left to be judged. */
  async #judge(jobId: JobId, one: Case, signal: AbortSignal): Promise<boolean> {
    const { clock, logger } = this.#client.parts
    let from: NodeId | undefined
    const onFrom = ({ nodeId }: Endpoint) => {
      from = nodeId
    }
    const { summary } = await this.#client.show(jobId, false, { signal, onFrom })
    const { job } = one.auditor
    const end = jobEnd(job, summary, clock.wallMs())
    const hasEnded = end !== undefined && (await endHolds(this.#client, { job, summary, end, from: from! }, signal))
    const foundFalse = await one.auditor.round(hasEnded, signal)
    if (foundFalse) {
      const { wrong, convicted, dismissed } = one.auditor.findings
      logger.warn('false answers found', { jobId, units: wrong.length, convicted, dismissed })
    }
    one.quiet = hasEnded && !foundFalse ? one.quiet + 1 : 0
    return one.quiet >= QUIET_ROUNDS
  }

  async #leave(jobId: JobId): Promise<void> {
    const one = this.#cases.get(jobId)
    if (one === undefined) return
    this.#cases.delete(jobId)
    this.#left.add(jobId)
    await one.auditor.close()
    await one.remove().catch((error: unknown) => {
      this.#client.parts.logger.warn('files of a judged job are left', { jobId, reason: toGridError(error).message })
    })
  }
}
