import type { ListKind } from '../../proto/model.js'
import { GridError } from '../../runtime/errors.js'
import { utf8 } from '../../runtime/hex.js'

const LF = 10
const CR = 13
const QUOTE = 34
const COMMA = 44
const DOLLAR = 36
const GREATER = 62
const AT = 64

/** Told where each item ends: its offset in the content pushed so far, as a whole. */
type ItemEnd = (endOffset: number) => void

/**
 * Finds the ends of items in content that comes in pieces, keeping none of it. Items stand one after another: each ends
 * where the next starts, line ends and separators belong to the item before them, blank lines to the item after them.
 */
interface Splitter {
  push(chunk: Uint8Array, onItem: ItemEnd): void
  /** The content is over: reports the last item when no separator ended it. */
  end(onItem: ItemEnd): void
}

/** Formats of `--sep` that are more than a text. */
const RECORD_FORMATS: readonly string[] = ['fasta', 'fastq', 'sdf']

/** `UnitSource.separator` for what a person gave as `--sep`: a known format by name, any other text after a colon. */
export function recordSeparator(sep: string): string {
  return RECORD_FORMATS.includes(sep) ? sep : `:${sep}`
}

/** The splitter of a list. Throws GridError `invalid` for a separator that none knows; while pushing, for bad content. */
export function createSplitter(kind: ListKind, separator: string): Splitter {
  switch (kind) {
    case 'lines':
      return new LineSplitter()
    case 'csv':
      return new RowSplitter()
    case 'files':
      return new FileSplitter()
    case 'records':
      if (separator === 'fasta') return new FastaSplitter()
      if (separator === 'fastq') return new BlockSplitter('fastq')
      if (separator === 'sdf') return new BlockSplitter('sdf')
      if (separator.length > 1 && separator.startsWith(':')) return new TextSplitter(utf8(separator.slice(1)))
      throw new GridError('invalid', `unknown record separator '${separator.slice(0, 60)}'`, {
        hint: `Use ${RECORD_FORMATS.join(', ')}, or the text that ends each record.`,
      })
  }
}

/** Lines end with LF; a last line without one counts. */
class LineSplitter implements Splitter {
  #total = 0
  #itemStart = 0

  push(chunk: Uint8Array, onItem: ItemEnd): void {
    const base = this.#total
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
      this.#itemStart = base + at + 1
      onItem(this.#itemStart)
    }
    this.#total = base + chunk.length
  }

  end(onItem: ItemEnd): void {
    if (this.#total > this.#itemStart) onItem(this.#total)
  }
}

/** Rows of RFC 4180: quotes open at the start of a field, a line end inside quotes does not end the row. */
class RowSplitter implements Splitter {
  #total = 0
  #isBlank = true
  #isQuoted = false
  #atFieldStart = true

  push(chunk: Uint8Array, onItem: ItemEnd): void {
    let isBlank = this.#isBlank
    let isQuoted = this.#isQuoted
    let atFieldStart = this.#atFieldStart
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!
      if (isQuoted) {
        // A doubled quote closes and opens again: the state after it is the same.
        if (byte === QUOTE) isQuoted = false
        // Only a quote may reopen right after a closing one.
        atFieldStart = byte === QUOTE
      } else if (byte === LF) {
        if (!isBlank) onItem(this.#total + at + 1)
        isBlank = true
        atFieldStart = true
      } else if (byte === CR) {
        if (!isBlank) atFieldStart = false
      } else {
        isBlank = false
        if (byte === QUOTE && atFieldStart) isQuoted = true
        atFieldStart = byte === COMMA
      }
    }
    this.#isBlank = isBlank
    this.#isQuoted = isQuoted
    this.#atFieldStart = atFieldStart
    this.#total += chunk.length
  }

