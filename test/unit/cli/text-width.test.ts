import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { cutToWidth, fitToWidth, textWidth } from '../../../cli/terminal/text-width.js'
import { printable } from '../../../proto/printable.js'
import { anyText } from '../../support/any-text.js'

const test = suite('text width')

test('wide characters and emoji take two columns, marks none', () => {
  assert.is(textWidth('abc'), 3)
  assert.is(textWidth('日本'), 4)
  assert.is(textWidth('한글'), 4)
  assert.is(textWidth('ｆｕ'), 4)
  assert.is(textWidth('🎉'), 2)
  assert.is(textWidth('e\u0301'), 1)
  assert.is(textWidth('█░…↑'), 4)
})

test('cut text says so and is never wider than asked', () => {
  assert.is(cutToWidth('abcdef', 4), 'abc…')
  assert.is(cutToWidth('日本語', 4), '日…')
  assert.is(cutToWidth('abc', 0), '')
})

test('fitted text is exactly as wide as asked, whatever it is', () => {
  fc.assert(
    fc.property(anyText(80), fc.integer({ min: 1, max: 60 }), fc.boolean(), (text, columns, right) => {
      assert.is(textWidth(fitToWidth(printable(text), columns, right ? 'right' : 'left')), columns)
    }),
  )
})

test.run()
