import { addedFunctions } from './added-functions.js'
import { BodyEmitter } from './emit.js'
import { LIMITS } from './limits.js'
import type { ModuleShape } from './module-shape.js'
import { Reader } from './reader.js'
import { Refused } from './refused.js'
import { BodyScanner } from './scan.js'
import { Writer } from './writer.js'

/** What the code section is told. */
interface CodeOptions {
  /** Whether NaN bits are made canonical where they would show. */
  readonly nan: boolean
  /** Length of what is written up to which the code may go, so that the whole stays within `bytesMax`. Unit: bytes. */
  readonly codeEnd: number
  readonly bytesMax: number
}

/** The code section: each body of the program instrumented, and the added functions. */
export function code(reader: Reader | undefined, shape: ModuleShape, options: CodeOptions, out: Writer): void {
  if (reader === undefined) throw new Refused('the module has no code', { section: undefined, offset: 0 })
  const defined = shape.functionTypes.length - shape.imports.length
  const count = reader.count('function bodies', LIMITS.functions)
  if (count !== defined) reader.refuse(`${count} bodies of ${defined} functions`)
  const extra = addedFunctions(shape)
  out.u32(count + extra.length)
  const instructions = new Writer(4_096)
  const locals = new Writer(64)
  const scanner = new BodyScanner(shape, options.nan)
  const emitter = new BodyEmitter(shape, instructions)
  for (let index = 0; index < count; index++) {
    const at = reader.position
    const size = reader.u32()
    if (size > LIMITS.bodyBytes)
      reader.refuse(`a function of ${size} bytes, where at most ${LIMITS.bodyBytes} are allowed`, 'split it', at)
    const start = reader.position
    reader.skip(size)
    instructions.clear()
    locals.clear()
    const body = new Reader(reader.bytes, start, start + size, reader.section)
    admitBody(body, shape, shape.functionTypes[shape.imports.length + index]!, scanner, emitter, locals)
    const admitted = locals.length + instructions.length
    if (admitted > LIMITS.admittedBodyBytes)
      reader.refuse(
        `a function of ${size} bytes has ${admitted} once it is instrumented; at most ${LIMITS.admittedBodyBytes} are allowed`,
        'split it',
        at,
      )
    out.u32(admitted)
    out.copy(locals.view())
    out.copy(instructions.view())
    if (out.length > options.codeEnd)
      reader.refuse(
        `the module grows to more than ${options.bytesMax} bytes by what is inserted for fuel, NaN bits and depth`,
        undefined,
        at,
      )
  }
  reader.finish()
  for (const body of extra) {
    out.u32(body.length)
    out.copy(body)
  }
}

/** One body: the declarations of its locals go to `locals`, its instructions to what `emitter` writes to. */
function admitBody(
  reader: Reader,
  shape: ModuleShape,
  typeIndex: number,
  scanner: BodyScanner,
  emitter: BodyEmitter,
  locals: Writer,
): void {
  const type = shape.types[typeIndex]!
  const at = reader.position
  const groups = reader.count('groups of locals', LIMITS.locals)
  const start = reader.position
  let total = type.params.length
  for (let group = 0; group < groups; group++) {
    total += reader.u32()
    reader.valueType()
  }
  if (total > LIMITS.locals)
    reader.refuse(`a function has ${total} locals, where at most ${LIMITS.locals} are allowed`, 'compile with -O2', at)
  const instructions = reader.position
  scanner.scan(reader, type, total)
  const added = emitter.emit(
    { bytes: reader.bytes, start: instructions, end: reader.end, type, typeIndex, locals: total },
    scanner,
  )
  locals.u32(groups + added.length)
  locals.copy(reader.bytes, start, instructions)
  for (const valueType of added) {
    locals.byte(1)
    locals.byte(valueType)
  }
}
