import { WASI_MODULE, WASI_PARAMETERS } from '../../sandbox/index.js'

/*
 * Puts small WebAssembly modules together, byte by byte, for programs that try the sandbox. Numbers of instructions and
 * sections are those of the core specification (5.4, 5.5).
 */

const I32 = 0x7f
const I64 = 0x7e
const F64 = 0x7c

/** A program of a few instructions. */
export interface SmallProgram {
  /** Functions of WASI preview 1; become functions 0, 1, ... in this order. */
  readonly imports: readonly string[]
  /** An import that no sandbox has, as module and name; a function without parameters. */
  readonly forbiddenImport?: readonly [module: string, name: string]
  /** Body of `_start`, the first function after the imports, without its end. */
  readonly start: readonly number[]
  /** Bodies of further functions without parameters and results. */
  readonly functions?: readonly (readonly number[])[]
  /** Texts in memory, by address. */
  readonly texts?: readonly (readonly [address: number, text: string])[]
  /** Pages of memory at the start. Default 1. */
  readonly pages?: number
}

/** Locals that each function has, besides none: two i32, one i64, one f64, numbered from 0. */
const LOCALS = [
  [2, I32],
  [1, I64],
  [1, F64],
] as const

/** The bytes of a program. Throws for an import that WASI has not. */
export function assemble(program: SmallProgram): Uint8Array {
  const { imports, forbiddenImport, start, functions = [], texts = [], pages = 1 } = program
  const types = imports.map(wasiType)
  const plain = types.length
  const imported = [
    ...imports.map((name, i) => [...text(WASI_MODULE), ...text(name), 0x00, ...u32(i)]),
    ...(forbiddenImport === undefined
      ? []
      : [[...text(forbiddenImport[0]), ...text(forbiddenImport[1]), 0x00, ...u32(plain)]]),
  ]
  const bodies = [start, ...functions]
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [...types, functionType([], [])]),
    ...section(2, imported),
    ...section(
      3,
      bodies.map(() => u32(plain)),
    ),
    ...section(5, [[0x00, ...u32(pages)]]),
    ...section(7, [
      [...text('memory'), 0x02, 0x00],
      [...text('_start'), 0x00, ...u32(imported.length)],
    ]),
    ...section(10, bodies.map(functionBody)),
    ...section(
      11,
      texts.map(([address, content]) => [0x00, ...i32(address), 0x0b, ...text(content)]),
    ),
  ])
}

function wasiType(name: string): number[] {
  const letters = WASI_PARAMETERS.get(name)
  if (letters === undefined) throw new TypeError(`${name} is no function of WASI`)
  const params = [...letters].map((letter) => (letter === 'i' ? I32 : I64))
  return functionType(params, name === 'proc_exit' ? [] : [I32])
}

function functionType(params: readonly number[], results: readonly number[]): number[] {
  return [0x60, ...u32(params.length), ...params, ...u32(results.length), ...results]
}

function functionBody(code: readonly number[]): number[] {
  const locals = [...u32(LOCALS.length), ...LOCALS.flatMap(([count, type]) => [...u32(count), type])]
  const body = [...locals, ...code, 0x0b]
  return [...u32(body.length), ...body]
}

function section(id: number, entries: readonly (readonly number[])[]): number[] {
  if (entries.length === 0) return []
  const content = [...u32(entries.length), ...entries.flat()]
  return [id, ...u32(content.length), ...content]
}

/** A name, or bytes of a data segment, with their length. UTF-8. */
export function text(value: string): number[] {
  const bytes = new TextEncoder().encode(value)
  return [...u32(bytes.length), ...bytes]
}

/** LEB128, unsigned. */
export function u32(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  do {
    const low = rest % 128
    rest = Math.floor(rest / 128)
    bytes.push(rest === 0 ? low : low | 0x80)
  } while (rest > 0)
  return bytes
}

function signed(value: bigint): number[] {
  const bytes: number[] = []
  for (let rest = value; ; ) {
    const low = Number(rest & 0x7fn)
    rest >>= 7n
    if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) return [...bytes, low]
    bytes.push(low | 0x80)
  }
}

/** `i32.const`. */
export function i32(value: number): number[] {
  return [0x41, ...signed(BigInt(value))]
}

/** `i64.const`. */
export function i64(value: bigint): number[] {
  return [0x42, ...signed(BigInt.asIntN(64, value))]
}

/** `f64.const`. */
export function f64(value: number): number[] {
  return [0x44, ...new Uint8Array(new Float64Array([value]).buffer)]
}

/** `call` of a function by its number. */
export function call(index: number): number[] {
  return [0x10, ...u32(index)]
}

/** Instructions without operands of their own, and those on locals and memory (natural alignment, offset 0). */
export const op = {
  get: (local: number) => [0x20, local],
  set: (local: number) => [0x21, local],
  drop: [0x1a],
  unreachable: [0x00],
  loop: [0x03, 0x40],
  if: [0x04, 0x40],
  end: [0x0b],
  br: (depth: number) => [0x0c, depth],
  brIf: (depth: number) => [0x0d, depth],
  i32Store: [0x36, 0x02, 0x00],
  i32Load: [0x28, 0x02, 0x00],
  i64Store: [0x37, 0x03, 0x00],
  f64Load: [0x2b, 0x03, 0x00],
  f64Store: [0x39, 0x03, 0x00],
  memorySize: [0x3f, 0x00],
  memoryGrow: [0x40, 0x00],
  i32Eqz: [0x45],
  i32Eq: [0x46],
  i32Ne: [0x47],
  i32GtU: [0x4b],
  i32Add: [0x6a],
  i32Sub: [0x6b],
  i64Add: [0x7c],
  i64Mul: [0x7e],
  i64ShrU: [0x88],
  f64Sqrt: [0x9f],
  f64Add: [0xa0],
  f64Div: [0xa3],
  f64Mul: [0xa2],
  f64FromI64U: [0xba],
} as const

/** `fd_write` of `length` bytes at `address` to descriptor 1; uses memory from 0 to 16; `write` is the number of `fd_write`. */
export function print(write: number, address: number, length: number): number[] {
  return [
    ...[...i32(0), ...i32(address), ...op.i32Store],
    ...[...i32(4), ...i32(length), ...op.i32Store],
    ...[...i32(1), ...i32(0), ...i32(1), ...i32(8), ...call(write), ...op.drop],
  ]
}
