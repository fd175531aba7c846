import { i32, i64, op, print, u32 } from '../../cli/sandbox-check/assemble.js'
import { type Bytes, buildModule, command, type ModuleParts } from '../support/compute/wasm-builder.js'

/** Instructions that only these programs use, by the names of the text format. */
const OP = {
  memoryFill: [0xfc, 11, 0],
  memoryCopy: [0xfc, 10, 0, 0],
  i64Load: [0x29, 3, 0],
  i64ExtendU: 0xad,
  i64Xor: 0x85,
  i64Shl: 0x86,
} as const

const WRITES: Partial<ModuleParts> = {
  imports: [
    {
      module: 'wasi_snapshot_preview1',
      name: 'fd_write',
      params: ['i32', 'i32', 'i32', 'i32'],
      results: ['i32'],
    },
  ],
}

/** Operands that wait on the stack while a function calls itself. */
const OPERANDS = 400

/** Recursion with hundreds of operands in each frame, which engines keep in very different amounts of native stack. */
function wideFrames(): Uint8Array {
  const square = [op.get(0), OP.i64ExtendU, op.get(0), OP.i64ExtendU, op.i64Mul]
  const deeper = [op.get(0), i32(1), op.i32Sub, [0x10, 1]]
  const otherwise = [Array(OPERANDS).fill(square), deeper, Array(OPERANDS).fill(op.i64Add)]
  const down = [op.get(0), 0x45, [0x04, 0x7e], i64(1n), 0x05, otherwise, op.end]
  return buildModule(
    command([i32(3000), [0x10, 1], op.drop], { functions: [{ params: ['i32'], results: ['i64'], body: down }] }),
  )
}

/** A loop that takes its variables on the stack, as no C compiler writes it: xorshift, 100,000 rounds. */
function loopWithParameters(): Uint8Array {
  const shifted = (by: bigint, shift: number | Bytes) => [op.get(0), op.get(0), i64(by), shift, OP.i64Xor, op.set(0)]
  const round = [shifted(13n, OP.i64Shl), shifted(7n, op.i64ShrU), shifted(17n, OP.i64Shl)]
  const again = [op.get(0), op.get(1), i32(1), op.i32Sub, [0x22, 1], op.get(1), [0x0d, 0], op.drop]
  const loop = [i64(88_172n), i32(100_000), [0x03, 0], op.set(1), op.set(0), round, again, op.end]
  return buildModule(
    command([i32(16), loop, op.i64Store, print(0, 16, 8)], {
      ...WRITES,
      types: [[0x60, 2, 0x7e, 0x7f, 1, 0x7e]],
      locals: [
        [1, 'i64'],
        [1, 'i32'],
      ],
    }),
  )
}

/** Blocks of memory and of the table moved by single instructions, and calls through what was moved; ends with a bad one. */
function bulkInstructions(): Uint8Array {
  const memory = [
    [i32(1024), i32(0xab), i32(40_000), OP.memoryFill],
    [i32(1024), i32(0), i32(11), [0xfc, 8, 0, 0]],
    [i32(1030), i32(1024), i32(30_000), OP.memoryCopy],
    [i32(16), i32(1030), OP.i64Load, i32(1040), OP.i64Load, op.i64Mul, op.i64Store],
  ]
  // table.init 0 of both functions to 2, table.copy 2..3 to 5, elem.drop
  const table = [i32(2), i32(0), i32(2), [0xfc, 12, 0, 0], i32(5), i32(2), i32(2), [0xfc, 14, 0, 0], [0xfc, 13, 0]]
  const called = (entry: number): Bytes => [i32(entry), [0x11, 0, 0]]
  const calls = [i32(24), called(5), called(6), op.i64Mul, op.i64Store]
  return buildModule(
    command([memory, table, calls, print(0, 16, 16), called(7), op.drop], {
      ...WRITES,
      types: [[0x60, 0, 1, 0x7e]],
      tables: [[0x70, 0, u32(8)]],
      elements: [[1, 0, 2, 2, 3]],
      dataCount: 1,
      data: [[1, 11, [...'hello there'].map((letter) => letter.charCodeAt(0))]],
      functions: [
        { results: ['i64'], body: i64(1_000_003n) },
        { results: ['i64'], body: i64(777n) },
      ],
    }),
  )
}

/** Programs with shapes of code that compilers of C do not make, by name. */
export const assembledPrograms: ReadonlyMap<string, Uint8Array> = new Map([
  ['assembled-wide-frames', wideFrames()],
  ['assembled-loop-parameters', loopWithParameters()],
  ['assembled-bulk', bulkInstructions()],
])
