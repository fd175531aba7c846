import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { neededItems, unitInvocation, unitSeed } from '../../../../job/spec/program.js'
import { fileItemHead } from '../../../../job/units/list.js'
import { recordSeparator } from '../../../../job/units/splitter.js'
import type { JobSpec, ListKind } from '../../../../proto/model.js'
import { utf8 } from '../../../../runtime/hex.js'
import { digest, spec } from '../samples.js'

const test = suite('programs')

function listSpec(kind: ListKind, args: string[], changes: Partial<JobSpec> = {}, separator = ''): JobSpec {
  return spec({
    source: {
      type: 'list',
      kind,
      items: { digest, size: 100 },
      index: { digest, size: 800 },
      indexEvery: 1,
      itemCount: 10,
      columns: kind === 'csv' ? ['a', 'b'] : [],
      separator,
    },
    args,
    ...changes,
  })
}
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

test('a range needs no items and shows its bounds', () => {
  const job = spec({
    source: { type: 'range', start: 0n, end: 95n, step: 10n },
    args: ['{start}', '{end}', '{}'],
    environment: [['A', 'b']],
  })
  assert.is(neededItems(job, 9), undefined)
  const { args, stdin, environment, files } = unitInvocation(job, 9, [])
  assert.equal(args, ['90', '95', '90'])
  assert.is(stdin.length, 0)
  assert.equal(environment, [['A', 'b']])
  assert.equal(files, [])
})

test('several items a unit are several arguments', () => {
  const job = spec({ source: { type: 'array', from: 1n, to: 10n, step: 3n }, perUnit: 3, args: ['{}', 'i={i}'] })
  assert.equal(unitInvocation(job, 0, []).args, ['1', '4', '7', 'i=0'])
  assert.equal(unitInvocation(job, 1, []).args, ['10', 'i=1'])
})

test('repetitions differ in {rep} and seed alone', () => {
  const job = spec({ repeat: 3, args: ['{i}/{n}', '{rep}'] })
  assert.equal(unitInvocation(job, 4, []).args, ['1/10', '1'])
  assert.is.not(unitInvocation(job, 4, []).seed, unitInvocation(job, 5, []).seed)
})

test('lines that a placeholder shows are arguments without their line end, others go to standard input', () => {
  const shown = listSpec('lines', ['{line}', '<{}>'], { perUnit: 2 })
  assert.equal(neededItems(shown, 1), { first: 2n, count: 2 })
  const lines = [utf8('a b\r\n'), utf8('c')]
  assert.equal(unitInvocation(shown, 1, lines).args, ['a b', 'c', '<a b c>'])
  assert.is(unitInvocation(shown, 1, lines).stdin.length, 0)
  const piped = unitInvocation(listSpec('lines', ['-n'], { perUnit: 2 }), 1, lines)
  assert.is(text(piped.stdin), 'a b\r\nc')
  assert.equal(piped.args, ['-n'])
})

test('rows and records are shown by column or whole', () => {
  assert.equal(unitInvocation(listSpec('csv', ['{b}', '{a:03}']), 0, [utf8('1,"x, y"\n')]).args, ['x, y', '001'])
  assert.equal(unitInvocation(listSpec('records', ['{}'], {}, recordSeparator('--')), 0, [utf8('one--')]).args, ['one'])
  assert.equal(unitInvocation(listSpec('records', ['{}'], {}, 'fasta'), 0, [utf8('>a\nMK\n')]).args, ['>a\nMK'])
})

test('files are mounted when their path is shown, else go to standard input', () => {
  const file = Buffer.concat([fileItemHead('d/x.tar.gz', 2), utf8('hi')])
  const mounted = unitInvocation(listSpec('files', ['{path}', '{name}', '{stem}']), 0, [file])
  assert.equal(mounted.args, ['in/d/x.tar.gz', 'x.tar.gz', 'x.tar'])
  assert.equal(
    mounted.files.map(({ name, bytes }) => [name, text(bytes)]),
    [['d/x.tar.gz', 'hi']],
  )
  assert.is(mounted.stdin.length, 0)
  const piped = unitInvocation(listSpec('files', ['{stem}']), 0, [file])
  assert.is(text(piped.stdin), 'hi')
  assert.equal(piped.files, [])
})

test('a file with a hostile name, an item that is no text and too many shown items are refused', () => {
  const file = Buffer.concat([fileItemHead('../x', 0)])
  assert.throws(() => unitInvocation(listSpec('files', ['{path}']), 0, [file]), /has a name that has a part '..'/)
  assert.throws(() => unitInvocation(listSpec('lines', ['{}']), 0, [new Uint8Array([0xff])]), /not UTF-8/)
  assert.throws(() => unitInvocation(listSpec('lines', ['{}']), 0, [new Uint8Array([0])]), /NUL/)
  assert.throws(
    () =>
      unitInvocation(
        spec({ source: { type: 'count', count: 2 ** 32 - 1 }, perUnit: 2 ** 32 - 1, args: ['{}'] }),
        0,
        [],
      ),
    /at most 262144/,
  )
})

test('bytes that are no text reach standard input unchanged', () => {
  const bytes = new Uint8Array([0xff, 0, 10])
  assert.equal(unitInvocation(listSpec('lines', []), 0, [bytes]).stdin, bytes)
})

test('seeds are 64 bits, fixed by job seed and unit, and all different', () => {
  const seeds = new Set<bigint>()
  for (const jobSeed of [0n, 1n, 2n ** 64n - 1n])
    for (let unit = 0; unit < 500; unit++) seeds.add(unitSeed(jobSeed, unit))
  assert.is(seeds.size, 1_500)
  for (const seed of seeds) assert.ok(seed >= 0n && seed < 2n ** 64n)
  // First output of SplitMix64 from state 0, as in the published test vectors.
  assert.is(unitSeed(0n, 0), 0xe220a8397b1dcdafn)
})

test.run()
