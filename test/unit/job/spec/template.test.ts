import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { compileTemplate, type UnitValues } from '../../../../job/spec/template.js'
import type { ListKind, UnitSource } from '../../../../proto/model.js'
import { GridError } from '../../../../runtime/errors.js'
import { digest } from '../samples.js'

const test = suite('argument templates')

const count: UnitSource = { type: 'count', count: 100 }
const list = (kind: ListKind, columns: string[] = []): UnitSource => ({
  type: 'list',
  kind,
  items: { digest, size: 1 },
  index: { digest, size: 16 },
  indexEvery: 1,
  itemCount: 1,
  columns,
  separator: '',
})
const item = (text: string, columns: string[] = []) => ({ item: text, columns, name: 'b.tar.gz', stem: 'b.tar' })
const values = (changes: Partial<UnitValues> = {}): UnitValues => ({
  i: 7,
  n: 100,
  rep: 2,
  start: 10n ** 20n,
  end: -5n,
  items: [item('x')],
  ...changes,
})
const expand = (args: string[], source: UnitSource = count, changes: Partial<UnitValues> = {}) =>
  compileTemplate(args, source).expand(values(changes))

test('numbers of the unit are filled in, exact and padded', () => {
  assert.equal(expand(['{i}/{n}', '{rep}', '{start}..{end}', '{i:06}', '{i:3}', '{end:04}']), [
    '7/100',
    '2',
    '100000000000000000000..-5',
    '000007',
    '007',
    '-005',
  ])
})

test('doubled braces are braces', () => {
  assert.equal(expand(['{{i}}', '{{{i}}}', '}}', '{{']), ['{i}', '{7}', '}', '{'])
})

test('an argument that is one item placeholder becomes one argument for each item, else items are joined by spaces', () => {
  const items = [item('a'), item('b c')]
  assert.equal(expand(['{}', '-x={}', 'end'], count, { items }), ['a', 'b c', '-x=a b c', 'end'])
})

test('columns, lines and file names are filled in where the source has them', () => {
  assert.equal(expand(['{a b}', '{y:03}', '{line}'], list('csv', ['a b', 'y']), { items: [item('1,2', ['1', '2'])] }), [
    '1',
    '002',
    '1,2',
  ])
  assert.equal(expand(['{path}', '{name}', '{stem}', '{}'], list('files'), { items: [item('in/d/b.tar.gz')] }), [
    'in/d/b.tar.gz',
    'b.tar.gz',
    'b.tar',
    'in/d/b.tar.gz',
  ])
})

test('an unknown placeholder is refused with the list of the known', () => {
  const unknown = (args: string[], source: UnitSource, hint: RegExp) => {
    try {
      compileTemplate(args, source)
    } catch (error) {
      assert.ok(error instanceof GridError && error.code === 'invalid')
      assert.match(error.hint!, hint)
      return
    }
    assert.unreachable(`${args} compiled`)
  }
  unknown(['{x}'], count, /\{\} \{i\} \{n\} \{rep\} \{start\} \{end\};/)
  unknown(['{line}'], count, /\{i\}/)
  unknown(['{z}'], list('csv', ['a', 'b']), /\{line\} \{a\} \{b\}/)
  unknown(['{name}'], list('lines'), /\{line\}/)
  unknown(['{i:99}'], count, /pads/)
  unknown(['{toString}'], count, /\{i\}/)
})

test('a lone brace is refused', () => {
  for (const arg of ['{', '}', 'a}b', '{i']) assert.throws(() => compileTemplate([arg], count), /single/)
})

test('a template tells whether it shows items and their content', () => {
  const uses = (args: string[], source: UnitSource) => {
    const { usesItems, usesContent } = compileTemplate(args, source)
    return [usesItems, usesContent]
  }
  assert.equal(uses(['{i}'], list('lines')), [false, false])
  assert.equal(uses(['{line}'], list('lines')), [true, true])
  assert.equal(uses(['{name}'], list('files')), [true, false])
  assert.equal(uses(['{path}'], list('files')), [true, true])
})

test('arguments that would take more than a megabyte are refused, empty ones included', () => {
  const items = Array.from({ length: 200_000 }, () => item(''))
  assert.throws(() => expand(Array(20).fill('{}'), count, { items }), /1048576 bytes/)
  assert.throws(() => expand(['{}x'.repeat(1_000)], count, { items }), /1048576 bytes/)
})

test('text without braces and numbers come out as a naive replacement makes them', () => {
  const piece = fc.oneof(
    fc.constantFrom('{i}', '{n}', '{rep}', '{start}'),
    fc.string().map((text) => text.replace(/[{}]/g, '')),
  )
  fc.assert(
    fc.property(fc.array(fc.array(piece).map((pieces) => pieces.join(''))), (args) => {
      const naive = args.map((arg) =>
        arg
          .replaceAll('{i}', '7')
          .replaceAll('{n}', '100')
          .replaceAll('{rep}', '2')
          .replaceAll('{start}', String(10n ** 20n)),
      )
      assert.equal(expand(args), naive)
    }),
  )
})

test('any text survives when its braces are doubled', () => {
  fc.assert(fc.property(fc.string(), (text) => assert.equal(expand([text.replace(/[{}]/g, '$&$&')]), [text])))
})

test.run()
