import { GridError } from '../../runtime/errors.js'

/** Names of the sections of a module by their id, as refusals say them (WebAssembly core specification, 5.5.2). */
const SECTION_NAMES = [
  'custom',
  'type',
  'import',
  'function',
  'table',
  'memory',
  'global',
  'export',
  'start',
  'element',
  'code',
  'data',
  'data count',
  'tag',
] as const

/** Where in a module something stands: id of the section, or undefined outside of any, and bytes from the module's start. */
export interface ModulePlace {
  readonly section: number | undefined
  readonly offset: number
}

/**
 * The admission pass does not take a module. The message names reason, section and offset, and what the author can do;
 * it never quotes text of the module that is not printable ASCII.
 */
export class Refused extends GridError {
  /** What is wrong, without the place. */
  readonly reason: string
  /** Id of the section in which it stands; undefined for the module as a whole. */
  readonly section: number | undefined
  /** Bytes from the start of the module. */
  readonly offset: number

  constructor(reason: string, place: ModulePlace, remedy?: string) {
    const { section, offset } = place
    const at = `offset 0x${offset.toString(16)}`
    const where = section === undefined ? at : `section ${section}, ${SECTION_NAMES[section] ?? 'unknown'}, ${at}`
    super('invalid', `${reason} (${where})${remedy === undefined ? '' : `: ${remedy}`}`, { fields: { offset } })
    this.name = 'Refused'
    this.reason = reason
    this.section = section
    this.offset = offset
  }
}

/** `text` of a module as a message may show it: printable ASCII, at most 80 characters. */
export function shown(text: string): string {
  const clean = text.slice(0, 80).replace(/[^\x20-\x7e]/g, '?')
  return text.length > 80 ? `${clean}...` : clean
}
