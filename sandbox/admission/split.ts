import { LIMITS } from './limits.js'
import { Reader } from './reader.js'

/** Ids of the sections that are read (WebAssembly core specification, 5.5.2). */
export const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
  tag: 13,
} as const

/** Rank of each section by id: the order in which they have to stand. */
const RANKS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 11, 6]

/** Bytes of the magic number and the version. */
const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]

/** Where the sections of a module are: a reader over each but the custom ones. */
interface Sections {
  readonly byId: ReadonlyMap<number, Reader>
  /** The custom section `name`, where there is one: after its own name. Not checked further. */
  readonly names: Reader | undefined
}

/** Finds the sections of `module`. Throws `Refused` for what is no module, too large, or has sections out of order. */
export function splitSections(module: Uint8Array): Sections {
  const reader: Reader = new Reader(module, 0, module.length, undefined)
  if (module.length > LIMITS.moduleBytes)
    reader.refuse(`the module has ${module.length} bytes, where at most ${LIMITS.moduleBytes} are allowed`)
  if (HEADER.some((byte, offset) => module[offset] !== byte))
    reader.refuse('this is not a WebAssembly module of version 1', 'compile to wasm32-wasi, not to a component')
  reader.position = HEADER.length
  const byId = new Map<number, Reader>()
  let names: Reader | undefined
  let last = 0
  while (reader.position < reader.end) {
    const at = reader.position
    const id = reader.byte()
    const size = reader.u32()
    const start = reader.position
    if (size > reader.end - start) reader.refuse(`section ${id} is cut short`, undefined, at)
    reader.position += size
    const section = new Reader(module, start, start + size, id)
    if (id === SECTION.custom) {
      if (section.name() === 'name') names ??= section
      continue
    }
    const rank = RANKS[id]
    if (rank === undefined) reader.refuse(`unknown section ${id}`, undefined, at)
    if (rank <= last) reader.refuse(`section ${id} stands twice or out of order`, undefined, at)
    last = rank
    if (id === SECTION.tag) section.refuse('exceptions are not admitted', 'compile with -fno-exceptions', at)
    if (id === SECTION.start)
      section.refuse('a start function is not admitted', 'programs start at the export _start', at)
    byId.set(id, section)
  }
  return { byId, names }
}
