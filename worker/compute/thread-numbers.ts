/** Numbers for threads, from 0, that stay while a thread lives and go to the next one when it has ended. */
export class ThreadNumbers {
  readonly #living: () => readonly number[]
  readonly #numbers = new Map<number, number>()

  /** `living`: the ids of all threads there are. */
  constructor(living: () => readonly number[]) {
    this.#living = living
  }

  /** The number of a thread: the lowest that is free when it is first asked for. */
  number(threadId: number): number {
    const known = this.#numbers.get(threadId)
    if (known !== undefined) return known
    const living = new Set(this.#living())
    for (const id of this.#numbers.keys()) if (!living.has(id)) this.#numbers.delete(id)
    const taken = new Set(this.#numbers.values())
    let number = 0
    while (taken.has(number)) number++
    this.#numbers.set(threadId, number)
    return number
  }
}
