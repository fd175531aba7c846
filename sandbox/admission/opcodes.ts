import { SIMD_REMEDY, VALUE_TYPE } from './types.js'

/** Encodings of the instructions that the pass reads or writes by name (WebAssembly core specification, 5.4). */
export const OP = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  select: 0x1b,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  f64Load: 0x2b,
  memorySize: 0x3f,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  i32Eq: 0x46,
  i32LtS: 0x48,
  i32GtS: 0x4a,
  i64LtS: 0x53,
  i64GtU: 0x56,
  f32Le: 0x5f,
  f64Le: 0x65,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32ShrU: 0x76,
  i64Add: 0x7c,
  i64Sub: 0x7d,
  i64Shl: 0x86,
  i64ShrU: 0x88,
  i64ExtendI32U: 0xad,
  refNull: 0xd0,
  refFunc: 0xd2,
  prefixNumeric: 0xfc,
  prefixSimd: 0xfd,
} as const

/** Instructions behind the prefix 0xfc. */
export const NUMERIC = {
  memoryInit: 8,
  dataDrop: 9,
  memoryCopy: 10,
  memoryFill: 11,
  tableInit: 12,
  elemDrop: 13,
  tableCopy: 14,
  tableGrow: 15,
} as const

/** How what follows an opcode is read. Everything that is not on the list below is refused. */
export const FORM = { refused: 0, plain: 1, number: 2, memory: 3, special: 4, control: 5 } as const

const forms = new Uint8Array(256)
const effects = new Int8Array(256)

function define(first: number, last: number, form: number, effect: number): void {
  forms.fill(form, first, last + 1)
  effects.fill(effect, first, last + 1)
}

// What blocks and calls do to the stack beyond this follows from their types.
define(0x00, 0x00, FORM.control, 0) // unreachable
define(0x01, 0x01, FORM.plain, 0) // nop
define(0x02, 0x03, FORM.control, 0) // block loop
define(0x04, 0x04, FORM.control, -1) // if
define(0x05, 0x05, FORM.control, 0) // else
define(0x0b, 0x0c, FORM.control, 0) // end br
define(0x0d, 0x0e, FORM.control, -1) // br_if br_table
define(0x0f, 0x0f, FORM.control, 0) // return
define(0x10, 0x10, FORM.special, 0) // call
define(0x11, 0x11, FORM.special, -1) // call_indirect
define(0x1a, 0x1a, FORM.plain, -1) // drop
define(0x1b, 0x1b, FORM.plain, -2) // select
define(0x1c, 0x1c, FORM.special, -2) // select with a type
define(0x20, 0x20, FORM.special, 1) // local.get
define(0x21, 0x21, FORM.special, -1) // local.set
define(0x22, 0x22, FORM.special, 0) // local.tee
define(0x23, 0x23, FORM.special, 1) // global.get
define(0x24, 0x24, FORM.special, -1) // global.set
define(0x25, 0x25, FORM.number, 0) // table.get
define(0x26, 0x26, FORM.number, -2) // table.set
define(0x28, 0x35, FORM.memory, 0) // loads
define(0x36, 0x3e, FORM.memory, -2) // stores
define(0x3f, 0x3f, FORM.special, 1) // memory.size
define(0x40, 0x40, FORM.special, 0) // memory.grow
define(0x41, 0x42, FORM.number, 1) // i32.const i64.const
define(0x43, 0x44, FORM.special, 1) // f32.const f64.const
define(0x45, 0x45, FORM.plain, 0) // i32.eqz
define(0x46, 0x4f, FORM.plain, -1) // i32 comparisons
define(0x50, 0x50, FORM.plain, 0) // i64.eqz
define(0x51, 0x66, FORM.plain, -1) // i64, f32, f64 comparisons
define(0x67, 0x69, FORM.plain, 0) // i32.clz ctz popcnt
define(0x6a, 0x78, FORM.plain, -1) // i32 arithmetic
define(0x79, 0x7b, FORM.plain, 0) // i64.clz ctz popcnt
define(0x7c, 0x8a, FORM.plain, -1) // i64 arithmetic
define(0x8b, 0x91, FORM.plain, 0) // f32 with one operand
define(0x92, 0x98, FORM.plain, -1) // f32 with two operands
define(0x99, 0x9f, FORM.plain, 0) // f64 with one operand
define(0xa0, 0xa6, FORM.plain, -1) // f64 with two operands
define(0xa7, 0xc4, FORM.plain, 0) // conversions, sign extensions
define(0xd0, 0xd0, FORM.special, 1) // ref.null
define(0xd1, 0xd1, FORM.plain, 0) // ref.is_null
define(0xd2, 0xd2, FORM.special, 1) // ref.func
define(0xfc, 0xfc, FORM.special, 0) // saturating conversions, bulk memory and tables

/** How what follows each opcode is read: a value of {@link FORM}. */
export const FORMS: Readonly<Uint8Array> = forms

/** Operands that each opcode leaves minus those it takes; of blocks and calls without what their types add. */
export const EFFECTS: Readonly<Int8Array> = effects

/**
 * Opcodes that show the bits of a NaN on top of the stack to integers or memory, with its type: stores, reinterpretations,
 * and `copysign`, whose result is a number of the sign that the NaN has.
 */
export const SHOWS_NAN: Readonly<Uint8Array> = Uint8Array.from({ length: 256 }, (_, op) => {
  if (op === 0x38 || op === 0xbc || op === 0x98) return VALUE_TYPE.f32
  if (op === 0x39 || op === 0xbd || op === 0xa6) return VALUE_TYPE.f64
  return 0
})

/** Opcodes whose float result has the same bits everywhere: loads, constants, conversions from integers, reinterpretations. */
export const EXACT_FLOAT: Readonly<Uint8Array> = Uint8Array.from({ length: 256 }, (_, op) =>
  [0x2a, 0x2b, 0x43, 0x44, 0xb2, 0xb3, 0xb4, 0xb5, 0xb7, 0xb8, 0xb9, 0xba, 0xbe, 0xbf].includes(op) ? 1 : 0,
)

/** Why an opcode is refused, and what the author can do. */
export function refusedOpcode(op: number): readonly [reason: string, remedy?: string] {
  if (op === OP.prefixSimd) return ['SIMD is not admitted', SIMD_REMEDY]
  if (op === 0xfe) return ['atomic instructions are not admitted', 'compile without -pthread']
  if ((op >= 0x06 && op <= 0x0a) || op === 0x18 || op === 0x19 || op === 0x1f)
    return ['exceptions are not admitted', 'compile with -fno-exceptions']
  if (op === 0x12 || op === 0x13) return ['tail calls are not admitted', 'compile with -mno-tail-call']
  if (op === 0xfb || (op >= 0xd3 && op <= 0xd6) || op === 0x14 || op === 0x15)
    return ['garbage collection and typed function references are not admitted']
  return [`unknown instruction 0x${op.toString(16)}`]
}
