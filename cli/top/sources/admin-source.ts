import type { LogEntry, ProcessState } from '../../../proto/admin-messages.js'
import { type Clock, type Millis, pause } from '../../../runtime/clock.js'
import { GridError, toGridError } from '../../../runtime/errors.js'
import type { TopEvent } from '../core/messages.js'

/** What the dashboard asks of the process that runs on this data directory. */
export interface AdminSource {
  /** Hands on each state, no more often than `everyMs`, until `signal` aborts. Rejects when the process is gone. */
  watch(everyMs: Millis, onState: (state: ProcessState) => void, signal: AbortSignal): Promise<void>
  /** Hands on the last `past` entries and then each new one, until `signal` aborts. Rejects when the process is gone. */
  log(past: number, onEntry: (entry: LogEntry) => void, signal: AbortSignal): Promise<void>
  /** Stops computing until {@link resume}. */
  pause(): Promise<void>
  resume(): Promise<void>
  close(): void
}

/** Least time between two states of the process. Unit: ms. */
const STATE_EVERY_MS: Millis = 500
/** Entries of the past that are shown. */
const PAST_ENTRIES = 200
/** How often a process is looked for where there is none. Unit: ms. */
const LOOK_MS: Millis = 3_000

interface AdminFollowing {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Opens the socket of the process that runs now. Rejects with GridError when there is none. */
  open(): Promise<AdminSource>
  emit(event: TopEvent): void
}

/** Follows the process of this machine, and looks for the next one when it has ended. Does what `pause` and `resume` ask. */
export class AdminFollower {
  readonly #c: AdminFollowing
  #source: AdminSource | undefined
  /** The newest entry handed on: a new stream begins with what was seen before. */
  #lastAtMs = 0

  constructor(context: AdminFollowing) {
    this.#c = context
  }

  /** Resolves when the signal aborts. Never rejects. */
  async run(): Promise<void> {
    const { clock, signal, open, emit } = this.#c
    while (!signal.aborted) {
      const stop = new AbortController()
      const onAbort = () => stop.abort()
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        const source = await open()
        this.#source = source
        await Promise.race([
          source.watch(STATE_EVERY_MS, (machine) => emit({ type: 'processSeen', machine }), stop.signal),
          source.log(PAST_ENTRIES, (entry) => this.#logged(entry), stop.signal),
        ])
      } catch (error) {
        if (!signal.aborted) emit({ type: 'processGone', reason: toGridError(error).message })
      } finally {
        stop.abort()
        signal.removeEventListener('abort', onAbort)
        this.#source?.close()
        this.#source = undefined
      }
      await pause(clock, LOOK_MS, signal)
    }
  }

  /** Rejects with GridError when no process runs, or it refuses. */
  async act(what: 'pause' | 'resume'): Promise<void> {
    if (this.#source === undefined) throw new GridError('notFound', 'no process runs on this data directory')
    await this.#source[what]()
  }

  #logged(entry: LogEntry): void {
    if (entry.atMs < this.#lastAtMs) return
    this.#lastAtMs = entry.atMs
    this.#c.emit({ type: 'logged', entry })
  }
}
