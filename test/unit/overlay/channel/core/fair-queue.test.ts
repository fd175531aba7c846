import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FairQueue, type FairQueueLimits } from '../../../../../overlay/channel/core/fair-queue.js'

const LIMITS: FairQueueLimits = { waitingMax: 10_000, waitingPerAddressMax: 5_000, waitingPerKeyMax: 1_000 }
const queues = suite('FairQueue')

/** Serves `count` items that cost `cost` says, and counts them by name. */
function served(queue: FairQueue<Named>, count: number): Map<string, number> {
  const counts = new Map<string, number>()
  for (let i = 0; i < count; i++) {
    const item = queue.take()
    if (item === undefined) break
    queue.charge(item, item.cost)
    const name = `${item.address} ${item.key}`
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}

interface Named {
  readonly address: string
  readonly key: string
  readonly cost: number
}

function offer(queue: FairQueue<Named>, address: string, key: string, count: number, cost = 1): void {
  for (let i = 0; i < count; i++) assert.ok(queue.offer({ address, key }, { address, key, cost }))
}

queues('serves one key first in, first out', () => {
  const queue = new FairQueue<number>(LIMITS)
  for (let i = 0; i < 10; i++) queue.offer({ address: 'a', key: 'k' }, i)
  assert.equal(
    Array.from({ length: 11 }, () => queue.take()),
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, undefined],
  )
})

queues('gives an address with a hundred keys as much as an address with one', () => {
  const queue = new FairQueue<Named>(LIMITS)
  for (let key = 0; key < 100; key++) offer(queue, 'many', `k${key}`, 10)
  offer(queue, 'one', 'k', 200)
  const counts = served(queue, 300)
  assert.ok(Math.abs((counts.get('one k') ?? 0) - 150) <= 2, `${counts.get('one k')}`)
})

queues('shares the turn of an address evenly between its keys', () => {
  const queue = new FairQueue<Named>(LIMITS)
  offer(queue, 'a', 'flood', 900)
  offer(queue, 'a', 'calm', 50)
  const counts = served(queue, 100)
  assert.ok(Math.abs((counts.get('a calm') ?? 0) - 50) <= 1, `${counts.get('a calm')}`)
})

queues('counts what was spent, not how often', () => {
  const queue = new FairQueue<Named>(LIMITS)
  offer(queue, 'a', 'dear', 500, 9)
  offer(queue, 'b', 'cheap', 900, 1)
  const counts = served(queue, 500)
  assert.ok(Math.abs((counts.get('b cheap') ?? 0) - 450) <= 2, `${counts.get('b cheap')}`)
})

queues('lets nobody save up turns while it asks for nothing', () => {
  const queue = new FairQueue<Named>(LIMITS)
  offer(queue, 'a', 'k', 400)
  served(queue, 200)
  offer(queue, 'b', 'k', 400)
  const counts = served(queue, 100)
  assert.ok(Math.abs((counts.get('b k') ?? 0) - 50) <= 1, `${counts.get('b k')}`)
})

queues('refuses what one key, one address or all have too much of, and takes others', () => {
  const queue = new FairQueue<number>({ waitingMax: 10, waitingPerAddressMax: 6, waitingPerKeyMax: 4 })
  const taken = (address: string, key: string, count: number) =>
    Array.from({ length: count }, () => queue.offer({ address, key }, 0)).filter(Boolean).length
  assert.is(taken('a', '1', 9), 4)
  assert.is(taken('a', '2', 9), 2)
  assert.is(taken('b', '1', 9), 4)
  assert.is(taken('c', '1', 9), 0)
  queue.take()
  assert.is(taken('c', '1', 9), 1)
})

queues('never keeps back whom it was not asked by', () => {
  // Whatever came before: an address that asks for one thing waits for at most one item of each other address.
  const turns = fc.array(
    fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 50 })),
    {
      maxLength: 200,
    },
  )
  fc.assert(
    fc.property(turns, (offers) => {
      const queue = new FairQueue<Named>(LIMITS)
      for (const [address, key, cost] of offers) {
        offer(queue, `a${address}`, `k${key}`, 1, cost)
        if (cost % 3 === 0) served(queue, 1)
      }
      offer(queue, 'new', 'k', 1)
      for (let waited = 0; ; waited++) {
        const item = queue.take()
        if (item?.address === 'new') return waited <= 5
        assert.ok(item !== undefined, 'the item is not lost')
        queue.charge(item, Math.max(1, item.cost))
      }
    }),
  )
})

queues.run()
