/** Dropped slots at the head after which the array behind a queue is cut. */
const SLACK = 1024

/** First in, first out, with a way back to the front. Unbounded: whoever fills it holds the bound. */
export class Queue<T> {
  /** Slots before the head are empty, so that what was taken is not kept alive. */
  #items: (T | undefined)[] = []
  #head = 0
  /** Returned items, the next one last. */
  #front: T[] = []

  get length(): number {
    return this.#items.length - this.#head + this.#front.length
  }

  push(item: T): void {
    this.#items.push(item)
  }

  /** Puts `items` before all others; they come out in the order given. */
  pushFront(items: readonly T[]): void {
    for (let i = items.length - 1; i >= 0; i--) this.#front.push(items[i]!)
  }

  peek(): T | undefined {
    return this.#front.length > 0 ? this.#front[this.#front.length - 1] : this.#items[this.#head]
  }

  shift(): T | undefined {
    if (this.#front.length > 0) return this.#front.pop()
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head++] = undefined
    if (this.#head === this.#items.length) {
      this.#items = []
      this.#head = 0
    } else if (this.#head >= SLACK && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** Drops all items that `keep` refuses; the order of the rest stays. */
  retain(keep: (item: T) => boolean): void {
    this.#front = this.#front.filter(keep)
    this.#items = (this.#items.slice(this.#head) as T[]).filter(keep)
    this.#head = 0
  }
}
