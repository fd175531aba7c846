import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Grantors } from '../../../../../coordinator/owner/core/grantors.js'
import { nodeOf } from '../../../../support/cores/volunteer.js'

/** More than are kept in mind. */
const MADE_UP = 5_000

const test = suite('What an owner knows of grantors')

test('made-up grantors are forgotten in the end, also when their lookups end after more have come', () => {
  let sought = 0
  const grantors = new Grantors(() => sought++)
  const madeUp = Array.from({ length: MADE_UP }, (_, i) => nodeOf(`owner ${i}`))
  for (const nodeId of madeUp) assert.is(grantors.standingOf(nodeId, 0), 'sought')
  for (const nodeId of madeUp) grantors.found(nodeId, false, 0)
  assert.is(sought, MADE_UP)
  const known = madeUp.reverse().filter((nodeId) => grantors.standingOf(nodeId, 0) === 'stranger')
  assert.is(known.length, 4_096)
})

test('a stranger is looked up again after a minute, and is no stranger once it is met', () => {
  const sought: string[] = []
  const grantors = new Grantors((nodeId) => sought.push(nodeId))
  const nodeId = nodeOf('owner')
  grantors.standingOf(nodeId, 0)
  grantors.found(nodeId, false, 1_000)
  assert.is(grantors.standingOf(nodeId, 60_000), 'stranger')
  assert.is(sought.length, 1)
  assert.is(grantors.standingOf(nodeId, 61_000), 'stranger')
  assert.is(sought.length, 2)
  grantors.found(nodeId, true, 62_000)
  assert.is(grantors.standingOf(nodeId, 62_000), 'met')
  grantors.found(nodeId, false, 63_000)
  assert.ok(grantors.isMet(nodeId))
})

test.run()
