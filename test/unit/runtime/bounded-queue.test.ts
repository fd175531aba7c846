import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { BoundedQueue } from '../../../runtime/bounded-queue.js'
import { deadline } from '../../support/deadline.js'
import { rejects } from '../../support/rejects.js'

const queues = suite('BoundedQueue')

queues('holds the producer back, passes errors on, and lets go when the consumer leaves', async () => {
  const queue = new BoundedQueue<number>(2)
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
  const failing = new BoundedQueue<number>(2)
  await failing.push(1, 1)
  failing.end(new Error('broken'))
  assert.is(await failing.next(), 1)
  await rejects(failing.next(), /broken/)
})

queues.run()
