import { utf8 } from '../runtime/hex.js'

/** Bytes of UTF-8 of one part of a name (NAME_MAX of common file systems), and of a whole name. */
const PART_BYTES_MAX = 255
const NAME_BYTES_MAX = 1_024
/** Folders in folders. */
const PARTS_MAX = 16

/** Names that Windows gives to devices, whatever extension follows ("Naming Files, Paths, and Namespaces", Microsoft). */
const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])[ .]*(\.|$)/i
/** Control, format-steering and line-breaking characters: such a name forges terminal output. */
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/
const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * Why `name` cannot stand for a file below a folder on every system, or undefined when it can: parts separated by `/`,
 * none empty, `.` or `..`, no leading `/`, no backslash or colon (Windows paths, drives and streams), no control
 * characters, no device names, no part that ends in a dot or a space, at most 255 bytes a part, 1,024 bytes and 16 parts in all.
 */
export function fileNameProblem(name: string): string | undefined {
  if (name === '') return 'is empty'
  if (name.length > NAME_BYTES_MAX || utf8(name).length > NAME_BYTES_MAX)
    return `is longer than ${NAME_BYTES_MAX} bytes`
  if (name.startsWith('/')) return 'is absolute'
  if (CONTROL.test(name)) return 'has control characters'
  if (LONE_SURROGATE.test(name)) return 'is not valid Unicode'
  if (name.includes('\\')) return 'has a backslash'
  if (name.includes(':')) return 'has a colon'
  const parts = name.split('/')
  if (parts.length > PARTS_MAX) return `has more than ${PARTS_MAX} parts`
  for (const part of parts) {
    if (part === '') return 'has an empty part'
    if (part === '.' || part === '..') return `has a part '${part}'`
    if (part.endsWith('.') || part.endsWith(' ')) return 'has a part that ends in a dot or a space'
    if (utf8(part).length > PART_BYTES_MAX) return `has a part longer than ${PART_BYTES_MAX} bytes`
    if (DEVICE.test(part)) return `has a part '${part}' that is a device name on Windows`
  }
  return undefined
}

/** Order of names by their UTF-8 bytes, which is that of their code points: negative, 0 or positive. */
export function compareFileNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return codePointRank(x) - codePointRank(y)
  }
  return a.length - b.length
}

/** UTF-16 puts surrogates (code points above U+FFFF) below U+E000..U+FFFF; this puts them above. */
function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

/**
 * Why these names, ascending by {@link compareFileNames}, cannot stand together in one folder, or undefined: each by
 * itself, twice the same, or one both a file and a folder.
 */
export function fileNamesProblem(names: readonly string[]): string | undefined {
  for (const name of names) {
    const problem = fileNameProblem(name)
    if (problem !== undefined) return problem
  }
  if (names.length < 2) return undefined
  const files = new Set<string>()
  let previous: string | undefined
  for (const name of names) {
    if (previous !== undefined && compareFileNames(previous, name) >= 0) return 'is not in ascending order'
    previous = name
    for (let slash = name.indexOf('/'); slash >= 0; slash = name.indexOf('/', slash + 1)) {
      if (files.has(name.slice(0, slash))) return 'is below another file'
    }
    files.add(name)
  }
  return undefined
}
