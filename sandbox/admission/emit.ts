import { addedGlobals, growIndex, type ModuleShape, moreFuelIndex } from './module-shape.js'
import { OP } from './opcodes.js'
import { ACTION, type Plan } from './plan.js'
import type { BodyScanner } from './scan.js'
import { type FunctionType, VALUE_TYPE } from './types.js'
import type { Writer } from './writer.js'

/** Of the blocks around a loop, seen from its inside: where more fuel is asked for; and from behind it: the way on. */
const SPENT_LABEL = 1
const OUTERMOST_LABEL = 2

/** The type of a block that takes and gives nothing. */
const NO_VALUES = 0x40

/**
 * Stack slots that a frame takes besides its locals and operands: return address, frame pointer, what engines keep of the
 * instance, and what the pass adds. With them the frames that leave least behind, of functions without locals, need about
 * 600 KiB of native stack in V8's baseline code when all slots are used.
 */
const FRAME_SLOTS = 8

/** A function that calls nothing counts towards the depth only from so many slots on: below, the margin holds it. */
const SMALL_FRAME_SLOTS = 256

/**
 * Instructions of a function that calls nothing up to which it is not checked when it ends: its caller is. So at most a
 * body's worth of calls, each of so many instructions, lies between two checks: some tenths of a second for the worst body
 * that is admitted.
 */
const UNCHECKED_INSTRUCTIONS = 256

/** A body as it is read: instructions in `bytes` from `start` to `end`. */
interface ScannedBody {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly type: FunctionType
  readonly typeIndex: number
  /** Parameters and locals of the program; those that the pass adds stand behind them. */
  readonly locals: number
}

/** Writes the instructions of bodies with the changes that a {@link Plan} names. */
export class BodyEmitter {
  readonly #shape: ModuleShape
  readonly #out: Writer
  readonly #fuelGlobal: number
  readonly #depthGlobal: number
  readonly #pagesGlobal: number
  #fuel = 0
  #scratch = 0
  #f32 = 0
  #f64 = 0

  constructor(shape: ModuleShape, out: Writer) {
    this.#shape = shape
    this.#out = out
    const { fuel, depth, pages } = addedGlobals(shape)
    this.#fuelGlobal = fuel
    this.#depthGlobal = depth
    this.#pagesGlobal = pages
  }

  /** Writes the instructions of `body`, and gives the types of the locals that they need besides the program's. */
  emit(body: ScannedBody, scanned: BodyScanner): number[] {
    const frame = FRAME_SLOTS + body.locals + scanned.operands
    const deep = scanned.calls || frame > SMALL_FRAME_SLOTS
    const checked = scanned.calls || scanned.account.instructions > UNCHECKED_INSTRUCTIONS
    const added = this.#assignLocals(body.locals, scanned, deep, checked)
    const { account, plan } = scanned
    this.#enter(plan.value(0), account.usesLocal || checked)
    if (deep) this.#descend(frame)
    // Branches out of the function and `return` lead to the end of this block, where the accounts are settled.
    const wrapped = deep || checked || account.endsDirty
    if (wrapped) this.#openBlock(body)
    this.#instructions(body, plan)
    if (wrapped) this.#out.byte(OP.end)
    if (account.endsDirty) this.#spill()
    if (checked) this.#checkAtEnd()
    if (deep) this.#ascend(frame)
    this.#out.byte(OP.end)
    return added
  }

