import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { reconnectWait } from '../../../../worker/core/backoff.js'
import { seededRandom } from '../../../support/seeded-random.js'

const waits = (attempts: number) => {
  const random = seededRandom(7)
  return Array.from({ length: 500 }, () => reconnectWait(attempts, random))
}
const between = (attempts: number, least: number, most: number) => {
  const all = waits(attempts)
  assert.ok(Math.min(...all) >= least && Math.max(...all) <= most, `${Math.min(...all)} to ${Math.max(...all)}`)
}

const backoffs = suite('reconnectWait')

backoffs('begins at a tenth of a second and doubles to a second', () => {
  between(0, 60, 140)
  between(1, 120, 280)
  between(2, 240, 560)
  between(6, 600, 1_400)
})

backoffs('stays at a second for about a minute of attempts, then goes to half a minute', () => {
  between(59, 600, 1_400)
  between(60, 18_000, 42_000)
  between(100_000, 18_000, 42_000)
})

backoffs('is spread, so that the workers of a restarted owner do not all come at once', () => {
  const all = waits(5)
  assert.ok(Math.max(...all) - Math.min(...all) > 500)
})

backoffs.run()
