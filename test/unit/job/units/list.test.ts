import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  contentSpan,
  cutItems,
  fileItemHead,
  INDEX_ENTRIES_MAX,
  indexSpan,
  type ListIndex,
  ListIndexer,
  type ListSource,
  parseCsvRow,
  readFileItem,
} from '../../../../job/units/list.js'
import { recordSeparator } from '../../../../job/units/splitter.js'
import type { ListKind } from '../../../../proto/model.js'
import { GridError } from '../../../../runtime/errors.js'
import { utf8 } from '../../../../runtime/hex.js'
import { digest } from '../samples.js'

const test = suite('lists')

function build(kind: ListKind, content: Uint8Array, separator = '', chunkBytes = content.length || 1): ListIndex {
  const indexer = new ListIndexer(kind, separator)
  for (let at = 0; at < content.length; at += chunkBytes) indexer.push(content.subarray(at, at + chunkBytes))
  return indexer.finish()
}

function sourceOf(kind: ListKind, separator: string, list: ListIndex): ListSource {
  return {
    type: 'list',
    kind,
    items: { digest, size: list.size },
    index: { digest, size: list.index.length },
    indexEvery: list.indexEvery,
    itemCount: list.itemCount,
    columns: list.columns,
    separator,
  }
}

/** Items [first, first + count) the way a worker gets them: a piece of the index, then a piece of the content. */
function fetchItems(source: ListSource, list: ListIndex, content: Uint8Array, first: number, count: number): string[] {
  const range = { first: BigInt(first), count }
  const { start, end } = indexSpan(source, range)
  const span = contentSpan(source, list.index.slice(start, end))
  return cutItems(source, range, content.slice(span.start, span.end)).map((item) => Buffer.from(item).toString())
}

/** All items, cut one by one; the same for any size of the pieces in which the content comes. */
function items(kind: ListKind, text: string, separator = ''): string[] {
  const content = utf8(text)
  const list = build(kind, content, separator)
  for (const chunkBytes of [1, 2, 3, 7]) assert.equal(build(kind, content, separator, chunkBytes), list)
  const source = sourceOf(kind, separator, list)
  return Array.from({ length: list.itemCount }, (_, i) => fetchItems(source, list, content, i, 1)[0]!)
}

test('lines end with LF or CRLF, a last one without counts, an empty file has none', () => {
  assert.equal(items('lines', ''), [])
  assert.equal(items('lines', 'a\n\nb\r\nc'), ['a\n', '\n', 'b\r\n', 'c'])
  assert.equal(items('lines', 'a\n'), ['a\n'])
})

test('rows of a CSV file may hold line ends in quotes; the first row names the columns', () => {
  const text = 'id,"full name"\r\n1,"a\nb ""q"", c"\r\n\r\n2,x 5" y\n\n'
  assert.equal(items('csv', text), ['1,"a\nb ""q"", c"\r\n', '\r\n2,x 5" y\n'])
  assert.equal(build('csv', utf8(text)).columns, ['id', 'full name'])
  assert.equal(build('csv', utf8('\ufeffa,b\n1,2')).columns, ['a', 'b'])
  assert.is(build('csv', utf8('a,b\n')).itemCount, 0)
})

test('a CSV file with a bad header or an open quote is refused', () => {
  for (const text of ['a,,b\n', 'a,a\n', 'a\n"open', '"']) {
    assert.throws(
      () => build('csv', utf8(text)),
      (error: unknown) => error instanceof GridError && error.code === 'invalid',
      text,
    )
  }
  assert.throws(() => build('csv', new Uint8Array(600_000).fill(97), '', 65_536), /header row/)
})

test('fields of a row are unquoted', () => {
  assert.equal(parseCsvRow('a,,"b,""c""",d\r\n'), ['a', '', 'b,"c"', 'd'])
  assert.equal(parseCsvRow(''), [''])
  assert.equal(parseCsvRow('"open'), ['open'])
})

test('FASTA, FASTQ and SDF records are found whole', () => {
  assert.equal(items('records', '\n>a x>y\nMK\nLL\n>b\nQ\n', 'fasta'), ['\n>a x>y\nMK\nLL\n', '>b\nQ\n'])
  assert.equal(items('records', '@a\nAC\n+\n@@\n@b\nG\n+\nI', 'fastq'), ['@a\nAC\n+\n@@\n', '@b\nG\n+\nI'])
  assert.equal(items('records', 'm1\n$$$$x\n$$$$\nm2\n$$$$\r\n\n', 'sdf'), ['m1\n$$$$x\n$$$$\n', 'm2\n$$$$\r\n'])
  assert.equal(items('records', '\nno mark\n', 'sdf'), ['\nno mark\n'])
  assert.throws(() => items('records', 'MKLL\n', 'fasta'), /does not start with '>'/)
  assert.throws(() => items('records', '@a\nAC\nX', 'fastq'), /fewer than four lines/)
  assert.throws(() => items('records', 'a\nAC\n+\nI\n', 'fastq'), /does not start with '@'/)
})

