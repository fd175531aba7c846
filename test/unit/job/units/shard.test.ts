import { createHash } from 'node:crypto'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  chooseShardUnits,
  homeKey,
  selectedShards,
  shardCount,
  shardKey,
  shardOf,
  shardUnits,
} from '../../../../job/units/shard.js'
import { sha256 } from '../../../../runtime/hash.js'
import { jobId, spec } from '../samples.js'

const test = suite('shards')

const job = spec({ source: { type: 'count', count: 100 }, shardUnits: 32 })

test('shards cover all units once', () => {
  assert.is(shardCount(job), 4)
  assert.equal(
    [0, 3].map((shard) => shardUnits(job, shard)),
    [[{ first: 0, count: 32 }], [{ first: 96, count: 4 }]],
  )
  assert.equal(shardUnits(job, 4), [])
  assert.is(shardOf(job, 63), 1)
})

test('a selection leaves shards and units out', () => {
  const selected = {
    ...job,
    selection: [
      { first: 30, count: 4 },
      { first: 98, count: 1 },
    ],
  }
  assert.equal(selectedShards(selected), [0, 1, 3])
  assert.equal(shardUnits(selected, 0), [{ first: 30, count: 2 }])
  assert.equal(shardUnits(selected, 1), [{ first: 32, count: 2 }])
  assert.equal(shardUnits(selected, 2), [])
  assert.equal(selectedShards(job), [0, 1, 2, 3])
})

test('home and shards lie at 160-bit keys', () => {
  assert.is(homeKey(jobId), jobId.slice(0, 40))
  const bytes = Buffer.concat([Buffer.from(jobId, 'hex'), Buffer.from([0, 0, 1, 2])])
  assert.is(shardKey(sha256, jobId, 258), createHash('sha256').update(bytes).digest('hex').slice(0, 40))
})

test('the size of shards follows units, outputs and work', () => {
  assert.is(chooseShardUnits({ units: 10, outputBytes: 100 }), 16)
  assert.is(chooseShardUnits({ units: 500, outputBytes: 100 }), 512)
  assert.is(chooseShardUnits({ units: 10_000_000, outputBytes: 100 }), 16_384)
  assert.is(chooseShardUnits({ units: 100_000, outputBytes: 100 }), 4_096)
  assert.is(chooseShardUnits({ units: 10_000_000, outputBytes: 2 ** 20 }), 1_024)
  assert.is(chooseShardUnits({ units: 10_000_000, outputBytes: 2 ** 26 }), 16)
  assert.is(chooseShardUnits({ units: 10_000_000, outputBytes: 2 ** 30 }), 16)
  assert.is(chooseShardUnits({ units: 10_000_000, outputBytes: 0, unitMs: 1_000, threads: 10 }), 4_096)
})

test.run()
