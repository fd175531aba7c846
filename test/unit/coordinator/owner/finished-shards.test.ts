import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { FinishedShards, READ_BACK_UNITS_MAX } from '../../../../coordinator/owner/finished-shards.js'
import { OwnedShards } from '../../../../coordinator/owner/owned-shards.js'
import type { Write } from '../../../../coordinator/store/store.js'
import { EMPTY_SUMMARY } from '../../../../job/summary.js'
import type { JobId } from '../../../../proto/model.js'
import { silentLogger } from '../../../../runtime/logger.js'
import { rejects } from '../../../support/rejects.js'

const JOB = 'a'.repeat(64) as JobId
/** Four of these fill the room. */
const UNITS = READ_BACK_UNITS_MAX / 4

/** What owners look at in a job of which shards are open. */
interface OpenJob {
  readonly jobId: JobId
  readonly spec: { readonly submitter: string }
  readonly shards: ReadonlyMap<number, { readonly settledCount: number }>
}

/** A peer with finished shards of one job on disk, each of a quarter of what may be read back. */
class Bench {
  readonly inMemory = new Set<number>()
  readonly readBy = new Set<number>()
  readonly writes: Write[] = []
  /** What is open of the job, and of others. */
  own: OpenJob | undefined
  readonly others: OpenJob[] = []
  /** Ends the commits that wait, if they are to wait. */
  release: (() => void)[] | undefined
  readonly job = {
    jobId: JOB,
    shards: { includes: () => true },
    units: () => [{ first: 0, count: UNITS }],
    spec: { submitter: 'b' },
    removed: false,
    broughtFrom: '',
  } as never
  readonly #owner = {
    core: {
      hasShard: (_: JobId, shard: number) => this.inMemory.has(shard),
      shard: (_: JobId, shard: number) => (this.inMemory.has(shard) ? { finished: true } : undefined),
      report: () => ({ summary: EMPTY_SUMMARY }),
      job: () => this.own,
      jobs: () => [...this.others, ...(this.own === undefined ? [] : [this.own])],
    },
    isListenedTo: (_: JobId, shard: number) => this.readBy.has(shard),
    unloadShard: (_: JobId, shard: number) => void this.inMemory.delete(shard),
    dropShard: (_: JobId, shard: number) => void this.inMemory.delete(shard),
    openShard: async (_: unknown, shard: number) => void this.inMemory.add(shard),
  } as never
  readonly #commits = {
    commit: async (writes: readonly Write[]) => {
      this.writes.push(...writes)
      const { release } = this
      if (release !== undefined) await new Promise<void>((resolve) => release.push(resolve))
    },
  } as never
  readonly #store = {
    shards: async () => Array.from({ length: 16 }, (_, shard) => ({ shard, activatedAtMs: 0 })),
    meta: async () => undefined,
  } as never
  readonly #clock = { now: () => 0, wallMs: () => 0 } as never
  readonly finished = new FinishedShards({
    clock: this.#clock,
    logger: silentLogger,
    store: this.#store,
    commits: this.#commits,
    owner: this.#owner,
    unloadAfterMs: 60_000,
  })
  readonly shards = new OwnedShards({
    clock: this.#clock,
    store: this.#store,
    commits: this.#commits,
    book: { get: () => undefined } as never,
    owner: this.#owner,
    finished: this.finished,
    options: { shardsOpenMax: 100, shardsOpenPerSubmitterMax: 100, shardsOpenPerJobMax: 100 } as never,
    ordersAdded: () => {},
  })
}

const reading = suite('Finished shards that are asked about')

reading('are read back, and those nobody has asked about for longest leave for them', async () => {
  const bench = new Bench()
  for (const shard of [0, 1, 2, 3]) await bench.shards.inMemory(bench.job, shard)
  await bench.shards.inMemory(bench.job, 0)
  for (const shard of [4, 5]) await bench.shards.inMemory(bench.job, shard)
  assert.equal([...bench.inMemory].sort(), [0, 3, 4, 5])
})

reading('never push out one that somebody reads: whoever comes is told to come back', async () => {
  const bench = new Bench()
  for (const shard of [0, 1, 2, 3]) {
    await bench.shards.inMemory(bench.job, shard)
    bench.readBy.add(shard)
  }
  await rejects(bench.shards.inMemory(bench.job, 4), 'quota')
  bench.readBy.delete(2)
  await bench.shards.inMemory(bench.job, 4)
  assert.equal([...bench.inMemory].sort(), [0, 1, 3, 4])
})

reading('stay within their room, however many ask at the same time', async () => {
  const bench = new Bench()
  const asked = Array.from({ length: 16 }, (_, shard) => bench.shards.inMemory(bench.job, shard).catch(() => {}))
  await Promise.all(asked)
  assert.is(bench.inMemory.size, 4)
})

reading('leave the disk with their job', async () => {
  const bench = new Bench()
  for (const shard of [0, 1]) {
    await bench.shards.inMemory(bench.job, shard)
    await bench.finished.unload(JOB, shard)
  }
  const written = bench.writes.map((write) => (write.type === 'meta' ? write.name : ''))
  assert.equal(
    bench.finished.drops(JOB),
    written.map((name) => ({ type: 'meta', name, value: new Uint8Array(0) })),
  )
  assert.equal(bench.finished.drops('c'.repeat(64) as JobId), [])
})

reading.run()

const opening = suite('A shard that is to be opened')

opening('finds no place where strangers have taken them all, unless work was settled on its job here', async () => {
  const bench = new Bench()
  const shards = (count: number, settledCount: number) =>
    new Map(Array.from({ length: count }, (_, shard) => [shard, { settledCount }]))
  bench.others.push({ jobId: 'd'.repeat(64) as JobId, spec: { submitter: 'e' }, shards: shards(86, 0) })
  bench.own = { jobId: JOB, spec: { submitter: 'b' }, shards: shards(1, 0) }
  await bench.shards.open(bench.job, 1)
  bench.own = { ...bench.own, shards: shards(2, 0) }
  await rejects(bench.shards.open(bench.job, 2), 'quota')
  bench.own = { ...bench.own, shards: shards(2, 1) }
  await bench.shards.open(bench.job, 2)
  // All that were open have finished since.
  await bench.finished.unload(JOB, 2)
  bench.own = undefined
  bench.others.push({ jobId: 'f'.repeat(64) as JobId, spec: { submitter: 'e' }, shards: shards(13, 0) })
  await bench.shards.open(bench.job, 3)
  bench.others.push({ jobId: 'c'.repeat(64) as JobId, spec: { submitter: 'c' }, shards: shards(1, 0) })
  await rejects(bench.shards.open(bench.job, 4), 'quota')
})

opening.run()

const dropping = suite('A shard that is dropped')

dropping('is put on disk anew, behind the deletion, when a fact comes meanwhile, also if it had finished', async () => {
  const bench = new Bench()
  await bench.shards.inMemory(bench.job, 0)
  await bench.finished.unload(JOB, 0)
  assert.ok(bench.finished.summary(JOB, 0))
  bench.writes.length = 0
  bench.release = []
  const dropped = bench.shards.drop(bench.job, 0)
  const opened = bench.shards.open(bench.job, 0)
  const { release } = bench
  bench.release = undefined
  for (const resolve of release) resolve()
  await Promise.all([dropped, opened])
  const kinds = bench.writes.map(({ type }) => type)
  assert.ok(kinds.includes('dropShard'))
  assert.ok(kinds.lastIndexOf('shard') > kinds.indexOf('dropShard'), `shard after dropShard, of ${kinds}`)
})

dropping.run()