test('records may end with any text', () => {
  assert.equal(items('records', 'a--b---c', recordSeparator('--')), ['a--', 'b--', '-c'])
  assert.equal(items('records', 'aabaab', recordSeparator('aab')), ['aab', 'aab'])
  assert.throws(() => items('records', 'x', 'klingon'), /unknown record separator/)
})

test('files carry their names and lengths', () => {
  const files = [
    ['a.txt', 'hello'],
    ['b/ü', ''],
    ['c', 'x\ny'],
  ] as const
  const content = Buffer.concat(
    files.map(([name, text]) => Buffer.concat([fileItemHead(name, utf8(text).length), utf8(text)])),
  )
  for (const chunkBytes of [1, 4, 100]) {
    const list = build('files', content, '', chunkBytes)
    assert.is(list.itemCount, 3)
    const source = sourceOf('files', '', list)
    const cut = cutItems(source, { first: 0n, count: 1 }, content.subarray(0, 20)).map(readFileItem)
    assert.equal(
      cut.map(({ name, bytes }) => [name, Buffer.from(bytes).toString()]),
      [files[0]],
    )
  }
  assert.throws(() => build('files', content.subarray(0, content.length - 1)), /cut off/)
  assert.throws(() => readFileItem(content.subarray(0, 12)), /cut off/)
})

test('the index of a long list stays small and finds every item', () => {
  const count = 300_000
  const content = utf8(Array.from({ length: count }, (_, i) => `${i}\n`).join(''))
  const list = build('lines', content, '', 100_000)
  assert.is(list.itemCount, count)
  assert.is(list.indexEvery, 8)
  assert.ok(list.index.length <= 8 * (INDEX_ENTRIES_MAX + 1))
  const source = sourceOf('lines', '', list)
  for (const first of [0, 7, 8, 65_535, 65_536, 299_990]) {
    assert.equal(
      fetchItems(source, list, content, first, 10),
      Array.from({ length: 10 }, (_, k) => `${first + k}\n`),
    )
  }
})

test('an index that lies is found out', () => {
  const content = utf8('a\nb\nc\n')
  const list = build('lines', content)
  const source = sourceOf('lines', '', list)
  const wrong = (offsets: bigint[]) => new Uint8Array(new BigUint64Array(offsets).buffer)
  const isCorrupt = (error: unknown) => error instanceof GridError && error.code === 'corrupt'
  assert.throws(() => contentSpan(source, wrong([4n, 2n])), isCorrupt)
  assert.throws(() => contentSpan(source, wrong([0n, 7n])), isCorrupt)
  assert.throws(() => contentSpan(source, wrong([0n, 2n ** 64n - 1n])), isCorrupt)
  assert.throws(
    () => contentSpan({ ...source, items: { digest, size: 2 ** 30 } }, wrong([0n, 2n ** 29n])),
    /of one unit/,
  )
  assert.throws(() => cutItems(source, { first: 0n, count: 2 }, utf8('a\n')), isCorrupt)
})

test('lines and text records are cut as a naive split cuts them, however the content is cut', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '\n', '-', '\r'), maxLength: 60 })
  const naive = (content: string, separator: string) => {
    const parts = content.split(separator)
    const last = parts.pop()!
    return [...parts.map((part) => part + separator), ...(last === '' ? [] : [last])]
  }
  fc.assert(
    fc.property(text, fc.constantFrom('\n', '--', 'ab', 'aa'), (content, separator) => {
      assert.equal(items('records', content, recordSeparator(separator)), naive(content, separator))
      assert.equal(items('lines', content), naive(content, '\n'))
    }),
    { numRuns: 300 },
  )
})

test('any table comes back from CSV', () => {
  const field = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', ' '), maxLength: 6 })
  const quote = (text: string) => `"${text.replaceAll('"', '""')}"`
  fc.assert(
    fc.property(fc.array(fc.tuple(field, field), { maxLength: 8 }), (rows) => {
      const text = ['x,y', ...rows.map((row) => row.map(quote).join(','))].join('\r\n')
      assert.equal(items('csv', text).map(parseCsvRow), rows)
    }),
    { numRuns: 300 },
  )
})

test.run()
