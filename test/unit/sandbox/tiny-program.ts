/*
 * Assembles the small programs of these tests byte by byte: a memory, imports of preview 1, one function `_start` with i32
 * locals, and data. Enough to run a host, no more.
 */
import { admit, WASI_MODULE, WASI_PARAMETERS } from '../../../sandbox/admission/index.js'
import { MEMORY_EXPORT, START_EXPORT } from '../../../sandbox/contract.js'
import { engine, type Module } from '../../../sandbox/engine.js'

const I32 = 0x7f
const I64 = 0x7e

/** Unsigned LEB128. */
export function leb(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  do {
    const byte = rest % 128
    rest = Math.floor(rest / 128)
    bytes.push(rest === 0 ? byte : byte | 0x80)
  } while (rest !== 0)
  return bytes
}

/** `i32.const value`; signed LEB128. */
export function i32(value: number): number[] {
  const bytes: number[] = []
  let rest = value | 0
  for (;;) {
    const byte = rest & 0x7f
    rest >>= 7
    const done = (rest === 0 && (byte & 0x40) === 0) || (rest === -1 && (byte & 0x40) !== 0)
    bytes.push(done ? byte : byte | 0x80)
    if (done) return [0x41, ...bytes]
  }
}

export const UNREACHABLE = [0x00]
export const DROP = [0x1a]
export const I32_ADD = [0x6a]
export const I32_LOAD = [0x28, 2, 0]
export const I32_STORE = [0x36, 2, 0]
export const GROW = [0x40, 0]
export const getLocal = (index: number) => [0x20, ...leb(index)]
export const setLocal = (index: number) => [0x21, ...leb(index)]
export const call = (index: number) => [0x10, ...leb(index)]
/** `loop ... br 0 end`: for ever. */
export const forever = (...body: number[][]) => [0x03, 0x40, ...body.flat(), 0x0c, 0, 0x0b]
/** Runs `body` `count` times, with local `index` as the counter. */
export const repeat = (index: number, count: number, ...body: number[][]) => [
  ...i32(count),
  ...setLocal(index),
  ...[0x03, 0x40],
  ...body.flat(),
  ...getLocal(index),
  ...i32(-1),
  ...I32_ADD,
  ...[0x22, ...leb(index), 0x0d, 0],
  0x0b,
]

/** A program; imports have the indices 0, 1, ... and `_start` comes after them. */
export interface TinyProgram {
  readonly imports?: readonly string[]
  /** Instructions of `_start`, without its `end`. */
  readonly body: readonly number[][]
  /** Pages of 64 KiB at the start. */
  readonly pages?: number
  /** Bytes at address 0. */
  readonly data?: Uint8Array
}

/** The module as an author would submit it. */
export function assemble({ imports = [], body, pages = 1, data = new Uint8Array(0) }: TinyProgram): Uint8Array {
  const name = (text: string) => [...leb(text.length), ...new TextEncoder().encode(text)]
  const section = (id: number, bytes: readonly number[]) => [id, ...leb(bytes.length), ...bytes]
  const vector = (items: readonly (readonly number[])[]) => [...leb(items.length), ...items.flat()]
  const types = imports.map((each) => {
    const parameters = [...(WASI_PARAMETERS.get(each) ?? '')].map((kind) => (kind === 'I' ? I64 : I32))
    return [0x60, ...leb(parameters.length), ...parameters, ...(each === 'proc_exit' ? [0] : [1, I32])]
  })
  const code = [1, 4, I32, ...body.flat(), 0x0b]
  return Uint8Array.from([
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector([...types, [0x60, 0, 0]])),
    ...section(2, vector(imports.map((each, i) => [...name(WASI_MODULE), ...name(each), 0, ...leb(i)]))),
    ...section(3, vector([leb(imports.length)])),
    ...section(5, vector([[0, ...leb(pages)]])),
    ...section(
      7,
      vector([
        [...name(MEMORY_EXPORT), 2, 0],
        [...name(START_EXPORT), 0, ...leb(imports.length)],
      ]),
    ),
    ...section(10, vector([[...leb(code.length), ...code]])),
    ...section(11, vector([[0, ...i32(0), 0x0b, ...leb(data.length), ...data]])),
  ])
}

/** The module as a worker runs it. */
export function compile(program: TinyProgram, memoryBytes = 2 ** 20): Module {
  return new engine.Module(admit(assemble(program), { memoryBytes }).bytes)
}
