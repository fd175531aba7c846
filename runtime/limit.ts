/** Lets at most `most` pieces of asynchronous work run at a time; the rest wait in line, first come, first served. */
export class Limit {
  readonly #most: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(most: number) {
    this.#most = most
  }

  /** Runs `work` when there is room; settles as it does. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#most) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      // The place passes on without being given up, so that nobody slips in between.
      if (next === undefined) this.#running--
      else next()
    }
  }
}
