import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OtherSelf } from '../../../../../overlay/routing/core/other-self.js'
import type { NodeId } from '../../../../../proto/model.js'

const SELF = 'a'.repeat(40) as NodeId
const OTHER = { nodeId: SELF, bootId: 2n, addresses: ['other:1', 'other:2'] }
const SECOND_MS = 1_000
const HOUR_MS = 3_600_000

const test = suite('another process with our key')

test('is one that signed with our key under another boot id', () => {
  const watch = new OtherSelf(SELF, 1n)
  assert.ok(watch.signed(OTHER))
  assert.not(watch.signed({ nodeId: SELF, bootId: 1n }))
  assert.not(watch.signed({ nodeId: 'b'.repeat(40) as NodeId, bootId: 2n }))
})

test('counts while it was met lately', () => {
  const watch = new OtherSelf(SELF, 1n)
  assert.is(watch.address(0), undefined)
  watch.met(OTHER, 0)
  assert.is(watch.address(45 * SECOND_MS), 'other:1')
  assert.is(watch.address(46 * SECOND_MS), undefined)
})

test('is told of once an hour, as long as it lasts', () => {
  const watch = new OtherSelf(SELF, 1n)
  const told: number[] = []
  for (let now = 0; now < 3 * HOUR_MS; now += 30 * SECOND_MS) if (watch.met(OTHER, now)) told.push(now)
  assert.equal(told, [0, HOUR_MS, 2 * HOUR_MS])
})

test('is asked at most every 20 seconds, whatever peers name', () => {
  const watch = new OtherSelf(SELF, 1n)
  const asked: number[] = []
  for (let now = 0; now <= 60 * SECOND_MS; now += SECOND_MS) {
    if (!watch.mayAsk(now)) continue
    watch.asked(now)
    asked.push(now / SECOND_MS)
  }
  assert.equal(asked, [0, 20, 40, 60])
})

test.run()
