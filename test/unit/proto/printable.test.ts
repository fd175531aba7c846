import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { PRINTABLE_CHARS_MAX, printable } from '../../../proto/printable.js'
import { anyText } from '../../support/any-text.js'

const test = suite('printable')

test('escapes, line breaks, marks of direction and lone surrogates become spaces', () => {
  assert.is(printable('\u001b[2Jgone\r\n\u202eabc\ud800'), ' [2Jgone   abc ')
  assert.is(printable('\u009b31mred\u0007'), ' 31mred ')
  assert.is(printable('naïve → 日本'), 'naïve → 日本')
})

test('characters without a width become spaces that can be seen', () => {
  for (const char of ['\u200b', '\u200d', '\u2060', '\ufeff', '\u00ad', '\u3164', '\u115f', '\ufe0f', '\u{e0041}'])
    assert.is(printable(`a${char}b`), 'a b', char.codePointAt(0)!.toString(16))
})

test('characters of private shape and unassigned ones become spaces', () => {
  assert.is(printable('a\ue000b\u{10fffe}c'), 'a b c')
})

test('at most four marks stack upon a letter', () => {
  assert.is(printable(`e${'\u0301'.repeat(300)}`), `e${'\u0301'.repeat(4)}`)
})

test('ten million characters are cut before they are looked at', () => {
  const long = 'x'.repeat(10_000_000)
  assert.is(printable(long).length, PRINTABLE_CHARS_MAX)
  assert.is(printable(long, 5), 'xxxx…')
})

test('whatever comes in, nothing harmful comes out', () => {
  fc.assert(
    fc.property(anyText(2_000), fc.nat(2_000), (text, cut) => {
      const clean = printable(text.slice(cut))
      assert.ok(clean.length <= PRINTABLE_CHARS_MAX)
      assert.not.match(clean, /[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}]/u)
      encodeURI(clean)
    }),
  )
})

test.run()
