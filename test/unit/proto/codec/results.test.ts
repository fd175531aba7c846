import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import * as results from '../../../../proto/codec/results.js'
import { resultsCases } from './cases/results.js'
import { refused } from './refused.js'

const test = suite('codec of results')

for (const { name, codec, values } of resultsCases) {
  values.forEach((value, i) => {
    test(`${name} ${i} comes back as it was`, () => {
      assert.equal(codec.decode(codec.encode(value)), value)
    })
  })
}

const id = new Uint8Array(32)

test('a digest of another length than a digest has is refused', () => {
  refused(
    'OutputRequest',
    results.outputRequestCodec,
    { jobId: id, shard: 1, unit: 1, digest: new Uint8Array(31) },
    /digest/,
  )
})

test('an unknown state of units is refused', () => {
  refused('UnitsRequest', results.unitsRequestCodec, { jobId: id, state: 'happy', limit: 1 }, /state must be one of/)
  refused('UnitsRequest', results.unitsRequestCodec, { jobId: id, limit: 0 }, /limit/)
  refused('UnitsRequest', results.unitsRequestCodec, { jobId: id, limit: 16_385 }, /limit/)
})

test('an output whose bytes differ from their stated size is refused', () => {
  const settled = [{ unit: 1, digest: id, output: new Uint8Array(3), outputSize: 4 }]
  refused('ResultsReply', results.resultsReplyCodec, { settled }, /outputSize/)
})

test.run()
