import { GRID_MODULE, REFUEL_IMPORT } from '../contract.js'
import { ADDED_FUNCTION_TYPES } from './added-functions.js'
import { indexBelow } from './indices.js'
import { LIMITS } from './limits.js'
import type { ModuleShape } from './module-shape.js'
import type { Reader } from './reader.js'
import { Refused, shown } from './refused.js'
import { type FunctionType, VALUE_TYPE } from './types.js'
import { hasWasiType, WASI_MODULE, WASI_PARAMETERS } from './wasi-imports.js'
import type { Writer } from './writer.js'

/*
 * The sections that declare functions: types, imports, and the types of the program's own functions. Each function reads a
 * section (undefined where the module has none), notes in the shape what later ones need, and writes the admitted section.
 */

/** Tag of a function type. */
const FUNCTION_TYPE = 0x60

/** Kind of an import or export that is a function. */
export const FUNCTION_KIND = 0x00

/** Types, with those that the pass adds behind them. */
export function types(reader: Reader | undefined, shape: ModuleShape, out: Writer): void {
  if (reader === undefined) throw new Refused('the module has no functions', { section: undefined, offset: 0 })
  const count = reader.count('types', LIMITS.types)
  const start = reader.position
  for (let index = 0; index < count; index++) {
    if (reader.byte() !== FUNCTION_TYPE)
      reader.refuse('garbage collected types are not admitted', undefined, reader.position - 1)
    const params = valueTypes(reader, 'parameters', LIMITS.params)
    shape.types.push({ params, results: valueTypes(reader, 'results', LIMITS.results) })
  }
  reader.finish()
  const blocks = addBlockTypes(shape)
  shape.addedTypes = count + blocks.length
  out.u32(count + blocks.length + 2)
  out.copy(reader.bytes, start, reader.end)
  for (const results of blocks) writeType(out, { params: new Uint8Array(), results })
  for (const type of [VALUE_TYPE.i64, VALUE_TYPE.i32]) {
    const one = Uint8Array.of(type)
    writeType(out, { params: one, results: one })
  }
}

function valueTypes(reader: Reader, what: string, max: number): Uint8Array {
  const count = reader.count(what, max)
  const start = reader.position
  for (let index = 0; index < count; index++) reader.valueType()
  return reader.bytes.subarray(start, reader.position)
}

/** The body of a function with several results sits in a block, and only a type can say what such a block gives. */
function addBlockTypes(shape: ModuleShape): Uint8Array[] {
  const added: Uint8Array[] = []
  const known = new Map<string, number>()
  shape.types.forEach(({ results }, index) => {
    if (results.length < 2) return
    const key = results.join()
    let type = known.get(key)
    if (type === undefined) {
      type = shape.types.length + added.length
      known.set(key, type)
      added.push(results)
    }
    shape.blockTypes.set(index, type)
  })
  return added
}

function writeType(out: Writer, { params, results }: FunctionType): void {
  out.byte(FUNCTION_TYPE)
  out.u32(params.length)
  out.copy(params)
  out.u32(results.length)
  out.copy(results)
}

/** Imports: functions of WASI alone, with `grid.refuel` behind them. */
export function imports(reader: Reader | undefined, shape: ModuleShape, out: Writer): void {
  const count = reader?.count('imports', LIMITS.imports) ?? 0
  out.u32(count + 1)
  if (reader !== undefined) {
    const start = reader.position
    for (let index = 0; index < count; index++) importFunction(reader, shape)
    reader.finish()
    out.copy(reader.bytes, start, reader.end)
  }
  out.name(GRID_MODULE)
  out.name(REFUEL_IMPORT)
  out.byte(FUNCTION_KIND)
  out.u32(shape.addedTypes)
}

function importFunction(reader: Reader, shape: ModuleShape): void {
  const at = reader.position
  const module = reader.name()
  const name = reader.name()
  const kind = reader.byte()
  const quoted = `${shown(module)}.${shown(name)}`
  if (kind !== FUNCTION_KIND)
    reader.refuse(
      `the import ${quoted} is a ${['function', 'table', 'memory', 'global', 'tag'][kind] ?? 'thing'}`,
      'only functions of WASI preview 1 can be imported; link statically, without -pthread and --import-memory',
      at,
    )
  const typeIndex = indexBelow(reader, 'type', shape.types.length)
  const parameters = module === WASI_MODULE ? WASI_PARAMETERS.get(name) : undefined
  if (parameters === undefined)
    reader.refuse(`the import ${quoted} is not on the list`, 'only functions of WASI preview 1 can be imported', at)
  if (!hasWasiType(name, parameters, shape.types[typeIndex]!))
    reader.refuse(`the import ${quoted} has another type`, undefined, at)
  shape.functionTypes.push(typeIndex)
  shape.imports.push(`${module}.${name}`)
}

/** The types of the program's functions, with those that the pass adds behind them. */
export function functions(reader: Reader | undefined, shape: ModuleShape, out: Writer): void {
  if (reader === undefined) throw new Refused('the module has no functions', { section: undefined, offset: 0 })
  const count = reader.count('functions', LIMITS.functions)
  const start = reader.position
  for (let index = 0; index < count; index++) {
    const at = reader.position
    const type = reader.u32()
    if (type >= shape.types.length) reader.refuse(`type ${type}, where ${shape.types.length} are known`, undefined, at)
    shape.functionTypes.push(type)
  }
  reader.finish()
  out.u32(count + ADDED_FUNCTION_TYPES.length)
  out.copy(reader.bytes, start, reader.end)
  for (const type of ADDED_FUNCTION_TYPES) out.u32(shape.addedTypes + type)
}
