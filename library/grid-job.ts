import { type JobProgress, waitJobs, watchJob } from '../client/follow/watch.js'
import { reduceAnswers } from '../client/results/reduce.js'
import type { Pins } from '../client/session/pins.js'
import type { GridClient, KnownJob } from '../client/session/session.js'
import type { JobList } from '../client/submit/job-list.js'
import { type Amendment, amendJob, cancelJob, type RetryChanges, retryJobs } from '../client/submit/orders.js'
import { submitJob } from '../client/submit/submit.js'
import { count } from '../job/units/selection.js'
import { unitCount } from '../job/units/unit-source.js'
import type { JobId, JobSpec } from '../proto/model.js'
import type { Millis } from '../runtime/clock.js'
import { GridError } from '../runtime/errors.js'
import { taskRegistry } from '../tasks/registry.js'
import { Results, type ResultsOptions } from './results.js'
import { linkedSignal } from './signals.js'

/** How {@link GridJob.wait} waits. */
export interface WaitOptions {
  /** Give up after this time. Unit: ms. Default: never. */
  readonly timeoutMs?: Millis
  /** Told of each look, at most four times a second. */
  readonly onProgress?: (progress: JobProgress) => void
  readonly signal?: AbortSignal
}

/** The result of a whole job: what its task makes of the outputs, or the outputs one after another in unit order. */
export interface JobResult {
  readonly bytes: Uint8Array
  /** Files that the task made, by name. */
  readonly files: ReadonlyMap<string, Uint8Array>
  /** Units that have a result, and units that failed for good. */
  readonly done: number
  readonly failed: number
  text(): string
}

/** What a job needs of its connection. */
export interface GridJobParts {
  readonly client: GridClient
  readonly list: JobList
  readonly pins: Pins
  readonly closing: AbortSignal
}

/** Largest result that {@link GridJob.result} puts together in memory. Unit: bytes. */
const RESULT_BYTES_MAX = 1024 * 1024 * 1024

/** A job of the network, submitted here or looked up. Holds nothing open. */
export class GridJob {
  readonly #job: KnownJob
  readonly #parts: GridJobParts

  /** Use `Grid.submit` or `Grid.job`. */
  constructor(job: KnownJob, parts: GridJobParts) {
    this.#job = job
    this.#parts = parts
  }

  get id(): JobId {
    return this.#job.jobId
  }

  /** The signed description of the job. */
  get spec(): JobSpec {
    return this.#job.spec
  }

  /** Units that are to be computed. */
  get units(): number {
    const { selection } = this.spec
    return selection.length === 0 ? unitCount(this.spec) : count(selection)
  }

  /** Results as they settle, or in order; see {@link Results}. */
  results(options: ResultsOptions = {}): Results {
    const { client, pins, closing } = this.#parts
    return new Results(client, this.#job, pins, closing, options)
  }

  /**
   * Waits for all results and puts them together as the task does it (`primes`: one number), or one after another. Rejects with
   * GridError `unavailable` when results are missing once the job has ended, `quota` above 1 GiB, else as {@link results}.
   */
  async result(options: Pick<ResultsOptions, 'onProgress' | 'signal'> = {}): Promise<JobResult> {
    const { task } = this.spec
    const found = task.type === 'builtin' ? taskRegistry.find(task.name, task.version) : undefined
    const results = this.results({ ...options, order: 'unit' })
    const parts: Uint8Array[] = []
    let size = 0
    const { files, done, failed } = await reduceAnswers(results.answers(), found, this.spec, {
      write: (bytes) => {
        size += bytes.length
        if (size > RESULT_BYTES_MAX)
          throw new GridError('quota', 'the result is larger than 1 GiB: iterate results() instead')
        parts.push(bytes)
      },
    })
    const { missingCount, missing } = results.summary
    if (missingCount > 0) {
      const reasons = missing.map(({ reason, count: units }) => `${units} ${reason}`).join(', ')
      throw new GridError('unavailable', `${missingCount} units have no result: ${reasons}`)
    }
    const bytes = Buffer.concat(parts)
    return { bytes, files, done, failed, text: () => bytes.toString() }
  }

  /**
   * Looks at the job as it changes, until it has ended; the last look has `end`. Counts are what its home says, only results prove
   * anything. Throws GridError as `Grid.job`, `closed` when aborted.
   */
  async *progress(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<JobProgress, void, undefined> {
    const link = linkedSignal(this.#parts.closing, options.signal)
    try {
      yield* watchJob(this.#parts.client, this.id, { signal: link.signal })
    } finally {
      link.release()
    }
  }

  /**
   * Resolves to the last look once the job has ended, well or not: see its `end` and `summary`. Rejects with GridError `timeout`
   * after `timeoutMs`, `closed` when aborted, else as `Grid.job`.
   */
  async wait({ timeoutMs, onProgress, signal }: WaitOptions = {}): Promise<JobProgress> {
    const link = linkedSignal(this.#parts.closing, signal)
    try {
      const [waited] = await waitJobs(this.#parts.client, [this.id], {
        signal: link.signal,
        ...(timeoutMs === undefined ? {} : { timeoutMs }),
        ...(onProgress ? { onProgress } : {}),
      })
      if (waited!.end instanceof GridError) throw waited!.end
      if (waited!.end === 'timeout' || waited!.progress === undefined)
        throw new GridError('timeout', `the job has not ended within ${timeoutMs} ms`)
      return waited!.progress
    } finally {
      link.release()
    }
  }

  /** Stops the job for good; what is settled stays until it expires. Rejects with GridError `forbidden` for a job of another key. */
  async cancel(): Promise<void> {
    await cancelJob(this.#parts.client, this.id, { signal: this.#parts.closing })
  }

  /** Lets it live longer, or changes its priority among one's own. Rejects as {@link cancel}. */
  async amend(amendment: Amendment): Promise<void> {
    await amendJob(this.#parts.client, this.id, amendment, { signal: this.#parts.closing })
  }

  /**
   * Submits the failed and held units again, with changed limits if wanted: one new job, more for very many scattered units. Rejects
   * with GridError `notFound` when no unit failed, else as `Grid.submit`.
   */
  async retry(changes: RetryChanges = {}): Promise<readonly GridJob[]> {
    const { client, list, closing } = this.#parts
    const retried: GridJob[] = []
    for (const built of await retryJobs(client, this.id, changes, { signal: closing })) {
      const { jobId } = await submitJob(client, built, { list, summary: `retry of ${this.id.slice(0, 8)}` })
      retried.push(new GridJob(await client.job(jobId, { signal: closing }), this.#parts))
    }
    return retried
  }
}
