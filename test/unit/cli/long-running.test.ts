import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { statusText } from '../../../cli/long-running.js'

const status = suite('statusText')
const idle = {
  computed: 0,
  acknowledged: 0,
  agreed: 0,
  disagreed: 0,
  idleReason: '',
  held: 0,
  unsettled: 0,
  owners: 0,
  running: 0,
  fuel: 0n,
}

status('it claims as donated only what others confirmed', () => {
  const now = { ...idle, computed: 9, agreed: 5, unsettled: 4, held: 3, running: 2, owners: 1 }
  assert.is(
    statusText(now, undefined),
    'computing 2 of 3 units in hand, from 1 owner | 5 confirmed, 4 waiting for others',
  )
})

status('an idle worker says why', () => {
  assert.is(statusText({ ...idle, idleReason: 'quota' }, undefined), 'idle: quota | 0 confirmed')
  assert.match(statusText(idle, undefined), /^idle: no job has work/)
})

status.run()
