import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { History, type Remembered } from '../../../../../coordinator/owner/core/history.js'

const history = suite('History')

history('keeps nothing with a unit that is decided, however much comes late for it', () => {
  const shard = new History()
  const unit: { -readonly [Field in keyof Remembered]: Remembered[Field] } = { unit: 3, state: 'open', past: undefined }
  shard.note(unit, 'granted', 1)
  assert.is(unit.past?.length, 1)
  unit.state = 'settled'
  shard.note(unit, 'settled', 2)
  shard.decided(unit)
  shard.note(unit, 'answered', 3)
  assert.is(unit.past, undefined)
  assert.equal(
    shard.of(unit).map(({ what }) => what),
    ['granted', 'settled', 'answered'],
  )
})

history.run()
