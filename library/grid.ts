import { checkFirstUnit } from '../client/replay/built-units.js'
import type { Pins } from '../client/session/pins.js'
import type { GridClient } from '../client/session/session.js'
import { buildJob } from '../client/submit/job-builder.js'
import type { JobList, ListedJob } from '../client/submit/job-list.js'
import { submitJob, type UploadProgress } from '../client/submit/submit.js'
import type { Network } from '../overlay/identity/network.js'
import type { GridProcess } from '../process/compose.js'
import type { JobId, PublicKey } from '../proto/model.js'
import { systemClock } from '../runtime/clock.js'
import { GridError } from '../runtime/errors.js'
import { sha256 } from '../runtime/hash.js'
import { systemRandom } from '../runtime/random.js'
import { stopOfMany } from '../runtime/stop.js'
import { GridJob } from './grid-job.js'
import { openRequest } from './request.js'
import { linkedSignal } from './signals.js'
import type { SubmitRequest } from './submit-request.js'

/** A job of the list that this machine keeps. */
export type GridJobEntry = ListedJob

/** What {@link Grid.submit} takes besides the job. */
export interface SubmitOptions {
  /** Gives up; what was uploaded is kept by the peers for a while, and an upload of the same content goes on from there. */
  readonly signal?: AbortSignal
  /** Told of uploads of programs and inputs. */
  readonly onUpload?: (progress: UploadProgress) => void
}

/** What a connection is made of. */
export interface GridParts {
  readonly process: GridProcess
  readonly network: Network
  readonly list: JobList
  readonly pins: Pins
}

/** A connection to a network, made by `connect`. Holds the process open until it is closed. */
export class Grid {
  readonly #parts: GridParts
  readonly #client: GridClient
  readonly #closing = stopOfMany()

  /** Use `connect`. */
  constructor(parts: GridParts) {
    this.#parts = parts
    this.#client = parts.process.client()
  }

  /** The key that signs jobs submitted here, as 64 hex digits. */
  get key(): PublicKey {
    return this.#client.parts.signer.publicKey
  }

  /** Name of the network. */
  get network(): string {
    return this.#parts.network.name
  }

  /**
   * Builds a job, uploads what it needs and gives it to its home; resolves once the home has it on disk. The job goes on whatever
   * becomes of this process. Rejects with GridError: `invalid` for a request that makes no sense, or a program that the sandbox
   * refuses; `quota`, `unreachable`, `closed`.
   */
  async submit(request: SubmitRequest, { signal, onUpload }: SubmitOptions = {}): Promise<GridJob> {
    this.#checkOpen()
    const link = linkedSignal(this.#closing.signal, signal)
    const opened = await openRequest(request)
    try {
      const { overlay } = this.#client.parts
      const built = await buildJob(opened.request, {
        sha256,
        random: systemRandom,
        nowMs: systemClock.wallMs(),
        network: this.network,
        submitter: this.key,
        peers: await overlay.estimatePeers(),
        shardOwners: await this.#client.ownersHere(),
      })
      if (opened.task !== undefined) await checkFirstUnit(opened.task, built, opened.request.inputs ?? [])
      const { jobId } = await submitJob(this.#client, built, {
        list: this.#parts.list,
        summary: opened.summary,
        signal: link.signal,
        ...(onUpload ? { onUpload } : {}),
      })
      return await this.job(jobId)
    } finally {
      link.release()
      await opened.close()
    }
  }

  /**
   * A job by its id, by a unique prefix of 4 or more digits of a job submitted from this machine, or `last`. Its signed spec is fetched and
   * checked. Rejects with GridError `invalid`, `notFound`, `expired`, `unreachable`.
   */
  async job(id: string): Promise<GridJob> {
    this.#checkOpen()
    if (typeof id !== 'string') throw new GridError('invalid', `a job id is a text, not ${typeof id}`)
    const jobId: JobId = await this.#parts.list.resolve(id)
    const known = await this.#client.job(jobId, { signal: this.#closing.signal })
    return new GridJob(known, {
      client: this.#client,
      list: this.#parts.list,
      pins: this.#parts.pins,
      closing: this.#closing.signal,
    })
  }

  /** Jobs submitted from this machine, newest first, ended ones included; nobody is asked. */
  jobs(): Promise<readonly GridJobEntry[]> {
    return this.#parts.list.all()
  }

  /** Ends the connection; iterations and waits under way reject with GridError `closed`. Jobs go on. Safe to call twice. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#parts.process.close()
  }

  #checkOpen(): void {
    if (this.#closing.signal.aborted) throw new GridError('closed', 'the connection was closed')
  }
}
