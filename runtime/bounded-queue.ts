/**
 * A bounded queue between one producer and one consumer that wait for each other. Weights are whatever the two agree on,
 * bytes as a rule; an item heavier than the whole bound passes alone.
 */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #weightMax: number
  /** What was taken leaves an empty slot, so that nothing of it is held until the array is cut. */
  readonly #items: ({ readonly item: T; readonly weight: number } | undefined)[] = []
  #head = 0
  #weight = 0
  #ended = false
  #error: unknown
  #stopped = false
  #wakeProducer: (() => void) | undefined
  #wakeConsumer: (() => void) | undefined

  constructor(weightMax: number) {
    this.#weightMax = weightMax
  }

  /** Whether the consumer has gone: nothing pushed is seen any more. */
  get stopped(): boolean {
    return this.#stopped
  }

  /** Queues an item; resolves when there is room for the next one. False: the consumer has gone. */
  async push(item: T, weight: number): Promise<boolean> {
    if (this.#stopped) return false
    this.#items.push({ item, weight })
    this.#weight += weight
    this.#wakeConsumer?.()
    while (this.#weight > this.#weightMax && !this.#stopped) {
      await new Promise<void>((resolve) => {
        this.#wakeProducer = resolve
      })
    }
    return !this.#stopped
  }

  /** No more items; the consumer gets `error`, if any, after those queued. Safe to call twice: the first one counts. */
  end(error?: unknown): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#wakeConsumer?.()
  }

  /** The consumer goes: what is queued is dropped, the producer is let go. */
  stop(): void {
    this.#stopped = true
    this.#items.length = 0
    this.#head = 0
    this.#wakeProducer?.()
    this.#wakeConsumer?.()
  }

  /** The next item; undefined at the end. Throws what {@link end} was given. */
  async next(): Promise<T | undefined> {
    while (!this.#stopped) {
      const entry = this.#items[this.#head]
      if (entry !== undefined) {
        this.#items[this.#head++] = undefined
        this.#weight -= entry.weight
        if (this.#head === this.#items.length || this.#head > 1_024) {
          this.#items.splice(0, this.#head)
          this.#head = 0
        }
        if (this.#weight <= this.#weightMax) this.#wakeProducer?.()
        return entry.item
      }
      if (this.#ended) {
        if (this.#error !== undefined) throw this.#error
        return undefined
      }
      await new Promise<void>((resolve) => {
        this.#wakeConsumer = resolve
      })
    }
    return undefined
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const item = await this.next()
        if (item === undefined) return
        yield item
      }
    } finally {
      this.stop()
    }
  }
}
