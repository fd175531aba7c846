import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { PerMinute } from '../../../overlay/per-minute.js'

const limits = suite('PerMinute')

function begin(max: number) {
  let nowMs = 1_000
  const clock = { now: () => nowMs, wallMs: () => 0, setTimer: () => ({ cancel: () => {} }) }
  return { limit: new PerMinute(clock, max), pass: (ms: number) => (nowMs += ms) }
}

limits('serves an address so often in a minute, and again in the next', () => {
  const { limit, pass } = begin(3)
  const taken = (host: string) => [1, 2, 3, 4].map(() => limit.take(host))
  assert.equal(taken('192.0.2.1'), [true, true, true, false])
  assert.equal(taken('192.0.2.2'), [true, true, true, false])
  pass(59_999)
  assert.not(limit.take('192.0.2.1'))
  pass(1)
  assert.ok(limit.take('192.0.2.1'))
})

limits('counts the addresses of one IPv6 customer together', () => {
  const { limit } = begin(2)
  assert.ok(limit.take('2001:db8:1:2::1'))
  assert.ok(limit.take('2001:db8:1:2::2'))
  assert.not(limit.take('2001:db8:1:2:ffff::9'))
  assert.ok(limit.take('2001:db8:1:3::1'))
})

limits('keeps count of a bounded number of addresses', () => {
  const { limit } = begin(1)
  for (let i = 0; i < 10_000; i++) limit.take(`192.0.${i >> 8}.${i & 255}`)
  assert.ok(limit.take('192.0.0.0'), 'counting began anew meanwhile')
})

limits.run()
