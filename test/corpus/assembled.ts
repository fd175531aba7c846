import { type Bytes, buildModule, command, type ModuleParts, s32, u32 } from '../support/wasm-builder.js'

/** Instructions used below, by the names of the text format. */
const OP = {
  end: 0x0b,
  drop: 0x1a,
  memoryFill: [0xfc, 11, 0],
  memoryCopy: [0xfc, 10, 0, 0],
  i32Store: [0x36, 2, 0],
  i64Store: [0x37, 3, 0],
  i64Load: [0x29, 3, 0],
  i64ExtendU: 0xad,
  i64Add: 0x7c,
  i64Mul: 0x7e,
  i64Xor: 0x85,
  i64Shl: 0x86,
  i64ShrU: 0x88,
} as const

const i32 = (value: number): Bytes => [0x41, s32(value)]
const i64 = (value: number): Bytes => [0x42, s32(value)]
const get = (local: number): Bytes => [0x20, local]
const set = (local: number): Bytes => [0x21, local]

const FD_WRITE = {
  module: 'wasi_snapshot_preview1',
  name: 'fd_write',
  params: ['i32', 'i32', 'i32', 'i32'],
  results: ['i32'],
} as const
const WRITES: Partial<ModuleParts> = { imports: [{ ...FD_WRITE, params: [...FD_WRITE.params], results: ['i32'] }] }

/** Writes the `bytes` bytes of memory from `at` on to standard output; the vector stands at 0. */
function print(at: number, bytes: number): Bytes {
  const vector = [i32(0), i32(at), OP.i32Store, i32(4), i32(bytes), OP.i32Store]
  return [vector, i32(1), i32(0), i32(1), i32(8), [0x10, 0], OP.drop]
}

/** Operands that wait on the stack while a function calls itself. */
const OPERANDS = 400

/** Recursion with hundreds of operands in each frame, which engines keep in very different amounts of native stack. */
function wideFrames(): Uint8Array {
  const square = [get(0), OP.i64ExtendU, get(0), OP.i64ExtendU, OP.i64Mul]
  const deeper = [get(0), i32(1), 0x6b, [0x10, 1]]
  const otherwise = [Array(OPERANDS).fill(square), deeper, Array(OPERANDS).fill(OP.i64Add)]
  const down = [get(0), 0x45, [0x04, 0x7e], i64(1), 0x05, otherwise, OP.end]
  return buildModule(
    command([i32(3000), [0x10, 1], OP.drop], { functions: [{ params: ['i32'], results: ['i64'], body: down }] }),
  )
}

/** A loop that takes its variables on the stack, as no C compiler writes it: xorshift, 100,000 rounds. */
function loopWithParameters(): Uint8Array {
  const shifted = (by: number, op: number) => [get(0), get(0), i64(by), op, OP.i64Xor, set(0)]
  const round = [shifted(13, OP.i64Shl), shifted(7, OP.i64ShrU), shifted(17, OP.i64Shl)]
  const again = [get(0), get(1), i32(1), 0x6b, [0x22, 1], get(1), [0x0d, 0], OP.drop]
  const loop = [i64(88172), i32(100_000), [0x03, 0], set(1), set(0), round, again, OP.end]
  return buildModule(
    command([i32(16), loop, OP.i64Store, print(16, 8)], {
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
    [i32(16), i32(1030), OP.i64Load, i32(1040), OP.i64Load, OP.i64Mul, OP.i64Store],
  ]
  // table.init 0 of both functions to 2, table.copy 2..3 to 5, elem.drop
  const table = [i32(2), i32(0), i32(2), [0xfc, 12, 0, 0], i32(5), i32(2), i32(2), [0xfc, 14, 0, 0], [0xfc, 13, 0]]
  const called = (entry: number): Bytes => [i32(entry), [0x11, 0, 0]]
  const calls = [i32(24), called(5), called(6), OP.i64Mul, OP.i64Store]
  return buildModule(
    command([memory, table, calls, print(16, 16), called(7), OP.drop], {
      ...WRITES,
      types: [[0x60, 0, 1, 0x7e]],
      tables: [[0x70, 0, u32(8)]],
      elements: [[1, 0, 2, 2, 3]],
      dataCount: 1,
      data: [[1, 11, [...'hello there'].map((letter) => letter.charCodeAt(0))]],
      functions: [
        { results: ['i64'], body: i64(1_000_003) },
        { results: ['i64'], body: i64(777) },
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
