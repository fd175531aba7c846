import type { Millis, Timer } from '../../../runtime/clock.js'

/**
 * Events at one instant after which a run is stopped: something re-arms itself without letting time pass.
 */
const EVENTS_AT_ONE_INSTANT_MAX = 1_000_000
/** Cancelled events that may stay queued before the queue is rebuilt without them. */
const CANCELLED_MAX = 4_096

/** Held from the start: a run replaces the real timers by traps (see `guard.ts`). */
const nextTurn = setImmediate

interface Entry {
  readonly atMs: Millis
  readonly sequence: number
  /** Whose event it is, for the report of a failure. */
  readonly owner: string
  action: (() => void) | undefined
}

/** Why a run ended: its condition held, its time was up, or nothing is left that could ever happen. */
export type RunEnd = 'reached' | 'limit' | 'idle'

/**
 * Virtual time. Events run one at a time in the order of their instant, ties in the order they were scheduled.
 *
 * Between two events there is one real turn of the event loop (`setImmediate`, under a microsecond). By then every chain
 * of promises that the event set off has run to where it waits for a later event, however long it is, and rejections
 * nobody handles have been reported. So the order of promise callbacks is a function of the order of events.
 * The rule that follows for everything simulated: wait only for what comes from the simulated clock, disk and transport,
 * never for real I/O, worker threads or asynchronous crypto: they would end in a turn of their own choosing.
 */
export class Scheduler {
  #nowMs: Millis = 0
  #eventCount = 0
  #sequence = 0
  #cancelledCount = 0
  #heap: Entry[] = []
  #owner = ''
  #failure: { readonly error: unknown } | undefined
  #running = false
  #inEvent = false

  /** Virtual time since the start of the world. Unit: ms. */
  get nowMs(): Millis {
    return this.#nowMs
  }

  /** Events run so far. */
  get eventCount(): number {
    return this.#eventCount
  }

  /** Events that wait. */
  get queueLength(): number {
    return this.#heap.length - this.#cancelledCount
  }

  /** Whose event ran last. */
  get owner(): string {
    return this.#owner
  }

  /** Whether what runs now was set off by an event: its action or the promise callbacks that follow from it. */
  get inEvent(): boolean {
    return this.#inEvent
  }

  /** Runs `action` at `atMs`, or as soon as possible when that has passed. */
  at(atMs: Millis, owner: string, action: () => void): Timer {
    const entry: Entry = { atMs: Math.max(atMs, this.#nowMs), sequence: this.#sequence++, owner, action }
    this.#push(entry)
    return {
      cancel: () => {
        if (entry.action === undefined) return
        entry.action = undefined
        this.#cancelledCount++
        if (this.#cancelledCount > CANCELLED_MAX && this.#cancelledCount > this.#heap.length / 2) this.#rebuild()
      },
    }
  }

  /** Ends the run with `error` before the next event. The first error is kept. */
  fail(error: unknown): void {
    this.#failure ??= { error }
  }

  /**
   * Runs events until `until` holds (asked before each) or the next one lies after `limitMs`; time then stands at
   * `limitMs`. Rejects with the first error of an event or of {@link fail}.
   */
  run(until: () => boolean, limitMs: Millis): Promise<RunEnd> {
    if (this.#running) throw new Error('bug: the simulation already runs')
    this.#running = true
    return new Promise<RunEnd>((resolve, reject) => {
      let instantMs = -1
      let eventsAtInstant = 0
      const step = () => {
        this.#inEvent = false
        try {
          if (this.#failure) return reject(this.#failure.error)
          if (until()) return resolve('reached')
          const next = this.#peek()
          if (!next || next.atMs > limitMs) {
            if (Number.isFinite(limitMs)) this.#nowMs = Math.max(this.#nowMs, limitMs)
            return resolve(next ? 'limit' : 'idle')
          }
          this.#pop()
          eventsAtInstant = next.atMs === instantMs ? eventsAtInstant + 1 : 0
          instantMs = next.atMs
          if (eventsAtInstant > EVENTS_AT_ONE_INSTANT_MAX) throw new Error(`time stands still at ${instantMs} ms`)
          this.#nowMs = next.atMs
          this.#eventCount++
          this.#owner = next.owner
          const action = next.action!
          next.action = undefined
          this.#inEvent = true
          action()
        } catch (error) {
          this.fail(error)
        }
        nextTurn(step)
      }
      nextTurn(step)
    }).finally(() => {
      this.#running = false
    })
  }

  #peek(): Entry | undefined {
    while (this.#heap.length > 0) {
      const entry = this.#heap[0]!
      if (entry.action !== undefined) return entry
      this.#pop()
      this.#cancelledCount--
    }
    return undefined
  }

  #rebuild(): void {
    const kept = this.#heap.filter((entry) => entry.action !== undefined).sort((a, b) => (before(a, b) ? -1 : 1))
    this.#heap = kept
    this.#cancelledCount = 0
  }

  #push(entry: Entry): void {
    const heap = this.#heap
    let index = heap.length
    heap.push(entry)
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!before(entry, heap[parent]!)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = entry
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = last
  }
}

function before(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence)
}
