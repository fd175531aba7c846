import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { describeEvidence } from '../../../client/answer.js'
import { Channel } from '../../../client/channel.js'
import { PaceMeter } from '../../../client/rate.js'
import { estimateFromNearest } from '../../../overlay/core/region.js'
import type { Key, NodeId } from '../../../proto/model.js'
import { sha256 } from '../../../runtime/hash.js'
import { utf8 } from '../../../runtime/hex.js'
import { deadline } from '../../support/deadline.js'
import { rejects } from '../../support/rejects.js'

const pace = suite('PaceMeter')

pace('the range holds the true time left, and narrows', () => {
  const meter = new PaceMeter()
  let last = meter.add(0, 0, 10_000)
  assert.is(last.eta, undefined)
  let width = Number.POSITIVE_INFINITY
  for (let second = 1; second <= 50; second++) last = meter.add(second * 1_000, second * 100, 10_000)
  assert.ok(Math.abs(last.unitsPerSecond - 100) < 1)
  assert.ok(last.eta!.lowMs < 50_000 && last.eta!.highMs > 50_000)
  width = last.eta!.highMs - last.eta!.lowMs
  assert.ok(width < 25_000, `${width}`)
})

pace('the first look guesses from the life of the job, at most a minute of it', () => {
  const first = new PaceMeter().add(5, 300, 900, 30_000)
  assert.ok(Math.abs(first.unitsPerSecond - 10) < 0.1, `${first.unitsPerSecond}`)
  assert.ok(first.eta!.lowMs < 60_000 && first.eta!.highMs > 60_000)
  const old = new PaceMeter()
  old.add(0, 36_000, 100_000, 3_600_000)
  // Ten an hour ago, a hundred a second now: after a minute only what was seen counts.
  let last = old.add(1_000, 36_100, 100_000, 3_601_000)
  for (let second = 2; second <= 62; second++) last = old.add(second * 1_000, 36_000 + second * 100, 100_000)
  assert.ok(Math.abs(last.unitsPerSecond - 100) < 2, `${last.unitsPerSecond}`)
  assert.is(new PaceMeter().add(0, 0, 10, 5_000).eta, undefined)
})

pace('a home that knows less than the last one does not make it negative', () => {
  const meter = new PaceMeter()
  meter.add(0, 100, 200)
  const { unitsPerSecond, eta } = meter.add(1_000, 50, 200)
  assert.is(unitsPerSecond, 0)
  assert.is(eta, undefined)
  assert.equal(meter.add(2_000, 200, 200).eta, { lowMs: 0, highMs: 0 })
})

pace('many looks a second do not grow its memory or lose the rate', () => {
  const meter = new PaceMeter()
  let last = meter.add(0, 0, 1e6)
  for (let i = 1; i <= 20_000; i++) last = meter.add(i * 10, i, 1e6)
  assert.ok(Math.abs(last.unitsPerSecond - 100) < 2, `${last.unitsPerSecond}`)
})

pace.run()

const estimate = suite('estimateFromNearest')

estimate('is exact for few peers and near for many', () => {
  const target = sha256(utf8('target')).slice(0, 40) as Key
  const nearest = (count: number) =>
    Array.from({ length: count }, (_, i) => sha256(utf8(`peer ${i}`)).slice(0, 40) as NodeId)
      .sort((a, b) =>
        (BigInt(`0x${a}`) ^ BigInt(`0x${target}`)) < (BigInt(`0x${b}`) ^ BigInt(`0x${target}`)) ? -1 : 1,
      )
      .slice(0, 20)
  assert.is(estimateFromNearest(target, []), 0)
  assert.is(estimateFromNearest(target, nearest(7)), 7)
  const many = estimateFromNearest(target, nearest(5_000))
  assert.ok(many > 2_500 && many < 10_000, `${many}`)
})

estimate.run()

const channel = suite('Channel')

channel('holds the producer back, passes errors on, and lets go when the consumer leaves', async () => {
  const queue = new Channel<number>(2)
  let pushed = 0
  const produce = async () => {
    while (await queue.push(pushed, 1)) pushed++
  }
  const producing = produce()
  assert.is(await queue.next(), 0)
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(pushed <= 3, `${pushed}`)
  queue.stop()
  await deadline(producing, 1_000, 'the producer')
  const failing = new Channel<number>(2)
  await failing.push(1, 1)
  failing.end(new Error('broken'))
  assert.is(await failing.next(), 1)
  await rejects(failing.next(), /broken/)
})

channel.run()

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
