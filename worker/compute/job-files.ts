import type { Clock, Millis, Timer } from '../../runtime/clock.js'
import { GridError, toGridError } from '../../runtime/errors.js'
import type { Contents, PlacedFile } from './contents.js'

/** Files of a job without units are kept this long, in case more come. */
const IDLE_MS = 60_000

/** A job as far as its files go. absent -> loading -> here -> absent (idle); any -> gone (closed). */
export interface FileJob {
  readonly paths: readonly string[]
  files: 'absent' | 'loading' | 'here' | 'gone'
  /** What it holds while `here`. */
  contents: readonly PlacedFile[]
  /** When it last had a unit in hand; undefined while it has one. */
  idleAt: Millis | undefined
}

interface JobFilesEvents<J extends FileJob> {
  /** The child has all files of the job. */
  loaded(job: J): void
  /** They cannot be had here. */
  failed(job: J, error: GridError): void
  /** The files of a job leave the child: it must not be asked to run its units any more. */
  unloading(job: J): void
  /** Files of idle and closed jobs, so many bytes together, have left the child; told after a while without them. */
  unloaded(bytes: number): void
}

/**
 * Decides which jobs have their files in the child: loaded one job after the other when there are units, until the job is
 * closed, or is idle while another needs the room, or is idle for long. A job waits while all others are busy.
 */
export class JobFiles<J extends FileJob> {
  readonly #contents: Contents
  readonly #bytesMax: number
  readonly #clock: Clock
  readonly #events: JobFilesEvents<J>
  readonly #here = new Set<J>()
  /** Loads follow one another. */
  #chain: Promise<void> = Promise.resolve()
  #closed = false
  #freed: (() => void) | undefined
  #timer: Timer | undefined
  /** Have left and are not told yet. */
  #unloadedBytes = 0

  constructor(contents: Contents, bytesMax: number, clock: Clock, events: JobFilesEvents<J>) {
    this.#contents = contents
    this.#bytesMax = bytesMax
    this.#clock = clock
    this.#events = events
  }

  /** There is a unit of the job. */
  want(job: J): void {
    job.idleAt = undefined
    if (job.files !== 'absent') return
    job.files = 'loading'
    this.#chain = this.#chain.then(() => this.#load(job))
  }

  /** The last unit of the job has left. */
  idle(job: J): void {
    job.idleAt = this.#clock.now()
    this.#wakeLoad()
    this.#lookLater()
  }

  /** The job is closed. */
  forget(job: J): void {
    if (job.files === 'here') this.#unload(job)
    job.files = 'gone'
    this.#wakeLoad()
    this.#lookLater()
  }

  #lookLater(): void {
    if (!this.#closed) this.#timer ??= this.#clock.setTimer(IDLE_MS, () => this.#unloadIdle())
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
    this.#wakeLoad()
  }

  async #load(job: J): Promise<void> {
    const isWanted = () => !this.#closed && job.files === 'loading'
    if (!isWanted()) return
    try {
      const contents = await this.#contents.hold(job.paths, (bytes) => this.#room(bytes, isWanted))
      if (!isWanted()) {
        this.#contents.release(contents)
        return
      }
      job.contents = contents
      job.files = 'here'
      this.#here.add(job)
      this.#events.loaded(job)
    } catch (error) {
      if (!isWanted()) return
      job.files = 'absent'
      this.#events.failed(job, toGridError(error))
    }
  }

  async #room(bytes: number, isWanted: () => boolean): Promise<void> {
    while (this.#contents.bytes + bytes > this.#bytesMax) {
      const idle = this.#oldestIdle()
      if (idle !== undefined) {
        this.#unload(idle)
        continue
      }
      if (this.#here.size === 0) {
        throw new GridError('quota', `module and inputs of the job take more than ${this.#bytesMax} bytes`, {
          hint: 'raise the memory for inputs of this worker',
        })
      }
      await new Promise<void>((resolve) => {
        this.#freed = resolve
      })
      if (!isWanted()) throw new GridError('closed', 'the files are not needed any more')
    }
  }

  #wakeLoad(): void {
    this.#freed?.()
    this.#freed = undefined
  }

  #oldestIdle(): J | undefined {
    let oldest: J | undefined
    for (const job of this.#here) {
      if (job.idleAt !== undefined && (oldest === undefined || job.idleAt < oldest.idleAt!)) oldest = job
    }
    return oldest
  }

  #unload(job: J): void {
    this.#events.unloading(job)
    this.#here.delete(job)
    const before = this.#contents.bytes
    this.#contents.release(job.contents)
    this.#unloadedBytes += before - this.#contents.bytes
    job.contents = []
    job.files = 'absent'
  }

  #unloadIdle(): void {
    this.#timer = undefined
    const now = this.#clock.now()
    let nextMs = Number.POSITIVE_INFINITY
    for (const job of [...this.#here]) {
      if (job.idleAt === undefined) continue
      const leftMs = job.idleAt + IDLE_MS - now
      if (leftMs <= 0) this.#unload(job)
      else nextMs = Math.min(nextMs, leftMs)
    }
    if (nextMs < Number.POSITIVE_INFINITY) this.#timer = this.#clock.setTimer(nextMs, () => this.#unloadIdle())
    if (this.#unloadedBytes > 0) this.#events.unloaded(this.#unloadedBytes)
    this.#unloadedBytes = 0
  }
}
