import type { Millis } from '../../runtime/clock.js'

interface Entry {
  readonly at: Millis
  readonly order: number
  readonly action: () => void
}

/**
 * Virtual time: actions in the order of their instants, and of equal instants in the order in which they were planned. A
 * binary heap; half a million actions take under a second.
 */
export class Timeline {
  now: Millis = 0
  readonly #heap: Entry[] = []
  #order = 0

  /** Plans `action` for the instant `at`, or for now if that has passed. */
  at(at: Millis, action: () => void): void {
    const entry = { at: Math.max(at, this.now), order: this.#order++, action }
    const heap = this.#heap
    let place = heap.length
    heap.push(entry)
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (isBefore(heap[parent]!, entry)) break
      heap[place] = heap[parent]!
      place = parent
    }
    heap[place] = entry
  }

  /** Plans `action` for `ms` from now. */
  after(ms: Millis, action: () => void): void {
    this.at(this.now + ms, action)
  }

  /** Runs until `isOver`, asked after each action, or until there is nothing left or `until` has passed. */
  run(until: Millis, isOver: () => boolean): void {
    for (let entry = this.#next(); entry !== undefined && entry.at <= until; entry = this.#next()) {
      this.now = entry.at
      entry.action()
      if (isOver()) return
    }
  }

  #next(): Entry | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (isBefore(last, heap[child]!)) break
      heap[place] = heap[child]!
      place = child
    }
    heap[place] = last
    return top
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
