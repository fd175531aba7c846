import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { describeEvidence, failureReason } from '../../../client/results/answer.js'
import { OUTPUT_BYTES_MAX } from '../../../proto/limits.js'
import type { Outcome } from '../../../proto/model.js'
import { computeSpec } from '../../support/compute/compute.js'

const test = suite('failureReason')

test('names the limit, its value and the flag that raises it, where there is one and it can be raised', () => {
  const { limits } = computeSpec('', 1, { limits: { fuel: 1000n, wallMs: 90_000 } })
  const reason = (outcome: Outcome, changes = {}, fuel = 9n) =>
    failureReason({ outcome, exitCode: 7, fuel }, { ...limits, ...changes })
  assert.match(reason('output'), /16 MiB \(raise --output-limit\)/)
  assert.match(reason('output', { outputBytes: OUTPUT_BYTES_MAX }), /64 MiB, the most there is/)
  assert.match(reason('memory'), /256 MiB \(raise --memory\)/)
  assert.match(reason('fuel'), /1000 steps \(raise --fuel\)/)
  assert.match(reason('wall'), /1m30s \(raise --wall\)/)
  assert.match(reason('depth'), /60000 slots on every machine, and no flag raises it/)
  assert.is(reason('trap'), 'the program crashed')
  assert.is(reason('trap', {}, 0n), 'the program was not started')
  assert.match(reason('exit'), /exit code 7 \(--ok-exit 7/)
})

test.run()

const words = suite('describeEvidence')

words('reads as a sentence', () => {
  const line = (units: number, proved: number, donorsMin: number, donorsMax: number) =>
    describeEvidence({ units, proved, donorsMin, donorsMax })
  assert.is(line(500, 500, 2, 2), '500 of 500 units: 2 agreeing donors each, checked here')
  assert.is(line(10, 9, 2, 3), '9 of 10 units: 2 to 3 agreeing donors each, checked here')
  assert.is(line(1, 1, 1, 1), '1 of 1 unit: 1 donor, checked here')
  assert.is(line(5, 0, 0, 0), '0 of 5 units proved')
})

words.run()
