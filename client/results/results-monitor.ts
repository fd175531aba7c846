import type { JobId, Summary } from '../../proto/model.js'
import type { Millis, Timer } from '../../runtime/clock.js'
import { toGridError } from '../../runtime/errors.js'
import { type JobProgress, watchJob } from '../follow/watch.js'
import type { GridClient } from '../session/session.js'

/** Time in which the owners of a finished job end their streams by themselves. Unit: ms. */
const FINISH_MS: Millis = 3_000

interface MonitorOptions {
  readonly withShards: boolean
  readonly signal: AbortSignal
  readonly onProgress?: (progress: JobProgress) => void
}

/** Watches a job whose results are followed, and says when waiting for a shard, or for all, is in vain. */
export class ResultsMonitor {
  readonly #client: GridClient
  readonly #stops = new Map<number, AbortController>()
  readonly #waiting = new Set<() => void>()
  readonly #close = new AbortController()
  readonly #onAbort = () => this.close()
  readonly #signal: AbortSignal
  #ended = false
  #stopped = false
  #timer: Timer | undefined

  constructor(client: GridClient, jobId: JobId, { withShards, signal, onProgress }: MonitorOptions) {
    this.#client = client
    this.#signal = signal
    signal.addEventListener('abort', this.#onAbort, { once: true })
    if (signal.aborted) this.#close.abort()
    void this.#watch(jobId, withShards, onProgress)
  }

  /** The job has ended: what is not settled now will not be. */
  get ended(): boolean {
    return this.#ended
  }

  /** Aborts `stop` once nothing of the shard can settle any more. Returns how to undo this. */
  watch(shard: number, stop: AbortController): () => void {
    this.#stops.set(shard, stop)
    if (this.#stopped) stop.abort()
    return () => this.#stops.delete(shard)
  }

  /** Resolves at the next news of the job, and once it has ended or the monitor is closed. */
  nextLook(): Promise<void> {
    if (this.#ended || this.#close.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.add(resolve))
  }

  close(): void {
    this.#close.abort()
    this.#timer?.cancel()
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#stopAll()
  }

  async #watch(
    jobId: JobId,
    withShards: boolean,
    onProgress: ((progress: JobProgress) => void) | undefined,
  ): Promise<void> {
    try {
      for await (const progress of watchJob(this.#client, jobId, { withShards, signal: this.#close.signal })) {
        onProgress?.(progress)
        for (const { shard, summary } of progress.shards) if (isStuck(summary)) this.#stops.get(shard)?.abort()
        this.#ended = progress.end !== undefined
        if (progress.end === 'finished') {
          this.#timer = this.#client.parts.clock.setTimer(FINISH_MS, () => this.#stopAll())
          this.#wake()
        } else if (progress.end !== undefined) this.#stopAll()
        else this.#wake()
      }
    } catch (error) {
      if (this.#close.signal.aborted) return
      // Nobody tells any more whether the job goes on: what there is now is all that can be had.
      this.#client.parts.logger.warn('job cannot be watched', { jobId, reason: toGridError(error).message })
      this.#ended = true
      this.#stopAll()
    }
  }

  #stopAll(): void {
    this.#stopped = true
    for (const stop of this.#stops.values()) stop.abort()
    this.#wake()
  }

  #wake(): void {
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

/** Nothing is open, being computed, accepted or disputed: what remains is held. */
function isStuck({ units, settled, failed, held }: Summary): boolean {
  return held > 0 && settled + failed + held === units
}
