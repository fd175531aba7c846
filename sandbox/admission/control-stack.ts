import { LIMITS } from './limits.js'
import { OP } from './opcodes.js'
import type { Reader } from './reader.js'

/** Blocks that the pass puts around a loop. */
export const WRAPPERS = 3

/** A block that is open while a body is scanned. */
interface Block {
  /** Opcode that opened it; `else` once that is passed. */
  opcode: number
  /** Operands below the block's parameters. */
  height: number
  params: number
  results: number
  /** Whether control reaches the block at all. */
  entered: boolean
  /** Whether it is a loop around which the pass puts {@link WRAPPERS} blocks. */
  wrapped: boolean
  /** Blocks that the pass puts around it and those outside of it: labels that the program does not count. */
  wrappers: number
  /** Whether control comes to its end from somewhere else than the instruction before it. */
  joined: boolean
}

/** The open blocks of a body, the function itself outermost. The objects are used again: bodies may have a million blocks. */
export class ControlStack {
  depth = 0
  readonly #blocks: Block[] = []

  /** Opens a block where `height` operands lie below its parameters. */
  push(reader: Reader, opcode: number, entered: boolean, height: number, params: number, results: number): Block {
    if (this.depth === LIMITS.nesting) reader.refuse(`more than ${LIMITS.nesting} blocks inside one another`)
    let block = this.#blocks[this.depth]
    const outside = this.depth === 0 ? 0 : this.top().wrappers
    if (block === undefined) {
      block = { opcode, height, params, results, entered, wrapped: false, wrappers: 0, joined: false }
      this.#blocks.push(block)
    }
    this.depth++
    block.opcode = opcode
    block.height = height
    block.params = params
    block.results = results
    block.entered = entered
    // A loop with parameters, which compilers do not write, would need types of its own for these blocks.
    block.wrapped = opcode === OP.loop && entered && params === 0
    block.wrappers = outside + (block.wrapped ? WRAPPERS : 0)
    block.joined = false
    return block
  }

  /** The innermost block. */
  top(): Block {
    return this.#blocks[this.depth - 1]!
  }

  pop(): Block {
    return this.#blocks[--this.depth]!
  }

  /**
   * Control goes (if `live`) to the label that is `label` blocks further out; that of a loop is its start. Gives the label
   * as it is once loops are wrapped.
   */
  branch(reader: Reader, label: number, live: boolean): number {
    if (label >= this.depth) reader.refuse(`a branch out of ${label} blocks, where ${this.depth} are open`)
    const target = this.#blocks[this.depth - 1 - label]!
    if (live && target.opcode !== OP.loop) target.joined = true
    return label + this.top().wrappers - target.wrappers
  }
}
