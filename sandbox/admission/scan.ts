import { Account } from './account.js'
import { ControlStack, WRAPPERS } from './control-stack.js'
import { blockType, functionIndex, indexBelow, typeByIndex } from './indices.js'
import { LIMITS } from './limits.js'
import { admittedFunction, type ModuleShape } from './module-shape.js'
import { EFFECTS, EXACT_FLOAT, FORM, FORMS, NUMERIC, OP, refusedOpcode, SHOWS_NAN } from './opcodes.js'
import { ACTION, type Plan } from './plan.js'
import type { Reader } from './reader.js'
import { type FunctionType, VALUE_TYPE } from './types.js'

/** Bytes of memory that a bulk instruction moves for one unit of fuel, as a power of two. */
const BYTES_A_FUEL_LOG2 = 4

/**
 * Reads the instructions of one body after another, in one pass: checks every index that they name, and writes into
 * {@link plan} what has to change. Types of operands are left to the engine, which sees the same instructions.
 */
export class BodyScanner {
  /** Fuel of the body scanned last. */
  readonly account = new Account()
  /** Whether the body calls functions (the program's or imported ones). */
  calls = false
  /** Most operands on the stack at once. */
  operands = 0
  /** Whether a length on the stack is looked at. */
  usesLength = false
  usesF32 = false
  usesF64 = false

  readonly #shape: ModuleShape
  readonly #nan: boolean
  readonly #control = new ControlStack()
  #locals = 0
  /** Operands on the stack now; of no meaning in code that is not reached. */
  #height = 0
  /** Places where control splits or joins. */
  #merges = 0

  /** @param nan Whether NaN bits are made canonical where they would show. */
  constructor(shape: ModuleShape, nan: boolean) {
    this.#shape = shape
    this.#nan = nan
  }

  /** Changes of the body scanned last. */
  get plan(): Plan {
    return this.account.plan
  }

  /** Scans a body from its first instruction, where `reader` stands, to its end. */
  scan(reader: Reader, type: FunctionType, locals: number): void {
    const { account } = this
    account.begin(reader.position)
    this.calls = this.usesLength = this.usesF32 = this.usesF64 = false
    this.operands = this.#height = this.#merges = 0
    this.#locals = locals
    this.#control.depth = 0
    this.#control.push(reader, OP.block, true, 0, 0, type.results.length)
    let previous = 0
    while (this.#control.depth > 0) {
      const at = reader.position
      const op = reader.byte()
      account.step()
      const shows = SHOWS_NAN[op]!
      if (shows !== 0 && this.#nan && account.live && EXACT_FLOAT[previous] === 0) this.#canonical(at, shows)
      this.#step(reader, op, at)
      if (this.#height > this.operands && account.live) this.operands = this.#height
      previous = op
    }
    this.#checkFrame(reader)
  }

  #checkFrame(reader: Reader): void {
    if (this.operands > LIMITS.operands)
      reader.refuse(`a function has ${this.operands} operands at once, where at most ${LIMITS.operands} are allowed`)
    const slots = this.#locals + this.operands
    if (this.#merges * slots > LIMITS.mergeWork)
      reader.refuse(
        `a function has ${this.#merges} branches times ${slots} locals and operands, where at most ` +
          `${LIMITS.mergeWork} are allowed as their product`,
        'split the function or compile with -O2',
      )
  }

  #step(reader: Reader, op: number, at: number): void {
    this.#height += EFFECTS[op]!
    switch (FORMS[op]) {
      case FORM.plain:
        break
      case FORM.number:
        reader.skipNumber()
        break
      case FORM.memory:
        // The alignment; from 16 on its bits mean SIMD, another memory or an address of 64 bits.
        if (reader.u32() > 3) reader.refuse('alignment beyond 8 bytes, or more than one memory', undefined, at)
        skipOffset(reader)
        break
      case FORM.special:
        this.#special(reader, op, at)
        break
      case FORM.control:
        this.#merges++
        this.#structure(reader, op, at)
        break
      default:
        reader.refuse(...refusedOpcode(op), at)
    }
  }

  #special(reader: Reader, op: number, at: number): void {
    switch (op) {
      case OP.localGet:
      case OP.localSet:
      case OP.localTee:
        indexBelow(reader, 'local', this.#locals)
        break
      case OP.globalGet:
      case OP.globalSet:
        indexBelow(reader, 'global', this.#shape.globals)
        break
      case OP.call:
        this.#call(reader, at)
        break
      case OP.callIndirect:
        this.#applyType(typeByIndex(reader, this.#shape))
        indexBelow(reader, 'table', this.#shape.tables)
        this.calls = true
        this.account.spill(at)
        this.account.reload(reader.position)
        break
      case OP.f32Const:
        reader.skip(4)
        break
      case OP.f64Const:
        reader.skip(8)
        break
      case OP.memorySize:
        firstMemory(reader)
        this.plan.add(ACTION.size, at, reader.position, 0)
        break
      case OP.memoryGrow:
        firstMemory(reader)
        this.account.spill(at)
        this.plan.add(ACTION.grow, at, reader.position, 0)
        this.account.reload(reader.position)
        break
      case OP.prefixNumeric:
        this.#numeric(reader, at)
        break
      case OP.refFunc:
        this.#functionIndex(reader)
        break
      case OP.refNull:
        if (reader.valueType() !== VALUE_TYPE.funcref) reader.refuse('a null that is no function', undefined, at)
        break
      default: // select with a type
        if (reader.u32() !== 1) reader.refuse('a select of more than one value', undefined, at)
        reader.valueType()
    }
  }

  #structure(reader: Reader, op: number, at: number): void {
    const { account } = this
    switch (op) {
      case OP.block:
      case OP.loop:
      case OP.if:
        this.#open(reader, op, at)
        break
      case OP.else:
        this.#else(reader, at)
        break
      case OP.end:
        this.#end(reader)
        break
      case OP.br:
        this.#branch(reader)
        account.stop()
        break
      case OP.brIf:
        this.#branch(reader)
        account.resume(reader.position, account.live)
        break
      case OP.brTable: {
        const targets = reader.count('targets of a br_table', LIMITS.branchTargets)
        this.#merges += targets
        for (let target = 0; target <= targets; target++) this.#branch(reader)
        account.stop()
        break
      }
      case OP.return: {
        const label = this.#control.branch(reader, this.#control.depth - 1, account.live)
        account.leave()
        this.plan.add(ACTION.leave, at, reader.position, label)
        account.stop()
        break
      }
      default: // unreachable
        account.spill(at)
        account.stop()
    }
  }

  #open(reader: Reader, op: number, at: number): void {
    const { account } = this
    const { params, results } = blockType(reader, this.#shape)
    const height = this.#height - params.length
    const block = this.#control.push(reader, op, account.live, height, params.length, results.length)
    if (!account.live || op === OP.block) return
    if (op === OP.if) {
      account.resume(reader.position, true)
      return
    }
    const inside = reader.position
    if (block.wrapped) {
      this.#merges += WRAPPERS
      this.plan.add(ACTION.openLoop, at, at, inside)
      this.plan.add(ACTION.leaveLoop, inside, inside, 0)
    } else this.plan.add(ACTION.ask, inside, inside, 0)
    account.resumeLoop(reader.position)
  }

  #else(reader: Reader, at: number): void {
    const block = this.#control.top()
    if (block.opcode !== OP.if) reader.refuse('an else without an if', undefined, at)
    if (this.account.live) block.joined = true
    block.opcode = OP.else
    this.#height = block.height + block.params
    this.account.resume(reader.position, block.entered)
  }

  #end(reader: Reader): void {
    const { account } = this
    const block = this.#control.pop()
    this.#height = block.height + block.results
    if (this.#control.depth === 0) {
      account.leave()
      account.stop()
      reader.finish()
      return
    }
    if (block.wrapped) this.plan.add(ACTION.closeLoop, reader.position, reader.position, 0)
    // Where control comes only from the instruction before, the basic block goes on.
    if (block.joined || (block.opcode === OP.if && block.entered)) account.resume(reader.position, true)
  }

