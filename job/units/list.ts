import { BLOB_BYTES_MAX, COLUMNS_MAX, ITEMS_MAX, UNIT_ITEMS_BYTES_MAX } from '../../proto/limits.js'
import type { ListKind, UnitSource } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { utf8 } from '../../runtime/hex.js'
import { createSplitter, FILE_HEADER_BYTES } from './splitter.js'
import type { ItemRange } from './unit-source.js'

/** A source whose items are content of the submitter: lines, rows, records or files. */
export type ListSource = Extract<UnitSource, { type: 'list' }>

/** Entries of an index, without the last: at most 512 KiB, of which a worker fetches one chunk of 256 KiB. */
export const INDEX_ENTRIES_MAX = 65_536
/** Longest header row of a CSV file. */
const HEADER_BYTES_MAX = 256 * 1024

/** What the list of a job adds to its spec, besides the blobs of the items and of `index`. */
export interface ListIndex {
  readonly itemCount: number
  readonly indexEvery: number
  readonly columns: readonly string[]
  /** Bytes of content, a header row included. */
  readonly size: number
  /** Little-endian u64 offsets: the start of each group of `indexEvery` items, and the end of the last item. */
  readonly index: Uint8Array
}

/**
 * Builds the index of a list while its content streams by, in bounded memory: offsets are kept for every item at first,
 * and each time {@link INDEX_ENTRIES_MAX} is reached every other one goes. So small lists are cut finely and large ones
 * cheaply. The content itself is the blob of the items, as it is; of a CSV file the header row stands before the first item.
 */
export class ListIndexer {
  readonly #splitter
  readonly #kind: ListKind
  readonly #offsets = new Float64Array(INDEX_ENTRIES_MAX)
  #entries = 1
  #every = 1
  #items = 0
  #size = 0
  #end = 0
  #header: Uint8Array | undefined
  #columns: readonly string[] | undefined

  constructor(kind: ListKind, separator: string) {
    this.#splitter = createSplitter(kind, separator)
    this.#kind = kind
    if (kind === 'csv') this.#header = new Uint8Array(0)
  }

  readonly #onItem = (end: number): void => {
    this.#end = end
    this.#items++
    if (this.#items % this.#every !== 0) return
    if (this.#entries === INDEX_ENTRIES_MAX) this.#halve()
    // After halving, this end may no longer start a group.
    if (this.#items % this.#every === 0) this.#offsets[this.#entries++] = end
  }

  readonly #onRow = (end: number): void => {
    if (this.#columns === undefined) {
      this.#columns = readHeader(this.#header!.subarray(0, end))
      this.#header = undefined
      this.#offsets[0] = end
      this.#end = end
    } else {
      this.#onItem(end)
    }
  }

  #halve(): void {
    const kept = this.#entries / 2
    for (let i = 0; i < kept; i++) this.#offsets[i] = this.#offsets[2 * i]!
    this.#entries = kept
    this.#every *= 2
  }

