import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { lineOfKey } from '../../../cli/settings/toml.js'

const lines = suite('lineOfKey')

lines('keys are found at top level, in tables and dotted; else the table above', () => {
  const text = 'a = 1\n"b c" = 2\n[env]\nX = 1\n[[list]]\ny.z = 3\n'
  assert.equal(
    [['a'], ['b c'], ['env', 'X'], ['env', 'missing'], ['list', '0', 'y', 'z'], ['nothing']].map((path) =>
      lineOfKey(text, path),
    ),
    [1, 2, 4, 3, 6, undefined],
  )
})

lines.run()
