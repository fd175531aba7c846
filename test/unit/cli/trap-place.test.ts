import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { trapText } from '../../../cli/trap/trap-place.js'

const place = suite('trapText')

place('names the function and who called it, as far as there are names', () => {
  const message = 'unreachable'
  const nameless = { message, functionIndex: undefined, functionName: undefined, callers: [] }
  assert.is(trapText(nameless), 'unreachable')
  assert.is(trapText({ ...nameless, functionIndex: 17 }), 'unreachable in function 17')
  const named = { ...nameless, functionIndex: 17, functionName: 'abort', callers: ['parse', 'main'] }
  assert.is(trapText(named), "unreachable in 'abort' (function 17), called by 'parse', 'main'")
})

place('shows names of strangers without what a terminal would obey, and no longer than fits', () => {
  const functionName = `\x1b[31m\nmatch: ${'n'.repeat(1_000)}`
  const text = trapText({ message: 'unreachable', functionIndex: 1, functionName, callers: ['c'.repeat(1_000)] })
  assert.not.match(text, /[\x1b\n]/)
  assert.ok(text.length < 400)
})

place.run()