  /** The next piece of content. Throws GridError `invalid` for content that is no such list, or too much of it. */
  push(chunk: Uint8Array): void {
    if (this.#header) {
      this.#header = concat([this.#header, chunk])
      // The row may end in this chunk; only one that has not ended yet can be too long.
      if (this.#header.length - chunk.length > HEADER_BYTES_MAX) {
        throw new GridError('invalid', `the header row of the CSV file is longer than ${HEADER_BYTES_MAX} bytes`)
      }
    }
    this.#size += chunk.length
    if (this.#size > BLOB_BYTES_MAX) throw new GridError('invalid', `the list is larger than ${BLOB_BYTES_MAX} bytes`)
    this.#splitter.push(chunk, this.#kind === 'csv' ? this.#onRow : this.#onItem)
    if (this.#items > ITEMS_MAX) throw new GridError('invalid', `the list has more than ${ITEMS_MAX} items`)
  }

  /** Call once, after the last piece. */
  finish(): ListIndex {
    this.#splitter.end(this.#kind === 'csv' ? this.#onRow : this.#onItem)
    const groups = Math.ceil(this.#items / this.#every)
    const index = new Uint8Array(8 * (groups + 1))
    const view = new DataView(index.buffer)
    for (let i = 0; i < groups; i++) view.setBigUint64(8 * i, BigInt(this.#offsets[i]!), true)
    view.setBigUint64(8 * groups, BigInt(this.#end), true)
    return {
      itemCount: this.#items,
      indexEvery: this.#every,
      columns: this.#columns ?? [],
      size: this.#size,
      index,
    }
  }
}

/** Bytes [start, end) of a blob. */
export interface ByteSpan {
  readonly start: number
  readonly end: number
}

/** The bytes of the index blob that say where `items` (one or more of the source) stand. */
export function indexSpan(source: ListSource, items: ItemRange): ByteSpan {
  const first = Number(items.first)
  const firstGroup = Math.floor(first / source.indexEvery)
  const lastGroup = Math.floor((first + items.count - 1) / source.indexEvery)
  return { start: 8 * firstGroup, end: 8 * (lastGroup + 2) }
}

/**
 * The bytes of the items blob that hold the groups whose index bytes ({@link indexSpan}) are given. Throws GridError
 * `corrupt` for an index that does not ascend or leaves the blob, and `invalid` beyond 256 MiB for one unit.
 */
export function contentSpan(source: ListSource, indexBytes: Uint8Array): ByteSpan {
  const view = new DataView(indexBytes.buffer, indexBytes.byteOffset, indexBytes.length)
  const start = Number(view.getBigUint64(0, true))
  const end = Number(view.getBigUint64(indexBytes.length - 8, true))
  if (!(start <= end && end <= source.items.size)) throw new GridError('corrupt', 'the index of the list is wrong')
  if (end - start > UNIT_ITEMS_BYTES_MAX) {
    throw new GridError('invalid', `the items of one unit have more than ${UNIT_ITEMS_BYTES_MAX} bytes`)
  }
  return { start, end }
}

/**
 * Cuts `items` out of the bytes that {@link contentSpan} named; the items are views of them. Throws GridError `corrupt`
 * when they do not hold that many, `invalid` when they are no such list.
 */
export function cutItems(source: ListSource, items: ItemRange, content: Uint8Array): Uint8Array[] {
  const skip = Number(items.first) % source.indexEvery
  const wanted = skip + items.count
  const cut: Uint8Array[] = []
  let found = 0
  let start = 0
  const onItem = (end: number) => {
    if (found >= skip && found < wanted) cut.push(content.subarray(start, end))
    start = end
    found++
  }
  const splitter = createSplitter(source.kind, source.separator)
  splitter.push(content, onItem)
  splitter.end(onItem)
  if (cut.length !== items.count) throw new GridError('corrupt', 'the list does not hold the items its index names')
  return cut
}

/** Names of columns from a header row: none empty, none twice, at most 1,024. Throws GridError `invalid`. */
function readHeader(row: Uint8Array): string[] {
  const bytes = row[0] === 0xef && row[1] === 0xbb && row[2] === 0xbf ? row.subarray(3) : row
  const columns = parseCsvRow(decodeText(bytes)).map((name) => name.trim())
  if (columns.length > COLUMNS_MAX) throw new GridError('invalid', `the CSV file has more than ${COLUMNS_MAX} columns`)
  columns.forEach((name, i) => {
    const problem =
      name === '' ? 'has no name' : columns.indexOf(name) < i ? `has the name '${name}' of another` : undefined
    if (problem)
      throw new GridError('invalid', `column ${i + 1} of the CSV file ${problem}`, {
        hint: 'The first row must name the columns.',
      })
  })
  return columns
}

/** Fields of one row (RFC 4180), whatever line end follows it. Text after a closing quote is kept as it is. */
export function parseCsvRow(row: string): string[] {
  const text = row.replace(/^[\r\n]+/, '').replace(/\r?\n$/, '')
  const fields: string[] = []
  let at = 0
  for (;;) {
    let field = ''
    if (text[at] === '"') {
      at++
      for (;;) {
        const quote = text.indexOf('"', at)
        field += text.slice(at, quote < 0 ? text.length : quote)
        at = quote < 0 ? text.length : quote + 1
        if (quote < 0 || text[at] !== '"') break
        field += '"'
        at++
      }
    }
    const comma = text.indexOf(',', at)
    fields.push(field + text.slice(at, comma < 0 ? text.length : comma))
    if (comma < 0) return fields
    at = comma + 1
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Text of UTF-8 bytes. Throws GridError `invalid` when they are none. */
export function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new GridError('invalid', 'an item is not UTF-8 text', {
      cause,
      hint: 'Use no placeholder for it: then its bytes go to standard input.',
    })
  }
}

/**
 * Head of a file item: its content follows. A list of files is one blob, self-describing, so that any number of files fits:
 * u16 length of the name, u64 length of the content (little-endian), name, content.
 */
export function fileItemHead(name: string, size: number): Uint8Array {
  const nameBytes = utf8(name)
  const head = new Uint8Array(FILE_HEADER_BYTES + nameBytes.length)
  const view = new DataView(head.buffer)
  view.setUint16(0, nameBytes.length, true)
  view.setBigUint64(2, BigInt(size), true)
  head.set(nameBytes, FILE_HEADER_BYTES)
  return head
}

/** Name and content (a view) of a file item. Throws GridError `invalid` when it is none. */
export function readFileItem(item: Uint8Array): { name: string; bytes: Uint8Array } {
  if (item.length < FILE_HEADER_BYTES) throw new GridError('invalid', 'a file item is cut off')
  const view = new DataView(item.buffer, item.byteOffset, item.length)
  const nameEnd = FILE_HEADER_BYTES + view.getUint16(0, true)
  if (nameEnd + Number(view.getBigUint64(2, true)) !== item.length)
    throw new GridError('invalid', 'a file item is cut off')
  return { name: decodeText(item.subarray(FILE_HEADER_BYTES, nameEnd)), bytes: item.subarray(nameEnd) }
}

/** `parts` one after another. */
export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}