  #branch(reader: Reader): void {
    const at = reader.position
    const label = reader.u32()
    const admitted = this.#control.branch(reader, label, this.account.live)
    if (label === this.#control.depth - 1) this.account.leave()
    if (admitted !== label) this.plan.add(ACTION.index, at, reader.position, admitted)
  }

  #call(reader: Reader, at: number): void {
    this.calls = true
    this.account.spill(at)
    const index = this.#functionIndex(reader)
    this.#applyType(this.#shape.types[this.#shape.functionTypes[index]!]!)
    this.account.reload(reader.position)
  }

  #functionIndex(reader: Reader): number {
    const at = reader.position
    const index = functionIndex(reader, this.#shape)
    this.plan.add(ACTION.index, at, reader.position, admittedFunction(this.#shape, index))
    return index
  }

  #applyType({ params, results }: FunctionType): void {
    this.#height += results.length - params.length
  }

  #numeric(reader: Reader, at: number): void {
    const op = reader.u32()
    const effect = NUMERIC_EFFECTS[op]
    if (op === NUMERIC.tableGrow) reader.refuse('tables that grow are not admitted', undefined, at)
    if (effect === undefined) reader.refuse(`unknown instruction 0xfc ${op}`, undefined, at)
    // Which segment: copied, so the engine's to check.
    if (SEGMENT_OPS.has(op)) reader.u32()
    if (op === NUMERIC.memoryInit || op === NUMERIC.memoryFill || op === NUMERIC.memoryCopy) firstMemory(reader)
    if (op === NUMERIC.memoryCopy) firstMemory(reader)
    if (op === NUMERIC.tableInit || op >= NUMERIC.tableCopy) indexBelow(reader, 'table', this.#shape.tables)
    if (op === NUMERIC.tableCopy) indexBelow(reader, 'table', this.#shape.tables)
    this.#height += effect
    if (effect !== -3) return
    this.usesLength = true
    this.account.chargeLength(at, op < NUMERIC.tableInit ? BYTES_A_FUEL_LOG2 : 0)
  }

  #canonical(at: number, type: number): void {
    if (type === VALUE_TYPE.f32) this.usesF32 = true
    else this.usesF64 = true
    this.plan.add(type === VALUE_TYPE.f32 ? ACTION.canonicalF32 : ACTION.canonicalF64, at, at, 0)
  }
}

/** Bytes of a LEB128 number of 32 bits. */
const OFFSET_BYTES_MAX = 5

/** Effect on the number of operands of the instructions behind 0xfc; those with -3 have a length on top. */
const NUMERIC_EFFECTS: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, -3, 0, -3, -3, -3, 0, -3, -1, 1, -3]

/** Instructions behind 0xfc that name a segment of data or elements first. */
const SEGMENT_OPS: ReadonlySet<number> = new Set([
  NUMERIC.memoryInit,
  NUMERIC.dataDrop,
  NUMERIC.tableInit,
  NUMERIC.elemDrop,
])

/** The offset of a load or store. Engines that know memories of 64 bits take it in ten bytes, others in five. */
function skipOffset(reader: Reader): void {
  const start = reader.position
  reader.skipNumber()
  if (reader.position - start > OFFSET_BYTES_MAX) reader.refuse('a number has more than 32 bits', undefined, start)
}

function firstMemory(reader: Reader): void {
  if (reader.byte() !== 0) reader.refuse('more than one memory', undefined, reader.position - 1)
}
