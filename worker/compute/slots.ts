/** Words of 32 bits a slot: state, thread, position, unused, and two for the fuel. */
const WORDS = 6

/** Beside a position: the batch ends with the unit there. */
const CUT = 1 << 30

const STATE = { free: 0, waiting: 1, running: 2, takenBack: 3 } as const

/**
 * Where the batches handed to threads stand, in memory that the pool and its threads share: what a thread cannot say by
 * message while it computes, and what is left to read when it has died.
 *
 * free -> waiting (pool hands the batch over) -> running (a thread claims it) or takenBack (the pool was first) -> free.
 */
export class Slots {
  readonly buffer: SharedArrayBuffer
  readonly count: number
  readonly #words: Int32Array
  readonly #fuel: BigInt64Array

  /** Opens the memory of another thread, or makes some for `source` slots. */
  constructor(source: number | SharedArrayBuffer) {
    this.buffer = typeof source === 'number' ? new SharedArrayBuffer(source * WORDS * 4) : source
    this.count = this.buffer.byteLength / (WORDS * 4)
    this.#words = new Int32Array(this.buffer)
    this.#fuel = new BigInt64Array(this.buffer)
  }

  /** Pool: a free slot that is now waiting, or undefined when all are in use. */
  take(): number | undefined {
    for (let slot = 0; slot < this.count; slot++) {
      if (Atomics.compareExchange(this.#words, slot * WORDS, STATE.free, STATE.waiting) !== STATE.free) continue
      Atomics.store(this.#words, slot * WORDS + 2, 0)
      Atomics.store(this.#fuel, (slot * WORDS) / 2 + 2, 0n)
      return slot
    }
    return undefined
  }

  /** Pool: forgets a batch that was answered. */
  free(slot: number): void {
    Atomics.store(this.#words, slot * WORDS, STATE.free)
  }

  /** Pool: takes a batch back that no thread has begun. False when one has. */
  takeBack(slot: number): boolean {
    return Atomics.compareExchange(this.#words, slot * WORDS, STATE.waiting, STATE.takenBack) === STATE.waiting
  }

  /** Thread: claims a batch. False when the pool took it back. */
  claim(slot: number, threadId: number): boolean {
    Atomics.store(this.#words, slot * WORDS + 1, threadId)
    return Atomics.compareExchange(this.#words, slot * WORDS, STATE.waiting, STATE.running) === STATE.waiting
  }

  /** Thread: says which unit of the batch, from 0 and one after the other, it begins. False when the pool has cut the batch. */
  begin(slot: number, position: number): boolean {
    const before = Math.max(0, position - 1)
    if (Atomics.compareExchange(this.#words, slot * WORDS + 2, before, position) !== before) return false
    Atomics.store(this.#fuel, (slot * WORDS) / 2 + 2, 0n)
    return true
  }

  /** Thread: no unit of the batch runs any more, of which it has run `done`. */
  end(slot: number, done: number): void {
    Atomics.store(this.#words, slot * WORDS + 2, done)
  }

  /** Pool: the batch ends with the unit at `position`. False when that is not the one that runs. */
  cut(slot: number, position: number): boolean {
    return Atomics.compareExchange(this.#words, slot * WORDS + 2, position, position | CUT) === position
  }

  /** Thread: says how far the unit is. */
  progress(slot: number, fuel: bigint): void {
    Atomics.store(this.#fuel, (slot * WORDS) / 2 + 2, fuel)
  }

  isRunning(slot: number): boolean {
    return Atomics.load(this.#words, slot * WORDS) === STATE.running
  }

  /** Which thread claimed the batch, and the unit of it that runs. Of use only while {@link isRunning}. */
  where(slot: number): { readonly threadId: number; readonly position: number; readonly fuel: bigint } {
    return {
      threadId: Atomics.load(this.#words, slot * WORDS + 1),
      position: Atomics.load(this.#words, slot * WORDS + 2) & ~CUT,
      fuel: BigInt.asUintN(64, Atomics.load(this.#fuel, (slot * WORDS) / 2 + 2)),
    }
  }
}
