import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { HeldBytes } from '../../../../../overlay/channel/core/held-bytes.js'

const test = suite('what connections make us hold')

test('names the connection that holds most, of the address that holds most', () => {
  const held = new HeldBytes<string>(100)
  const lone = held.open('lone', 'a')
  const crowd = ['one', 'two', 'three'].map((name) => held.open(name, 'b'))
  assert.is(held.change(lone, 40), undefined)
  for (const [i, each] of crowd.entries()) assert.is(held.change(each, 18 + i), undefined)
  assert.is(held.change(lone, 3), undefined)
  assert.is(held.change(lone, 1)?.connection, 'three')
  held.close(crowd[2]!)
  assert.is(held.total, 81)
  assert.is(held.change(lone, 20)?.connection, 'lone')
})

test('forgets what a connection held when it ends, and what is said of it later', () => {
  const held = new HeldBytes<string>(10)
  const gone = held.open('gone', 'a')
  held.change(gone, 10)
  held.close(gone)
  held.close(gone)
  assert.is(held.change(gone, 50), undefined)
  assert.is(held.change(gone, -60), undefined)
  assert.is(held.total, 0)
})

test('asks for nobody to be ended by what is let go of', () => {
  const held = new HeldBytes<string>(10)
  const one = held.open('one', 'a')
  held.change(one, 30)
  assert.is(held.change(one, -5), undefined)
})

test.run()
