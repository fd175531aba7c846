import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { withSourcePlaces } from '../support/source-places.js'

const places = suite('withSourcePlaces')

places('a place in a compiled file becomes that of its source, others stay', () => {
  const [, top = ''] = withSourcePlaces(new Error('here').stack!).split('\n')
  assert.match(top, /test\/unit\/source-places\.test\.ts:8:\d+\)?$/)
  assert.is(withSourcePlaces('at x (/nowhere/a.js:3:4) 12:30:01'), 'at x (/nowhere/a.js:3:4) 12:30:01')
})

places.run()
