import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { OwnerGrid } from '../../../../support/cores/owner-grid.js'

const WORKERS = 50

const sessions = suite('Streams that come and go')

sessions('are told of once a sweep for each shard, however many they are', () => {
  const grid = new OwnerGrid({ units: 4 })
  grid.advance(1_000)
  grid.log.heed('shardChanged')
  const workers = Array.from({ length: WORKERS }, (_, i) => grid.join(`worker-${i}`, { want: 0 }))
  for (const worker of workers) worker.leave()
  assert.equal(grid.log.take('shardChanged'), [], 'nothing at once')
  grid.advance(500)
  assert.is(grid.log.take('shardChanged').length, 1)
  grid.advance(400)
  assert.equal(grid.log.take('shardChanged'), [], 'and nothing when nobody came or went')
  grid.log.ignore('shardChanged')
  grid.finish()
})

sessions.run()
