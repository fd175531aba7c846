import { setImmediate } from 'node:timers/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Interrupts } from '../../../cli/terminal/interrupts.js'
import { stopOfMany } from '../../../runtime/stop.js'

const test = suite('interrupts')

test('twelve jobs may wait for one interrupt, and nothing is said on the screen', async () => {
  const said: string[] = []
  const hear = ({ name }: Error) => void said.push(name)
  process.on('warning', hear)
  const interrupts = new Interrupts()
  let heard = 0
  for (const signal of [interrupts.first, interrupts.second, stopOfMany().signal])
    for (let job = 0; job < 12; job++) signal.addEventListener('abort', () => heard++)
  interrupts.raise()
  assert.is(heard, 12)
  assert.not(interrupts.second.aborted)
  interrupts.raise()
  assert.is(heard, 24)
  await setImmediate()
  process.off('warning', hear)
  assert.equal(said, [])
})

test.run()
