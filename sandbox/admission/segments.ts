import { constant } from './constant.js'
import { functionIndex } from './indices.js'
import { LIMITS } from './limits.js'
import { admittedFunction, type ModuleShape } from './module-shape.js'
import type { Reader } from './reader.js'
import { VALUE_TYPE } from './types.js'
import type { Writer } from './writer.js'

/** Bits of the flags of an element segment (WebAssembly core specification, 5.5.12). */
const ELEMENT = { notActive: 1, tableOrDeclared: 2, expressions: 4 } as const

/** Kind of elements that are indices of functions. */
const FUNCTION_ELEMENTS = 0x00

/** Element segments, with the indices of functions as they are in the admitted module. */
export function elements(reader: Reader, shape: ModuleShape, out: Writer): void {
  const segments = reader.count('element segments', LIMITS.elementSegments)
  out.u32(segments)
  let entries = 0
  for (let segment = 0; segment < segments; segment++) {
    const at = reader.position
    const flags = reader.u32()
    if (flags > 7) reader.refuse('unknown kind of element segment', undefined, at)
    out.u32(flags)
    const active = (flags & ELEMENT.notActive) === 0
    if (active && (flags & ELEMENT.tableOrDeclared) !== 0) out.u32(reader.u32())
    if (active) constant(reader, shape, out)
    const expressions = (flags & ELEMENT.expressions) !== 0
    if ((flags & 3) !== 0) elementKind(reader, expressions, out)
    const count = reader.count('elements of a segment', LIMITS.segmentEntries)
    entries += count
    if (entries > LIMITS.segmentEntries)
      reader.refuse(`${entries} elements, where at most ${LIMITS.segmentEntries} are allowed`, undefined, at)
    out.u32(count)
    for (let entry = 0; entry < count; entry++) {
      if (expressions) constant(reader, shape, out)
      else out.u32(admittedFunction(shape, functionIndex(reader, shape)))
    }
  }
  reader.finish()
}

function elementKind(reader: Reader, expressions: boolean, out: Writer): void {
  const at = reader.position
  const kind = reader.byte()
  if (kind !== (expressions ? VALUE_TYPE.funcref : FUNCTION_ELEMENTS))
    reader.refuse('elements that are no functions', undefined, at)
  out.byte(kind)
}

/** Data segments: copied, once their form is known. Engines check that they fit, before the program starts. */
export function data(reader: Reader, shape: ModuleShape, out: Writer): void {
  const segments = reader.count('data segments', LIMITS.dataSegments)
  out.u32(segments)
  for (let segment = 0; segment < segments; segment++) {
    const at = reader.position
    const flags = reader.u32()
    if (flags > 1) reader.refuse('a data segment of another memory', undefined, at)
    out.u32(flags)
    if (flags === 0) constant(reader, shape, out)
    const length = reader.u32()
    out.u32(length)
    const start = reader.position
    reader.skip(length)
    out.copy(reader.bytes, start, reader.position)
  }
  reader.finish()
}