  end(onItem: ItemEnd): void {
    if (this.#isQuoted) throw new GridError('invalid', 'the last row of the CSV file has a quote that is never closed')
    if (!this.#isBlank) onItem(this.#total)
  }
}

/** FASTA: a record starts with `>` at the start of a line; only blank lines may stand before the first. */
class FastaSplitter implements Splitter {
  #total = 0
  #previous = LF
  #isStarted = false

  push(chunk: Uint8Array, onItem: ItemEnd): void {
    if (!this.#isStarted) this.#start(chunk)
    for (let at = chunk.indexOf(GREATER); at >= 0; at = chunk.indexOf(GREATER, at + 1)) {
      if ((at === 0 ? this.#previous : chunk[at - 1]) !== LF) continue
      if (this.#isStarted) onItem(this.#total + at)
      this.#isStarted = true
    }
    this.#previous = chunk.at(-1) ?? this.#previous
    this.#total += chunk.length
  }

  #start(chunk: Uint8Array): void {
    const first = chunk.find((byte) => byte !== LF && byte !== CR)
    if (first !== undefined && first !== GREATER) {
      throw new GridError('invalid', "the FASTA file does not start with '>'")
    }
  }

  end(onItem: ItemEnd): void {
    if (this.#isStarted) onItem(this.#total)
  }
}

/** FASTQ: four lines a record, the first starting with `@`. SDF: a record ends with a line `$$$$`. */
class BlockSplitter implements Splitter {
  readonly #format: 'fastq' | 'sdf'
  #total = 0
  #lines = 0
  /** Bytes of the current line, and of them the leading `$`. */
  #lineLength = 0
  #dollars = 0
  /** Whether the record has a line that is not blank; blank lines after the last mark are no record. */
  #hasContent = false

  constructor(format: 'fastq' | 'sdf') {
    this.#format = format
  }

  push(chunk: Uint8Array, onItem: ItemEnd): void {
    for (let at = 0; at < chunk.length; ) {
      const newline = chunk.indexOf(LF, at)
      const end = newline < 0 ? chunk.length : newline
      this.#readLine(chunk, at, end)
      if (newline >= 0 && this.#endLine()) onItem(this.#total + newline + 1)
      at = end + 1
    }
    this.#total += chunk.length
  }

  #readLine(chunk: Uint8Array, from: number, end: number): void {
    for (let at = from; at < end && chunk[at] !== CR; at++) {
      const byte = chunk[at]!
      if (this.#format === 'fastq' && this.#lines === 0 && this.#lineLength === 0 && byte !== AT) {
        throw new GridError('invalid', "a FASTQ record does not start with '@'", {
          hint: 'Each record must be four lines; sequences broken over several lines are not supported.',
        })
      }
      if (byte === DOLLAR && this.#dollars === this.#lineLength) this.#dollars++
      this.#lineLength++
      // Nothing past the fifth byte of a line matters.
      if (this.#lineLength > 4) return
    }
  }

  /** Whether this line ended a record. */
  #endLine(): boolean {
    const isBlank = this.#lineLength === 0
    const isMark = this.#lineLength === 4 && this.#dollars === 4
    this.#lineLength = 0
    this.#dollars = 0
    if (!isBlank) this.#hasContent = true
    if (!this.#hasContent && this.#format === 'fastq') return false
    this.#lines++
    const isOver = this.#format === 'fastq' ? this.#lines === 4 : isMark
    if (isOver) {
      this.#lines = 0
      this.#hasContent = false
    }
    return isOver
  }

  end(onItem: ItemEnd): void {
    if (this.#format === 'fastq') {
      const lines = this.#lines + (this.#lineLength > 0 ? 1 : 0)
      if (lines !== 0 && lines < 4) throw new GridError('invalid', 'the last FASTQ record has fewer than four lines')
      if (lines === 4) onItem(this.#total)
    } else if (this.#lineLength > 0 || this.#hasContent) {
      onItem(this.#total)
    }
  }
}

/** Records that end with a given text; a last one without it counts. */
class TextSplitter implements Splitter {
  readonly #separator: Uint8Array
  #total = 0
  #itemStart = 0
  /** End of what came before: a separator may begin in it. */
  #tail = new Uint8Array(0)

  constructor(separator: Uint8Array) {
    this.#separator = separator
  }

  push(chunk: Uint8Array, onItem: ItemEnd): void {
    const separator = this.#separator
    const bytes = new Uint8Array(this.#tail.length + chunk.length)
    bytes.set(this.#tail)
    bytes.set(chunk, this.#tail.length)
    const base = this.#total - this.#tail.length
    let from = 0
    for (let at = bytes.indexOf(separator[0]!); at >= 0; at = bytes.indexOf(separator[0]!, at)) {
      if (at + separator.length > bytes.length) break
      if (separator.every((byte, i) => bytes[at + i] === byte)) {
        at += separator.length
        from = at
        this.#itemStart = base + at
        onItem(this.#itemStart)
      } else {
        at++
      }
    }
    this.#tail = bytes.slice(Math.max(from, bytes.length - separator.length + 1))
    this.#total += chunk.length
  }

  end(onItem: ItemEnd): void {
    if (this.#total > this.#itemStart) onItem(this.#total)
  }
}

/** Bytes before the name of a file item: length of the name (u16) and of the content (u64), little-endian. */
export const FILE_HEADER_BYTES = 10

/** File items say their own length ({@link FILE_HEADER_BYTES}, name, content). */
class FileSplitter implements Splitter {
  #total = 0
  #itemEnd = 0
  #header = new Uint8Array(FILE_HEADER_BYTES)
  #headerLength = 0

  push(chunk: Uint8Array, onItem: ItemEnd): void {
    const chunkEnd = this.#total + chunk.length
    for (;;) {
      if (this.#headerLength === FILE_HEADER_BYTES) {
        if (chunkEnd < this.#itemEnd) break
        this.#headerLength = 0
        onItem(this.#itemEnd)
      }
      const at = Math.max(this.#itemEnd + this.#headerLength, this.#total) - this.#total
      if (at >= chunk.length) break
      const part = chunk.subarray(at, at + FILE_HEADER_BYTES - this.#headerLength)
      this.#header.set(part, this.#headerLength)
      this.#headerLength += part.length
      if (this.#headerLength < FILE_HEADER_BYTES) break
      const view = new DataView(this.#header.buffer)
      const size = view.getUint16(0, true) + Number(view.getBigUint64(2, true))
      if (!Number.isSafeInteger(size)) throw new GridError('invalid', 'a file item says an impossible length')
      this.#itemEnd += FILE_HEADER_BYTES + size
    }
    this.#total = chunkEnd
  }

  end(): void {
    if (this.#total !== this.#itemEnd || this.#headerLength !== 0)
      throw new GridError('invalid', 'the last file item is cut off')
  }
}
