import { ACTION, Plan } from './plan.js'

/**
 * Fuel of the body that is scanned: follows basic blocks and writes into {@link plan} where they are charged.
 *
 * What counts: each instruction once whenever its basic block is entered, `end`, `else` and `block` too; `loop` once each
 * time round. A block ends at a branch, and where control comes in from elsewhere; calls do not end it. Code that control
 * cannot reach counts nothing.
 *
 * The fuel at hand is kept in a local: charging it there costs a subtraction, while the global is memory. `dirty` says that
 * the global is behind. It is brought up to date where others look: before calls, `unreachable`, and once at the end of the
 * function.
 */
export class Account {
  readonly plan = new Plan()
  /** Whether control reaches this place. */
  live = true
  /** Whether the global is behind where the body ends. */
  endsDirty = false
  /** Whether the local is needed. */
  usesLocal = false
  /** Instructions that control reaches. */
  instructions = 0

  #dirty = false
  /** The entry that charges the basic block at hand, and its instructions so far. */
  #charge = 0
  #count = 0

  /** A body begins at `at`: its first basic block is charged by entry 0 of the plan. */
  begin(at: number): void {
    this.plan.clear()
    this.live = true
    this.endsDirty = this.usesLocal = this.#dirty = false
    this.instructions = this.#count = 0
    this.#charge = this.plan.add(ACTION.charge, at, at, 0)
  }

  /** An instruction is passed. */
  step(): void {
    if (this.live) this.#count++
  }

  /**
   * A basic block ends here, and another begins if control reaches it. That is charged to the local, whereupon the global is
   * behind: there is no block without an instruction.
   */
  resume(at: number, live: boolean): void {
    this.#settle()
    this.live = live
    if (!live) return
    this.#charge = this.plan.add(ACTION.charge, at, at, 0)
    this.#dirty = this.usesLocal = true
  }

  /** A loop begins, its instruction just passed: it counts inside, each time round. */
  resumeLoop(at: number): void {
    this.#count--
    this.resume(at, true)
    this.#count = 1
  }

  /** Control does not go on from here. */
  stop(): void {
    this.#settle()
    this.live = false
  }

  /** Control goes from here to the end of the function. */
  leave(): void {
    this.endsDirty ||= this.live && this.#dirty
  }

  /** The instruction at `at` takes fuel by the length on the stack. */
  chargeLength(at: number, shift: number): void {
    if (!this.live) return
    this.plan.add(ACTION.chargeLength, at, at, shift)
    this.#dirty = this.usesLocal = true
  }

  /** Others look at the global from the instruction at `at` on. */
  spill(at: number): void {
    if (this.live && this.#dirty) this.plan.add(ACTION.spill, at, at, 0)
  }

  /** What was called, or the host behind it, has left the fuel in the global. */
  reload(at: number): void {
    if (!this.live) return
    this.plan.add(ACTION.reload, at, at, 0)
    this.#dirty = false
    this.usesLocal = true
  }

  /** The number of instructions of the basic block that ends is known. */
  #settle(): void {
    if (this.live) this.plan.setValue(this.#charge, this.#count)
    this.instructions += this.#count
    this.#count = 0
  }
}
