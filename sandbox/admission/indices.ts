import type { ModuleShape } from './module-shape.js'
import type { Reader } from './reader.js'
import type { FunctionType } from './types.js'

/** A type that stands for no value, in the place of a block's type. */
const EMPTY_BLOCK = 0x40

/**
 * An index of which the program may use those below `count`. Checked here and not only by the engine: behind them stand the
 * pass's own functions, globals and locals, and a body that names one of those would be valid once they are there.
 */
export function indexBelow(reader: Reader, what: string, count: number): number {
  const at = reader.position
  const index = reader.u32()
  if (index >= count) reader.refuse(`${what} ${index}, where ${count} are known`, undefined, at)
  return index
}

/** Index of a function, as the program counts them. */
export function functionIndex(reader: Reader, shape: ModuleShape): number {
  return indexBelow(reader, 'function', shape.functionTypes.length)
}

/** A type by its index. */
export function typeByIndex(reader: Reader, shape: ModuleShape): FunctionType {
  return shape.types[indexBelow(reader, 'type', shape.types.length)]!
}

const NOTHING: FunctionType = { params: new Uint8Array(), results: new Uint8Array() }

/** What a block takes and gives: nothing, one value, or as a type of the module says. */
export function blockType(reader: Reader, shape: ModuleShape): FunctionType {
  const at = reader.position
  const first = reader.byte()
  if (first === EMPTY_BLOCK) return NOTHING
  reader.position = at
  if (first > EMPTY_BLOCK && first < 0x80) {
    reader.valueType()
    return { params: NOTHING.params, results: reader.bytes.subarray(at, reader.position) }
  }
  const type = typeByIndex(reader, shape)
  // The index is signed here: one that ends in a byte of 0x40 to 0x7f is a negative number.
  if ((reader.bytes[reader.position - 1]! & 0x40) !== 0) reader.refuse('unknown type of a block', undefined, at)
  return type
}
