import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { errorBound } from '../../../../job/audit/error-bound.js'
import { seededRandom } from '../../../support/seeded-random.js'

const bound = suite('errorBound')

bound('is the rule of three for clean samples, and the Poisson limit for others', () => {
  assert.is(errorBound(0, 0), 1)
  assert.is(errorBound(1, 0), 1)
  assert.is(errorBound(300, 0), 0.01)
  assert.is(errorBound(4, 0, 0), 0)
  assert.is(errorBound(0, 0, 0), 0)
  assert.is(errorBound(6, 0, 4), 0.4)
  assert.is(errorBound(9, 1, 0), 1 / 9)
  assert.is(errorBound(300, 0, 10_000), 0.01)
  // Upper 95 % limits of a Poisson mean: 4.744 for one, 6.296 for two.
  assert.ok(Math.abs(errorBound(1_000, 1) - 0.004744) < 1e-6)
  assert.ok(Math.abs(errorBound(1_000, 2) - 0.006296) < 1e-6)
})

bound('holds in at least 95 of 100 trials', () => {
  const random = seededRandom(9)
  for (const rate of [0.002, 0.01, 0.05]) {
    let held = 0
    for (let trial = 0; trial < 1_000; trial++) {
      let wrong = 0
      for (let i = 0; i < 400; i++) if (random.next() < rate) wrong++
      if (errorBound(400, wrong) >= rate) held++
    }
    assert.ok(held >= 935, `${held} of 1,000 at ${rate}`)
  }
})

bound.run()
