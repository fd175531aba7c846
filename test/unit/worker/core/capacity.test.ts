import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Capacity } from '../../../../worker/core/capacity.js'
import { JOB, jobNamed } from '../../../support/cores/worker-bench.js'

const OTHER = jobNamed('other')

/** After so many units of `unitMs`. */
function after(capacity: Capacity, units: number, unitMs: number, jobId = JOB): Capacity {
  capacity.granted(jobId)
  for (let i = 0; i < 40; i++) capacity.measured(jobId, units / 40, (unitMs * units) / 40)
  return capacity
}

const capacities = suite('Capacity')

capacities('is one unit a thread before anything is measured, and for long units', () => {
  const capacity = new Capacity(4)
  assert.is(capacity.of(JOB), 4)
  assert.is(after(capacity, 40, 60_000).of(JOB), 4)
})

capacities('is two seconds of work for tiny units', () => {
  assert.is(after(new Capacity(2), 4_000, 10).of(JOB), 400)
})

capacities('is bounded, however tiny units are', () => {
  assert.is(after(new Capacity(64), 400_000, 0).of(JOB), 32_768)
})

capacities('follows when units become longer', () => {
  const capacity = after(new Capacity(1), 4_000, 1)
  assert.is(capacity.of(JOB), 2_000)
  assert.is(after(capacity, 40, 10_000).of(JOB), 1)
})

capacities(
  'of a job that is new is one unit a thread, whatever others were, and doubles as its units are computed',
  () => {
    const capacity = after(new Capacity(2), 40_000, 0.1)
    assert.is(capacity.most, 32_768)
    assert.is(capacity.of(OTHER), 2)
    capacity.granted(OTHER)
    const held: number[] = []
    for (let i = 0; i < 6; i++) {
      held.push(capacity.of(OTHER))
      capacity.measured(OTHER, held.at(-1)!, 0.1)
    }
    assert.equal(held, [2, 4, 8, 16, 32, 64])
    assert.is(capacity.of(JOB), 32_768, 'the measure of the first is its own')
  },
)

capacities('learns nothing from an empty batch', () => {
  const capacity = new Capacity(3)
  capacity.granted(JOB)
  capacity.measured(JOB, 0, 5)
  assert.is(capacity.of(JOB), 3)
})

capacities('remembers sixteen jobs, those that were granted last', () => {
  const capacity = after(new Capacity(1), 4_000, 1)
  for (let i = 0; i < 20; i++) {
    if (i % 5 === 0) capacity.granted(JOB)
    capacity.granted(jobNamed(`job ${i}`))
  }
  assert.is([...capacity.jobs].length, 16)
  assert.is(capacity.of(JOB), 2_000, 'granted again and again')
  capacity.measured(jobNamed('job 0'), 1_000, 1)
  assert.is(capacity.of(jobNamed('job 0')), 1, 'forgotten')
})

capacities('lets units of a few milliseconds share a report while more are queued, and long ones leave at once', () => {
  const waitFor = (unitMs: number, inHand = 9) => after(new Capacity(2), 40, unitMs).reportWaitMs(JOB, inHand)
  assert.is(new Capacity(2).reportWaitMs(JOB, 9), 10, 'nothing is known yet')
  assert.is(waitFor(0.1), 10)
  assert.is(waitFor(20), 400)
  assert.is(waitFor(50), 1_000)
  assert.is(waitFor(150), 1_000)
  assert.is(waitFor(1_000), 10)
  assert.is(waitFor(50, 2), 10, 'one on each thread, none queued')
  assert.is(waitFor(50, 0), 0, 'nobody to wait for')
})

capacities.run()
