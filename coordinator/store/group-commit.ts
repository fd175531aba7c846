import { GridError, toGridError } from '../../runtime/errors.js'
import type { Store, Write } from './store.js'

/** Most writes of one group: keeps the pause of the event loop for one commit in the low milliseconds. */
export const GROUP_WRITES_MAX = 512
/** Most bytes of one group. */
export const GROUP_BYTES_MAX = 4 * 2 ** 20
/** Bytes waiting above which {@link GroupCommit.congested} asks callers to hold back. */
const QUEUE_BYTES_HIGH = 8 * 2 ** 20
/** Writes waiting above which {@link GroupCommit.congested} asks callers to hold back. */
export const QUEUE_WRITES_HIGH = 4 * GROUP_WRITES_MAX
/** Bytes waiting above which more are refused, because callers ignored the signal. */
const QUEUE_BYTES_MAX = 4 * QUEUE_BYTES_HIGH
/** Writes waiting above which more are refused. */
export const QUEUE_WRITES_MAX = 4 * QUEUE_WRITES_HIGH

interface Waiting {
  readonly writes: readonly Write[]
  readonly bytes: number
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Lets many callers share one fsync: their writes wait while a group is being committed and become the next group, in
 * the order they came. A caller's writes stay together in one group. The commit that starts is always the oldest.
 */
export class GroupCommit {
  readonly #store: Pick<Store, 'commit'>
  readonly #schedule: (run: () => void) => void
  readonly #onFailing: (reason?: unknown) => void
  #isFailing = false
  #queue: Waiting[] = []
  #queuedWrites = 0
  #queuedBytes = 0
  #scheduled = false
  #running = false
  #relieved: (() => void)[] = []

  /**
   * `schedule` calls back after the events at hand, so that their writes share a group: `setImmediate`, or a turn of the
   * simulator. `onFailing` is told once why nothing can be written any more, and once, without a reason, that it can again.
   */
  constructor(
    store: Pick<Store, 'commit'>,
    schedule: (run: () => void) => void,
    onFailing: (reason?: unknown) => void = () => {},
  ) {
    this.#store = store
    this.#schedule = schedule
    this.#onFailing = onFailing
  }

  /**
   * Resolves once `writes` are durable. Rejects as `Store.commit` does, for every caller of the group; and with GridError
   * `unavailable` at once when far more waits than {@link congested} allows.
   */
  commit(writes: readonly Write[]): Promise<void> {
    if (writes.length === 0) return Promise.resolve()
    if (this.#queuedWrites > QUEUE_WRITES_MAX || this.#queuedBytes > QUEUE_BYTES_MAX) {
      return Promise.reject(new GridError('unavailable', 'too much waits to be written to disk'))
    }
    return new Promise((resolve, reject) => {
      const bytes = writes.reduce((sum, write) => sum + sizeOf(write), 0)
      this.#queue.push({ writes, bytes, resolve, reject })
      this.#queuedWrites += writes.length
      this.#queuedBytes += bytes
      this.#wake()
    })
  }

  /** What waits for the disk. */
  get queued(): { readonly writes: number; readonly bytes: number } {
    return { writes: this.#queuedWrites, bytes: this.#queuedBytes }
  }

  /** Whether callers should stop taking in more until {@link drained}. */
  get congested(): boolean {
    return this.#queuedWrites > QUEUE_WRITES_HIGH || this.#queuedBytes > QUEUE_BYTES_HIGH
  }

  /** Resolves once the queue is no longer congested. Never rejects. */
  drained(): Promise<void> {
    return this.congested ? new Promise((resolve) => this.#relieved.push(resolve)) : Promise.resolve()
  }

  #wake(): void {
    if (this.#scheduled || this.#running || this.#queue.length === 0) return
    this.#scheduled = true
    this.#schedule(() => {
      this.#scheduled = false
      void this.#commitGroup()
    })
  }

  async #commitGroup(): Promise<void> {
    const group = this.#takeGroup()
    this.#running = true
    try {
      await this.#store.commit(group.length === 1 ? group[0]!.writes : group.flatMap(({ writes }) => writes))
      for (const { resolve } of group) resolve()
      if (this.#isFailing) this.#onFailing()
      this.#isFailing = false
    } catch (error) {
      for (const { reject } of group) reject(error)
      // A store that this process has closed is on its way out, not failing.
      if (toGridError(error).code === 'closed') return
      if (!this.#isFailing) this.#onFailing(error)
      this.#isFailing = true
    } finally {
      this.#running = false
      this.#wake()
    }
  }

  #takeGroup(): Waiting[] {
    let count = 0
    let writes = 0
    let bytes = 0
    for (const next of this.#queue) {
      if (count > 0 && (writes + next.writes.length > GROUP_WRITES_MAX || bytes + next.bytes > GROUP_BYTES_MAX)) break
      count++
      writes += next.writes.length
      bytes += next.bytes
    }
    this.#queuedWrites -= writes
    this.#queuedBytes -= bytes
    if (!this.congested) for (const relieve of this.#relieved.splice(0)) relieve()
    return this.#queue.splice(0, count)
  }
}

/** Bytes that a write carries, roughly: for bounds on memory. */
function sizeOf(write: Write): number {
  switch (write.type) {
    case 'fact':
      return write.outputs.reduce((sum, { bytes }) => sum + bytes.length, write.fact.length)
    case 'smallOutputs':
      return write.outputs.reduce((sum, { bytes }) => sum + bytes.length, 0)
    case 'spec':
      return write.spec.bytes.length
    case 'order':
      return write.order.bytes.length
    case 'meta':
      return write.value.length
    default:
      return 0
  }
}
