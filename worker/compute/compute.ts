import type { Digest, JobId, JobSpec, Outcome } from '../../proto/model.js'
import type { Millis } from '../../runtime/clock.js'

/** A job as the compute side needs it. Its files stay readable until the job is closed; their digests are not checked here. */
export interface ComputeJob {
  readonly jobId: JobId
  readonly spec: JobSpec
  readonly inputs: readonly { readonly name: string; readonly path: string }[]
  /** The module of a spec whose task is one. */
  readonly modulePath?: string
}

/** Units of one job. `items`: bytes of the list items a unit needs; empty for generated sources. */
export interface ComputeBatch {
  readonly jobId: JobId
  readonly units: readonly { readonly unit: number; readonly items: readonly Uint8Array[] }[]
}

/** How one unit ended here. */
export interface ComputeResult {
  readonly jobId: JobId
  readonly unit: number
  readonly outcome: Outcome
  /** All zero for `host` and `wall`. */
  readonly digest: Digest
  /** Encoded `UnitOutput`; empty for `host` and `wall`. May share its buffer with outputs that came at the same time. */
  readonly output: Uint8Array
  /** Steps burnt; 0 when the thread was lost (`memory`, `wall`, `host`). */
  readonly fuel: bigint
  /** Time the unit ran, time in which the whole process was stopped not counted. Unit: ms. */
  readonly wallMs: number
}

/** A unit being computed. */
export interface UnitOnThread {
  readonly jobId: JobId
  readonly unit: number
  /** Steps burnt so far, at most a fraction of a second old. */
  readonly fuel: bigint
  /** The thread it runs on, from 0. */
  readonly thread: number
  /** Time it has run, stops not counted; 0: it has just begun. Unit: ms. */
  readonly ranMs: Millis
}

/** A unit that ran for less than this when it was looked at is brief: its owners are not told how far it is. Unit: ms. */
export const BRIEF_MS = 200

/**
 * Everything a worker may do with processors. Versions: a child process with threads (`supervise.ts`) and the simulator's
 * (`in-process.ts`). Each queued unit gives exactly one result, unless it is aborted or its job is closed first.
 */
export interface Compute {
  readonly threads: number
  /** Makes a job known. Repeating it is harmless. */
  openJob(job: ComputeJob): void
  /** Forgets a job; its units are aborted. Unknown jobs are ignored. */
  closeJob(jobId: JobId): void
  /**
   * Queues units of an open job; a unit that is queued already is ignored. Jobs share the threads in the order in which
   * units came. Throws GridError `notFound` for a job that is not open, `quota` above `QUEUED_UNITS_MAX` units and
   * `closed` after {@link close}.
   */
  run(batch: ComputeBatch): void
  /** Drops units (all of the job without `units`): no result is given for them from now on. */
  abort(jobId: JobId, units?: readonly number[]): void
  /** Sets who gets results; the order is not promised. */
  onResults(handler: (results: readonly ComputeResult[]) => void): void
  /** Sets who is told, about once a second, what all threads that are busy do. Nothing is told while none is. */
  onProgress(handler: (running: readonly UnitOnThread[]) => void): void
  /** Stops all computing at once. Throws GridError `unsupported` where the platform cannot. Safe to call twice. */
  pause(): void
  /** Undoes {@link pause}. Safe to call twice. */
  resume(): void
  /** Other threads and another heap for each, at once: units that were begun are begun anew. Range of threads: from 1. */
  reshape(threads: number, memoryBytes: number): void
  /** Processor time that the compute process took since it started; undefined: unknown, or there is none. Unit: ms. */
  cpuMs(): Millis | undefined
  /** Process id of a compute process that somebody else has stopped; undefined: nobody has, or the platform does not tell. */
  stoppedPid?(): number | undefined
  /** Ends everything; units in hand give no result. Safe to call twice. */
  close(): Promise<void>
}

/** Units that may wait in one {@link Compute}, running ones included. */
export const QUEUED_UNITS_MAX = 1_000_000

/** Modules and shared inputs that a {@link Compute} holds at a time unless told otherwise. Unit: bytes. */
export const CONTENT_BYTES_MAX = 2 ** 30
