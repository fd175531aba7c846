import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { outstandingMessages } from '../../../../coordinator/exchange/outstanding.js'
import type { Instance } from '../../../../coordinator/owner/core/worker-record.js'
import { outstandingRequestCodec } from '../../../../proto/codec/exchange.js'
import type { JobId, PublicKey } from '../../../../proto/model.js'

const JOB = '1'.repeat(64) as JobId
const instance = (worker: string, unit: number, opinion = 0, shard = 0) =>
  ({
    shard: { jobId: JOB, shard },
    worker: { key: worker.repeat(64) as PublicKey },
    record: { unit },
    opinion,
  }) as unknown as Instance

const test = suite('outstandingMessages')

test('says at least that nothing is out', () => {
  assert.equal(
    outstandingMessages([], () => true),
    [[]],
  )
})

test('neighbouring units of one worker are one run, by opinion', () => {
  const out = [instance('a', 7), instance('a', 5), instance('a', 6), instance('a', 8, 1), instance('b', 1)]
  const [grants] = outstandingMessages(out, () => true)
  assert.equal(
    grants!.map(({ worker, runs }) => [worker[0], runs]),
    [
      [
        'a',
        [
          { first: 5, count: 3, opinion: 0 },
          { first: 8, count: 1, opinion: 1 },
        ],
      ],
      ['b', [{ first: 1, count: 1, opinion: 0 }]],
    ],
  )
})

test('shards that the other does not own are left out', () => {
  const out = [instance('a', 1, 0, 0), instance('a', 20, 0, 1)]
  const [grants] = outstandingMessages(out, (_, shard) => shard === 1)
  assert.equal(
    grants!.map(({ shard }) => shard),
    [1],
  )
})

test('whatever is out, every message can be read', () => {
  const scattered = Array.from({ length: 1_000 }, (_, i) => instance('a', 2 * i))
  const many = Array.from({ length: 20_000 }, (_, i) => instance('b', i))
  let units = 0
  for (const grants of outstandingMessages([...scattered, ...many], () => true)) {
    for (const { runs } of outstandingRequestCodec.decode(outstandingRequestCodec.encode({ grants })).grants)
      units += runs.reduce((sum, { count }) => sum + count, 0)
  }
  assert.is(units, 21_000)
})

test.run()
