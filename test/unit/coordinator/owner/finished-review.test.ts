import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { BookedJob } from '../../../../coordinator/jobs/booked-job.js'
import { FinishedReview } from '../../../../coordinator/owner/finished-review.js'
import type { JobId, Summary } from '../../../../proto/model.js'
import { GridError } from '../../../../runtime/errors.js'
import { silentLogger } from '../../../../runtime/logger.js'
import { eventually } from '../../../support/deadline.js'

const JOB = { jobId: 'a' as JobId } as BookedJob

/** An owner with shards 0 to 3: 0 is open, 1 to 3 are finished, and 3 is in memory all the same. */
class Bench {
  readonly looks: number[] = []
  readonly finished = new Set([1, 2, 3])
  readonly inMemory = new Set([0, 3])
  /** Shards that a ruling opens again. */
  readonly opened = new Set<number>()
  inMemoryMost = 0
  looksUnderWay = 0
  failing = false
  onLook: () => void = () => {}
  readonly review = new FinishedReview({
    logger: silentLogger,
    store: {
      shards: async () => {
        if (this.failing) throw new GridError('unavailable', 'the disk fails')
        this.looksUnderWay++
        return [0, 1, 2, 3].map((shard) => ({ shard, activatedAtMs: 0 }))
      },
    },
    commits: { commit: async () => {} },
    finished: {
      summary: (_, shard) => (this.finished.has(shard) ? ({} as Summary) : undefined),
      forgetShard: (_, shard) => void this.finished.delete(shard),
      unload: async (_, shard) => void this.inMemory.delete(shard),
    },
    isInMemory: (_, shard) => this.inMemory.has(shard),
    shard: async (_, shard) => {
      this.looks.push(shard)
      this.onLook()
      this.inMemory.add(shard)
      this.inMemoryMost = Math.max(this.inMemoryMost, this.inMemory.size)
      return { finished: !this.opened.has(shard) }
    },
  })
}

const review = suite('FinishedReview')

review('opens what a ruling opened, and lets the others leave memory one by one', async () => {
  const bench = new Bench()
  bench.opened.add(2)
  bench.review.soon(JOB)
  await eventually(() => bench.looks.length === 3, 5_000, 'all finished shards')
  await eventually(() => !bench.finished.has(2), 5_000, 'the one that is open again')
  assert.equal(bench.looks, [1, 2, 3])
  assert.equal([...bench.inMemory].sort(), [0, 2, 3])
  assert.is(bench.inMemoryMost, 3)
})

review('looks once more however many rulings come meanwhile', async () => {
  const bench = new Bench()
  bench.onLook = () => {
    bench.onLook = () => {}
    for (let i = 0; i < 20; i++) bench.review.soon(JOB)
  }
  bench.review.soon(JOB)
  await eventually(() => bench.looks.length === 6, 5_000, 'two looks')
  await new Promise(setImmediate)
  assert.is(bench.looksUnderWay, 2)
})

review('of a disk that fails ends nothing else, and works again with the next ruling', async () => {
  const bench = new Bench()
  bench.failing = true
  bench.review.soon(JOB)
  await new Promise(setImmediate)
  bench.failing = false
  bench.review.soon(JOB)
  await eventually(() => bench.looks.length === 3, 5_000, 'all finished shards')
})

review.run()
