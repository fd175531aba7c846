import { functionIndex } from './indices.js'
import { admittedFunction, type ModuleShape } from './module-shape.js'
import { OP } from './opcodes.js'
import type { Reader } from './reader.js'
import { VALUE_TYPE } from './types.js'
import type { Writer } from './writer.js'

/**
 * A constant expression: one constant, or a reference to a function, and `end`. Others read imported globals, of which there
 * are none, or compute, which engines do not agree on.
 */
export function constant(reader: Reader, shape: ModuleShape, out: Writer): void {
  const start = reader.position
  const op = reader.byte()
  if (op === OP.refFunc) {
    out.byte(op)
    out.u32(admittedFunction(shape, functionIndex(reader, shape)))
  } else {
    if (op === OP.i32Const || op === OP.i64Const) reader.skipNumber()
    else if (op === OP.f32Const) reader.skip(4)
    else if (op === OP.f64Const) reader.skip(8)
    else if (op !== OP.refNull || reader.valueType() !== VALUE_TYPE.funcref)
      reader.refuse(`a constant expression with instruction 0x${op.toString(16)}`, undefined, start)
    out.copy(reader.bytes, start, reader.position)
  }
  if (reader.byte() !== OP.end) reader.refuse('a constant expression of more than one instruction', undefined, start)
  out.byte(OP.end)
}
