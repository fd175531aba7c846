import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Capacity } from '../../../../worker/core/capacity.js'

const capacities = suite('Capacity')

capacities('is one unit a thread before anything is measured, and for long units', () => {
  const capacity = new Capacity(4)
  assert.is(capacity.instances, 4)
  for (let i = 0; i < 20; i++) capacity.measured(1, 60_000)
  assert.is(capacity.instances, 4)
})

capacities('is two seconds of work for tiny units', () => {
  const capacity = new Capacity(2)
  for (let i = 0; i < 40; i++) capacity.measured(100, 1_000)
  assert.is(capacity.instances, 400)
})

capacities('is bounded, however tiny units are', () => {
  const capacity = new Capacity(64)
  for (let i = 0; i < 40; i++) capacity.measured(1_000, 0)
  assert.is(capacity.instances, 32_768)
})

capacities('follows when units become longer', () => {
  const capacity = new Capacity(1)
  for (let i = 0; i < 40; i++) capacity.measured(100, 100)
  assert.is(capacity.instances, 2_000)
  for (let i = 0; i < 40; i++) capacity.measured(1, 10_000)
  assert.is(capacity.instances, 1)
})

capacities('learns nothing from an empty batch', () => {
  const capacity = new Capacity(3)
  capacity.measured(0, 5)
  assert.is(capacity.instances, 3)
})

capacities('lets units of a few milliseconds share a report, and long ones leave at once', () => {
  const waitFor = (unitMs: number) => {
    const capacity = new Capacity(1)
    capacity.measured(1, unitMs)
    return capacity.reportWaitMs
  }
  assert.is(new Capacity(1).reportWaitMs, 10, 'nothing is known yet')
  assert.is(waitFor(0.1), 10)
  assert.is(waitFor(20), 80)
  assert.is(waitFor(50), 200)
  assert.is(waitFor(150), 200)
  assert.is(waitFor(1_000), 10)
})

capacities.run()
