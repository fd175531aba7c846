import { code } from './code.js'
import { functions, imports, types } from './declarations.js'
import { admittedBytesMax } from './limits.js'
import { emptyShape, type ModuleShape } from './module-shape.js'
import { data, elements } from './segments.js'
import { SECTION, splitSections } from './split.js'
import { exports, globals, memory, tables } from './state.js'
import { Writer } from './writer.js'

/** What the pass is told. */
interface InstrumentOptions {
  /** Cap of the memory. Unit: bytes, counted in whole pages of 64 KiB. */
  readonly memoryBytes: number
  /**
   * `escape` gives every NaN the same bits where they would show. `none` leaves them to the processor: what is then computed
   * may differ between machines, so only a test that shows the difference asks for it.
   */
  readonly nan: 'escape' | 'none'
}

/** An instrumented module and what was seen on the way. */
interface Instrumented {
  readonly bytes: Uint8Array
  readonly shape: ModuleShape
  readonly hasNames: boolean
}

/** Custom sections are dropped; the others are written in the order that the format asks for. Throws `Refused`. */
export function instrument(module: Uint8Array, options: InstrumentOptions): Instrumented {
  const { byId, names } = splitSections(module)
  const shape = emptyShape()
  const bytesMax = admittedBytesMax(module.length)
  const out = new Writer(Math.min(bytesMax, 2 * module.length + 4_096))
  out.copy(module, 0, 8)
  const put = (id: number, write: (to: Writer) => void) => {
    out.byte(id)
    const start = out.beginSized()
    write(out)
    out.endSized(start)
  }
  put(SECTION.type, (to) => types(byId.get(SECTION.type), shape, to))
  put(SECTION.import, (to) => imports(byId.get(SECTION.import), shape, to))
  put(SECTION.function, (to) => functions(byId.get(SECTION.function), shape, to))
  const table = byId.get(SECTION.table)
  if (table !== undefined) put(SECTION.table, (to) => tables(table, shape, to))
  put(SECTION.memory, (to) => memory(byId.get(SECTION.memory), shape, options.memoryBytes, to))
  put(SECTION.global, (to) => globals(byId.get(SECTION.global), shape, to))
  put(SECTION.export, (to) => exports(byId.get(SECTION.export), shape, to))
  const element = byId.get(SECTION.element)
  if (element !== undefined) put(SECTION.element, (to) => elements(element, shape, to))
  const dataCount = byId.get(SECTION.dataCount)
  if (dataCount !== undefined) put(SECTION.dataCount, (to) => to.copy(module, dataCount.position, dataCount.end))
  const dataSection = byId.get(SECTION.data)
  // What is left for the code: the data behind it stays as large as it is.
  const codeEnd = bytesMax - (dataSection === undefined ? 0 : dataSection.end - dataSection.position)
  const nan = options.nan === 'escape'
  put(SECTION.code, (to) => code(byId.get(SECTION.code), shape, { nan, codeEnd, bytesMax }, to))
  if (dataSection !== undefined) put(SECTION.data, (to) => data(dataSection, shape, to))
  return { bytes: out.view().slice(), shape, hasNames: names !== undefined }
}