  #assignLocals(locals: number, scanned: BodyScanner, deep: boolean, checked: boolean): number[] {
    const added: number[] = []
    const add = (type: number, used: boolean) => (used ? locals + added.push(type) - 1 : 0)
    this.#fuel = add(VALUE_TYPE.i64, scanned.account.usesLocal || checked)
    this.#scratch = add(VALUE_TYPE.i32, deep || scanned.usesLength)
    this.#f32 = add(VALUE_TYPE.f32, scanned.usesF32)
    this.#f64 = add(VALUE_TYPE.f64, scanned.usesF64)
    return added
  }

  /** Copies the body without its last `end`, with the changes of the plan; entry 0 is the function's entry. */
  #instructions({ bytes, start, end }: ScannedBody, plan: Plan): void {
    const out = this.#out
    let from = start
    for (let entry = 1; entry < plan.length; entry++) {
      const at = plan.at(entry)
      if (at > from) out.copy(bytes, from, at)
      this.#act(plan.action(entry), plan.value(entry), bytes, at)
      from = plan.until(entry)
    }
    out.copy(bytes, from, end - 1)
  }

  #act(action: number, value: number, bytes: Uint8Array, at: number): void {
    const out = this.#out
    switch (action) {
      case ACTION.charge:
        this.#subtract(value)
        this.#local(OP.localSet, this.#fuel)
        return
      case ACTION.openLoop:
        this.#openLoop(bytes, at, value)
        break
      case ACTION.leaveLoop:
        this.#local(OP.localGet, this.#fuel)
        this.#isSpent()
        out.byte(OP.brIf)
        out.byte(SPENT_LABEL)
        break
      case ACTION.ask:
        this.#local(OP.localGet, this.#fuel)
        this.#askIfSpent()
        break
      case ACTION.closeLoop:
        this.#closeLoop()
        break
      case ACTION.chargeLength:
        this.#chargeLength(value)
        return
      case ACTION.spill:
        this.#spill()
        return
      case ACTION.reload:
        this.#global(OP.globalGet, this.#fuelGlobal)
        this.#local(OP.localSet, this.#fuel)
        return
      case ACTION.index:
        out.u32(value)
        return
      case ACTION.canonicalF32:
        this.#canonical(this.#f32, CANONICAL_F32, OP.f32Le)
        return
      case ACTION.canonicalF64:
        this.#canonical(this.#f64, CANONICAL_F64, OP.f64Le)
        return
      case ACTION.leave:
        out.byte(OP.br)
        out.u32(value)
        return
      case ACTION.size:
        this.#global(OP.globalGet, this.#pagesGlobal)
        return
      default: // grow
        out.byte(OP.call)
        out.u32(growIndex(this.#shape))
        return
    }
  }

  /** The function's entry: its first basic block is charged to the global, and to the local where that is used. */
  #enter(count: number, usesLocal: boolean): void {
    const out = this.#out
    this.#global(OP.globalGet, this.#fuelGlobal)
    out.byte(OP.i64Const)
    out.s32(count)
    out.byte(OP.i64Sub)
    if (usesLocal) this.#local(OP.localTee, this.#fuel)
    this.#global(OP.globalSet, this.#fuelGlobal)
  }

  /** local - count, on the stack. */
  #subtract(count: number): void {
    this.#local(OP.localGet, this.#fuel)
    this.#out.byte(OP.i64Const)
    this.#out.s32(count)
    this.#out.byte(OP.i64Sub)
  }

  /**
   * A loop without parameters, from `at`, its type up to `typeEnd`, becomes
   *
   *     block (type) loop (type) block
   *       loop (type)  leave for the end of the block if no fuel is left ... end
   *       leave for the outermost end
   *     end  ask for more  again  end end
   *
   * A call inside the loop, however seldom, would make compilers keep its values in memory all the way (a quarter of the
   * time of small loops), and one before it nearly so. The branches of the program skip the three labels.
   */
  #openLoop(bytes: Uint8Array, at: number, typeEnd: number): void {
    const out = this.#out
    out.byte(OP.block)
    out.copy(bytes, at + 1, typeEnd)
    out.copy(bytes, at, typeEnd)
    out.byte(OP.block)
    out.byte(NO_VALUES)
  }

  #closeLoop(): void {
    const out = this.#out
    out.byte(OP.br)
    out.byte(OUTERMOST_LABEL)
    out.byte(OP.end)
    this.#ask()
    out.byte(OP.br)
    out.byte(0)
    out.byte(OP.end)
    out.byte(OP.end)
  }

  /** Whether the fuel on the stack is below 0. */
  #isSpent(): void {
    this.#out.byte(OP.i64Const)
    this.#out.byte(0)
    this.#out.byte(OP.i64LtS)
  }

  /** Asks for more when the fuel, on the stack and in its local, is below 0. */
  #askIfSpent(): void {
    const out = this.#out
    this.#isSpent()
    out.byte(OP.if)
    out.byte(NO_VALUES)
    this.#ask()
    out.byte(OP.end)
  }

  #ask(): void {
    this.#local(OP.localGet, this.#fuel)
    this.#out.byte(OP.call)
    this.#out.u32(moreFuelIndex(this.#shape))
    this.#local(OP.localSet, this.#fuel)
  }

  /** The length on the stack stays there. */
  #chargeLength(shift: number): void {
    const out = this.#out
    this.#local(OP.localTee, this.#scratch)
    this.#local(OP.localGet, this.#fuel)
    this.#local(OP.localGet, this.#scratch)
    out.byte(OP.i64ExtendI32U)
    if (shift > 0) {
      out.byte(OP.i64Const)
      out.byte(shift)
      out.byte(OP.i64ShrU)
    }
    out.byte(OP.i64Sub)
    this.#local(OP.localTee, this.#fuel)
    this.#askIfSpent()
  }

  #spill(): void {
    this.#local(OP.localGet, this.#fuel)
    this.#global(OP.globalSet, this.#fuelGlobal)
  }

  /** Local and global are equal here, and the local has done its service: what is asked for goes to the global. */
  #checkAtEnd(): void {
    this.#local(OP.localGet, this.#fuel)
    this.#askIfSpent()
  }

  /** The frame is taken from the slots left; below 0 the unit ends. */
  #descend(slots: number): void {
    const out = this.#out
    this.#moveDepth(OP.i32Sub, slots, true)
    this.#local(OP.localGet, this.#scratch)
    out.byte(OP.i32Const)
    out.byte(0)
    out.byte(OP.i32LtS)
    out.byte(OP.if)
    out.byte(NO_VALUES)
    out.byte(OP.unreachable)
    out.byte(OP.end)
  }

  #ascend(slots: number): void {
    this.#moveDepth(OP.i32Add, slots, false)
  }

  #moveDepth(op: number, slots: number, keep: boolean): void {
    this.#global(OP.globalGet, this.#depthGlobal)
    this.#out.byte(OP.i32Const)
    this.#out.s32(slots)
    this.#out.byte(op)
    if (keep) this.#local(OP.localTee, this.#scratch)
    this.#global(OP.globalSet, this.#depthGlobal)
  }

  /**
   * x <= x ? x : canonical NaN, of the float on the stack. Only a NaN is not at most itself; processors of the x86 family
   * need one branch to ask that, and two to ask for equality (0.5 of the time of a loop that sums into memory).
   */
  #canonical(local: number, constant: readonly number[], atMost: number): void {
    const out = this.#out
    this.#local(OP.localTee, local)
    for (const byte of constant) out.byte(byte)
    this.#local(OP.localGet, local)
    this.#local(OP.localGet, local)
    out.byte(atMost)
    out.byte(OP.select)
  }

  #openBlock({ type, typeIndex }: ScannedBody): void {
    const out = this.#out
    out.byte(OP.block)
    if (type.results.length === 0) out.byte(NO_VALUES)
    else if (type.results.length === 1) out.byte(type.results[0]!)
    else out.s32(this.#shape.blockTypes.get(typeIndex)!)
  }

  #local(op: number, index: number): void {
    this.#out.byte(op)
    this.#out.u32(index)
  }

  #global(op: number, index: number): void {
    this.#out.byte(op)
    this.#out.u32(index)
  }
}

/** Constant instructions of the NaN that all engines give alike: quiet, positive, no payload. */
const CANONICAL_F32 = [OP.f32Const, 0, 0, 0xc0, 0x7f]
const CANONICAL_F64 = [OP.f64Const, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f]
