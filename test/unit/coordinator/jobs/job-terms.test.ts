import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { BookedJob } from '../../../../coordinator/jobs/booked-job.js'
import type { JobBook } from '../../../../coordinator/jobs/job-book.js'
import { JobTerms } from '../../../../coordinator/jobs/job-terms.js'
import type { Digest, JobId } from '../../../../proto/model.js'
import { GridError } from '../../../../runtime/errors.js'
import { silentLogger } from '../../../../runtime/logger.js'

const test = suite('JobTerms')
const DELETE_AFTER_MS = 100

interface FakeJob {
  readonly jobId: JobId
  readonly spec: { readonly expiresAtMs: number }
  expiresAtMs: number
  removed: boolean
  /** Digests of large outputs by shard. */
  readonly shards: Map<number, readonly string[]>
}

/** An owner of jobs with large outputs, without anything else. */
class Bench {
  readonly jobs: FakeJob[] = []
  readonly kept = new Map<string, number>()
  readonly dropped: string[] = []
  failing = false
  readonly terms = new JobTerms({
    logger: silentLogger,
    book: { all: () => this.jobs as unknown as BookedJob[] } as unknown as JobBook,
    store: {
      shards: async (jobId) => [...this.#job(jobId).shards.keys()].map((shard) => ({ shard, activatedAtMs: 0 })),
      largeOutputs: async (jobId, shard) =>
        (this.#job(jobId).shards.get(shard) ?? []).map((digest, unit) => ({ unit, digest: digest as Digest, size: 1 })),
    },
    outputs: {
      bytesUsed: 0,
      keep: async () => {},
      read: async () => undefined,
      extend: async (digest, keepUntilMs) => {
        if (this.failing) throw new GridError('unavailable', 'the disk is full')
        this.kept.set(digest, keepUntilMs)
      },
      remove: async (digest) => void this.kept.delete(digest),
    },
    deleteAfterMs: DELETE_AFTER_MS,
    dropShard: async (job, shard) => {
      if (this.failing) throw new GridError('unavailable', 'the disk is full')
      this.#job(job.jobId).shards.delete(shard)
      this.dropped.push(`${job.jobId}/${shard}`)
    },
  })

  add(name: string, shards: readonly (readonly string[])[]): FakeJob {
    const job = {
      jobId: name as JobId,
      spec: { expiresAtMs: 1_000 },
      expiresAtMs: 1_000,
      removed: false,
      shards: new Map(shards.map((digests, shard) => [shard, digests])),
    }
    this.jobs.push(job)
    for (const digest of shards.flat()) this.kept.set(digest, 1_000 + DELETE_AFTER_MS)
    return job
  }

  #job(jobId: JobId): FakeJob {
    return this.jobs.find((job) => job.jobId === jobId)!
  }
}

test('large outputs of an extended job are kept as long as it is, also when it is extended again', async () => {
  const bench = new Bench()
  const job = bench.add('a', [['x', 'y'], ['z']])
  bench.add('b', [['other']])
  await bench.terms.look()
  assert.is(bench.kept.get('x'), 1_100, 'nothing to do without an order')
  for (const expiresAtMs of [2_000, 3_000]) {
    job.expiresAtMs = expiresAtMs
    await bench.terms.look()
    for (const digest of ['x', 'y', 'z']) assert.is(bench.kept.get(digest), expiresAtMs + DELETE_AFTER_MS)
  }
  assert.is(bench.kept.get('other'), 1_100)
})

test('a removed job loses shards and large outputs, except those that another job has as well', async () => {
  const bench = new Bench()
  const job = bench.add('a', [['x', 'shared'], ['z']])
  bench.add('b', [['shared', 'own']])
  job.removed = true
  await bench.terms.look()
  assert.equal(bench.dropped, ['a/0', 'a/1'])
  assert.equal([...bench.kept.keys()].sort(), ['own', 'shared'])
  await bench.terms.look()
  assert.is(bench.dropped.length, 2, 'once is enough')
})

test('what a full disk did not allow is done at a later look', async () => {
  const bench = new Bench()
  const [longer, gone] = [bench.add('a', [['x']]), bench.add('b', [['y']])]
  longer.expiresAtMs = 5_000
  gone.removed = true
  bench.failing = true
  await bench.terms.look()
  assert.is(bench.kept.get('x'), 1_000 + DELETE_AFTER_MS)
  assert.equal(bench.dropped, [])
  bench.failing = false
  await bench.terms.look()
  assert.equal([...bench.kept], [['x', 5_000 + DELETE_AFTER_MS]])
  assert.equal(bench.dropped, ['b/0'])
})

test.run()
