import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { parseCpus } from '../../../worker/preferences/cpus.js'

const cpus = suite('parseCpus')

cpus('by default one thread is left free, and one is always there', () => {
  assert.equal(
    [1, 2, 16].map((available) => parseCpus(undefined, available)),
    [1, 1, 15],
  )
})

cpus('numbers and shares are understood; 0 computes nothing', () => {
  assert.equal(
    ['0', '3', '50%', '1%', '0%', '100%'].map((text) => parseCpus(text, 8)),
    [0, 3, 4, 1, 0, 8],
  )
})

cpus('anything else is refused', () => {
  for (const text of ['', '-1', '1.5', '101%', 'all', '99999']) assert.throws(() => parseCpus(text, 8), /cpus/)
})

cpus.run()
