import {
  DEPTH_EXPORT,
  DEPTH_SLOTS,
  FUEL_EXPORT,
  MEMORY_EXPORT,
  PAGE_BYTES,
  START_EXPORT,
  STARVED_EXPORT,
} from '../contract.js'
import { constant } from './constant.js'
import { FUNCTION_KIND } from './declarations.js'
import { LIMITS } from './limits.js'
import { addedGlobals, admittedFunction, type ModuleShape } from './module-shape.js'
import { OP } from './opcodes.js'
import type { Reader } from './reader.js'
import { Refused, shown } from './refused.js'
import { VALUE_TYPE } from './types.js'
import type { Writer } from './writer.js'

/*
 * The sections that declare what a program keeps: tables, the memory, globals; and what it shows of it: exports. Each
 * function reads a section, notes in the shape what later ones need, and writes the admitted section.
 */

const MEMORY_KIND = 0x02
const GLOBAL_KIND = 0x03

/** Names that begin so are the pass's. */
const RESERVED_NAMES = 'grid_'

const MUTABLE = 1

/** Fuel, depth, starved, and the pages that the program knows of; the last is not exported. */
const ADDED_GLOBALS = 4

/** Tables of functions, bounded together. */
export function tables(reader: Reader, shape: ModuleShape, out: Writer): void {
  shape.tables = reader.count('tables', LIMITS.tables)
  let elements = 0
  out.u32(shape.tables)
  const start = reader.position
  for (let index = 0; index < shape.tables; index++) {
    const at = reader.position
    if (reader.byte() !== VALUE_TYPE.funcref) reader.refuse('a table of something else than functions', undefined, at)
    const flags = reader.byte()
    if (flags > 1) reader.refuse('a shared table, or one of 64 bits', 'compile without -pthread', at)
    elements += reader.u32()
    if (flags === 1) reader.u32()
    if (elements > LIMITS.tableElements)
      reader.refuse(`tables of ${elements} elements, where at most ${LIMITS.tableElements} are allowed`, undefined, at)
  }
  reader.finish()
  out.copy(reader.bytes, start, reader.end)
}

/** The memory, capped at `memoryBytes`. */
export function memory(reader: Reader | undefined, shape: ModuleShape, memoryBytes: number, out: Writer): void {
  if (reader === undefined) throw new Refused('the module has no memory of its own', { section: undefined, offset: 0 })
  const at = reader.position
  if (reader.u32() !== 1) reader.refuse('there is not exactly one memory', undefined, at)
  const flags = reader.byte()
  if ((flags & 2) !== 0) reader.refuse('the module uses shared memory', 'compile without -pthread', at)
  if (flags > 1) reader.refuse('a memory of 64 bits, or with pages of another size', 'compile to wasm32', at)
  const cap = Math.min(Math.floor(memoryBytes / PAGE_BYTES), 65_536)
  const min = reader.u32()
  const max = flags === 1 ? reader.u32() : cap
  reader.finish()
  if (min > cap)
    reader.refuse(
      `the program needs ${min} pages of memory (${min * PAGE_BYTES} bytes) to start, the limit allows ${cap}`,
      'raise --memory',
      at,
    )
  if (max < min) reader.refuse(`a memory of at least ${min} and at most ${max} pages`, undefined, at)
  shape.memoryPages = { min, max: Math.min(max, cap) }
  out.byte(1)
  out.byte(1)
  out.u32(min)
  out.u32(shape.memoryPages.max)
}

/** The program's globals, with those that the pass adds behind them. */
export function globals(reader: Reader | undefined, shape: ModuleShape, out: Writer): void {
  shape.globals = reader?.count('globals', LIMITS.globals) ?? 0
  out.u32(shape.globals + ADDED_GLOBALS)
  if (reader !== undefined) {
    for (let index = 0; index < shape.globals; index++) {
      out.byte(reader.valueType())
      const mutability = reader.byte()
      if (mutability > MUTABLE) reader.refuse('a shared global', 'compile without -pthread', reader.position - 1)
      out.byte(mutability)
      constant(reader, shape, out)
    }
    reader.finish()
  }
  addGlobal(out, VALUE_TYPE.i64, OP.i64Const, 0)
  addGlobal(out, VALUE_TYPE.i32, OP.i32Const, DEPTH_SLOTS)
  addGlobal(out, VALUE_TYPE.i32, OP.i32Const, 0)
  addGlobal(out, VALUE_TYPE.i32, OP.i32Const, shape.memoryPages.min)
}

function addGlobal(out: Writer, type: number, op: number, value: number): void {
  out.byte(type)
  out.byte(MUTABLE)
  out.byte(op)
  out.s32(value)
  out.byte(OP.end)
}

/** `memory` and `_start`, which have to be there, and the added globals that the host reads. Other exports are of no use to a host: dropped. */
export function exports(reader: Reader | undefined, shape: ModuleShape, out: Writer): void {
  const found = new Map<string, { kind: number; index: number; at: number }>()
  const count = reader?.count('exports', LIMITS.exports) ?? 0
  for (let entry = 0; reader !== undefined && entry < count; entry++) {
    const at = reader.position
    const name = reader.name()
    if (name.startsWith(RESERVED_NAMES))
      reader.refuse(`the export ${shown(name)}: names with ${RESERVED_NAMES} are reserved`, undefined, at)
    if (found.has(name)) reader.refuse(`the export ${shown(name)} stands twice`, undefined, at)
    found.set(name, { kind: reader.byte(), index: reader.u32(), at })
  }
  reader?.finish()
  const place = { section: reader?.section, offset: reader?.position ?? 0 }
  const memoryExport = found.get(MEMORY_EXPORT)
  if (memoryExport?.kind !== MEMORY_KIND || memoryExport.index !== 0)
    throw new Refused(`the module does not export its memory as "${MEMORY_EXPORT}"`, place)
  const start = found.get(START_EXPORT)
  if (start === undefined)
    throw new Refused(
      `there is no export "${START_EXPORT}"`,
      place,
      'compile a program (a WASI command), not a library',
    )
  const type = shape.types[shape.functionTypes[start.index] ?? -1]
  if (
    start.kind !== FUNCTION_KIND ||
    start.index < shape.imports.length ||
    type === undefined ||
    type.params.length + type.results.length > 0
  )
    throw new Refused(`"${START_EXPORT}" is not a function of the module without parameters and results`, {
      ...place,
      offset: start.at,
    })
  const added = addedGlobals(shape)
  const all: (readonly [name: string, kind: number, index: number])[] = [
    [MEMORY_EXPORT, MEMORY_KIND, 0],
    [START_EXPORT, FUNCTION_KIND, admittedFunction(shape, start.index)],
    [FUEL_EXPORT, GLOBAL_KIND, added.fuel],
    [DEPTH_EXPORT, GLOBAL_KIND, added.depth],
    [STARVED_EXPORT, GLOBAL_KIND, added.starved],
  ]
  out.u32(all.length)
  for (const [name, kind, index] of all) {
    out.name(name)
    out.byte(kind)
    out.u32(index)
  }
}
